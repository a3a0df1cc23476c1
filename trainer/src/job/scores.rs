//! How a network did on held-out chips, beside the baselines on the same chips.
//!
//! *Invariants*: in units of the label, not of its standardised form.
//!
//! *Not here*: the scores' formulas (`metric`).

use wire::model::Metrics;

use crate::baseline::{Linear, mean};
use crate::fit::Course;
use crate::job::lesson::Material;
use crate::metric::mae::mae;
use crate::metric::mse::mse;
use crate::network::Network;

/// Scores before there are any.
pub const NONE: Metrics = Metrics {
    val_mse: 0.0,
    val_mae: 0.0,
    mean_mse: 0.0,
    linear_mse: 0.0,
    chips_train: 0,
    chips_val: 0,
    epochs_best: 0,
    epochs: 0,
};

/// Scores a network and its baselines.
pub fn scores(network: &Network, material: &Material, course: &Course) -> Metrics {
    let answers = network.answer(&material.validation.chips);
    let answers = undo(material, &answers);
    let count = |n: usize| n as u64;
    Metrics {
        val_mse: mse(&answers, &material.truth),
        val_mae: mae(&answers, &material.truth),
        mean_mse: mean_mse(material),
        linear_mse: linear_mse(material).unwrap_or_else(|| mean_mse(material)),
        chips_train: count(material.train.labels.len()),
        chips_val: count(material.truth.len()),
        epochs_best: course.best_epoch,
        epochs: u32::try_from(course.epochs.len()).unwrap_or(u32::MAX),
    }
}

/// Turns standardised answers back into labels.
fn undo(material: &Material, answers: &[f32]) -> Vec<f32> {
    let label = material.normalisation.label;
    answers.iter().map(|a| label.undo(*a)).collect()
}

/// Returns the error of always answering the training mean.
fn mean_mse(material: &Material) -> f64 {
    let answer = single(mean(&material.train.labels));
    let answers = vec![answer; material.truth.len()];
    mse(&undo(material, &answers), &material.truth)
}

/// Returns the error of linear regression on band means; `None` where it has no solution.
fn linear_mse(material: &Material) -> Option<f64> {
    let line = Linear::fit(&material.train_means, &material.train.labels)?;
    let rows = material.validation_means.iter();
    let answers: Vec<f32> = rows.map(|row| single(line.answer(row))).collect();
    Some(mse(&undo(material, &answers), &material.truth))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "standardised answers are judged as the network's are: in 32-bit floats"
)]
fn single(value: f64) -> f32 {
    value as f32
}
