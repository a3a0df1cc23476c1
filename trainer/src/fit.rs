//! Finds weights: Adam on masked losses over shuffled batches, until patience runs out.
//!
//! *Invariants*: the weights of the best epoch are the ones that remain; on a CPU with a fixed
//! number of threads the same seed, chips and hyper-parameters give the same weights to the bit;
//! a loss that is not finite is an error, never a model.
//!
//! *Not here*: what a step is (`tutor`), what chips and labels are (`chips`), the scores that are
//! published (`job`).

pub mod early_stop;
pub mod tutor;

use serde::Serialize;
use tch::Tensor;
use wire::run::Hyper;

use crate::fit::early_stop::{EarlyStop, Verdict};
use crate::fit::tutor::{Losses, Rivalry, Tutor};
use crate::metric::mse::mse;
use crate::network::{Network, Weights, WeightsError, floats};
use crate::seed::Dice;
use crate::stop::Stop;

/// Symmetries of a square: a label that is a mean over pixels does not change with them, a map
/// turns with its chip.
const SYMMETRIES: usize = 8;

/// Least chips of an epoch: small cells are walked over several times, so that an epoch's patience
/// means a like number of steps for every cell (eight of the default batch).
const EPOCH_CHIPS_MIN: usize = 256;

/// Normalised chips with standardised labels.
#[derive(Debug)]
pub struct Sample {
    /// Chips [n, channels, side, side].
    pub chips: Tensor,
    /// Labels [n, 1, 1, 1] or [n, bands, side, side]; NaN is masked.
    pub labels: Tensor,
    /// Where a cloudy image hides the ground, 1 or 0, [n, 1, side, side]; only of pairs.
    pub veils: Option<Tensor>,
}

/// What is learned from and judged by.
#[derive(Debug)]
pub struct Lesson<'a> {
    /// Chips to learn from.
    pub train: &'a Sample,
    /// Chips held out.
    pub validation: &'a Sample,
    /// Squared units of the label for one squared standardised unit, so that epochs are told in
    /// the label's units.
    pub label_variance: f64,
}

/// One line of `metrics.jsonl`; errors in squared units of the label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: u32,
    /// Mean squared error over the epoch's batches, each before its step.
    pub train_mse: f64,
    /// Mean squared error on held-out chips after the epoch.
    pub validation_mse: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// The best so far.
    pub best: bool,
    /// How a network and its rival did, where there is one.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub rivalry: Option<Rivalry>,
}

/// How learning went.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Every epoch that was run.
    pub epochs: Vec<Epoch>,
    /// The epoch whose weights remain.
    pub best_epoch: u32,
}

/// Why no weights were found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// The loss is not finite.
    #[error("the {of} loss of epoch {epoch} is not finite; a smaller --learning-rate helps")]
    NotFinite {
        /// `training` or `validation`.
        of: &'static str,
        /// In which epoch.
        epoch: u32,
    },
    /// Someone wished to stop.
    #[error("stopped")]
    Stopped,
    /// The best weights cannot be put back.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The optimiser refused its settings.
    #[error("the optimiser refused its settings: {0}")]
    Optimiser(String),
}

/// Changes the network's weights to those of the best epoch.
pub fn fit(
    network: &mut Network,
    lesson: &Lesson<'_>,
    hyper: &Hyper,
    dice: &mut Dice,
    stop: &Stop,
) -> Result<Course, FitError> {
    Learning::new(network, lesson, hyper, dice)?.finish(lesson, stop)
}

/// Learning under way: it may be left after any epoch, and gone on with.
#[derive(Debug)]
pub struct Learning<'a> {
    network: &'a mut Network,
    hyper: &'a Hyper,
    dice: &'a mut Dice,
    tutor: Tutor,
    order: Vec<i64>,
    watch: EarlyStop,
    best: (Weights, Option<Weights>),
    epochs: Vec<Epoch>,
    ended: bool,
}

impl<'a> Learning<'a> {
    /// Begins with the weights that the network has.
    pub fn new(
        network: &'a mut Network,
        lesson: &Lesson<'_>,
        hyper: &'a Hyper,
        dice: &'a mut Dice,
    ) -> Result<Self, FitError> {
        let refused = |e: tch::TchError| FitError::Optimiser(e.to_string());
        let tutor = Tutor::new(network, hyper.learning_rate).map_err(refused)?;
        Ok(Self {
            tutor,
            order: (0..lesson.train.chips.size()[0]).collect(),
            watch: EarlyStop::new(hyper.patience),
            best: (network.weights(), network.rival_weights()),
            epochs: Vec::new(),
            ended: false,
            network,
            hyper,
            dice,
        })
    }

    /// Walks over the training chips and looks at the held-out ones, unless it has ended.
    pub fn epoch(&mut self, lesson: &Lesson<'_>, stop: &Stop) -> Result<(), FitError> {
        let number = u32::try_from(self.epochs.len()).map_or(u32::MAX, |n| n + 1);
        self.ended |= number > self.hyper.epochs;
        if self.ended {
            return Ok(());
        }
        let walks = (EPOCH_CHIPS_MIN / self.order.len().max(1)).max(1);
        let mut pass = Pass {
            network: self.network,
            tutor: &mut self.tutor,
            sample: lesson.train,
        };
        let mut train = Losses::default();
        for _ in 0..walks {
            self.dice.shuffle(&mut self.order);
            let dice = (&mut *self.dice, stop);
            let walk = pass.run(&self.order, batch_size(self.hyper), dice)?;
            train.add(walk, 1.0 / walks as f64);
        }
        let validation = score(self.network, lesson.validation);
        let epoch = judged(number, (train, validation), lesson.label_variance)?;
        let verdict = self.watch.judge(validation);
        if verdict == Verdict::Better {
            self.best = (self.network.weights(), self.network.rival_weights());
        }
        self.ended = verdict == Verdict::Stop;
        self.epochs.push(Epoch {
            learning_rate: self.hyper.learning_rate,
            best: verdict == Verdict::Better,
            ..epoch
        });
        Ok(())
    }

    /// Returns the least validation error so far, in squared units of the label.
    pub fn best_mse(&self) -> Option<f64> {
        let errors = self.epochs.iter().map(|epoch| epoch.validation_mse);
        errors.min_by(f64::total_cmp)
    }

    /// Goes on until patience or epochs run out; the weights of the best epoch remain.
    pub fn finish(mut self, lesson: &Lesson<'_>, stop: &Stop) -> Result<Course, FitError> {
        while !self.ended {
            self.epoch(lesson, stop)?;
        }
        self.network.set_weights(&self.best.0)?;
        if let Some(rival) = &self.best.1 {
            self.network.set_rival_weights(rival)?;
        }
        Ok(Course {
            epochs: self.epochs,
            best_epoch: self.watch.best_epoch(),
        })
    }
}

/// Returns the mean squared error of the network on a sample, in squared standardised units.
pub fn score(network: &Network, sample: &Sample) -> f64 {
    mse(&network.answer(&sample.chips), &floats(&sample.labels))
}

/// Builds the record of an epoch from its training losses and its validation loss, standardised.
fn judged(
    epoch: u32,
    (train, validation): (Losses, f64),
    variance: f64,
) -> Result<Epoch, FitError> {
    let is_finite = [train.is_finite(), validation.is_finite()];
    for (is_finite, of) in is_finite.into_iter().zip(["training", "validation"]) {
        if !is_finite {
            return Err(FitError::NotFinite { of, epoch });
        }
    }
    Ok(Epoch {
        epoch,
        train_mse: train.mse * variance,
        validation_mse: validation * variance,
        learning_rate: 0.0,
        best: false,
        rivalry: train.rivalry,
    })
}

/// Turns or mirrors chips or labels [n, channels, side, side] by one of the square's symmetries.
fn turned(chips: &Tensor, symmetry: usize) -> Tensor {
    let flips: Vec<i64> = [(1, 2), (2, 3)]
        .into_iter()
        .filter_map(|(bit, axis)| (symmetry & bit != 0).then_some(axis))
        .collect();
    let chips = chips.flip(flips);
    if symmetry & 4 == 0 {
        chips
    } else {
        chips.transpose(2, 3).contiguous()
    }
}

/// Returns the batch size as a number of items, at least 1.
fn batch_size(hyper: &Hyper) -> usize {
    usize::try_from(hyper.batch).unwrap_or(1).max(1)
}

/// One walk over the training chips.
struct Pass<'a> {
    network: &'a Network,
    tutor: &'a mut Tutor,
    sample: &'a Sample,
}

impl Pass<'_> {
    /// Steps once a batch; returns the mean losses, weighted by batch size.
    fn run(
        &mut self,
        order: &[i64],
        batch: usize,
        (dice, stop): (&mut Dice, &Stop),
    ) -> Result<Losses, FitError> {
        let mut sum = Losses::default();
        for part in order.chunks(batch) {
            if stop.wished() {
                return Err(FitError::Stopped);
            }
            let symmetry = dice.below(SYMMETRIES);
            let losses = self.tutor.step(self.network, &self.batch(part, symmetry));
            sum.add(losses, part.len() as f64 / order.len() as f64);
        }
        Ok(sum)
    }

    /// Takes the chips of those indexes, turned alike, to where the network computes.
    fn batch(&self, indexes: &[i64], symmetry: usize) -> Sample {
        let index = Tensor::from_slice(indexes);
        let device = self.network.vars().device();
        let pick =
            |from: &Tensor| turned(&from.index_select(0, &index).to_device(device), symmetry);
        Sample {
            chips: pick(&self.sample.chips),
            labels: pick(&self.sample.labels),
            veils: self.sample.veils.as_ref().map(pick),
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Tensor};
    use wire::run::Hyper;

    use super::{FitError, Lesson, Sample, fit, score};
    use crate::network::Network;
    use crate::recipe::ndmi_unet::NdmiUnet;
    use crate::recipe::ndvi_cnn::NdviCnn;
    use crate::recipe::{Answer, Recipe};
    use crate::seed::Dice;
    use crate::stop::Stop;

    /// Chips and labels that have nothing to do with each other: what is learned does not last.
    fn noise(count: usize, answer: Answer, word: &str) -> Sample {
        let mut dice = Dice::new(1, &[word]);
        let mut draw = |channels: usize, side: usize| {
            let numbers = (0..count * channels * side * side).map(|_| dice.unit() * 2.0 - 1.0);
            let whole = |n: usize| i64::try_from(n).expect("a small number");
            let shape = [count, channels, side, side].map(whole);
            let drawn = Tensor::from_slice(&numbers.collect::<Vec<f64>>());
            drawn.to_kind(tch::Kind::Float).reshape(shape)
        };
        Sample {
            chips: draw(3, SIDE_PX),
            labels: draw(1, answer.side(SIDE_PX)),
            veils: None,
        }
    }

    const SIDE_PX: usize = 16;

    #[test]
    fn the_weights_of_the_best_epoch_remain_to_the_bit() {
        best_epoch_remains(&NdviCnn);
    }

    #[test]
    fn what_batch_normalisation_remembered_at_the_best_epoch_remains_with_it() {
        best_epoch_remains(&NdmiUnet);
    }

    fn best_epoch_remains(recipe: &dyn Recipe) {
        // As a job does: threads that wait for one another on a busy machine are slower than one.
        tch::set_num_threads(1);
        let (train, validation) = ("train", "validation");
        let [train, validation] = [(64, train), (32, validation)]
            .map(|(count, word)| noise(count, recipe.answer(), word));
        let lesson = Lesson {
            train: &train,
            validation: &validation,
            label_variance: 1.0,
        };
        let hyper = Hyper {
            epochs: 40,
            learning_rate: 0.01,
            patience: 5,
            ..Hyper::default()
        };
        let dice = &mut Dice::new(1, &["order"]);
        let mut network = Network::new(recipe, Device::Cpu, &mut Dice::new(1, &[]));
        let course = fit(&mut network, &lesson, &hyper, dice, &Stop::default()).expect("weights");
        let last = course.epochs.last().expect("an epoch");
        let best = course.epochs.iter().find(|e| e.epoch == course.best_epoch);
        let best = best.expect("the best epoch");
        assert_eq!(
            last.epoch,
            best.epoch + 5,
            "patience ran out after the best epoch"
        );
        assert!(last.validation_mse > best.validation_mse);
        let now = score(&network, &validation);
        assert_eq!(
            now.to_bits(),
            best.validation_mse.to_bits(),
            "{now} {best:?}"
        );
    }

    #[test]
    fn a_label_turns_with_its_chip() {
        // What is red is to be answered as it is: learned only if pixels stay beside their labels.
        tch::set_num_threads(1);
        let chips = noise(64, Answer::Number, "red").chips;
        let sample = Sample {
            labels: chips.narrow(1, 0, 1),
            chips,
            veils: None,
        };
        let lesson = Lesson {
            train: &sample,
            validation: &sample,
            label_variance: 1.0,
        };
        let hyper = Hyper {
            epochs: 6,
            learning_rate: 0.01,
            ..Hyper::default()
        };
        let mut network = Network::new(&NdmiUnet, Device::Cpu, &mut Dice::new(1, &[]));
        let dice = &mut Dice::new(1, &["order"]);
        let course = fit(&mut network, &lesson, &hyper, dice, &Stop::default()).expect("weights");
        let [first, last] = [course.epochs.first(), course.epochs.last()].map(|e| e.expect("one"));
        assert!(last.train_mse < 0.3 * first.train_mse, "{course:?}");
    }

    #[test]
    fn the_eight_symmetries_are_different_and_keep_every_pixel() {
        let chip = Tensor::arange(4, (tch::Kind::Float, Device::Cpu)).reshape([1, 1, 2, 2]);
        let mut seen = std::collections::BTreeSet::new();
        for symmetry in 0..super::SYMMETRIES {
            let turned = super::turned(&chip, symmetry).reshape([4]);
            let pixels = Vec::<f64>::try_from(&turned.to_kind(tch::Kind::Double));
            let pixels = pixels.expect("four numbers");
            assert!((pixels.iter().sum::<f64>() - 6.0).abs() < 1e-9);
            seen.insert(format!("{pixels:?}"));
        }
        assert_eq!(seen.len(), super::SYMMETRIES);
    }

    #[test]
    fn a_wish_to_stop_ends_it() {
        let sample = noise(8, Answer::Number, "train");
        let lesson = Lesson {
            train: &sample,
            validation: &sample,
            label_variance: 1.0,
        };
        let stop = Stop::default();
        stop.wish();
        let mut network = Network::new(&NdviCnn, Device::Cpu, &mut Dice::new(1, &[]));
        let dice = &mut Dice::new(1, &[]);
        let ended = fit(&mut network, &lesson, &Hyper::default(), dice, &stop);
        assert_eq!(ended, Err(FitError::Stopped));
    }
}
