//! Splits of one cell made into one: which of their bands are read, onto which grid they are
//! brought, and what came of it.
//!
//! Splits are given in the order of preference. By a rule that orders (`least-cloud`, `newest`)
//! they are added until the limits are reached; by the others all of them are looked at. The result
//! is a split in form, with one band more: `provenance` (docs/FORMATS.md).
//!
//! *Invariants*: all bands lie on one grid of the cell; a band on that grid already is not touched;
//! digital numbers of splits with another scale or offset are brought to those of the first; the
//! same splits in the same order give the same pixels.
//!
//! *Not here*: which splits (`query::recipe`), reading their files (node), combining pixels
//! (`raster::splice`).

mod bands;
mod outcome;
mod scene;

pub use outcome::{Composed, Part};
pub use scene::SplitFiles;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::geocode::Geocode;
use crate::grid::{Grid, ResolutionError};
use crate::raster::resample::{Method, ResampleError};
use crate::raster::splice::{self, Overlay, Plan, Role, Rule, Scene, SpliceError};
use crate::split::codec::DecodeError;
use crate::split::meta::{SplitId, SplitMeta};
use crate::split::sky::Judge;

use bands::Wanted;
use outcome::Progress;

/// Name of the band that says which scene each pixel came from.
pub const PROVENANCE: &str = "provenance";

/// Most bytes of decoded pixels of one composition: a dozen dates of a geohash-5 cell of NAIP at
/// 1 m. What is larger is composed in finer cells or fewer bands.
pub const DECODED_BYTES_MAX: u64 = 2 << 30;

/// How bands get to another resolution, as a word: that of a [`Method`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resampling(pub Method);

impl Default for Resampling {
    fn default() -> Self {
        Self(Method::Bilinear)
    }
}

impl Resampling {
    /// Returns the word.
    pub fn word(self) -> &'static str {
        let mut all = Method::ALL.iter();
        let found = all.find(|(_, method)| *method == self.0);
        found.map_or("nearest", |(word, _)| *word)
    }

    /// Returns the method of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Method::named(word).map(Self)
    }
}

impl TryFrom<String> for Resampling {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let all = Method::ALL.map(|(word, _)| word).join(", ");
        Self::of_word(&word).ok_or_else(|| format!("'{word}' is no kernel; there are {all}"))
    }
}

impl From<Resampling> for String {
    fn from(kernel: Resampling) -> Self {
        kernel.word().to_owned()
    }
}

/// What is to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// How pixels are chosen.
    pub rule: Rule,
    /// Bands by name or STAC common name; all if empty.
    #[serde(default)]
    pub bands: Vec<String>,
    /// Nominal resolution in metres; the finest of the bands if none is given.
    #[serde(default)]
    pub resolution_m: Option<f64>,
    /// How bands get there; classes take the nearest pixel, or the majority of several.
    #[serde(default)]
    pub resampling: Resampling,
    /// When the image is good enough.
    pub limits: Limits,
}

/// When an image is good enough; shares, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Least share of valid pixels, pooled over bands that are no classes.
    pub coverage_min: f64,
    /// Greatest share of clouds in what is used; an unknown share does not reach it.
    pub cloud_max: Option<f64>,
}

/// Why splits cannot be made into one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ComposeError {
    /// No split was given.
    #[error("there is no split to compose")]
    Empty,
    /// A split of another cell or dataset.
    #[error("{split} is of another cell or dataset than {first}")]
    Stranger {
        /// The split.
        split: SplitId,
        /// The first split given.
        first: SplitId,
    },
    /// A band that no split has.
    #[error("no split has a band '{asked}'; they have {}", known.join(", "))]
    NoBand {
        /// The band asked for.
        asked: String,
        /// The bands there are.
        known: Vec<String>,
    },
    /// A resolution that has no grid.
    #[error(transparent)]
    Resolution(#[from] ResolutionError),
    /// More decoded pixels than may be held.
    #[error("{bytes} bytes of pixels pass the {DECODED_BYTES_MAX} that a composition may hold")]
    TooLarge {
        /// Bytes that would be held.
        bytes: u64,
    },
    /// Scenes cannot be combined.
    #[error(transparent)]
    Splice(#[from] SpliceError),
    /// A file of a split cannot be read.
    #[error("file '{file}' of {split} cannot be read")]
    File {
        /// The split.
        split: SplitId,
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// A file of a split was not given.
    #[error("file '{file}' of {split} is missing")]
    NoFile {
        /// The split.
        split: SplitId,
        /// The file.
        file: String,
    },
    /// A band cannot be brought to the resolution asked for.
    #[error("band '{band}' of {split} cannot be resampled")]
    Resample {
        /// The split.
        split: SplitId,
        /// The band.
        band: String,
        /// Why.
        #[source]
        source: ResampleError,
    },
}

/// A composition under way.
#[derive(Debug)]
pub struct Composition {
    wish: Wish,
    cell: Geocode,
    dataset: String,
    reader: Arc<Reader>,
    state: State,
    progress: Progress,
}

/// Reads splits onto the grid of a composition; several may be read at a time.
#[derive(Debug)]
pub struct Reader {
    grid: Grid,
    resampling: Resampling,
    wanted: Wanted,
    plan: Plan,
}

/// A split that was read.
#[derive(Debug)]
pub struct Read {
    scene: Scene,
    /// Pixels that a measured band of it shows.
    shown: Vec<bool>,
}

/// What there is of the image.
#[derive(Debug)]
enum State {
    /// It grows with each scene.
    Growing(Box<Overlay>),
    /// It is made once all scenes are there.
    Waiting(Vec<Scene>),
}

impl Composition {
    /// Plans a composition of splits of one cell, in the order of preference.
    ///
    /// # Errors
    /// Splits that do not belong together, bands or resolutions that are not there, more pixels
    /// than may be held.
    pub fn new(wish: Wish, splits: &[SplitMeta]) -> Result<Self, ComposeError> {
        let first = splits.first().ok_or(ComposeError::Empty)?;
        let alike = |s: &&SplitMeta| (s.geocode, &s.dataset) != (first.geocode, &first.dataset);
        if let Some(stranger) = splits.iter().find(alike) {
            return Err(ComposeError::Stranger {
                split: stranger.id.clone(),
                first: first.id.clone(),
            });
        }
        let wanted = Wanted::of(&wish, splits)?;
        let resolution_m = wish.resolution_m.unwrap_or_else(|| wanted.finest_m());
        let grid = Grid::of(&first.geocode, resolution_m)?;
        let plan = Plan {
            width: grid.width(),
            height: grid.height(),
            bands: wanted.bands.iter().map(|b| b.plan).collect(),
        };
        let scenes = if wish.rule.is_ordering() {
            1
        } else {
            splits.len()
        };
        let bytes = held_bytes(&plan, scenes + 1);
        if bytes > DECODED_BYTES_MAX {
            return Err(ComposeError::TooLarge { bytes });
        }
        if wish.rule == Rule::MaxNdvi && !wanted.has_ndvi() {
            return Err(SpliceError::NoNdvi.into());
        }
        let state = if wish.rule.is_ordering() {
            State::Growing(Box::new(Overlay::new(plan.clone())))
        } else {
            State::Waiting(Vec::new())
        };
        Ok(Self {
            cell: first.geocode,
            dataset: first.dataset.clone(),
            progress: Progress::new(plan.pixels()),
            reader: Arc::new(Reader {
                grid,
                resampling: wish.resampling,
                wanted,
                plan,
            }),
            wish,
            state,
        })
    }

    /// Returns the bytes of decoded pixels that are held at a time, for so many splits.
    pub fn held_bytes(&self, splits: usize) -> u64 {
        let scenes = if self.wish.rule.is_ordering() {
            1
        } else {
            splits
        };
        held_bytes(&self.reader.plan, scenes + 1)
    }

    /// Returns the grid that the image lies on.
    pub fn grid(&self) -> &Grid {
        &self.reader.grid
    }

    /// Returns the nominal resolution of the image in metres.
    pub fn resolution_m(&self) -> f64 {
        let finest = || self.reader.wanted.finest_m();
        self.wish.resolution_m.unwrap_or_else(finest)
    }

    /// Returns names and sample types of the image's bands, without provenance.
    pub fn bands(&self) -> Vec<(String, crate::split::meta::SampleType)> {
        let visible = self.reader.wanted.visible();
        visible
            .map(|b| (b.label.name.clone(), b.plan.sample))
            .collect()
    }

    /// Returns what reads splits for it.
    pub fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    /// Tells whether all splits are held until the end, whatever they show.
    pub fn takes_all(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Adds the next split.
    ///
    /// # Errors
    /// A split that was read for another composition.
    pub fn add(&mut self, split: &SplitMeta, read: Read) -> Result<(), ComposeError> {
        match &mut self.state {
            State::Growing(image) => {
                image.add(&read.scene)?;
                self.progress.grown(split, &self.reader.plan, image);
            }
            State::Waiting(scenes) => {
                self.progress.joined(split, &read.shown);
                scenes.push(read.scene);
            }
        }
        Ok(())
    }

    /// Tells whether more splits change nothing that was asked for: the limits are reached, and the
    /// rule does not look at all of them.
    pub fn is_enough(&self) -> bool {
        match &self.state {
            State::Growing(image) => {
                let measure = self.progress.measure_overlay(&self.reader.plan, image);
                measure.reaches(&self.wish.limits)
            }
            State::Waiting(_) => false,
        }
    }

    /// Ends the composition.
    ///
    /// # Errors
    /// No split was added, or scenes that cannot be combined.
    pub fn finish(self) -> Result<Composed, ComposeError> {
        let spliced = match self.state {
            State::Growing(image) => image.finish(),
            State::Waiting(scenes) => splice::combine(&self.reader.plan, &scenes, self.wish.rule)?,
        };
        let about = outcome::About {
            wish: &self.wish,
            cell: self.cell,
            dataset: &self.dataset,
            grid: &self.reader.grid,
            wanted: &self.reader.wanted,
        };
        self.progress.finish(&about, &self.reader.plan, spliced)
    }
}

impl Reader {
    /// Returns the files of a split that are read.
    pub fn files(&self, split: &SplitMeta) -> Vec<String> {
        self.wanted.files(split)
    }

    /// Reads a split.
    ///
    /// # Errors
    /// Files that are missing or cannot be read.
    pub fn read(&self, split: &SplitMeta, files: &SplitFiles<'_>) -> Result<Read, ComposeError> {
        let onto = (&self.grid, self.resampling);
        let scene = scene::read(split, files, (&self.wanted, onto))?;
        let shown = scene::shown(&scene, &self.plan, is_measured);
        Ok(Read { scene, shown })
    }
}

/// Returns the bytes of the pixels of so many images, with what is noted of each pixel.
fn held_bytes(plan: &Plan, images: usize) -> u64 {
    let pixel: u64 = plan.bands.iter().map(|b| b.sample.bytes() as u64 + 1).sum();
    u64::from(plan.width)
        .saturating_mul(u64::from(plan.height))
        .saturating_mul(pixel + 2)
        .saturating_mul(images as u64)
}

/// Tells whether a split holds a band that says, pixel by pixel, what is cloud.
pub fn is_masked(split: &SplitMeta) -> bool {
    Judge::of(split).is_some()
}

/// Tells whether a band has a say in coverage.
fn is_measured(role: Role) -> bool {
    role != Role::Class
}

#[cfg(test)]
mod tests;
