//! Flags that say what is learned with a user's module.
//!
//! *Invariants*: they go with `torchscript:FILE` alone, and it does not go without bands.
//!
//! *Not here*: sending the module (`train::module`), opening it (trainer).

use clap::{Args, ValueEnum};
use wire::module::{Answer, Loss};

/// What is learned with `torchscript:FILE`.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Your own module")]
pub(crate) struct ModuleArgs {
    /// Bands that enter torchscript:FILE in the order of its channels: common names (red) or a
    /// product's own (B04)
    #[arg(long, value_name = "BANDS", value_delimiter = ',')]
    pub(crate) inputs: Vec<String>,
    /// Band that torchscript:FILE learns
    #[arg(long, value_name = "BAND")]
    pub(crate) label: Option<String>,
    /// What torchscript:FILE answers for a chip [default: map]
    #[arg(long, value_enum)]
    pub(crate) answer: Option<AnswerArg>,
    /// What torchscript:FILE makes small [default: mse]
    #[arg(long, value_enum)]
    pub(crate) loss: Option<LossArg>,
    /// Classes that the label band numbers from 0, with --loss cross-entropy
    #[arg(long, value_name = "N")]
    pub(crate) classes: Option<u32>,
}

/// What is answered for a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerArg {
    /// One number: the mean of the label band
    Number,
    /// One number a pixel, or one a class
    Map,
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LossArg {
    /// Mean squared error
    Mse,
    /// Mean absolute error
    Mae,
    /// Binary cross-entropy of logits; the label lies in 0 to 1
    Bce,
    /// Cross-entropy of logits, one band a class
    CrossEntropy,
}

impl ModuleArgs {
    /// Tells whether any of them was given.
    pub(crate) fn is_any(&self) -> bool {
        let others = [
            self.label.is_some(),
            self.answer.is_some(),
            self.loss.is_some(),
        ];
        !self.inputs.is_empty() || self.classes.is_some() || others.contains(&true)
    }

    /// Returns what is answered.
    pub(crate) fn answer(&self) -> Answer {
        match self.answer {
            Some(AnswerArg::Number) => Answer::Number,
            Some(AnswerArg::Map) | None => Answer::Map,
        }
    }

    /// Returns what is made small.
    pub(crate) fn loss(&self) -> Loss {
        match self.loss {
            Some(LossArg::Mse) | None => Loss::Mse,
            Some(LossArg::Mae) => Loss::Mae,
            Some(LossArg::Bce) => Loss::Bce,
            Some(LossArg::CrossEntropy) => Loss::CrossEntropy,
        }
    }
}
