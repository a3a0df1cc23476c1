//! The weights before training: Kaiming-uniform for layers followed by ReLU (He et al. 2015).
//!
//! *Invariants*: bounded by sqrt(6 / fan-in); drawn in row-major order from the given stream.
//!
//! *Not here*: biases (zero).

use tch::{Tensor, nn};

use crate::seed::Dice;

/// Registers `weight` [out, in, …], drawn from `dice`.
pub fn weight(path: &nn::Path<'_>, shape: &[i64], dice: &mut Dice) -> Tensor {
    drawn(path, shape, shape[1..].iter().product(), dice)
}

/// Registers `weight` of that shape, drawn from `dice`; `fan_in` numbers reach each answer.
pub fn drawn(path: &nn::Path<'_>, shape: &[i64], fan_in: i64, dice: &mut Dice) -> Tensor {
    let bound = (6.0 / fan_in as f64).sqrt();
    let count: i64 = shape.iter().product();
    let values: Vec<f64> = (0..count)
        .map(|_| (dice.unit() * 2.0 - 1.0) * bound)
        .collect();
    let drawn = Tensor::from_slice(&values).to_kind(tch::Kind::Float);
    path.var_copy("weight", &drawn.reshape(shape))
}

/// Registers `bias` of zeros.
pub fn bias(path: &nn::Path<'_>, count: i64) -> Tensor {
    path.zeros("bias", &[count])
}
