//! Gradients against central differences, for the tests of all that is differentiated.
//!
//! *Invariants*: in 64 bits, so that a difference means something.
//!
//! *Not here*: what is differentiated.

use tch::Tensor;

use crate::seed::Dice;

/// Step of the central differences: its square is far above a double's rounding.
const STEP: f64 = 1e-4;

/// Draws numbers in -2..2 of that shape.
pub(crate) fn drawn(shape: &[i64]) -> Tensor {
    let mut dice = Dice::new(3, &["loss"]);
    let count = shape.iter().product::<i64>();
    let values: Vec<f64> = (0..count).map(|_| dice.unit() * 4.0 - 2.0).collect();
    Tensor::from_slice(&values).reshape(shape)
}

/// Checks a loss's gradient at some answers against central differences.
pub(crate) fn check(loss: impl Fn(&Tensor) -> Tensor, answers: &Tensor) {
    let at = answers.copy().set_requires_grad(true);
    loss(&at).backward();
    let gradient = at.grad().reshape([-1]);
    for i in 0..answers.numel() {
        let moved = |by: f64| {
            let mut step = vec![0.0; answers.numel()];
            step[i] = by;
            let step = Tensor::from_slice(&step).reshape(answers.size());
            loss(&(answers + step)).double_value(&[])
        };
        let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        let told = gradient.double_value(&[i64::try_from(i).expect("a few")]);
        assert!(
            (told - slope).abs() < 1e-7,
            "{i}: {told}, by differences {slope}"
        );
    }
}
