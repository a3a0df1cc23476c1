//! Clouds from reflectance alone, pixel by pixel, where a product delivers no mask.
//!
//! A pixel is cloud as far as it is bright, white and hazy (Zhu and Woodcock 2012, Fmask: the
//! basic test, whiteness, HOT), not green, and not snow (NDSI); or bright at 1.38 µm, where only
//! high clouds are seen. Each test rises smoothly from 0 to 1 around a middle that physics
//! suggests; the likelihood is the root of their product. How it fares against the masks that
//! products deliver stands in `docs/EXPERIMENTS.md`.
//!
//! *Invariants*: 0..=1; pixels that lack a visible band are void.
//!
//! *Not here*: delivered masks (`cloud`); a trained masker.

use rayon::iter::ParallelIterator;

use crate::raster::cloud::meaning::SPECTRAL;
use crate::raster::cloud::{CloudMask, Sky};

/// Likelihood from which a pixel is cloud.
pub const LIKELIHOOD_MIN: f64 = 0.5;

/// Reflectances of one pixel; absent where the product lacks the band or the pixel is fill.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reflectances {
    /// 0.45–0.52 µm.
    pub blue: Option<f64>,
    /// 0.53–0.60 µm.
    pub green: Option<f64>,
    /// 0.63–0.69 µm.
    pub red: Option<f64>,
    /// 0.76–0.90 µm.
    pub nir: Option<f64>,
    /// 1.55–1.75 µm.
    pub swir: Option<f64>,
    /// 1.36–1.39 µm.
    pub cirrus: Option<f64>,
}

/// A test that rises from 0 to 1: 0.12 half a width below its middle, 0.88 half a width above.
#[derive(Debug, Clone, Copy)]
struct Rise {
    middle: f64,
    width: f64,
}

/// Mean visible reflectance: the ground is seldom above 0.1 but for sand, snow and cities.
const BRIGHT: Rise = rise(0.13, 0.10);
/// Sum of the visible bands' distances from their mean, in means: clouds are grey.
const COLOURED: Rise = rise(0.62, 0.5);
/// Blue above half of red: haze scatters blue, the ground reflects both alike (HOT).
const HAZY: Rise = rise(0.065, 0.06);
/// NDVI: leaves.
const GREEN: Rise = rise(0.62, 0.3);
/// NDSI: snow and clouds of ice.
const ICY: Rise = rise(0.55, 0.3);
/// Reflectance at 1.6 µm, where snow is dark and clouds are not.
const BRIGHT_SWIR: Rise = rise(0.11, 0.08);
/// Reflectance at 1.38 µm: water vapour hides the ground, high clouds lie above it.
const CIRRUS: Rise = rise(0.008, 0.010);
/// Least mean reflectance that is divided by: offsets make dark pixels negative.
const MEAN_MIN: f64 = 1e-3;

const fn rise(middle: f64, width: f64) -> Rise {
    Rise { middle, width }
}

impl Rise {
    fn at(self, value: f64) -> f64 {
        1.0 / (1.0 + (-4.0 * (value - self.middle) / self.width).exp())
    }
}

/// Returns the likelihood of cloud, 0..=1; `None` where a visible band is missing.
pub fn likelihood(pixel: &Reflectances) -> Option<f64> {
    let (blue, green, red) = (pixel.blue?, pixel.green?, pixel.red?);
    let mean = (blue + green + red) / 3.0;
    let apart: f64 = [blue, green, red].iter().map(|r| (r - mean).abs()).sum();
    let white = 1.0 - COLOURED.at(apart / mean.max(MEAN_MIN));
    let bare = pixel.nir.map_or(1.0, |nir| 1.0 - GREEN.at(ratio(nir, red)));
    let thick =
        BRIGHT.at(mean) * white * HAZY.at(blue - 0.5 * red) * bare * (1.0 - snow(pixel, green));
    let thin = pixel.cirrus.map_or(0.0, |cirrus| CIRRUS.at(cirrus));
    Some((1.0 - (1.0 - thick) * (1.0 - thin)).sqrt())
}

/// Returns the likelihood of snow: bright green, dark short-wave infrared.
fn snow(pixel: &Reflectances, green: f64) -> f64 {
    pixel.swir.map_or(0.0, |swir| {
        let dark = 1.0 - BRIGHT_SWIR.at(swir);
        ICY.at(ratio(green, swir)).min(dark)
    })
}

/// Returns the normalised difference of two reflectances; 0 where both vanish.
fn ratio(a: f64, b: f64) -> f64 {
    if (a + b).abs() > 1e-9 {
        (a - b) / (a + b)
    } else {
        0.0
    }
}

/// Returns the mask of pixels in order.
pub fn spectral_mask(pixels: impl ParallelIterator<Item = Reflectances>) -> CloudMask {
    let sky = |pixel: Reflectances| match likelihood(&pixel) {
        None => Sky::Void,
        Some(share) if share >= LIKELIHOOD_MIN => Sky::Cloud,
        Some(_) => Sky::Clear,
    };
    CloudMask::new(&SPECTRAL, pixels.map(sky).collect())
}

#[cfg(test)]
mod tests {
    use super::{LIKELIHOOD_MIN, Reflectances, likelihood};

    fn cloudy(blue: f64, green: f64, red: f64, nir: f64, swir: f64) -> bool {
        let pixel = Reflectances {
            blue: Some(blue),
            green: Some(green),
            red: Some(red),
            nir: Some(nir),
            swir: Some(swir),
            cirrus: None,
        };
        likelihood(&pixel).unwrap() >= LIKELIHOOD_MIN
    }

    #[test]
    fn clouds_are_told_from_what_looks_like_them() {
        assert!(cloudy(0.45, 0.44, 0.45, 0.50, 0.35), "thick cloud");
        assert!(!cloudy(0.80, 0.78, 0.75, 0.65, 0.08), "snow");
        assert!(!cloudy(0.03, 0.06, 0.04, 0.40, 0.18), "forest");
        assert!(!cloudy(0.12, 0.18, 0.26, 0.34, 0.42), "bare soil");
        assert!(!cloudy(0.07, 0.06, 0.04, 0.02, 0.01), "water");
    }

    #[test]
    fn a_pixel_without_visible_bands_is_not_judged() {
        assert_eq!(
            likelihood(&Reflectances {
                nir: Some(0.5),
                ..Default::default()
            }),
            None
        );
    }

    #[test]
    fn cirrus_shows_over_dark_ground() {
        let dark = Reflectances {
            blue: Some(0.08),
            green: Some(0.07),
            red: Some(0.05),
            cirrus: Some(0.03),
            ..Default::default()
        };
        assert!(likelihood(&dark).unwrap() > 0.9);
    }
}
