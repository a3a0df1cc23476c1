//! Which pixels of a split hide the ground, by the band that its cloud share was counted from
//! (`earth::split::sky`), whatever the sensor; whether most do, where no band tells which.
//!
//! *Invariants*: cloud, its shadow and what nobody judged hide the ground, as in compositions; a
//! split without such a band has no cloud mask; nothing is guessed here: what was judged by
//! reflectance leaves nothing out.
//!
//! *Not here*: cloud cover of whole splits, by which a query chooses (ingest, query).

use earth::raster::Raster;
use earth::raster::cloud::meaning::SPECTRAL;
use earth::split::meta::SplitMeta;
use earth::split::sky::Judge;

use crate::chips::onto::{Shape, any, sample};

/// A chip with more cloud than this share is left out: a tenth shifts a mean NDVI by at most a
/// tenth of the difference to a cloud's.
pub const CLOUD_SHARE_MAX: f64 = 0.1;

/// A split with more cloud than this share, of which no band says where it is, is left out whole: a
/// chip of it is more likely cloud than ground. Less is for the selectors (`--max-cloud`).
const OVERCAST_MIN: f64 = 0.5;

/// Returns which pixels of a grid hide the ground, by a band of the shape `from`: a coarser band's
/// pixel under each centre; of a finer one a single hidden pixel is enough, as inputs are averaged.
pub fn hidden(judge: &Judge<'_>, raster: &Raster, (from, to): (Shape, Shape)) -> Vec<bool> {
    let sky = judge.sky(raster).into_iter();
    let hidden: Vec<bool> = sky.map(|sees| !sees.shows_ground()).collect();
    if from.width >= to.width && from.height >= to.height {
        any(&hidden, from, to)
    } else {
        sample(&hidden, from, to)
    }
}

/// Tells whether a delivered mask calls most of a split cloud while none of its bands says which
/// pixels are: a mask that was only counted, say.
pub fn is_overcast(meta: &SplitMeta) -> bool {
    let is_told = Judge::of(meta).is_some();
    overcast(meta.cloud_source.as_deref(), meta.counts.cloud(), is_told)
}

fn overcast(source: Option<&str>, cloudy: Option<f64>, is_told: bool) -> bool {
    let is_delivered = source.is_some_and(|source| source != SPECTRAL.name);
    is_delivered && !is_told && cloudy.is_some_and(|share| share > OVERCAST_MIN)
}

#[cfg(test)]
mod tests {
    use super::overcast;

    #[test]
    fn a_mask_that_no_band_holds_tells_of_the_whole_split() {
        let file = Some("file");
        assert!(overcast(file, Some(1.0), false));
        assert!(overcast(Some("qa_pixel"), Some(0.6), false));
        assert!(!overcast(file, Some(0.5), false), "the selectors' business");
        assert!(!overcast(file, None, false));
        assert!(!overcast(file, Some(1.0), true));
        assert!(
            !overcast(Some("spectral"), Some(1.0), false),
            "it is guessed"
        );
        assert!(!overcast(None, Some(1.0), false));
    }
}
