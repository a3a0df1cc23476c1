//! Memory that a step takes, told from a recipe's layers before anything is learned (S001,
//! Fig. 12).
//!
//! Counted is what autograd keeps of each layer until the way back, the gradients at the widest
//! layer beside it, and what the optimiser keeps of each weight. Beside that a process holds
//! libtorch itself and its chips, and steps of less than some 200 MiB take up to twice as much:
//! allocators keep what lies in pieces (docs/EXPERIMENTS.md).
//!
//! *Invariants*: grows with the square of a chip's side and with the batch; an estimate, which
//! decides nothing: what a job really takes is measured (`work::gauge`), and a step that runs out
//! is halved (`fit`).
//!
//! *Not here*: what each layer keeps (`describe`, the recipes).

use serde::Serialize;

use crate::recipe::describe::{Layer, parameters};

/// Bytes of a number.
const NUMBER_BYTES: u64 = 4;
/// Copies of each weight: itself, its gradient, the optimiser's two means, the best and the last
/// one before the step.
const COPIES_OF_WEIGHTS: u64 = 6;
/// Maps as wide as the widest that are there at a time on the way back: the gradient that came and
/// the one that goes on, each once more in the layout that convolutions compute in.
const GRADIENTS: u64 = 4;

/// Bytes that a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Side of the chips in pixels that this is told for.
    pub chip_px: u32,
    /// Bytes a chip of a batch.
    pub bytes_a_chip: u64,
    /// Bytes whatever the batch.
    pub bytes_of_weights: u64,
}

impl Needs {
    /// Sums up a network's layers and its rival's, of chips with so many numbers; `None` where a
    /// layer does not tell what it keeps.
    pub fn of([layers, rival]: [&[Layer]; 2], channels: usize, chip_px: i64) -> Option<Self> {
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        let all = || layers.iter().chain(rival);
        let kept: Option<i64> = all().map(|l| l.held).sum();
        let widest = all().map(widest).max()?;
        let pixels = count(chip_px).pow(2);
        let entering = pixels * channels as u64;
        let numbers = count(kept?) + entering + GRADIENTS * count(widest);
        let weights = count(parameters(layers) + parameters(rival));
        Some(Self {
            chip_px: u32::try_from(chip_px).ok()?,
            bytes_a_chip: numbers * NUMBER_BYTES,
            bytes_of_weights: weights * COPIES_OF_WEIGHTS * NUMBER_BYTES,
        })
    }

    /// Returns the bytes of a step on so many chips.
    pub fn of_step(&self, batch: u32) -> u64 {
        self.bytes_of_weights + u64::from(batch) * self.bytes_a_chip
    }
}

/// Returns the numbers of a chip that enter or leave a layer, whichever are more, at the side that
/// leaves it.
fn widest(layer: &Layer) -> i64 {
    let channels = layer.tensors.iter().filter_map(|(_, shape)| shape.get(1));
    let channels = channels.chain(layer.out.first()).max();
    let pixels = layer.out.iter().skip(1).product::<i64>();
    channels.map_or(0, |channels| channels * pixels)
}
