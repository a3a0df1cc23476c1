//! Splicing: scenes of one cell, on one grid, combined into one image (S001 §II.B.3, Fig. 3).
//!
//! How good a scene's pixel is decides first ([`Quality`]); among equally good ones the rule does.
//! `least-cloud` and `newest` take the first in the order that scenes are given in, so that scenes
//! can be added one by one until an image is good enough (`Overlay`); `median`, `medoid` and
//! `max-ndvi` look at all of them (`combine`).
//!
//! *Invariants*: cloudy and shaded pixels are used only where nothing better is; but for `median`
//! each pixel comes from one scene in all bands, and its provenance names that scene; delivered
//! numbers are kept to the bit; the result does not depend on the number of threads.
//!
//! *Not here*: which splits come together and in which order (`query::recipe`), bringing them onto
//! the grid (`split::compose`), neighbouring cells (`region`).

mod choice;
mod median;
mod network;
mod overlay;
mod quality;

pub use overlay::Overlay;
pub use quality::Quality;

use serde::{Deserialize, Serialize};

use crate::raster::cloud::Sky;
use crate::raster::{Raster, Samples, each_sample_type};
use crate::split::meta::SampleType;

/// Most scenes of one composition: a year of daily ones. Provenance would hold 65,535.
pub const SCENES_MAX: usize = 366;

/// Pixels worked on by one thread at a time: a few hundred kilobytes of a dozen scenes.
const STRETCH: usize = 8_192;

/// How pixels are chosen among equally good ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// From the least cloudy split.
    LeastCloud,
    /// From the newest split.
    Newest,
    /// The median of each band; the mean of the middle two of an even number, half up. Of classes
    /// the one observed most often.
    Median,
    /// The observation with the least sum of distances to all others, over all bands at once.
    Medoid,
    /// The observation with the greatest NDVI.
    MaxNdvi,
}

/// Why scenes cannot be combined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// No scene, or more than `SCENES_MAX`.
    #[error("{0} scenes; 1..={SCENES_MAX} can be combined")]
    Scenes(usize),
    /// A scene of another number of bands, or a band of another shape or sample type.
    #[error("scene {scene}, band {band} has another shape or sample type than is asked for")]
    Unlike {
        /// The scene, from 1.
        scene: usize,
        /// The band, from 0.
        band: usize,
    },
    /// `max-ndvi` without a red and a near infrared band.
    #[error("the NDVI needs a red and a near infrared band")]
    NoNdvi,
}

/// What a band is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Red, of the NDVI.
    Red,
    /// Near infrared, of the NDVI.
    Nir,
    /// Anything else with an order: a measurement.
    Measured,
    /// Classes or a mask: no arithmetic, and no say in how good a pixel is.
    Class,
}

/// One band of the image to make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// How a pixel is stored, in all scenes.
    pub sample: SampleType,
    /// Physical value = stored value × scale + offset, in all scenes.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// What it is for.
    pub role: Role,
}

/// Shape and bands of the image to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The bands.
    pub bands: Vec<Band>,
}

/// One band of a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenePlane {
    /// The pixels.
    pub raster: Raster,
    /// The value that means "nothing" here; NaN of floats always does.
    pub fill: Option<f64>,
}

/// A scene on the grid of the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// The bands in the plan's order; `None` for one that was not delivered.
    pub planes: Vec<Option<ScenePlane>>,
    /// What each pixel sees, where that is known.
    pub sky: Option<Vec<Sky>>,
}

/// One band of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// The pixels; those that are not valid hold anything.
    pub raster: Raster,
    /// Which pixels are valid, row by row.
    pub valid: Vec<bool>,
}

/// What scenes were combined into.
#[derive(Debug, Clone, PartialEq)]
pub struct Spliced {
    /// The bands, in the plan's order.
    pub planes: Vec<Plane>,
    /// The scene of each pixel from 1 on, 0 for none; for `Rule::Median` the number of scenes that
    /// were looked at, the best ones there.
    pub provenance: Vec<u16>,
    /// What each pixel sees: `Void` where there is none or it is not known.
    pub sky: Vec<Sky>,
    /// Pixels that each scene gave, or had a part in.
    pub used: Vec<u64>,
}

impl Rule {
    /// Every rule, in the order that they are documented.
    pub const ALL: [Self; 5] = [
        Self::LeastCloud,
        Self::Newest,
        Self::Median,
        Self::Medoid,
        Self::MaxNdvi,
    ];

    /// Returns the rule's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::LeastCloud => "least-cloud",
            Self::Newest => "newest",
            Self::Median => "median",
            Self::Medoid => "medoid",
            Self::MaxNdvi => "max-ndvi",
        }
    }

    /// Returns the rule of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.word() == word)
    }

    /// Tells whether the order of scenes decides, so that later ones may not be needed.
    pub fn is_ordering(self) -> bool {
        matches!(self, Self::LeastCloud | Self::Newest)
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Plan {
    /// Returns the number of pixels of one band.
    pub fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Checks that a scene, counted from 1, fits.
    fn check(&self, scene: &Scene, number: usize) -> Result<(), SpliceError> {
        let unlike = |band| SpliceError::Unlike {
            scene: number,
            band,
        };
        let pixels = self.pixels();
        if scene.planes.len() != self.bands.len()
            || scene.sky.as_ref().is_some_and(|s| s.len() != pixels)
        {
            return Err(unlike(scene.planes.len()));
        }
        for (i, (plane, band)) in scene.planes.iter().zip(&self.bands).enumerate() {
            let Some(ScenePlane { raster, .. }) = plane else {
                continue;
            };
            let shape = (raster.width(), raster.height());
            if shape != (self.width, self.height) || raster.sample_type() != band.sample {
                return Err(unlike(i));
            }
        }
        Ok(())
    }
}

/// Combines scenes, given in the order of preference, by a rule.
///
/// # Errors
/// Too many scenes, scenes that do not fit the plan, `max-ndvi` without its bands.
pub fn combine(plan: &Plan, scenes: &[Scene], rule: Rule) -> Result<Spliced, SpliceError> {
    if scenes.is_empty() || scenes.len() > SCENES_MAX {
        return Err(SpliceError::Scenes(scenes.len()));
    }
    for (number, scene) in (1..).zip(scenes) {
        plan.check(scene, number)?;
    }
    let quality: Vec<Vec<Quality>> = scenes.iter().map(|s| quality::of(plan, s)).collect();
    if rule == Rule::Median {
        return Ok(median::combine(plan, scenes, &quality));
    }
    let chosen = match rule {
        Rule::Medoid => choice::medoid(plan, scenes, &quality),
        Rule::MaxNdvi => choice::max_ndvi(plan, scenes, &quality)?,
        Rule::LeastCloud | Rule::Newest | Rule::Median => choice::first(&quality),
    };
    Ok(choice::gather(plan, scenes, chosen))
}

/// Returns a band of the plan's shape without a valid pixel.
fn blank(plan: &Plan, band: &Band) -> Plane {
    let pixels = plan.pixels();
    let samples = match band.sample {
        SampleType::U8 => Samples::U8(vec![0; pixels]),
        SampleType::U16 => Samples::U16(vec![0; pixels]),
        SampleType::I16 => Samples::I16(vec![0; pixels]),
        SampleType::U32 => Samples::U32(vec![0; pixels]),
        SampleType::I32 => Samples::I32(vec![0; pixels]),
        SampleType::F32 => Samples::F32(vec![f32::NAN; pixels]),
        SampleType::F64 => Samples::F64(vec![f64::NAN; pixels]),
    };
    debug_assert!(each_sample_type!(&samples, v => v.len() == pixels));
    Plane {
        raster: Raster::counted(plan.width, plan.height, samples),
        valid: vec![false; pixels],
    }
}

#[cfg(test)]
mod tests;
