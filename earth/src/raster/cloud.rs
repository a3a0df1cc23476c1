//! Clouds: what each pixel of a cell sees of the ground, and counts of that.
//!
//! From delivered masks (Sentinel-2 scene classes and cloud probability, Landsat `QA_PIXEL`, any
//! mask file) or, where there is none, from reflectance (`spectral`).
//!
//! *Invariants*: a pixel without data is `Sky::Void` and never counts as clear.
//!
//! *Not here*: which source a product has (ingest), reading masks (ingest).

pub mod spectral;

use crate::raster::pixel::Pixel;
use crate::raster::reproject::Warped;
use crate::split::meta::MaskCounts;

/// Percent of probability from which a pixel is cloud (`MSK_CLDPRB`).
pub const PROBABILITY_MIN: f64 = 50.0;

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

/// Where a cloud mask came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudSource {
    /// Sentinel-2 scene classification.
    SceneClasses,
    /// Sentinel-2 cloud probability.
    Probability,
    /// A mask file named by the user or the product.
    File,
    /// Landsat Collection 2 `QA_PIXEL`.
    QaPixel,
    /// Computed from reflectance.
    Spectral,
}

impl CloudSource {
    /// Returns the name in metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::SceneClasses => "scl",
            Self::Probability => "cldprb",
            Self::File => "file",
            Self::QaPixel => "qa_pixel",
            Self::Spectral => "spectral",
        }
    }

    /// Tells whether shadow and snow are known.
    fn knows_shadow_and_snow(self) -> bool {
        matches!(self, Self::SceneClasses | Self::QaPixel)
    }
}

/// A cloud mask on one grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudMask {
    source: CloudSource,
    pixels: Vec<Sky>,
}

impl CloudMask {
    /// Reads Sentinel-2 scene classes: 8, 9, 10 cloud, 3 shadow, 11 snow, 0 no data
    /// (Sen2Cor product definition).
    pub fn from_scene_classes(classes: &Warped) -> Self {
        Self::by(
            CloudSource::SceneClasses,
            classes,
            |class| match u32::nearest(class) {
                0 => Sky::Void,
                3 => Sky::Shadow,
                8..=10 => Sky::Cloud,
                11 => Sky::Snow,
                _ => Sky::Clear,
            },
        )
    }

    /// Reads cloud probability in percent; `judged` tells which pixels hold image data, since 0
    /// also stands where there is none.
    pub fn from_probability(percent: &Warped, judged: &[bool]) -> Self {
        let cloud = |p| {
            if p >= PROBABILITY_MIN {
                Sky::Cloud
            } else {
                Sky::Clear
            }
        };
        Self::by(CloudSource::Probability, percent, cloud).only(judged)
    }

    /// Reads a mask in which anything but 0 is cloud; `judged` as for probability.
    pub fn from_file(mask: &Warped, judged: &[bool]) -> Self {
        let cloud = |value: f64| {
            if value.abs() > 0.0 {
                Sky::Cloud
            } else {
                Sky::Clear
            }
        };
        Self::by(CloudSource::File, mask, cloud).only(judged)
    }

    /// Reads Landsat Collection 2 `QA_PIXEL` bits: 0 fill, 2 cirrus, 3 cloud, 4 shadow, 5 snow.
    pub fn from_qa_pixel(bits: &Warped) -> Self {
        Self::by(CloudSource::QaPixel, bits, |value| {
            match u32::nearest(value) {
                b if b & 1 != 0 => Sky::Void,
                b if b & 0b1100 != 0 => Sky::Cloud,
                b if b & 0b1_0000 != 0 => Sky::Shadow,
                b if b & 0b10_0000 != 0 => Sky::Snow,
                _ => Sky::Clear,
            }
        })
    }

    /// Builds a mask from what each pixel sees.
    pub fn new(source: CloudSource, pixels: Vec<Sky>) -> Self {
        Self { source, pixels }
    }

    fn by(source: CloudSource, warped: &Warped, sky: impl Fn(f64) -> Sky) -> Self {
        let values = warped.raster.samples().to_f64().into_iter();
        let pixels = values
            .zip(&warped.valid)
            .map(|(value, valid)| if *valid { sky(value) } else { Sky::Void })
            .collect();
        Self { source, pixels }
    }

    /// Voids pixels that are not judged; pixels past the end of `judged` are.
    fn only(mut self, judged: &[bool]) -> Self {
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

    /// Returns where the mask came from.
    pub fn source(&self) -> CloudSource {
        self.source
    }

    /// Returns what each pixel sees, row by row.
    pub fn pixels(&self) -> &[Sky] {
        &self.pixels
    }

    /// Returns the counts.
    pub fn counts(&self) -> MaskCounts {
        let count = |sky: Sky| self.pixels.iter().filter(|p| **p == sky).count() as u64;
        let known = self.source.knows_shadow_and_snow();
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
        let counts = CloudMask::from_scene_classes(&classes).counts();
        assert_eq!((counts.valid, counts.cloudy), (11, 3));
        assert_eq!((counts.shadow, counts.snow), (Some(1), Some(1)));
    }

    #[test]
    fn no_data_never_counts_as_clear() {
        let percent = warped(vec![0, 49, 50, 100], vec![true, true, true, false]);
        let counts = CloudMask::from_probability(&percent, &[false, true, true, true]).counts();
        assert_eq!((counts.valid, counts.cloudy, counts.shadow), (2, 1, None));
        let mask = warped(vec![0, 1, 255], vec![true; 3]);
        let counts = CloudMask::from_file(&mask, &[false, false, true]).counts();
        assert_eq!((counts.valid, counts.cloudy), (1, 1));
    }

    #[test]
    fn qa_pixel_bits_name_cloud_shadow_and_snow() {
        // 1 fill; 21824 clear; 22280 high-confidence cloud; 23888 shadow; 30048 snow; 54596 cirrus.
        let bits = warped(
            vec![1, 21_824, 22_280, 23_888, 30_048, 54_596],
            vec![true; 6],
        );
        let found = CloudMask::from_qa_pixel(&bits);
        let wanted = [
            Sky::Void,
            Sky::Clear,
            Sky::Cloud,
            Sky::Shadow,
            Sky::Snow,
            Sky::Cloud,
        ];
        assert_eq!(found.pixels(), wanted);
    }
}
