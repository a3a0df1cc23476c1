//! What a recipe is, layer by layer, for people and scripts.
//!
//! *Invariants*: data alone: whoever prints it needs no libtorch; names and shapes of tensors are
//! those of `model.safetensors`.
//!
//! *Not here*: how it is printed (`main`), each recipe's own words (its file).

use serde::Serialize;
use wire::run::Hyper;

use crate::net::Width;
use crate::net::conv::KERNEL_PX;
use crate::recipe::needs::Needs;

/// What a recipe is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// The name.
    pub recipe: &'static str,
    /// What it learns, in one line.
    pub task: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Input bands in the order of the network's channels, with the common names that will do.
    pub inputs: Vec<Band>,
    /// Bands that the label is computed from.
    pub label_bands: Vec<Band>,
    /// How the label is computed.
    pub label: &'static str,
    /// How bands and label are made ready.
    pub normalisation: &'static str,
    /// Loss that is made small.
    pub loss: &'static str,
    /// It learns from pairs of a cloudy and a clear split.
    pub pairs: bool,
    /// What the side of a chip must be a multiple of.
    pub chip_px_step: u32,
    /// Hyper-parameters unless a run names others.
    pub hyper: Hyper,
    /// Layers, in order.
    pub layers: Vec<Layer>,
    /// Trained numbers in all.
    pub parameters: i64,
    /// Layers of the network that this one learns to fool, where there is one: it answers nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rival: Vec<Layer>,
    /// Memory that a step takes, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
}

/// A band that a recipe asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Band {
    /// What it is called in the recipe.
    pub role: &'static str,
    /// STAC common names that will do, best first.
    pub commons: &'static [&'static str],
}

/// One layer with its stored tensors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Name, also the prefix of its tensors.
    pub name: String,
    /// What it does.
    pub does: String,
    /// Trained tensors: name and shape.
    pub tensors: Vec<(String, Vec<i64>)>,
    /// Tensors that are kept beside them, not trained: running means and variances.
    pub kept: Vec<(String, Vec<i64>)>,
    /// Shape that leaves it, without the batch.
    pub out: Vec<i64>,
    /// Numbers of a chip that are kept of it for the way back of a step; unknown of a layer that
    /// is not ours, or of a chip whose numbers nobody could count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<i64>,
}

/// How every recipe so far makes bands and label ready.
pub const STANDARDISED: &str = "each band and the label less its mean, divided by its standard \
                                deviation, both of the training chips; stored in config.json";

impl Layer {
    /// Describes a layer without tensors.
    pub fn bare(name: &str, does: &str, out: &[i64]) -> Self {
        Self {
            name: name.to_owned(),
            does: does.to_owned(),
            tensors: Vec::new(),
            kept: Vec::new(),
            out: out.to_vec(),
            held: numbers(out),
        }
    }

    /// Says that as many maps like the one that leaves it are kept for the way back of a step.
    #[must_use]
    pub fn holding(self, maps: i64) -> Self {
        let held = numbers(&self.out).and_then(|map| map.checked_mul(maps));
        Self { held, ..self }
    }

    /// Describes a layer with `weight` of that shape and its `bias`.
    pub fn biased(name: &str, does: &str, weight: &[i64], out: &[i64]) -> Self {
        let tensors = vec![
            (format!("{name}.bias"), vec![out[0]]),
            (format!("{name}.weight"), weight.to_vec()),
        ];
        Self {
            tensors,
            ..Self::bare(name, does, out)
        }
    }

    /// Describes a 3×3 convolution with bias.
    pub fn conv(name: &str, does: &str, width: Width, out: &[i64]) -> Self {
        let weight = [width.to, width.from, KERNEL_PX, KERNEL_PX];
        Self::biased(name, does, &weight, out)
    }

    /// Describes a convolution (`conv.weight` of that shape, no bias) with batch normalisation.
    pub fn normalised(name: &str, does: &str, weight: &[i64], out: &[i64]) -> Self {
        let each = |what: &str| (format!("{name}.norm.{what}"), vec![out[0]]);
        let convolution = (format!("{name}.conv.weight"), weight.to_vec());
        Self {
            tensors: vec![convolution, each("weight"), each("bias")],
            kept: vec![each("running_mean"), each("running_var")],
            ..Self::bare(name, does, out)
        }
        // What was convolved, what was normalised, and what leaves it.
        .holding(3)
    }
}

/// Counts the numbers of a shape, if 64 bits can.
pub fn numbers(shape: &[i64]) -> Option<i64> {
    shape.iter().try_fold(1, |sum: i64, n| sum.checked_mul(*n))
}

/// Counts the trained numbers of layers.
pub fn parameters(layers: &[Layer]) -> i64 {
    let sizes = layers.iter().flat_map(|l| &l.tensors);
    sizes.map(|(_, shape)| shape.iter().product::<i64>()).sum()
}

/// Tells the bands of a recipe.
pub fn bands(wishes: &[crate::recipe::BandWish]) -> Vec<Band> {
    let tell = |w: &crate::recipe::BandWish| Band {
        role: w.role,
        commons: w.commons,
    };
    wishes.iter().map(tell).collect()
}
