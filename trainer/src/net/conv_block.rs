//! A block of 3×3 convolution, batch normalisation, leaky ReLU (S001 §II.D, Fig. 6).
//!
//! *Invariants*: the convolution has no bias: the normalisation after it has one.
//!
//! *Not here*: the way up (`up_block`).

use tch::{Tensor, nn};

use crate::net::batch_norm::BatchNorm;
use crate::net::conv::{KERNEL_PX, convolve};
use crate::net::{Width, first_weights};
use crate::recipe::Phase;
use crate::seed::Dice;

/// A convolution with normalisation and activation.
#[derive(Debug)]
pub struct ConvBlock {
    weight: Tensor,
    norm: BatchNorm,
    step_px: i64,
}

impl ConvBlock {
    /// Registers `conv.weight` [to, from, 3, 3] and `norm` under `path`.
    pub fn new(path: &nn::Path<'_>, width: Width, step_px: i64, dice: &mut Dice) -> Self {
        let shape = [width.to, width.from, KERNEL_PX, KERNEL_PX];
        Self {
            weight: first_weights::weight(&(path / "conv"), &shape, dice),
            norm: BatchNorm::new(&(path / "norm"), width.to),
            step_px,
        }
    }

    /// Maps [n, from, side, side] to [n, to, side / step, side / step].
    pub fn forward(&self, maps: &Tensor, phase: Phase) -> Tensor {
        let maps = convolve(maps, &self.weight, None, self.step_px);
        self.norm.forward(&maps, phase).leaky_relu()
    }
}
