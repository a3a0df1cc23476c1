//! What is made small: losses with gradients, over the labels that are there.
//!
//! *Invariants*: a label that is NaN is masked (fill, cloud, the dark): it changes neither loss nor
//! gradient; the loss of nothing but masked labels is 0, and so is its gradient.
//!
//! *Not here*: scores, which have no gradient (`metric`).

#[cfg(test)]
pub(crate) mod slope;

use tch::{Kind, Tensor};

/// Returns the mean of (answer - label)² over the labels that are numbers.
pub fn mse(answers: &Tensor, labels: &Tensor) -> Tensor {
    let known = labels.isfinite();
    let distance = answers - labels.nan_to_num(0.0, 0.0, 0.0);
    let squares = (distance * &known).square();
    squares.sum(squares.kind()) / known.sum(Kind::Int64).clamp_min(1)
}

/// Returns the mean of |answer - label| over the labels that are numbers.
pub fn l1(answers: &Tensor, labels: &Tensor) -> Tensor {
    let known = labels.isfinite();
    let distance = answers - labels.nan_to_num(0.0, 0.0, 0.0);
    let distances = (distance * &known).abs();
    distances.sum(distances.kind()) / known.sum(Kind::Int64).clamp_min(1)
}

/// Returns the mean of the binary cross-entropy of logits over the labels, 0..=1, that are numbers.
pub fn bce(logits: &Tensor, labels: &Tensor) -> Tensor {
    let known = labels.isfinite();
    let labels = labels.nan_to_num(0.0, 0.0, 0.0);
    let costs = (logits.softplus() - logits * labels) * &known;
    costs.sum(costs.kind()) / known.sum(Kind::Int64).clamp_min(1)
}

/// Returns the mean of the cross-entropy of logits [n, classes, …] over the pixels whose labels,
/// the chance of each class, are numbers.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    let known = labels.isfinite();
    let costs = logits.log_softmax(1, logits.kind()) * labels.nan_to_num(0.0, 0.0, 0.0) * &known;
    let pixels = known.narrow(1, 0, 1).sum(Kind::Int64).clamp_min(1);
    -costs.sum(costs.kind()) / pixels
}

/// Returns what it costs a network that its answers were judged so: nothing where they pass for
/// labels (Goodfellow et al. 2014, in the form that does not saturate).
pub fn unmasked(judged: &Tensor) -> Tensor {
    (-judged).softplus().mean(judged.kind())
}

/// Returns what it costs a rival to have judged labels and answers so: nothing where it told all of
/// them apart.
pub fn fooled(labels: &Tensor, answers: &Tensor) -> Tensor {
    unmasked(labels) + unmasked(&-answers)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::slope::{check, drawn};
    use super::{bce, cross_entropy, fooled, l1, mse, unmasked};

    #[test]
    fn the_gradient_of_mse_is_that_of_central_differences() {
        let labels = drawn(&[3, 1, 4, 4]).sin();
        check(|a| mse(a, &labels), &drawn(&[3, 1, 4, 4]));
    }

    #[test]
    fn the_gradient_of_l1_is_that_of_central_differences() {
        // Nowhere as near to the answers as the differences step: a distance has a corner at 0.
        let labels = drawn(&[3, 2, 4, 4]).cos();
        check(|a| l1(a, &labels), &drawn(&[3, 2, 4, 4]));
    }

    #[test]
    fn the_gradients_of_both_sides_of_the_rivalry_are_those_of_central_differences() {
        let (labels, answers) = (drawn(&[2, 1, 3, 3]), drawn(&[2, 1, 3, 3]).cos() * 3.0);
        check(unmasked, &answers);
        check(|judged| fooled(judged, &answers), &labels);
        check(|judged| fooled(&labels, judged), &answers);
    }

    #[test]
    fn the_gradients_of_chances_are_those_of_central_differences() {
        let labels = (drawn(&[2, 3, 4, 4]) / 4.0) + 0.5;
        check(|a| bce(a, &labels), &drawn(&[2, 3, 4, 4]));
        let classes = labels.softmax(1, Kind::Double);
        check(|a| cross_entropy(a, &classes), &drawn(&[2, 3, 4, 4]));
        let even = drawn(&[2, 3, 4, 4]).zeros_like();
        let cost = |loss: Tensor| loss.double_value(&[]);
        assert!((cost(cross_entropy(&even, &classes)) - 3.0_f64.ln()).abs() < 1e-12);
        assert!((cost(bce(&even, &labels)) - 2.0_f64.ln()).abs() < 1e-12);
        let masked = Tensor::cat(&[&classes, &(&classes * f64::NAN)], 2);
        let wide = Tensor::cat(&[drawn(&[2, 3, 4, 4]), drawn(&[2, 3, 4, 4])], 2);
        let (all, part) = (
            cross_entropy(&wide, &masked),
            cross_entropy(&drawn(&[2, 3, 4, 4]), &classes),
        );
        assert!(
            (cost(all) - cost(part)).abs() < 1e-12,
            "what is masked counts nothing"
        );
    }

    #[test]
    fn who_is_fooled_pays_what_the_other_saves() {
        let judged = |value: f64| Tensor::full([4], value, (Kind::Double, Device::Cpu));
        let cost = |loss: Tensor| loss.double_value(&[]);
        let undecided = 2.0 * 2.0_f64.ln();
        assert!((cost(fooled(&judged(0.0), &judged(0.0))) - undecided).abs() < 1e-12);
        assert!(cost(fooled(&judged(40.0), &judged(-40.0))) < 1e-12);
        assert!(cost(unmasked(&judged(-40.0))) > 39.0 && cost(unmasked(&judged(40.0))) < 1e-12);
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
        let whole = l1(&answers, &masked).double_value(&[]);
        let rest = l1(&part(&answers), &part(&labels)).double_value(&[]);
        assert!((whole - rest).abs() < 1e-12, "{whole} {rest}");
        check(|a| l1(a, &masked), &(answers + 0.37));
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
