//! A convolution cell: 3×3 convolution in steps of 2, ReLU (S001 §II.D, Fig. 5).
//!
//! The step halves the map. Pooling after a convolution at every pixel costs four times the
//! arithmetic, ten times the time, and learned no better on synthetic scenes.
//!
//! *Invariants*: the side of the map is halved; sides are even, so nothing is cut off.
//!
//! *Not here*: batch normalisation (`conv_block`).

use tch::{Tensor, nn};

use crate::net::Width;
use crate::net::conv::Conv;
use crate::seed::Dice;

/// Step of the kernel in pixels.
pub const STEP_PX: i64 = 2;

/// A convolution with activation.
#[derive(Debug)]
pub struct ConvCell(Conv);

impl ConvCell {
    /// Registers the cell's weights (`weight` [to, from, 3, 3], `bias` [to]) under `path`.
    pub fn new(path: &nn::Path<'_>, width: Width, dice: &mut Dice) -> Self {
        Self(Conv::new(path, width, STEP_PX, dice))
    }

    /// Maps [n, from, side, side] to [n, to, side / 2, side / 2].
    pub fn forward(&self, maps: &Tensor) -> Tensor {
        self.0.forward(maps).relu()
    }
}
