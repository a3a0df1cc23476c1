//! What a job learns with: hyper-parameters, and which of them any job accepts.
//!
//! *Invariants*: nothing is quietly changed: what is out of range is refused by name; what older
//! runs did not say reads as it was then.
//!
//! *Not here*: what a recipe's own network takes (trainer).

use serde::{Deserialize, Serialize};

/// Greatest number of epochs: early stopping ends useful runs long before.
pub const EPOCHS_MAX: u32 = 10_000;
/// Greatest batch: its maps stay below 2 GiB for chips of 64 pixels.
pub const BATCH_MAX: u32 = 4096;
/// Greatest side of a chip: larger ones are maps, not chips.
pub const CHIP_PX_MAX: u32 = 512;
/// Greatest number of threads a job computes with.
pub const THREADS_MAX: u32 = 64;

/// A hyper-parameter is out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}, {wanted}")]
pub struct OutOfRange {
    name: &'static str,
    value: String,
    wanted: String,
}

impl OutOfRange {
    /// Says what is wrong with a value.
    pub fn new(name: &'static str, value: impl std::fmt::Display, wanted: String) -> Self {
        Self {
            name,
            value: value.to_string(),
            wanted,
        }
    }

    /// Returns the name of the flag that sets it.
    pub fn flag(&self) -> String {
        let name = self.name.split('.').next().unwrap_or_default();
        let name = name.strip_suffix("_px").unwrap_or(name);
        name.replace('_', "-")
    }
}

/// Which chips are held out from learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldOut {
    /// Whole blocks of neighbouring chips, the same on every date.
    #[default]
    Blocks,
    /// The last days, wherever their chips lie.
    Dates,
}

/// How the learning rate goes on once it is warm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// As it is.
    #[default]
    Constant,
    /// A tenth of what it was after each of these epochs.
    Step(Vec<u32>),
    /// Along half a cosine, which is at zero behind the last epoch.
    Cosine,
}

/// Hyper-parameters; defaults are the recipe's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hyper {
    /// Greatest number of epochs.
    pub epochs: u32,
    /// Samples a step.
    pub batch: u32,
    /// Learning rate.
    pub learning_rate: f64,
    /// Epochs in which the rate grows, in equal steps, to the learning rate.
    #[serde(skip_serializing_if = "is_usual")]
    pub warm_up: u32,
    /// How the rate goes on.
    #[serde(skip_serializing_if = "is_usual")]
    pub schedule: Schedule,
    /// Epochs without improvement before stopping.
    pub patience: u32,
    /// Chip side in pixels.
    pub chip_px: u32,
    /// Which chips are held out.
    #[serde(skip_serializing_if = "is_usual")]
    pub hold_out: HoldOut,
    /// Share of blocks or days held out to choose the best epoch by, 0..1.
    pub validation: f64,
    /// Share of blocks or days held out to score what was chosen, 0..1; none where it is not said,
    /// as by older runs.
    #[serde(default = "untested", skip_serializing_if = "is_usual")]
    pub test: f64,
    /// Chips around each one held out that are not learned from, either way.
    #[serde(skip_serializing_if = "is_usual")]
    pub buffer: u32,
    /// Threads a job computes with; part of what makes weights reproducible.
    pub threads: u32,
}

/// What older runs held out for a test.
fn untested() -> f64 {
    0.0
}

/// Tells whether something is as it was before anyone could say it.
fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Hyper {
    /// Refuses what no job accepts.
    ///
    /// # Errors
    /// The first hyper-parameter that is out of range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        whole("epochs", self.epochs, EPOCHS_MAX)?;
        whole("batch", self.batch, BATCH_MAX)?;
        whole("chip_px", self.chip_px, CHIP_PX_MAX)?;
        whole("threads", self.threads, THREADS_MAX)?;
        self.check_rate()?;
        self.check_held_out()
    }

    fn check_rate(&self) -> Result<(), OutOfRange> {
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            let wanted = "not a positive number".to_owned();
            return Err(OutOfRange::new("learning_rate", self.learning_rate, wanted));
        }
        if self.warm_up >= self.epochs {
            let wanted = format!("not below the {} epochs", self.epochs);
            return Err(OutOfRange::new("warm_up", self.warm_up, wanted));
        }
        if let Schedule::Step(ends) = &self.schedule {
            let are_within = ends.first() > Some(&0) && ends.last() < Some(&self.epochs);
            if !are_within || !ends.is_sorted_by(|a, b| a < b) {
                let wanted = format!("not epochs from 1 to below {}, in order", self.epochs);
                return Err(OutOfRange::new(
                    "schedule.step",
                    format!("{ends:?}"),
                    wanted,
                ));
            }
        }
        Ok(())
    }

    fn check_held_out(&self) -> Result<(), OutOfRange> {
        if !(self.validation > 0.0 && self.validation < 1.0) {
            let wanted = "not between 0 and 1".to_owned();
            return Err(OutOfRange::new("validation", self.validation, wanted));
        }
        if !(self.test >= 0.0 && self.test + self.validation < 1.0) {
            let left = 1.0 - self.validation;
            let wanted = format!("not between 0 and the {left} that validation leaves");
            return Err(OutOfRange::new("test", self.test, wanted));
        }
        if self.hold_out == HoldOut::Dates && self.buffer > 0 {
            let wanted = "which is for blocks: days have no neighbours".to_owned();
            return Err(OutOfRange::new("buffer", self.buffer, wanted));
        }
        Ok(())
    }
}

/// Checks that a count lies in 1..=max.
fn whole(name: &'static str, value: u32, max: u32) -> Result<(), OutOfRange> {
    if (1..=max).contains(&value) {
        Ok(())
    } else {
        Err(OutOfRange::new(name, value, format!("outside 1..={max}")))
    }
}

impl Default for Hyper {
    fn default() -> Self {
        Self {
            epochs: 60,
            batch: 32,
            learning_rate: 1e-3,
            warm_up: 0,
            schedule: Schedule::Constant,
            patience: 8,
            chip_px: 32,
            hold_out: HoldOut::Blocks,
            validation: 0.2,
            test: 0.2,
            buffer: 0,
            threads: 1,
        }
    }
}
