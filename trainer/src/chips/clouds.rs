//! Which pixels of a split are cloud, as far as one of its own bands says so; whether most are,
//! where none does.
//!
//! *Invariants*: a split without such a band has no cloud mask; nothing is guessed here: what was
//! judged by reflectance leaves nothing out.
//!
//! *Not here*: cloud cover of whole splits, by which a query chooses (ingest, query).

use earth::raster::cloud::meaning::{NON_ZERO, SPECTRAL};
use earth::split::meta::{BandMeta, SplitMeta};

/// A chip with more cloud than this share is left out: a tenth shifts a mean NDVI by at most a
/// tenth of the difference to a cloud's.
pub const CLOUD_SHARE_MAX: f64 = 0.1;

/// A split with more cloud than this share, of which no band says where it is, is left out whole: a
/// chip of it is more likely cloud than ground. Less is for the selectors (`--max-cloud`).
const OVERCAST_MIN: f64 = 0.5;

/// Sentinel-2 scene classes that hide the ground: shadow, cloud of medium and high probability,
/// cirrus (ESA, Sen2Cor SCL).
const SCL_HIDDEN: [f32; 4] = [3.0, 8.0, 9.0, 10.0];
/// Cloud probability in percent from which a pixel is cloud (as for cloud cover, DESIGN §4).
const PROBABILITY_MIN: f32 = 50.0;

/// How a band tells clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudBand {
    /// Scene classes of Sentinel-2 L2A.
    SceneClasses,
    /// Probability in percent.
    Probability,
    /// 0 for clear, anything else for cloud.
    Mask,
}

impl CloudBand {
    /// Recognises a band that tells clouds by the name that ingest gives it.
    pub fn of(band: &BandMeta) -> Option<Self> {
        match band.name.as_str() {
            "SCL" => Some(Self::SceneClasses),
            "CLDPRB" => Some(Self::Probability),
            "CLOUD" => Some(Self::Mask),
            _ => None,
        }
    }

    /// Tells whether a value of the band means that the ground is hidden; fill does not.
    pub fn hides(self, value: f32) -> bool {
        match self {
            Self::SceneClasses => SCL_HIDDEN.contains(&value),
            Self::Probability => value >= PROBABILITY_MIN,
            Self::Mask => !value.is_nan() && value != 0.0,
        }
    }
}

/// Tells whether a delivered mask calls most of a split cloud while none of its bands says which
/// pixels are: a user's mask, say, is counted by ingest and not stored.
pub fn is_overcast(meta: &SplitMeta) -> bool {
    let told: Vec<CloudBand> = meta.bands.iter().filter_map(CloudBand::of).collect();
    overcast(meta.cloud_source.as_deref(), meta.counts.cloud(), &told)
}

fn overcast(source: Option<&str>, cloudy: Option<f64>, told: &[CloudBand]) -> bool {
    let is_told = match source {
        None => true,
        Some(source) if source == SPECTRAL.name => true,
        // What a user says counts more than what the product says.
        Some(source) if source == NON_ZERO.name => told.contains(&CloudBand::Mask),
        Some(_) => !told.is_empty(),
    };
    !is_told && cloudy.is_some_and(|share| share > OVERCAST_MIN)
}

#[cfg(test)]
mod tests {
    use super::{CloudBand, overcast};

    #[test]
    fn a_mask_that_no_band_holds_tells_of_the_whole_split() {
        let file = Some("file");
        assert!(overcast(file, Some(1.0), &[]));
        assert!(overcast(file, Some(0.6), &[CloudBand::SceneClasses]));
        assert!(overcast(Some("qa_pixel"), Some(1.0), &[]));
        assert!(!overcast(file, Some(0.5), &[]), "the selectors' business");
        assert!(!overcast(file, None, &[]));
        assert!(!overcast(file, Some(1.0), &[CloudBand::Mask]));
        assert!(!overcast(
            Some("scl"),
            Some(1.0),
            &[CloudBand::SceneClasses]
        ));
        assert!(!overcast(Some("spectral"), Some(1.0), &[]), "it is guessed");
        assert!(!overcast(None, Some(1.0), &[]));
    }

    #[test]
    fn fill_and_clear_ground_are_no_cloud() {
        for kind in [
            CloudBand::SceneClasses,
            CloudBand::Probability,
            CloudBand::Mask,
        ] {
            assert!(!kind.hides(f32::NAN), "{kind:?}");
            assert!(!kind.hides(0.0), "{kind:?}");
        }
        assert!(!CloudBand::SceneClasses.hides(4.0));
        assert!(CloudBand::SceneClasses.hides(9.0));
        assert!(CloudBand::Probability.hides(50.0));
        assert!(CloudBand::Mask.hides(1.0));
    }
}
