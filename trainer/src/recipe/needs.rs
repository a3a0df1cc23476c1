//! Memory that a step takes, told from a recipe's layers before anything is learned (S001,
//! Fig. 12).
//!
//! Counted is what autograd keeps of each layer until the way back, the gradients at the widest
//! layer beside it, and what the optimiser keeps of each weight. Beside that a process holds
//! libtorch itself and its chips, and steps of less than a gibibyte take up to 2.4 times as much:
//! allocators keep what lies in pieces (docs/EXPERIMENTS.md).
//!
//! *Invariants*: grows with the square of a chip's side and with the batch; an estimate: it decides
//! where a job begins (`job::room`), what a job really takes is measured (`work::gauge`), and a
//! step that runs out is halved (`fit`).
//!
//! *Not here*: what each layer keeps (`describe`, the recipes).

use serde::Serialize;

use crate::recipe::describe::{Layer, numbers, parameters};

/// Bytes of a number.
const NUMBER_BYTES: u64 = 4;
/// Copies of each weight: itself, its gradient, the optimiser's two means, the best and the last
/// one before the step.
const COPIES_OF_WEIGHTS: i64 = 6;
/// Maps as wide as the widest that are there at a time on the way back: the gradient that came and
/// the one that goes on, each once more in the layout that convolutions compute in.
const GRADIENTS: i64 = 4;

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
    /// Sums up a network's layers and its rival's, of chips with so many channels; `None` where a
    /// layer does not tell what it keeps, or 64 bits are too few.
    pub fn of([layers, rival]: [&[Layer]; 2], channels: usize, chip_px: i64) -> Option<Self> {
        let all = || layers.iter().chain(rival);
        let kept = all().try_fold(0, |sum: i64, layer| sum.checked_add(layer.held?))?;
        let gradients = widest(all())?.checked_mul(GRADIENTS)?;
        let entering = numbers(&[i64::try_from(channels).ok()?, chip_px, chip_px])?;
        let a_chip = kept.checked_add(gradients)?.checked_add(entering)?;
        let weights = parameters(layers) + parameters(rival);
        let bytes = |numbers: i64| u64::try_from(numbers).ok()?.checked_mul(NUMBER_BYTES);
        Some(Self {
            chip_px: u32::try_from(chip_px).ok()?,
            bytes_a_chip: bytes(a_chip)?,
            bytes_of_weights: bytes(weights * COPIES_OF_WEIGHTS)?,
        })
    }

    /// Returns the bytes of a step on so many chips.
    pub fn of_step(&self, batch: u32) -> u64 {
        let chips = self.bytes_a_chip.saturating_mul(batch.into());
        chips.saturating_add(self.bytes_of_weights)
    }
}

/// Returns the greatest count of numbers of a chip that enter or leave a layer, at the side that
/// leaves it.
fn widest<'a>(layers: impl Iterator<Item = &'a Layer>) -> Option<i64> {
    let mut widest = 0;
    for layer in layers {
        let channels = layer.tensors.iter().filter_map(|(_, shape)| shape.get(1));
        let channels = channels.chain(layer.out.first()).max()?;
        let pixels = numbers(layer.out.get(1..).unwrap_or_default())?;
        widest = widest.max(pixels.checked_mul(*channels)?);
    }
    Some(widest)
}

#[cfg(test)]
mod tests {
    use crate::recipe::RECIPES;

    #[test]
    fn what_nobody_could_count_is_not_told() {
        for recipe in RECIPES {
            let step = i64::from(recipe.chip_px_step());
            let told = |chip_px: i64| recipe.describe(chip_px / step * step).needs;
            assert!(told(32).is_some(), "{}", recipe.name());
            assert_eq!(told(u32::MAX.into()), None, "{}", recipe.name());
            let large = told(1 << 20).expect("counted");
            assert!(large.of_step(u32::MAX) > large.of_step(1));
        }
    }
}
