//! A block of transposed convolution, batch normalisation, leaky ReLU (S001 §II.D, Fig. 6).
//!
//! *Invariants*: the side of the map is doubled; the kernel's side is twice its step, so that every
//! pixel is reached by as many taps and no checkerboard is built in (Odena et al. 2016).
//!
//! *Not here*: joining the way down's maps (the recipe).

use tch::{Tensor, nn};

use crate::net::batch_norm::BatchNorm;
use crate::net::{Width, first_weights};
use crate::recipe::Phase;
use crate::seed::Dice;

/// Side of the kernel in pixels.
pub const KERNEL_PX: i64 = 4;
/// Step of the kernel in pixels of the larger map.
const STEP_PX: i64 = 2;
/// Pixels cut off around the larger map, so that it has twice the side.
const CUT_PX: i64 = (KERNEL_PX - STEP_PX) / 2;
/// Taps of the kernel that reach one pixel.
const TAPS: i64 = (KERNEL_PX / STEP_PX) * (KERNEL_PX / STEP_PX);

/// A transposed convolution with normalisation and activation.
#[derive(Debug)]
pub struct UpBlock {
    weight: Tensor,
    norm: BatchNorm,
}

impl UpBlock {
    /// Registers `conv.weight` [from, to, 4, 4] and `norm` under `path`.
    pub fn new(path: &nn::Path<'_>, width: Width, dice: &mut Dice) -> Self {
        let shape = [width.from, width.to, KERNEL_PX, KERNEL_PX];
        let fan_in = width.from * TAPS;
        Self {
            weight: first_weights::drawn(&(path / "conv"), &shape, fan_in, dice),
            norm: BatchNorm::new(&(path / "norm"), width.to),
        }
    }

    /// Maps [n, from, side, side] to [n, to, 2 side, 2 side].
    pub fn forward(&self, maps: &Tensor, phase: Phase) -> Tensor {
        let maps = maps.conv_transpose2d(
            &self.weight,
            None::<&Tensor>,
            [STEP_PX, STEP_PX],
            [CUT_PX, CUT_PX],
            [0, 0],
            1,
            [1, 1],
        );
        self.norm.forward(&maps, phase).leaky_relu()
    }
}
