//! A 3×3 convolution with bias.
//!
//! *Invariants*: as PyTorch's `Conv2d(from, to, 3, stride, padding=1)`: out, in, row, column.
//!
//! *Not here*: activations.

use tch::{Tensor, nn};

use crate::net::{Width, first_weights};
use crate::seed::Dice;

/// Side of the kernel in pixels.
pub const KERNEL_PX: i64 = 3;
/// By how much a quiet layer's first answers vary less than another's.
const QUIET: i64 = 64;

/// A 3×3 convolution.
#[derive(Debug)]
pub struct Conv {
    weight: Tensor,
    bias: Tensor,
    step_px: i64,
}

impl Conv {
    /// Registers the layer's weights (`weight` [to, from, 3, 3], `bias` [to]) under `path`.
    pub fn new(path: &nn::Path<'_>, width: Width, step_px: i64, dice: &mut Dice) -> Self {
        let shape = [width.to, width.from, KERNEL_PX, KERNEL_PX];
        Self {
            weight: first_weights::weight(path, &shape, dice),
            bias: first_weights::bias(path, width.to),
            step_px,
        }
    }

    /// Registers the same weights, the first of them smaller: what the layer adds to other maps
    /// begins as a small part of them.
    pub fn quiet(path: &nn::Path<'_>, width: Width, dice: &mut Dice) -> Self {
        let shape = [width.to, width.from, KERNEL_PX, KERNEL_PX];
        let fan_in = width.from * KERNEL_PX * KERNEL_PX;
        Self {
            weight: first_weights::drawn(path, &shape, fan_in * QUIET, dice),
            bias: first_weights::bias(path, width.to),
            step_px: 1,
        }
    }

    /// Maps [n, from, side, side] to [n, to, side / step, side / step].
    pub fn forward(&self, maps: &Tensor) -> Tensor {
        convolve(maps, &self.weight, Some(&self.bias), self.step_px)
    }
}

/// Convolves maps with a 3×3 kernel, a border of zeros around them.
pub fn convolve(maps: &Tensor, weight: &Tensor, bias: Option<&Tensor>, step_px: i64) -> Tensor {
    let border_px = KERNEL_PX / 2;
    maps.conv2d(
        weight,
        bias,
        [step_px, step_px],
        [border_px, border_px],
        [1, 1],
        1,
    )
}
