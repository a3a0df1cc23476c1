//! Finds weights: Adam on masked losses over shuffled batches, until patience runs out.
//!
//! *Invariants*: the weights of the best epoch are the ones that remain; on a CPU with a fixed
//! number of threads the same seed, chips and hyper-parameters give the same weights to the bit,
//! unless memory runs out and chips come in parts, which is told (`Course::part`); a loss that is
//! not finite is an error, never a model.
//!
//! *Not here*: what a step is (`tutor`), what chips and labels are (`chips`), the scores that are
//! published (`job`).

pub mod adam;
pub mod ahead;
pub mod early_stop;
pub mod schedule;
pub mod state;
pub mod tutor;

use serde::Serialize;
use tch::Tensor;
use wire::run::Hyper;

use crate::fit::ahead::{Ask, Loader};
use crate::fit::early_stop::{EarlyStop, Verdict};
use crate::fit::schedule::rate;
use crate::fit::state::{Place, StateError};
use crate::fit::tutor::{Losses, Rivalry, Tutor};
use crate::heed::Heed;
use crate::memory::{Short, tried, without_gradients};
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
    /// Chips of a batch looked at at a time, where memory ran out for more.
    pub part: Option<u64>,
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
    /// Memory ran out for one chip alone.
    #[error("{0}; not even one chip can be learned from: a smaller --chip needs less")]
    Memory(Short),
    /// Someone wished to stop.
    #[error("stopped")]
    Stopped,
    /// The best weights cannot be put back.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A checkpoint that is this job's cannot be gone on from: a fault of ours, not of the file.
    #[error("its checkpoint cannot be gone on from: {0}")]
    State(#[from] StateError),
}

/// Changes the network's weights to those of the best epoch.
pub fn fit(
    network: &mut Network,
    lesson: &Lesson<'_>,
    hyper: &Hyper,
    dice: &mut Dice,
    stop: &Stop,
) -> Result<Course, FitError> {
    Learning::new(network, lesson, hyper, dice).finish(lesson, &mut Heed::only(stop))
}

/// Learning under way: it may be left at the border of two batches, and gone on with.
#[derive(Debug)]
pub struct Learning<'a> {
    network: &'a mut Network,
    hyper: &'a Hyper,
    dice: &'a mut Dice,
    tutor: Tutor,
    loader: Option<Loader>,
    chips: i64,
    /// Chips of a batch looked at at a time: all of it, unless memory ran out.
    part: usize,
    /// What a step changes before its end.
    changing: Vec<Tensor>,
    order: Vec<i64>,
    place: Place,
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
    ) -> Self {
        let chips = lesson.train.chips.size()[0];
        Self {
            tutor: Tutor::new(network, rate(hyper, 1)),
            loader: Loader::new(lesson.train, network.vars().device()),
            chips,
            part: batch_size(hyper),
            changing: network.changing(),
            order: (0..chips).collect(),
            place: Place::default(),
            watch: EarlyStop::new(hyper.patience),
            best: (network.weights(), network.rival_weights()),
            epochs: Vec::new(),
            ended: false,
            network,
            hyper,
            dice,
        }
    }

    /// Walks over the training chips and looks at the held-out ones, unless it has ended.
    pub fn epoch(&mut self, lesson: &Lesson<'_>, heed: &mut Heed<'_>) -> Result<(), FitError> {
        let number = u32::try_from(self.epochs.len()).map_or(u32::MAX, |n| n + 1);
        self.ended |= number > self.hyper.epochs;
        if self.ended {
            return Ok(());
        }
        let learning_rate = rate(self.hyper, number);
        self.tutor.set_rate(learning_rate);
        heed.begins();
        let walks = (EPOCH_CHIPS_MIN / self.order.len().max(1)).max(1) as u64;
        while self.place.walk < walks {
            self.walk(lesson, heed)?;
            let walked = std::mem::take(&mut self.place.walk_losses);
            self.place.losses.add(walked, 1.0 / walks as f64);
            self.place.walk += 1;
            self.place.chip = 0;
        }
        let train = std::mem::take(&mut self.place).losses;
        let validation = score(self.network, lesson.validation);
        let epoch = judged(number, (train, validation), lesson.label_variance)?;
        let verdict = self.watch.judge(validation);
        if verdict == Verdict::Better {
            self.best = (self.network.weights(), self.network.rival_weights());
        }
        self.ended = verdict == Verdict::Stop;
        let epoch = Epoch {
            learning_rate,
            best: verdict == Verdict::Better,
            ..epoch
        };
        heed.ended(&epoch);
        self.epochs.push(epoch);
        Ok(())
    }

    /// Steps once a batch, from where this walk stands to its end.
    fn walk(&mut self, lesson: &Lesson<'_>, heed: &mut Heed<'_>) -> Result<(), FitError> {
        let (all, batch) = (self.order.len(), batch_size(self.hyper));
        while let Some(left) = self.left() {
            if heed.stop.wished() {
                heed.keep(|| self.state());
                return Err(FitError::Stopped);
            }
            if heed.is_due() {
                heed.keep(|| self.state());
            }
            if left == all {
                self.dice.shuffle(&mut self.order);
            }
            let size = batch.min(left);
            let ask = Ask {
                symmetry: self.dice.below(SYMMETRIES),
                chips: self.order[all - left..][..size].to_vec(),
            };
            let next = self.foretold(left - size);
            let loader = self.loader.as_mut();
            let batch = { loader }.and_then(|loader| {
                let batch = loader.take(&ask);
                loader.prepare(next);
                batch
            });
            if let Some(near) = heed.margin.is_near() {
                self.lessen(size, &near, heed);
            }
            let device = self.network.vars().device();
            let batch = batch.unwrap_or_else(|| ask.batch(lesson.train, device));
            let losses = self.step(&batch, heed)?;
            let share = size as f64 / all as f64;
            self.place.walk_losses.add(losses, share);
            self.place.chip += size as u64;
        }
        Ok(())
    }

    /// Foretells the batch behind the one at hand, once so many chips of this walk are left.
    fn foretold(&self, left: usize) -> Ask {
        let (all, mut dice) = (self.order.len(), self.dice.clone());
        let batch = batch_size(self.hyper);
        let chips = if left > 0 {
            self.order[all - left..][..batch.min(left)].to_vec()
        } else {
            let mut order = self.order.clone();
            dice.shuffle(&mut order);
            order.truncate(batch);
            order
        };
        let symmetry = dice.below(SYMMETRIES);
        Ask { chips, symmetry }
    }

    /// Steps on a batch; where memory runs out, on fewer of its chips at a time.
    fn step(&mut self, batch: &Sample, heed: &mut Heed<'_>) -> Result<Losses, FitError> {
        loop {
            let mut marked = None;
            let stepped = tried(|| {
                let copy = || self.changing.iter().map(Tensor::copy).collect::<Vec<_>>();
                let copies = without_gradients(copy);
                marked = Some((copies, self.tutor.mark()));
                self.tutor.step(self.network, batch, self.part)
            });
            let short = match stepped {
                Ok(losses) => return Ok(losses),
                Err(short) => short,
            };
            if let Some((copies, mark)) = marked {
                without_gradients(|| {
                    let changed = self.changing.iter_mut().zip(&copies);
                    changed.for_each(|(changed, copy)| changed.copy_(copy));
                });
                self.tutor.back(mark);
            }
            let chips = usize::try_from(batch.chips.size()[0]).unwrap_or(1);
            if !self.lessen(chips, &short, heed) {
                return Err(FitError::Memory(short));
            }
        }
    }

    /// Looks at half as many chips of a batch at a time from now on, and says so; tells whether
    /// that is fewer.
    fn lessen(&mut self, chips: usize, why: &Short, heed: &mut Heed<'_>) -> bool {
        let part = self.part.min(chips);
        if part <= 1 {
            return false;
        }
        self.part = part.div_ceil(2);
        if let Some(ordeal) = &mut heed.ordeal {
            ordeal.lessened(self.part);
        }
        heed.diary.say(&format!(
            "{why}; goes on with {} chips at a time, in batches of {chips} as before: their \
             gradients are added up",
            self.part
        ));
        true
    }

    /// Looks at no more chips of a batch at a time than these.
    pub fn at_most(&mut self, part: usize) {
        self.part = self.part.min(part.max(1));
    }

    /// Returns the chips of this walk that are still to be learned from, if there are any.
    fn left(&self) -> Option<usize> {
        let walked = usize::try_from(self.place.chip).ok()?;
        self.order
            .len()
            .checked_sub(walked)
            .filter(|left| *left > 0)
    }

    /// Returns the least validation error so far, in squared units of the label.
    pub fn best_mse(&self) -> Option<f64> {
        let errors = self.epochs.iter().map(|epoch| epoch.validation_mse);
        errors.min_by(f64::total_cmp)
    }

    /// Goes on until patience or epochs run out; the weights of the best epoch remain.
    pub fn finish(mut self, lesson: &Lesson<'_>, heed: &mut Heed<'_>) -> Result<Course, FitError> {
        while !self.ended {
            self.epoch(lesson, heed)?;
        }
        self.network.set_weights(&self.best.0)?;
        if let Some(rival) = &self.best.1 {
            self.network.set_rival_weights(rival)?;
        }
        let whole = batch_size(self.hyper);
        Ok(Course {
            epochs: self.epochs,
            best_epoch: self.watch.best_epoch(),
            part: (self.part < whole).then_some(self.part as u64),
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

/// Returns the batch size as a number of items, at least 1.
fn batch_size(hyper: &Hyper) -> usize {
    usize::try_from(hyper.batch).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests;
