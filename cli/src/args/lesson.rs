//! Flags of `glebe train` about the rate of learning and about what is held out from it.
//!
//! *Invariants*: what a command does not say is the recipe's.
//!
//! *Not here*: which values a job accepts (`wire::hyper`).

use clap::{Args, ValueEnum};
use wire::run::{HoldOut, Hyper, Schedule};

/// How the learning rate changes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rate")]
pub(crate) struct RateArgs {
    /// Learning rate
    #[arg(long, value_name = "X")]
    pub(crate) learning_rate: Option<f64>,
    /// Epochs in which the rate grows to it in equal steps [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) warm_up: Option<u32>,
    /// How it goes on: constant, cosine (to zero behind the last epoch), or step:20,40 (a tenth
    /// after each of these epochs) [default: constant]
    #[arg(long, value_name = "SCHEDULE", value_parser = schedule)]
    pub(crate) schedule: Option<Schedule>,
}

/// What is held out.
#[derive(Debug, Args)]
#[command(next_help_heading = "Held out")]
pub(crate) struct HeldArgs {
    /// Hold out whole blocks of chips, the same on every date, or the last days
    #[arg(long, value_enum)]
    pub(crate) hold_out: Option<HoldOutArg>,
    /// Share of blocks or days by which the best epoch is chosen [default: 20]
    #[arg(long, value_name = "PERCENT")]
    pub(crate) validation: Option<f64>,
    /// Share of blocks or days that chooses nothing and scores the model; 0 for none [default: 20,
    /// of exec:PROGRAM 0]
    #[arg(long, value_name = "PERCENT")]
    pub(crate) test: Option<f64>,
    /// Learn from no chip so near to a held-out one of its cell, in chips [default: 0]
    #[arg(long, value_name = "CHIPS")]
    pub(crate) buffer: Option<u32>,
}

/// Which chips are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HoldOutArg {
    /// Blocks of neighbouring chips
    Blocks,
    /// The last days of each cell
    Dates,
}

/// Reads a schedule.
fn schedule(text: &str) -> Result<Schedule, String> {
    let steps = || {
        let ends = text.strip_prefix("step:")?.split(',');
        ends.map(|end| end.trim().parse().ok())
            .collect::<Option<_>>()
    };
    match text {
        "constant" => Ok(Schedule::Constant),
        "cosine" => Ok(Schedule::Cosine),
        _ => steps()
            .map(Schedule::Step)
            .ok_or_else(|| "none of constant, cosine, step:EPOCH,EPOCH,…".to_owned()),
    }
}

/// Returns hyper-parameters with what the flags change.
pub(crate) fn changed(hyper: Hyper, rate: &RateArgs, held: &HeldArgs) -> Hyper {
    let share = |percent: Option<f64>, usual: f64| percent.map_or(usual, |p| p / 100.0);
    Hyper {
        learning_rate: rate.learning_rate.unwrap_or(hyper.learning_rate),
        warm_up: rate.warm_up.unwrap_or(hyper.warm_up),
        schedule: rate.schedule.clone().unwrap_or(hyper.schedule),
        hold_out: held.hold_out.map_or(hyper.hold_out, HoldOut::from),
        validation: share(held.validation, hyper.validation),
        test: share(held.test, hyper.test),
        buffer: held.buffer.unwrap_or(hyper.buffer),
        ..hyper
    }
}

impl From<HoldOutArg> for HoldOut {
    fn from(arg: HoldOutArg) -> Self {
        match arg {
            HoldOutArg::Blocks => Self::Blocks,
            HoldOutArg::Dates => Self::Dates,
        }
    }
}
