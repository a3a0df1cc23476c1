//! The weights before training: Kaiming-uniform for layers followed by ReLU (He et al. 2015).
//!
//! *Invariants*: bounded by sqrt(6 / fan-in); drawn in row-major order from the given stream.
//!
//! *Not here*: biases (zero).

use tch::{Tensor, nn};

use crate::seed::Dice;

/// Registers a weight of that shape under `name`, drawn from `dice`.
pub fn weight(path: &nn::Path<'_>, name: &str, shape: &[i64], dice: &mut Dice) -> Tensor {
    let fan_in: i64 = shape[1..].iter().product();
    let bound = (6.0 / fan_in as f64).sqrt();
    let count: i64 = shape.iter().product();
    let values: Vec<f64> = (0..count)
        .map(|_| (dice.unit() * 2.0 - 1.0) * bound)
        .collect();
    let drawn = Tensor::from_slice(&values).to_kind(tch::Kind::Float);
    path.var_copy(name, &drawn.reshape(shape))
}

/// Registers a bias of zeros.
pub fn bias(path: &nn::Path<'_>, count: i64) -> Tensor {
    path.zeros("bias", &[count])
}
