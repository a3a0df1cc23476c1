//! Flags of `glebe train` about the rate of learning and about what is held out from it.
//!
//! *Invariants*: what a command does not say is the recipe's.
//!
//! *Not here*: which values a job accepts (`wire::hyper`).

use clap::{Args, ValueEnum};
use wire::fault::{Fault, FaultKind};
use wire::run::{HoldOut, Hyper, Schedule};

use super::selectors::percent;

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
    #[arg(long, value_name = "PERCENT", value_parser = part)]
    pub(crate) validation: Option<f64>,
    /// Share of blocks or days that chooses nothing and scores the model; 0 for none [default: 20,
    /// of exec:PROGRAM 0]
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
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

/// Reads percent of which something is left on either side.
fn part(text: &str) -> Result<f64, String> {
    let value = percent(text)?;
    let is_part = value > 0.0 && value < 100.0;
    let wrong = || format!("{text} is not between 0 and 100 percent: both sides need some");
    is_part.then_some(value).ok_or_else(wrong)
}

/// Refuses shares that leave nothing to learn from, in percent as they are typed.
///
/// # Errors
/// Shares that are 100 percent or more together.
pub(crate) fn check(hyper: &Hyper) -> Result<(), Fault> {
    if hyper.validation + hyper.test < 1.0 {
        return Ok(());
    }
    // Without what is lost between percent and shares.
    let percent = |share: f64| (share * 1e6).round() / 1e4;
    let [validation, test] = [hyper.validation, hyper.test].map(percent);
    let what = format!("--validation {validation} and --test {test} leave nothing to learn from");
    Err(Fault::new(FaultKind::Usage, what)
        .because(format!("they are {} percent together", validation + test))
        .try_("--validation 20 --test 20"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_refused_in_the_percent_that_was_typed() {
        let of = |validation, test| Hyper {
            validation,
            test,
            ..Hyper::default()
        };
        check(&of(0.2, 0.7)).unwrap();
        let fault = check(&of(0.55, 0.45)).unwrap_err();
        let what = "--validation 55 and --test 45 leave nothing to learn from";
        assert_eq!(fault.what, what);
        for (text, told) in [("130", "outside 0..=100 percent"), ("0", "percent")] {
            assert!(part(text).unwrap_err().contains(told));
        }
        assert!((part("20").unwrap() - 20.0).abs() < 1e-12);
    }
}
