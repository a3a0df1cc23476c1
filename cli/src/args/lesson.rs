//! Flags of `glebe train` about the rate of learning and about what is held out from it.
//!
//! *Invariants*: what a command does not say is the recipe's.
//!
//! *Not here*: which values a job accepts (trainer).

use clap::{Args, ValueEnum};
use wire::fault::{Fault, FaultKind};
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
    /// How it goes on: constant, cosine (to zero behind the last epoch), or step:30,60,80 (a tenth
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
    /// Share of blocks or days that chooses nothing and scores the model; 0 for none [default: 20]
    #[arg(long, value_name = "PERCENT")]
    pub(crate) test: Option<f64>,
    /// Leave out chips so near to held-out ones, in chips [default: 0]
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

/// Returns hyper-parameters with what the flags change; refuses what no job would accept.
pub(crate) fn changed(hyper: Hyper, rate: &RateArgs, held: &HeldArgs) -> Result<Hyper, Fault> {
    let share = |percent: Option<f64>, usual: f64| percent.map_or(usual, |p| p / 100.0);
    let hyper = Hyper {
        learning_rate: rate.learning_rate.unwrap_or(hyper.learning_rate),
        warm_up: rate.warm_up.unwrap_or(hyper.warm_up),
        schedule: rate.schedule.clone().unwrap_or(hyper.schedule),
        hold_out: held.hold_out.map_or(hyper.hold_out, HoldOut::from),
        validation: share(held.validation, hyper.validation),
        test: share(held.test, hyper.test),
        buffer: held.buffer.unwrap_or(hyper.buffer),
        ..hyper
    };
    refused(&hyper).map_or(Ok(hyper), Err)
}

/// Says why no job would accept some hyper-parameters, if none would.
fn refused(hyper: &Hyper) -> Option<Fault> {
    let fault = |what: &str, because: &str, next: &str| {
        Some(
            Fault::new(FaultKind::Usage, what)
                .because(because)
                .try_(next),
        )
    };
    if !(hyper.validation > 0.0 && hyper.test >= 0.0 && hyper.validation + hyper.test < 1.0) {
        return fault(
            "--validation and --test leave nothing to learn from, or nothing to choose by",
            "they are shares of what there is: together below 100 %, validation above 0",
            "--validation 20 --test 20",
        );
    }
    if hyper.warm_up >= hyper.epochs {
        return fault(
            "--warm-up does not end before the last epoch",
            "there are no more --epochs than it has",
            "a shorter --warm-up, or more --epochs",
        );
    }
    if let Schedule::Step(ends) = &hyper.schedule
        && (ends.first() == Some(&0) || !ends.is_sorted_by(|a, b| a < b))
    {
        return fault(
            "--schedule step: epochs are not in order",
            "they count from 1, each later than the one before",
            "--schedule step:30,60,80",
        );
    }
    if hyper.hold_out == HoldOut::Dates && hyper.buffer > 0 {
        return fault(
            "--buffer does not go with --hold-out dates",
            "days have no neighbours",
            "--hold-out blocks",
        );
    }
    None
}

impl From<HoldOutArg> for HoldOut {
    fn from(arg: HoldOutArg) -> Self {
        match arg {
            HoldOutArg::Blocks => Self::Blocks,
            HoldOutArg::Dates => Self::Dates,
        }
    }
}
