//! A model on the held-out places of any cell, whatever numbers it learned by.
//!
//! *Invariants*: chips are told in the model's own normalisation, errors in units of the label; a
//! place is a chip's on all dates, since dates of one place are no independent witnesses.
//!
//! *Not here*: which places are held out (`lesson`), a model's published scores (`scores`).

use std::collections::BTreeMap;

use tch::Tensor;

use crate::chips::normal::{Normalisation, Spread};
use crate::job::lesson::Exam;
use crate::network::Network;

/// A network with the numbers that it learned by.
#[derive(Debug, Clone, Copy)]
pub struct Learnt<'a> {
    /// It.
    pub network: &'a Network,
    /// How its chips and labels were normalised.
    pub normalisation: &'a Normalisation,
}

impl Learnt<'_> {
    /// Returns its mean squared error at each held-out place of a cell, in label units, in order of
    /// places; NaN where no label is known. `by` is what the chips were normalised by.
    pub fn errors(&self, exam: &Exam, by: &Normalisation) -> Vec<f64> {
        let chips = told(&exam.sample.chips, (&by.bands, &self.normalisation.bands));
        let answers = self.network.answer(&chips);
        let label = self.normalisation.label;
        let labels_a_chip = (answers.len() / exam.places.len().max(1)).max(1);
        let mut places: BTreeMap<usize, (f64, u64)> = BTreeMap::new();
        for (at, (answer, truth)) in answers.iter().zip(&exam.truth).enumerate() {
            let place = exam.places[at / labels_a_chip];
            let (sum, count) = places.entry(place).or_default();
            if !truth.is_nan() {
                *sum += (f64::from(label.undo(*answer)) - f64::from(*truth)).powi(2);
                *count += 1;
            }
        }
        let mean = |(sum, count): &(f64, u64)| sum / *count as f64;
        places.values().map(mean).collect()
    }
}

/// Tells chips that were normalised by some numbers in others.
fn told(chips: &Tensor, (from, to): (&[Spread], &[Spread])) -> Tensor {
    let bands = i64::try_from(from.len()).unwrap_or(1);
    let of = |pick: &dyn Fn(&Spread, &Spread) -> f64| {
        let each: Vec<f64> = from.iter().zip(to).map(|(f, t)| pick(f, t)).collect();
        Tensor::from_slice(&each).reshape([1, bands, 1, 1])
    };
    let factor = of(&|from, to| from.std / to.std);
    let shift = of(&|from, to| (from.mean - to.mean) / to.std);
    (chips * factor + shift).to_kind(tch::Kind::Float)
}
