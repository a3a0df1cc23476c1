//! What is made small: losses with gradients, over the labels that are there.
//!
//! *Invariants*: a label that is NaN is masked (fill, cloud, the dark): it changes neither loss nor
//! gradient; the loss of nothing but masked labels is 0, and so is its gradient.
//!
//! *Not here*: scores, which have no gradient (`metric`).

use tch::{Kind, Tensor};

/// Returns the mean of (answer - label)² over the labels that are numbers.
pub fn mse(answers: &Tensor, labels: &Tensor) -> Tensor {
    let known = labels.isfinite();
    let distance = answers - labels.nan_to_num(0.0, 0.0, 0.0);
    let squares = (distance * &known).square();
    squares.sum(squares.kind()) / known.sum(Kind::Int64).clamp_min(1)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::mse;
    use crate::seed::Dice;

    /// Step of the central differences: its square is far above a double's rounding.
    const STEP: f64 = 1e-4;

    fn drawn(shape: &[i64]) -> Tensor {
        let mut dice = Dice::new(3, &["loss"]);
        let count = shape.iter().product::<i64>();
        let values: Vec<f64> = (0..count).map(|_| dice.unit() * 4.0 - 2.0).collect();
        Tensor::from_slice(&values).reshape(shape)
    }

    /// Checks a loss's gradient at some answers against central differences.
    fn check(loss: impl Fn(&Tensor) -> Tensor, answers: &Tensor) {
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

    #[test]
    fn the_gradient_of_mse_is_that_of_central_differences() {
        let labels = drawn(&[3, 1, 4, 4]).sin();
        check(|a| mse(a, &labels), &drawn(&[3, 1, 4, 4]));
    }

    #[test]
    fn masked_labels_change_neither_loss_nor_gradient() {
        let labels = drawn(&[2, 1, 4, 4]).sin();
        let part = |t: &Tensor| t.narrow(2, 2, 2);
        let masked = Tensor::cat(&[part(&labels) * f64::NAN, part(&labels)], 2);
        let answers = drawn(&[2, 1, 4, 4]);
        let whole = mse(&answers, &masked).double_value(&[]);
        let rest = mse(&part(&answers), &part(&labels)).double_value(&[]);
        assert!((whole - rest).abs() < 1e-12, "{whole} {rest}");
        check(|a| mse(a, &masked), &answers);
    }

    #[test]
    fn the_loss_of_nothing_is_0_and_moves_nothing() {
        let answers = drawn(&[4]).set_requires_grad(true);
        let nothing = Tensor::full([4], f64::NAN, (Kind::Double, Device::Cpu));
        let loss = mse(&answers, &nothing);
        loss.backward();
        assert!(loss.double_value(&[]).abs() < 1e-12);
        assert!(answers.grad().abs().max().double_value(&[]) < 1e-12);
    }
}
