//! How a network did on held-out chips, beside the baselines on the same chips.
//!
//! *Invariants*: in units of the label, not of its standardised form; labels that are masked count
//! nowhere.
//!
//! *Not here*: the scores' formulas (`metric`).

use wire::model::{InputMetrics, MapMetrics, Metrics, TestMetrics};

use crate::baseline::{Equations, Linear};
use crate::fit::{Course, Sample};
use crate::job::lesson::{Exam, Material};
use crate::metric::mae::mae;
use crate::metric::ms_ssim::{ms_ssim, scales};
use crate::metric::mse::mse;
use crate::metric::psnr::psnr;
use crate::metric::r2::r2;
use crate::metric::ssim::{Pair, ssim};
use crate::network::floats;
use crate::recipe::{Answer, Task};

/// What is scored.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// What is answered, and from what.
    pub task: &'a dyn Task,
    /// Side of a chip in pixels.
    pub chip_px: usize,
    /// Chips and labels.
    pub material: &'a Material,
    /// How it learned.
    pub course: &'a Course,
    /// What it is to beat.
    pub baselines: &'a Baselines,
}

/// What a network is to beat, fitted to the chips that it learned from.
#[derive(Debug)]
pub struct Baselines {
    /// How often each band's label was true, where labels are chances.
    frequencies: Option<Vec<f32>>,
    /// A line a band of the answer; none where one has no solution.
    lines: Option<Vec<Linear>>,
}

/// How baselines did.
struct Beaten {
    mean_mse: f64,
    linear_mse: f64,
    input: Option<InputMetrics>,
}

/// Scores standardised answers for the validation chips, and the baselines.
pub fn scores(answers: &[f32], scored: Scored<'_>) -> Metrics {
    let (material, course) = (scored.material, scored.course);
    let exam = &material.validation;
    let answers = undo(material, answers);
    let baselines = scored.baselines.on(exam, scored);
    Metrics {
        val_mse: mse(&answers, &exam.truth),
        val_mae: mae(&answers, &exam.truth),
        mean_mse: baselines.mean_mse,
        linear_mse: baselines.linear_mse,
        chips_train: count(&material.train),
        chips_val: count(&exam.sample),
        epochs_best: course.best_epoch,
        epochs: u32::try_from(course.epochs.len()).unwrap_or(u32::MAX),
        val_r2: number(r2(&answers, &exam.truth)),
        map: map_scores(&answers, exam, scored),
        input: baselines.input,
        test: None,
    }
}

/// Scores standardised answers for the test chips, and the baselines.
pub fn test_scores(answers: &[f32], exam: &Exam, scored: Scored<'_>) -> TestMetrics {
    let answers = undo(scored.material, answers);
    let baselines = scored.baselines.on(exam, scored);
    let map = map_scores(&answers, exam, scored);
    TestMetrics {
        chips: count(&exam.sample),
        mse: mse(&answers, &exam.truth),
        mae: mae(&answers, &exam.truth),
        mean_mse: baselines.mean_mse,
        linear_mse: baselines.linear_mse,
        r2: number(r2(&answers, &exam.truth)),
        psnr: map.and_then(|map| map.val_psnr),
        ssim: map.and_then(|map| map.val_ssim),
        input: baselines.input,
    }
}

impl Baselines {
    /// Fits them.
    pub fn fitted(task: &dyn Task, material: &Material) -> Self {
        Self {
            frequencies: task.is_of_chances().then(|| frequencies(&material.train)),
            lines: lines(&material.train),
        }
    }

    /// Scores them on chips that were held out.
    fn on(&self, exam: &Exam, scored: Scored<'_>) -> Beaten {
        let material = scored.material;
        let mean_mse = match &self.frequencies {
            None => mse(&undo(material, &vec![0.0; exam.truth.len()]), &exam.truth),
            Some(frequencies) => {
                let mut answers = Vec::with_capacity(exam.truth.len());
                rows(&exam.sample, |band, _, _| answers.push(frequencies[band]));
                mse(&answers, &exam.truth)
            }
        };
        let linear_mse = self.lines.as_ref().map(|lines| {
            let mut answers = Vec::with_capacity(exam.truth.len());
            let answer = |band: usize, row: &[f64]| single(lines[band].answer(row));
            rows(&exam.sample, |band, row, _| answers.push(answer(band, row)));
            mse(&undo(material, &answers), &exam.truth)
        });
        Beaten {
            mean_mse,
            linear_mse: linear_mse.unwrap_or(mean_mse),
            input: scored.task.pairs().map(|_| input_scores(exam, scored)),
        }
    }
}

fn count(sample: &Sample) -> u64 {
    u64::try_from(sample.chips.size()[0]).unwrap_or(0)
}

/// Scores the inputs as if they were the answers.
fn input_scores(exam: &Exam, scored: Scored<'_>) -> InputMetrics {
    let mut inputs = floats(&exam.sample.chips);
    let bands = &scored.material.normalisation.bands;
    let planes = inputs.chunks_exact_mut(scored.chip_px * scored.chip_px);
    for (plane, spread) in planes.zip(bands.iter().cycle()) {
        for value in plane {
            *value = spread.undo(*value);
        }
    }
    let map = map_scores(&inputs, exam, scored).unwrap_or_default();
    InputMetrics {
        mse: mse(&inputs, &exam.truth),
        psnr: map.val_psnr,
        ssim: map.val_ssim,
    }
}

/// Scores maps as images, as far as their bounds tell numbers apart: the mean over chips and bands
/// of what each scores.
fn map_scores(answers: &[f32], exam: &Exam, scored: Scored<'_>) -> Option<MapMetrics> {
    let Answer::Map { bounds, .. } = scored.task.answer() else {
        return None;
    };
    let [least, most] = bounds;
    let shown = |image: &[f32]| -> Vec<f32> {
        // A NaN stays one.
        image.iter().map(|v| v.clamp(least, most)).collect()
    };
    let (answers, truth) = (shown(answers), shown(&exam.truth));
    let (width, range) = (scored.chip_px, f64::from(most - least));
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
    Some(MapMetrics {
        val_psnr: number(psnr(&answers, &truth, range)),
        val_ssim: mean_of(&|pair| ssim(pair, range)),
        val_ms_ssim: mean_of(&|pair| ms_ssim(pair, range)),
        ms_ssim_scales: u32::try_from(scales(width)).unwrap_or(0),
    })
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

/// Returns how often each band's label was true.
fn frequencies(train: &Sample) -> Vec<f32> {
    let mut sums = vec![(0.0, 0_u64); label_bands(train)];
    rows(train, |band, _, label| {
        if !label.is_nan() {
            sums[band].0 += f64::from(label);
            sums[band].1 += 1;
        }
    });
    let mean = |(sum, count): (f64, u64)| single(sum / count.max(1) as f64);
    sums.into_iter().map(mean).collect()
}

/// Returns a line through the bands for each band of the label; `None` where one has no solution.
fn lines(train: &Sample) -> Option<Vec<Linear>> {
    let mut equations = vec![Equations::default(); label_bands(train)];
    rows(train, |band, row, label| equations[band].add(row, label));
    equations.into_iter().map(Equations::solve).collect()
}

fn label_bands(sample: &Sample) -> usize {
    usize::try_from(sample.labels.size()[1]).unwrap_or(1)
}

/// Calls `each` with every label's band, what a line may know of it, and the label: of a chip with
/// one label the band means, of a map each pixel's bands.
fn rows(sample: &Sample, mut each: impl FnMut(usize, &[f64], f32)) {
    for i in 0..sample.chips.size()[0] {
        let chip = sample.chips.get(i);
        let channels = usize::try_from(chip.size()[0]).unwrap_or(1);
        let pixels = floats(&chip);
        let labels = sample.labels.get(i);
        for band in 0..labels.size()[0] {
            let labels = floats(&labels.get(band));
            let group = pixels.len() / channels / labels.len();
            for (place, label) in labels.into_iter().enumerate() {
                let mean = |band: &[f32]| {
                    let part = &band[place * group..][..group];
                    part.iter().map(|v| f64::from(*v)).sum::<f64>() / group as f64
                };
                let bands = pixels.chunks_exact(pixels.len() / channels);
                let row: Vec<f64> = bands.map(mean).collect();
                each(usize::try_from(band).unwrap_or(0), &row, label);
            }
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
