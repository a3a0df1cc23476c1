//! `config.json` of a model folder: all that is needed to use the model and to make it again.
//!
//! *Invariants*: the fields of `wire::model::ModelView` stand at the top; unknown fields are
//! ignored on reading; `version` grows with every change of meaning (docs/FORMATS.md).
//!
//! *Not here*: the weights (`weights`), the text for people (`publish::card`).

use earth::geocode::Scheme;
use jiff::Timestamp;
use query::{Paired, Query};
use serde::{Deserialize, Serialize};
use wire::model::Metrics;
use wire::run::Hyper;
use wire::transfer::Descent;

use crate::chips::LeftOut;
use crate::chips::choose::UsedBand;
use crate::chips::envelope::Envelope;
use crate::chips::normal::Normalisation;

/// Version of this structure.
pub const CONFIG_VERSION: u32 = 1;

/// All about a model but its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// `CONFIG_VERSION` when written.
    pub version: u32,
    /// Run.
    pub run: String,
    /// Geocode text.
    pub geocode: String,
    /// Scheme of the geocode.
    pub scheme: Scheme,
    /// Recipe.
    pub recipe: String,
    /// Scores on held-out blocks, beside the baselines'.
    pub metrics: Metrics,
    /// Splits it learned from.
    pub splits: u64,
    /// Seconds from reading the first split to the last score.
    pub seconds: f64,
    /// When that was; none in folders of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<Timestamp>,
    /// What the network takes and answers.
    pub network: NetworkConfig,
    /// Normalisation of bands and label; the only one to answer with.
    pub normalisation: Normalisation,
    /// What it has seen: beyond it answers are marked. None in folders of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
    /// Where its chips came from.
    pub data: DataConfig,
    /// Hyper-parameters.
    pub hyper: Hyper,
    /// Seed of the run.
    pub seed: u64,
    /// The run's query.
    pub query: Query,
    /// BLAKE3 (hex) of the weights: the same for the same seed, chips, hyper-parameters and donor.
    pub weights_blake3: String,
    /// How it started, where it was to start from a donor's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descent: Option<Descent>,
    /// Chips of a batch learned from at a time, where memory ran out for the whole of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_chips: Option<u64>,
    /// The user's module that learned, where it is no network of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<wire::module::Module>,
    /// What trained it: `glebe 0.1.0, libtorch 2.11.0`.
    pub software: String,
}

/// What a network takes and answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// Input bands in the order of channels, by what they show.
    pub inputs: Vec<String>,
    /// What is answered.
    pub answer: String,
    /// Names of the bands of a map of answers.
    #[serde(default)]
    pub answer_bands: Vec<String>,
    /// Shape of an answer: `[1]` for one number a chip, `[1, side, side]` for one a pixel.
    pub answer_shape: Vec<i64>,
    /// Side of a chip in pixels.
    pub chip_px: u32,
    /// Nominal resolution of the chips' grid in metres.
    pub resolution_m: f64,
    /// Trained numbers.
    pub parameters: u64,
}

/// Where a model's chips came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataConfig {
    /// Datasets, sorted.
    pub datasets: Vec<String>,
    /// First and last sensing time, RFC 3339.
    pub acquired: [String; 2],
    /// BLAKE3 (hex) of the sorted split ids, each followed by a newline.
    pub split_ids_blake3: String,
    /// Bands used, input then label, with the number of splits that used them so.
    pub bands: Vec<BandUse>,
    /// Splits offered but not used, by reason.
    pub left_out: SplitsLeftOut,
    /// Chips left out, by reason.
    pub chips_left_out: LeftOut,
    /// Chips that were decoded for it: none where an earlier job had left all of them pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chips_decoded: Option<u64>,
    /// Bytes of imagery that travelled between nodes for it.
    #[serde(default)]
    pub bytes_moved: u64,
    /// Blocks of chips.
    pub blocks: BlocksConfig,
    /// Pairs that chips were cut of, where a recipe learns from pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<PairsConfig>,
}

/// A set of bands with the number of splits that used it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BandUse {
    /// Bands: inputs, then those of the label.
    pub bands: Vec<UsedBand>,
    /// Splits.
    pub splits: u64,
}

/// Splits offered but not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SplitsLeftOut {
    /// A band was missing.
    pub no_band: u64,
    /// Another grid than most splits'.
    pub other_grid: u64,
    /// Half of no pair, where a recipe learns from pairs.
    #[serde(default)]
    pub no_pair: u64,
    /// More than fit in memory.
    pub too_many: u64,
}

/// Cloudy splits with clear ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairsConfig {
    /// How many.
    pub count: u64,
    /// What made a split cloudy or clear.
    pub rule: Paired,
}

/// How chips were held out: by blocks, or by days where `hyper.hold_out` says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlocksConfig {
    /// Side of a block in chips.
    pub side_chips: u32,
    /// Blocks or days learned from.
    pub train: u64,
    /// Blocks or days held out to choose the best epoch by.
    pub validation: u64,
    /// Blocks or days held out to score what was chosen.
    #[serde(default)]
    pub test: u64,
    /// Chips that were neither learned from nor held out, for they lie beside some that were.
    #[serde(default)]
    pub buffered: u64,
    /// From which days on chips were held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<DaysConfig>,
}

/// The first days held out, of any cell: `2015-09-26`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaysConfig {
    /// To choose the best epoch by.
    pub validation: String,
    /// To score what was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}
