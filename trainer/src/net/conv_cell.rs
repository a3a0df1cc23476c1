//! A convolution cell: 3×3 convolution in steps of 2, ReLU (S001 §II.D, Fig. 5).
//!
//! The step halves the map. Pooling after a convolution at every pixel costs four times the
//! arithmetic, ten times the time, and learned no better on synthetic scenes.
//!
//! *Invariants*: the side of the map is halved; sides are even, so nothing is cut off.
//!
//! *Not here*: batch normalisation; its running means would not be one with the stored weights.

use tch::{Tensor, nn};

use crate::net::first_weights;
use crate::seed::Dice;

/// Side of the kernel in pixels.
pub const KERNEL_PX: i64 = 3;
/// Step of the kernel in pixels.
pub const STEP_PX: i64 = 2;

/// A convolution with activation.
#[derive(Debug)]
pub struct ConvCell {
    weight: Tensor,
    bias: Tensor,
}

/// Channels that enter and leave a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// Channels that enter.
    pub from: i64,
    /// Channels that leave.
    pub to: i64,
}

impl ConvCell {
    /// Registers the cell's weights (`weight` [to, from, 3, 3], `bias` [to]) under `path`.
    pub fn new(path: &nn::Path<'_>, width: Width, dice: &mut Dice) -> Self {
        let shape = [width.to, width.from, KERNEL_PX, KERNEL_PX];
        Self {
            weight: first_weights::weight(path, "weight", &shape, dice),
            bias: first_weights::bias(path, width.to),
        }
    }

    /// Maps [n, from, side, side] to [n, to, side / 2, side / 2].
    pub fn forward(&self, maps: &Tensor) -> Tensor {
        maps.conv2d(
            &self.weight,
            Some(&self.bias),
            [STEP_PX, STEP_PX],
            [KERNEL_PX / 2, KERNEL_PX / 2],
            [1, 1],
            1,
        )
        .relu()
    }
}
