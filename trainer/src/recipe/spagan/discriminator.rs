//! The discriminator of `spagan`: which image is a clear date's, which was made up (S001 Fig. 8).
//!
//! Six convolutional blocks over the cloudy image with the other beside it; three of them halve the
//! maps. It judges place by place, not the whole (Isola et al. 2017), so that details count.
//!
//! *Invariants*: the last block's numbers are judged as they are, without a sigmoid; it is needed
//! to learn, never to answer.
//!
//! *Not here*: what its judgement costs (`loss`).

use tch::{Tensor, nn};

use super::COLOURS;
use crate::net::Width;
use crate::net::conv::{Conv, KERNEL_PX};
use crate::net::conv_block::ConvBlock;
use crate::recipe::describe::Layer;
use crate::recipe::{Phase, Rival};
use crate::seed::Dice;

/// Channels that leave the first block.
const FIRST: i64 = 16;
/// Channels and step in pixels of the blocks between the first and the last.
const MIDDLE: [(i64, i64); 4] = [(32, 2), (64, 2), (64, 1), (64, 1)];
/// Step of the first block in pixels.
const FIRST_STEP_PX: i64 = 2;

/// The discriminator.
#[derive(Debug)]
pub struct Discriminator {
    first: Conv,
    middle: Vec<ConvBlock>,
    last: Conv,
}

impl Discriminator {
    /// Registers `block1` to `block6` under `root`, drawn from `dice`.
    pub fn new(root: &nn::Path<'_>, dice: &mut Dice) -> Self {
        let width = |from, to| Width { from, to };
        let first = width(2 * COLOURS, FIRST);
        let first = Conv::new(&(root / "block1"), first, FIRST_STEP_PX, dice);
        let mut middle = Vec::with_capacity(MIDDLE.len());
        for (number, width, step_px) in middles() {
            let path = root / format!("block{number}");
            middle.push(ConvBlock::new(&path, width, step_px, dice));
        }
        let last = Conv::new(&(root / "block6"), width(last_channels(), 1), 1, dice);
        Self {
            first,
            middle,
            last,
        }
    }
}

impl Rival for Discriminator {
    fn judge(&self, chips: &Tensor, images: &Tensor) -> Tensor {
        let mut maps = self.first.forward(&Tensor::cat(&[chips, images], 1));
        maps = maps.leaky_relu();
        for block in &self.middle {
            maps = block.forward(&maps, Phase::Learn);
        }
        self.last.forward(&maps)
    }
}

/// Returns number, width and step in pixels of the blocks between the first and the last.
fn middles() -> impl Iterator<Item = (usize, Width, i64)> {
    let from = [FIRST].into_iter().chain(MIDDLE.map(|(to, _)| to));
    let steps = (2..).zip(from.zip(MIDDLE));
    steps.map(|(number, (from, (to, step_px)))| (number, Width { from, to }, step_px))
}

/// Returns the channels that enter the last block.
fn last_channels() -> i64 {
    MIDDLE[MIDDLE.len() - 1].0
}

/// Describes the blocks for chips of that side.
pub fn layers(chip_px: i64) -> Vec<Layer> {
    let mut side = chip_px / FIRST_STEP_PX;
    let first = Width {
        from: 2 * COLOURS,
        to: FIRST,
    };
    let does = "cloudy image beside clear one: 3x3 convolution (step 2), leaky ReLU";
    let entry = Layer::conv("block1", does, first, &[FIRST, side, side]);
    let mut layers = vec![entry.holding(2)];
    for (number, width, step_px) in middles() {
        side /= step_px;
        let does = match step_px {
            1 => "3x3 convolution, batch normalisation, leaky ReLU",
            _ => "3x3 convolution (step 2), batch normalisation, leaky ReLU",
        };
        let weight = [width.to, width.from, KERNEL_PX, KERNEL_PX];
        let out = [width.to, side, side];
        layers.push(Layer::normalised(
            &format!("block{number}"),
            does,
            &weight,
            &out,
        ));
    }
    let last = Width {
        from: last_channels(),
        to: 1,
    };
    let does = "3x3 convolution: above 0 for a clear date's image";
    layers.push(Layer::conv("block6", does, last, &[1, side, side]));
    layers
}
