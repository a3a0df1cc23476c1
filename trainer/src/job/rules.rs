//! Which hyper-parameters a job accepts.
//!
//! *Invariants*: nothing is quietly changed: what is out of range is refused by name.
//!
//! *Not here*: those that any job accepts, and their defaults (`wire::hyper`).

use wire::run::{Hyper, OutOfRange};

use crate::recipe::Task;

/// Checks the hyper-parameters of a job.
pub fn check(hyper: &Hyper, task: &dyn Task) -> Result<(), OutOfRange> {
    hyper.check()?;
    let step = task.chip_px_step();
    if !hyper.chip_px.is_multiple_of(step) {
        let wanted = format!("not a multiple of {step}, as {} needs", task.name());
        return Err(OutOfRange::new("chip_px", hyper.chip_px, wanted));
    }
    Ok(())
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
        for ends in [vec![], vec![0], vec![5, 5], vec![9, 5], vec![5, 60]] {
            let said = refused(|h| h.schedule = Schedule::Step(ends.clone()));
            assert!(said.starts_with("schedule.step is ["), "{said}");
        }
        assert_eq!(
            refused(|h| h.schedule = Schedule::Step(vec![5, 9])),
            "accepted"
        );
    }
}
