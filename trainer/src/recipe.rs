//! What is learned from what: a closed set of recipes, found by name.
//!
//! *Invariants*: a recipe names its bands by what they show, never by a product's own names.
//!
//! *Not here*: how chips are cut (`chips`), how weights are found (`fit`).

pub mod ndvi_cnn;

use serde::Serialize;

/// A recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// RGB chip → mean NDVI of the chip (S001 §II.D, Fig. 5).
    NdviCnn,
}

/// A band that a recipe asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandWish {
    /// What it is called in the recipe.
    pub role: &'static str,
    /// Common names that will do, best first.
    pub commons: &'static [&'static str],
}

/// No recipe has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no recipe is called '{0}' (there is: ndvi-cnn)")]
pub struct UnknownRecipe(String);

/// What a recipe is, for people and scripts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// The name.
    pub recipe: &'static str,
    /// What it learns, in one line.
    pub task: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Roles of the input bands, in the order of the network's channels.
    pub inputs: Vec<&'static str>,
    /// How the label is computed.
    pub label: &'static str,
    /// Layers, in order.
    pub layers: Vec<Layer>,
    /// Trained numbers in all.
    pub parameters: i64,
    /// Loss that is made small.
    pub loss: &'static str,
}

/// One layer with its stored tensors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Name, also the prefix of its tensors.
    pub name: String,
    /// What it does.
    pub does: String,
    /// Stored tensors: name and shape.
    pub tensors: Vec<(String, Vec<i64>)>,
    /// Shape that leaves it, without the batch.
    pub out: Vec<i64>,
}

impl Recipe {
    /// Returns the recipe of that name.
    pub fn parse(name: &str) -> Result<Self, UnknownRecipe> {
        match name {
            ndvi_cnn::NAME => Ok(Self::NdviCnn),
            other => Err(UnknownRecipe(other.to_owned())),
        }
    }

    /// Returns the name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NdviCnn => ndvi_cnn::NAME,
        }
    }

    /// Returns what the side of a chip must be a multiple of.
    pub fn chip_px_step(self) -> u32 {
        match self {
            Self::NdviCnn => ndvi_cnn::CHIP_PX_STEP,
        }
    }

    /// Returns the bands that enter the network, in the order of its channels.
    pub fn inputs(self) -> &'static [BandWish] {
        match self {
            Self::NdviCnn => &ndvi_cnn::INPUTS,
        }
    }

    /// Returns the bands that the label is computed from.
    pub fn label_bands(self) -> &'static [BandWish] {
        match self {
            Self::NdviCnn => &ndvi_cnn::LABEL_BANDS,
        }
    }

    /// Computes the label of a chip from its label bands; `None` where it has no meaning.
    pub fn label(self, bands: &[Vec<f32>]) -> Option<f32> {
        match self {
            Self::NdviCnn => ndvi_cnn::mean_ndvi(&bands[0], &bands[1]),
        }
    }

    /// Describes the recipe for chips of that side.
    pub fn describe(self, chip_px: i64) -> Description {
        match self {
            Self::NdviCnn => ndvi_cnn::describe(chip_px),
        }
    }
}
