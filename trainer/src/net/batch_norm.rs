//! Batch normalisation (Ioffe, Szegedy 2015), as PyTorch's `BatchNorm2d`.
//!
//! *Invariants*: running means and variances are stored with the weights, so that the best epoch's
//! come back with them; an answer depends on no other chip of its batch.
//!
//! *Not here*: what is normalised.

use tch::{Tensor, nn};

use crate::recipe::Phase;

/// Share of a new batch in the running mean and variance: PyTorch's.
const MOMENTUM: f64 = 0.1;
/// Added to variances: PyTorch's.
const EPSILON: f64 = 1e-5;

/// Normalises each channel.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl BatchNorm {
    /// Registers `weight`, `bias`, `running_mean` and `running_var` under `path`.
    pub fn new(path: &nn::Path<'_>, channels: i64) -> Self {
        Self {
            weight: path.ones("weight", &[channels]),
            bias: path.zeros("bias", &[channels]),
            running_mean: path.zeros_no_train("running_mean", &[channels]),
            running_var: path.ones_no_train("running_var", &[channels]),
        }
    }

    /// Maps [n, channels, side, side] to the same shape.
    pub fn forward(&self, maps: &Tensor, phase: Phase) -> Tensor {
        maps.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            phase == Phase::Learn,
            MOMENTUM,
            EPSILON,
            true,
        )
    }
}
