//! Clouds: what each pixel of a cell sees of the ground, and counts of that.
//!
//! From delivered masks, each read by the `Meaning` that its product declares, or, where there is
//! none, from reflectance (`spectral`).
//!
//! *Invariants*: a pixel without data is `Sky::Void` and never counts as clear.
//!
//! *Not here*: what a product's values mean (`crate::dataset`), reading files (ingest).

pub mod meaning;
pub mod spectral;

pub use self::meaning::Meaning;

use crate::raster::pixel::Pixel;
use crate::raster::reproject::Warped;
use crate::split::meta::MaskCounts;

/// What a pixel sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sky {
    /// No data.
    Void,
    /// The ground.
    Clear,
    /// Cloud, thin cirrus included.
    Cloud,
    /// The ground in a cloud's shadow.
    Shadow,
    /// Snow or ice.
    Snow,
}

impl Sky {
    /// Tells whether the ground is seen: not through cloud or shadow, nor where nobody judged.
    pub fn shows_ground(self) -> bool {
        matches!(self, Self::Clear | Self::Snow)
    }
}

/// A cloud mask on one grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudMask {
    meaning: &'static Meaning,
    pixels: Vec<Sky>,
}

impl CloudMask {
    /// Reads a delivered mask by what its values mean; pixels that are not valid see nothing.
    ///
    /// Values that are no whole numbers count as the next one away from 0.
    pub fn read(mask: &Warped, meaning: &'static Meaning) -> Self {
        let values = mask.raster.samples().to_f64().into_iter();
        let sky = |(value, valid): (f64, &bool)| match valid {
            true => (meaning.sky)(u32::nearest(value.abs().ceil())),
            false => Sky::Void,
        };
        let pixels = values.zip(&mask.valid).map(sky).collect();
        Self { meaning, pixels }
    }

    /// Builds a mask from what each pixel sees.
    pub fn new(meaning: &'static Meaning, pixels: Vec<Sky>) -> Self {
        Self { meaning, pixels }
    }

    /// Voids pixels that are not judged; pixels past the end of `judged` are.
    #[must_use]
    pub fn only(mut self, judged: &[bool]) -> Self {
        for (pixel, _) in self
            .pixels
            .iter_mut()
            .zip(judged)
            .filter(|(_, judged)| !**judged)
        {
            *pixel = Sky::Void;
        }
        self
    }

    /// Returns how the mask was read.
    pub fn meaning(&self) -> &'static Meaning {
        self.meaning
    }

    /// Returns what each pixel sees, row by row.
    pub fn pixels(&self) -> &[Sky] {
        &self.pixels
    }

    /// Returns the counts.
    pub fn counts(&self) -> MaskCounts {
        let count = |sky: Sky| self.pixels.iter().filter(|p| **p == sky).count() as u64;
        let known = self.meaning.tells_shadow_and_snow;
        MaskCounts {
            valid: self.pixels.len() as u64 - count(Sky::Void),
            cloudy: count(Sky::Cloud),
            shadow: known.then(|| count(Sky::Shadow)),
            snow: known.then(|| count(Sky::Snow)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CloudMask, Sky};
    use crate::dataset::landsat::{BQA, BQA_BEFORE, QA_PIXEL};
    use crate::dataset::sentinel2::{CLOUD_PROBABILITY, SCENE_CLASSES};
    use crate::raster::cloud::meaning::NON_ZERO;
    use crate::raster::reproject::Warped;
    use crate::raster::{Raster, Samples};

    fn warped(values: Vec<u16>, valid: Vec<bool>) -> Warped {
        let width = u32::try_from(values.len()).unwrap();
        let in_footprint = u64::from(width);
        let raster = Raster::new(width, 1, Samples::U16(values)).unwrap();
        Warped {
            raster,
            valid,
            in_footprint,
        }
    }

    #[test]
    fn scene_classes_are_counted_by_what_they_mean() {
        let classes = warped((0..12).collect(), vec![true; 12]);
        let counts = CloudMask::read(&classes, &SCENE_CLASSES).counts();
        assert_eq!((counts.valid, counts.cloudy), (11, 3));
        assert_eq!((counts.shadow, counts.snow), (Some(1), Some(1)));
    }

    #[test]
    fn no_data_never_counts_as_clear() {
        let percent = warped(vec![0, 49, 50, 100], vec![true, true, true, false]);
        let counts = CloudMask::read(&percent, &CLOUD_PROBABILITY)
            .only(&[false, true, true, true])
            .counts();
        assert_eq!((counts.valid, counts.cloudy, counts.shadow), (2, 1, None));
        let mask = warped(vec![0, 1, 255], vec![true; 3]);
        let counts = CloudMask::read(&mask, &NON_ZERO)
            .only(&[false, false, true])
            .counts();
        assert_eq!((counts.valid, counts.cloudy), (1, 1));
    }

    #[test]
    fn qa_pixel_bits_name_cloud_shadow_and_snow() {
        // 1 fill; 21824 clear; 22280 high-confidence cloud; 23888 shadow; 30048 snow; 54596 cirrus,
        // which the product's own cloud cover does not count.
        let bits = warped(
            vec![1, 21_824, 22_280, 23_888, 30_048, 54_596],
            vec![true; 6],
        );
        let found = CloudMask::read(&bits, &QA_PIXEL);
        let wanted = [
            Sky::Void,
            Sky::Clear,
            Sky::Cloud,
            Sky::Shadow,
            Sky::Snow,
            Sky::Clear,
        ];
        assert_eq!(found.pixels(), wanted);
    }

    #[test]
    fn collection_1_and_what_was_before_it_have_bits_of_their_own() {
        // 1 fill; 2720 clear; 2800 cloud; 2976 shadow; 3744 snow; 6816 cirrus.
        let bits = warped(vec![1, 2720, 2800, 2976, 3744, 6816], vec![true; 6]);
        let found = CloudMask::read(&bits, &BQA);
        let wanted = [
            Sky::Void,
            Sky::Clear,
            Sky::Cloud,
            Sky::Shadow,
            Sky::Snow,
            Sky::Clear,
        ];
        assert_eq!(found.pixels(), wanted);
        // 1 fill; 20480 clear; 53248 cloud with high confidence; 23552 snow.
        let bits = warped(vec![1, 20_480, 53_248, 23_552], vec![true; 4]);
        let found = CloudMask::read(&bits, &BQA_BEFORE);
        let wanted = [Sky::Void, Sky::Clear, Sky::Cloud, Sky::Snow];
        assert_eq!(found.pixels(), wanted);
    }
}
