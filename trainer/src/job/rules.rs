//! Which hyper-parameters a job accepts.
//!
//! *Invariants*: nothing is quietly changed: what is out of range is refused by name.
//!
//! *Not here*: their defaults (`wire::run::Hyper`).

use wire::run::{HoldOut, Hyper, Schedule};

use crate::recipe::Task;

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
pub struct RulesError {
    /// Which.
    name: &'static str,
    /// The value, as text.
    value: String,
    /// What it should be.
    wanted: String,
}

/// Checks the hyper-parameters of a job.
pub fn check(hyper: &Hyper, task: &dyn Task) -> Result<(), RulesError> {
    whole("epochs", hyper.epochs, EPOCHS_MAX)?;
    whole("batch", hyper.batch, BATCH_MAX)?;
    whole("chip_px", hyper.chip_px, CHIP_PX_MAX)?;
    whole("threads", hyper.threads, THREADS_MAX)?;
    let step = task.chip_px_step();
    if !hyper.chip_px.is_multiple_of(step) {
        let wanted = format!("not a multiple of {step}, as {} needs", task.name());
        return Err(wrong("chip_px", hyper.chip_px, wanted));
    }
    if !(hyper.learning_rate > 0.0 && hyper.learning_rate.is_finite()) {
        let wanted = "not a positive number".to_owned();
        return Err(wrong("learning_rate", hyper.learning_rate, wanted));
    }
    rate(hyper)?;
    held_out(hyper)
}

/// Checks how the rate goes on.
fn rate(hyper: &Hyper) -> Result<(), RulesError> {
    if hyper.warm_up >= hyper.epochs {
        let wanted = format!("not below the {} epochs", hyper.epochs);
        return Err(wrong("warm_up", hyper.warm_up, wanted));
    }
    if let Schedule::Step(ends) = &hyper.schedule
        && (ends.is_empty() || ends[0] == 0 || !ends.is_sorted_by(|a, b| a < b))
    {
        let wanted = "not epochs from 1 on, each later than the one before".to_owned();
        return Err(wrong("schedule.step", format!("{ends:?}"), wanted));
    }
    Ok(())
}

/// Checks what is held out.
fn held_out(hyper: &Hyper) -> Result<(), RulesError> {
    if !(hyper.validation > 0.0 && hyper.validation < 1.0) {
        let wanted = "not between 0 and 1".to_owned();
        return Err(wrong("validation", hyper.validation, wanted));
    }
    if !(hyper.test >= 0.0 && hyper.test + hyper.validation < 1.0) {
        let left = 1.0 - hyper.validation;
        let wanted = format!("not between 0 and the {left} that validation leaves");
        return Err(wrong("test", hyper.test, wanted));
    }
    if hyper.hold_out == HoldOut::Dates && hyper.buffer > 0 {
        let wanted = "which is for blocks: days have no neighbours".to_owned();
        return Err(wrong("buffer", hyper.buffer, wanted));
    }
    Ok(())
}

/// Checks that a count lies in 1..=max.
fn whole(name: &'static str, value: u32, max: u32) -> Result<(), RulesError> {
    if (1..=max).contains(&value) {
        Ok(())
    } else {
        Err(wrong(name, value, format!("outside 1..={max}")))
    }
}

fn wrong(name: &'static str, value: impl std::fmt::Display, wanted: String) -> RulesError {
    RulesError {
        name,
        value: format!("{value}"),
        wanted,
    }
}

#[cfg(test)]
mod tests {
    use wire::run::{HoldOut, Hyper, Schedule};

    use super::check;
    use crate::recipe::ndvi_cnn::NdviCnn;

    fn refused(change: impl Fn(&mut Hyper)) -> String {
        let mut hyper = Hyper::default();
        change(&mut hyper);
        check(&hyper, &NdviCnn).map_or_else(|e| e.to_string(), |()| "accepted".to_owned())
    }

    #[test]
    fn defaults_are_accepted_and_nonsense_is_refused_by_name() {
        assert_eq!(refused(|_| ()), "accepted");
        assert_eq!(refused(|h| h.chip_px = 8), "accepted");
        assert_eq!(
            refused(|h| h.chip_px = 20),
            "chip_px is 20, not a multiple of 8, as ndvi-cnn needs"
        );
        assert_eq!(refused(|h| h.epochs = 0), "epochs is 0, outside 1..=10000");
        assert_eq!(refused(|h| h.batch = 0), "batch is 0, outside 1..=4096");
        assert_eq!(refused(|h| h.threads = 65), "threads is 65, outside 1..=64");
        assert_eq!(
            refused(|h| h.learning_rate = f64::NAN),
            "learning_rate is NaN, not a positive number"
        );
        assert_eq!(
            refused(|h| h.validation = 1.0),
            "validation is 1, not between 0 and 1"
        );
        assert_eq!(
            refused(|h| (h.validation, h.test) = (0.25, 0.75)),
            "test is 0.75, not between 0 and the 0.75 that validation leaves"
        );
        assert_eq!(refused(|h| h.test = 0.0), "accepted");
        assert_eq!(
            refused(|h| (h.hold_out, h.buffer) = (HoldOut::Dates, 1)),
            "buffer is 1, which is for blocks: days have no neighbours"
        );
        assert_eq!(
            refused(|h| h.warm_up = 60),
            "warm_up is 60, not below the 60 epochs"
        );
        for ends in [vec![], vec![0], vec![5, 5], vec![9, 5]] {
            let said = refused(|h| h.schedule = Schedule::Step(ends.clone()));
            assert!(said.starts_with("schedule.step is ["), "{said}");
        }
        assert_eq!(
            refused(|h| h.schedule = Schedule::Step(vec![5, 9])),
            "accepted"
        );
    }
}
