//! A residual block: what two convolutions find is added to the maps (He et al. 2016).
//!
//! *Invariants*: at first it adds little, so that deep networks without normalisation begin with
//! answers of a steady size; an answer depends on no other chip of its batch.
//!
//! *Not here*: attention itself (`attention`).

use tch::{Tensor, nn};

use crate::net::Width;
use crate::net::conv::Conv;
use crate::seed::Dice;

/// Two convolutions and a sum.
#[derive(Debug)]
pub struct Residual {
    conv1: Conv,
    conv2: Conv,
}

impl Residual {
    /// Registers `conv1` and `conv2` under `path`.
    pub fn new(path: &nn::Path<'_>, channels: i64, dice: &mut Dice) -> Self {
        let width = Width {
            from: channels,
            to: channels,
        };
        Self {
            conv1: Conv::new(&(path / "conv1"), width, 1, dice),
            conv2: Conv::quiet(&(path / "conv2"), width, dice),
        }
    }

    /// Maps [n, channels, side, side] to the same shape.
    pub fn forward(&self, maps: &Tensor) -> Tensor {
        (maps + self.found(maps)).relu()
    }

    /// Maps as `forward` does, what is found counting as much as is attended to each place.
    pub fn attending(&self, maps: &Tensor, attention: &Tensor) -> Tensor {
        (maps + self.found(maps) * attention).relu()
    }

    fn found(&self, maps: &Tensor) -> Tensor {
        self.conv2.forward(&self.conv1.forward(maps).relu())
    }
}
