//! A fully connected layer.
//!
//! *Invariants*: answer = input · weightᵀ + bias, as in PyTorch's `Linear`.
//!
//! *Not here*: activations.

use tch::{Tensor, nn};

use crate::net::{Width, first_weights};
use crate::seed::Dice;

/// A fully connected layer.
#[derive(Debug)]
pub struct Dense {
    weight: Tensor,
    bias: Tensor,
}

impl Dense {
    /// Registers the layer's weights (`weight` [to, from], `bias` [to]) under `path`.
    pub fn new(path: &nn::Path<'_>, width: Width, dice: &mut Dice) -> Self {
        Self {
            weight: first_weights::weight(path, &[width.to, width.from], dice),
            bias: first_weights::bias(path, width.to),
        }
    }

    /// Maps [n, from] to [n, to].
    pub fn forward(&self, rows: &Tensor) -> Tensor {
        rows.linear(&self.weight, Some(&self.bias))
    }
}
