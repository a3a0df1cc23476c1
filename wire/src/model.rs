//! Models in the ring.
//!
//! *Invariants*: a model is a folder, immutable by content hash, stored like a split under its
//! geocode's placement key; id `RUN/GEOCODE`. A tag names one model a cell.
//!
//! *Not here*: what its files hold (trainer; docs/FORMATS.md).

use std::fmt;

use bytes::Bytes;
use earth::geocode::Geocode;
use earth::split::placement::PlacementKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, Kind};
use crate::fault::{Fault, FaultKind};
use crate::hit::FileEntry;
use crate::module::Module;

/// The geocode of a model of everywhere.
pub const GLOBAL: &str = "global";
/// The tag of the model that was published last, of those of one cell and question.
pub const LATEST: &str = "latest";
/// The tag of the model with the least validation error, of those of one cell and question.
pub const BEST: &str = "best";
/// The file of a tag.
const TAG_FILE: &str = "tag.json";

/// Returns the geocodes of the models that may answer for a cell, the one that does first: its own,
/// those of cells that contain it, the donor's of its group, that of everywhere.
pub fn kin(cell: &Geocode, donor: Option<&str>) -> impl Iterator<Item = String> + use<> {
    let around = std::iter::successors(Some(*cell), Geocode::parent);
    let donor = donor.map(str::to_owned);
    let rest = donor.into_iter().chain([GLOBAL.to_owned()]);
    around.map(|code| code.to_string()).chain(rest)
}

/// What a model scored on held-out blocks, beside its baselines.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Validation mean squared error of the network.
    pub val_mse: f64,
    /// Validation mean absolute error of the network.
    pub val_mae: f64,
    /// Validation MSE of always answering the training mean.
    pub mean_mse: f64,
    /// Validation MSE of linear regression on band means.
    pub linear_mse: f64,
    /// Chips trained on.
    pub chips_train: u64,
    /// Chips validated on.
    pub chips_val: u64,
    /// Epochs until the best checkpoint.
    pub epochs_best: u32,
    /// Epochs run.
    pub epochs: u32,
    /// Validation coefficient of determination; none where every truth is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_r2: Option<f64>,
    /// Scores as images, of a model that answers maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<MapMetrics>,
    /// What the input itself scores, unchanged, of a model that mends images: what to beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputMetrics>,
    /// Scores on chips that chose nothing, not even the best epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestMetrics>,
}

/// What a model scored on test chips, beside its baselines; a score is none where it cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TestMetrics {
    /// Chips.
    pub chips: u64,
    /// Mean squared error.
    pub mse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Mean squared error of always answering the training mean.
    pub mean_mse: f64,
    /// Mean squared error of linear regression on band means.
    pub linear_mse: f64,
    /// Coefficient of determination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
    /// Peak signal-to-noise ratio over all pixels of maps, in decibels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psnr: Option<f64>,
    /// Structural similarity of maps, the mean over chips and bands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssim: Option<f64>,
    /// What the input itself scores, of a model that mends images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputMetrics>,
}

/// What an input scores as an answer; a score is none where it cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct InputMetrics {
    /// Mean squared error.
    pub mse: f64,
    /// Peak signal-to-noise ratio over all pixels, in decibels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psnr: Option<f64>,
    /// Structural similarity, the mean over chips and bands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssim: Option<f64>,
}

/// What a model that answers maps scored on held-out chips; a score is none where it cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct MapMetrics {
    /// Peak signal-to-noise ratio over all pixels, in decibels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_psnr: Option<f64>,
    /// Structural similarity, the mean over chips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_ssim: Option<f64>,
    /// Structural similarity at several scales, the mean over chips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_ms_ssim: Option<f64>,
    /// Scales that chips of this side have room for: 5 from 161 pixels on, 2 at 32.
    pub ms_ssim_scales: u32,
}

/// One model, as listed. It is also `config.json`'s summary inside the model folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// Run.
    pub run: String,
    /// Geocode text.
    pub geocode: String,
    /// Scheme of the geocode.
    pub scheme: earth::geocode::Scheme,
    /// Recipe.
    pub recipe: String,
    /// The user's module that learned, and what; its file's name in `recipe` says neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Module>,
    /// Scores.
    pub metrics: Metrics,
    /// Splits it learned from.
    pub splits: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Bytes of the folder.
    pub bytes: u64,
    /// BLAKE3 (hex) of the sorted list of file hashes.
    pub hash: String,
    /// When it was trained; none where its trainer did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<Timestamp>,
    /// What it is called: `latest`, `best`, and what users named it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Owners, primary first.
    pub owners: Vec<String>,
    /// Files.
    pub files: Vec<FileEntry>,
}

/// What a model learned to answer, and with what: only models of one compare, or answer together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question<'a> {
    recipe: &'a str,
    module: Option<&'a Module>,
}

impl ModelView {
    /// Returns what it learned to answer.
    pub fn question(&self) -> Question<'_> {
        Question {
            recipe: &self.recipe,
            module: self.module.as_ref(),
        }
    }
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.recipe)?;
        self.module
            .map_or(Ok(()), |module| write!(f, " ({module})"))
    }
}

/// A user's name for the model of one cell: what it names can be changed, a model cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The name.
    pub tag: String,
    /// The cell's geocode text.
    pub geocode: String,
    /// The run whose model of the cell it names.
    pub run: String,
}

impl Tag {
    /// Returns the tag as an object to put.
    ///
    /// # Errors
    /// A name that no object can have, or one that glebe gives itself.
    pub fn bundle(&self) -> Result<Bundle, Fault> {
        let wrong = |reason: String| {
            let what = format!("'{}' is no tag", self.tag);
            Fault::new(FaultKind::Usage, what).because(reason)
        };
        if [LATEST, BEST].contains(&self.tag.as_str()) {
            return Err(wrong("glebe gives it itself".to_owned()).try_("another name"));
        }
        let id = format!("{}/{}", self.tag, self.geocode);
        let json = serde_json::to_vec_pretty(self).map_err(|e| wrong(e.to_string()))?;
        let key = PlacementKey::named(Kind::Tag.word(), &id);
        let files = vec![(TAG_FILE.to_owned(), Bytes::from(json))];
        Bundle::new(Kind::Tag, id, key, files).map_err(|e| wrong(e.to_string()))
    }
}

/// `DELETE /v1/tags` answer: what was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TagsDeleted {
    /// Cells whose model had the name.
    pub cells: u64,
}

/// `DELETE /v1/models` answer: what was or would be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModelsDeleted {
    /// Models.
    pub models: u64,
    /// Bytes of one replica of each.
    pub bytes: u64,
    /// Nothing was deleted: this is what would be.
    pub dry_run: bool,
}

/// `GET /v1/models`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Models {
    /// Models, by run and geocode.
    pub models: Vec<ModelView>,
    /// Every node answered.
    pub complete: bool,
}
