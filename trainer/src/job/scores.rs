//! How a network did on held-out chips, beside the baselines on the same chips.
//!
//! *Invariants*: in units of the label, not of its standardised form; labels that are masked count
//! nowhere.
//!
//! *Not here*: the scores' formulas (`metric`).

use wire::model::{MapMetrics, Metrics};

use crate::baseline::{Equations, Linear};
use crate::fit::{Course, Sample};
use crate::job::lesson::Material;
use crate::metric::mae::mae;
use crate::metric::ms_ssim::{ms_ssim, scales};
use crate::metric::mse::mse;
use crate::metric::psnr::psnr;
use crate::metric::r2::r2;
use crate::metric::ssim::{Pair, ssim};
use crate::network::{Network, floats};
use crate::recipe::Answer;

/// What is scored.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// What the network answers.
    pub answer: Answer,
    /// Side of a chip in pixels.
    pub chip_px: usize,
    /// Chips and labels.
    pub material: &'a Material,
    /// How it learned.
    pub course: &'a Course,
}

/// Scores a network and its baselines.
pub fn scores(network: &Network, scored: Scored<'_>) -> Metrics {
    let (material, course) = (scored.material, scored.course);
    let answers = undo(material, &network.answer(&material.validation.chips));
    let count = |sample: &Sample| u64::try_from(sample.chips.size()[0]).unwrap_or(0);
    let mean_mse = mean_mse(material);
    Metrics {
        val_mse: mse(&answers, &material.truth),
        val_mae: mae(&answers, &material.truth),
        mean_mse,
        linear_mse: linear_mse(material).unwrap_or(mean_mse),
        chips_train: count(&material.train),
        chips_val: count(&material.validation),
        epochs_best: course.best_epoch,
        epochs: u32::try_from(course.epochs.len()).unwrap_or(u32::MAX),
        val_r2: number(r2(&answers, &material.truth)),
        map: match scored.answer {
            Answer::Number => None,
            Answer::Map { range } => Some(map_scores(&answers, scored, range)),
        },
    }
}

/// Scores maps as images: the mean over chips of what each scores.
fn map_scores(answers: &[f32], scored: Scored<'_>, range: f64) -> MapMetrics {
    let truth = &scored.material.truth;
    let width = scored.chip_px;
    let mean_of = |score: &dyn Fn(Pair<'_>) -> f64| {
        let chips = answers.chunks_exact(width * width);
        let pairs = chips.zip(truth.chunks_exact(width * width));
        let scores = pairs.map(|(predicted, truth)| {
            score(Pair {
                predicted,
                truth,
                width,
            })
        });
        let there: Vec<f64> = scores.filter(|s| !s.is_nan()).collect();
        number(there.iter().sum::<f64>() / there.len() as f64)
    };
    MapMetrics {
        val_psnr: number(psnr(answers, truth, range)),
        val_ssim: mean_of(&|pair| ssim(pair, range)),
        val_ms_ssim: mean_of(&|pair| ms_ssim(pair, range)),
        ms_ssim_scales: u32::try_from(scales(width)).unwrap_or(0),
    }
}

/// Returns a score that is a number: neither of nothing nor of a perfect image's noise.
fn number(score: f64) -> Option<f64> {
    score.is_finite().then_some(score)
}

/// Turns standardised answers back into labels.
fn undo(material: &Material, answers: &[f32]) -> Vec<f32> {
    let label = material.normalisation.label;
    answers.iter().map(|a| label.undo(*a)).collect()
}

/// Returns the error of always answering the training mean, which standardised labels have at 0.
fn mean_mse(material: &Material) -> f64 {
    let answers = vec![0.0; material.truth.len()];
    mse(&undo(material, &answers), &material.truth)
}

/// Returns the error of linear regression on bands; `None` where it has no solution.
fn linear_mse(material: &Material) -> Option<f64> {
    let mut equations = Equations::default();
    rows(&material.train, |row, label| equations.add(row, label));
    let line: Linear = equations.solve()?;
    let mut answers = Vec::with_capacity(material.truth.len());
    rows(&material.validation, |row, _| {
        answers.push(single(line.answer(row)));
    });
    Some(mse(&undo(material, &answers), &material.truth))
}

/// Calls `each` with what a line may know of every label, and the label: of a chip with one label
/// the band means, of a map each pixel's bands.
fn rows(sample: &Sample, mut each: impl FnMut(&[f64], f32)) {
    for i in 0..sample.chips.size()[0] {
        let labels = floats(&sample.labels.get(i));
        let chip = sample.chips.get(i);
        let channels = usize::try_from(chip.size()[0]).unwrap_or(1);
        let pixels = floats(&chip);
        let group = pixels.len() / channels / labels.len();
        for (place, label) in labels.into_iter().enumerate() {
            let mean = |band: &[f32]| {
                let part = &band[place * group..][..group];
                part.iter().map(|v| f64::from(*v)).sum::<f64>() / group as f64
            };
            let row: Vec<f64> = pixels
                .chunks_exact(pixels.len() / channels)
                .map(mean)
                .collect();
            each(&row, label);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "standardised answers are judged as the network's are: in 32-bit floats"
)]
fn single(value: f64) -> f32 {
    value as f32
}
