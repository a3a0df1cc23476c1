//! The learning rate of each epoch: warm-up, then a schedule (Goyal et al. 2017; Loshchilov and
//! Hutter 2017).
//!
//! *Invariants*: a function of the epoch's number alone, so that a job which goes on from its
//! checkpoint steps as it would have; no rate is above the learning rate, and none is zero.
//!
//! *Not here*: when learning ends (`early_stop`).

use std::f64::consts::PI;

use wire::run::{Hyper, Schedule};

/// What is left of the rate after each epoch of `Schedule::Step`.
const STEP: f64 = 0.1;

/// Returns the learning rate of an epoch, counted from 1.
pub fn rate(hyper: &Hyper, epoch: u32) -> f64 {
    let whole = hyper.learning_rate;
    if epoch <= hyper.warm_up {
        return whole * f64::from(epoch) / (f64::from(hyper.warm_up) + 1.0);
    }
    match &hyper.schedule {
        Schedule::Constant => whole,
        Schedule::Step(ends) => {
            let passed = ends.iter().filter(|end| **end < epoch).count();
            ends.iter().take(passed).fold(whole, |rate, _| rate * STEP)
        }
        Schedule::Cosine => {
            let warm = hyper.epochs.saturating_sub(hyper.warm_up).max(1);
            let done = f64::from(epoch - hyper.warm_up - 1) / f64::from(warm);
            whole * f64::midpoint(1.0, (PI * done).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::run::{Hyper, Schedule};

    use super::rate;

    fn rates(warm_up: u32, schedule: Schedule, epochs: u32) -> Vec<f64> {
        let hyper = Hyper {
            epochs,
            learning_rate: 0.8,
            warm_up,
            schedule,
            ..Hyper::default()
        };
        (1..=epochs).map(|epoch| rate(&hyper, epoch)).collect()
    }

    fn near(rates: &[f64], table: &[f64]) {
        assert_eq!(rates.len(), table.len());
        for (rate, told) in rates.iter().zip(table) {
            assert!((rate - told).abs() < 1e-12, "{rates:?}, not {table:?}");
        }
    }

    #[test]
    fn rates_are_those_of_the_table() {
        near(&rates(0, Schedule::Constant, 3), &[0.8, 0.8, 0.8]);
        near(&rates(3, Schedule::Constant, 5), &[0.2, 0.4, 0.6, 0.8, 0.8]);
        let steps = Schedule::Step(vec![2, 4]);
        near(&rates(0, steps.clone(), 5), &[0.8, 0.8, 0.08, 0.08, 0.008]);
        near(&rates(1, steps, 5), &[0.4, 0.8, 0.08, 0.08, 0.008]);
        // Half a cosine over four epochs: 0, 45, 90 and 135 degrees.
        let root = 0.5_f64.sqrt();
        let cosine = [0.8, 0.4 * (1.0 + root), 0.4, 0.4 * (1.0 - root)];
        near(&rates(0, Schedule::Cosine, 4), &cosine);
        let warm: Vec<f64> = [0.4].into_iter().chain(cosine).collect();
        near(&rates(1, Schedule::Cosine, 5), &warm);
    }

    #[test]
    fn no_rate_is_zero_however_long_it_warms() {
        for schedule in [Schedule::Constant, Schedule::Cosine] {
            for warm_up in [0, 1, 4, 5, 6] {
                let all = rates(warm_up, schedule.clone(), 5);
                assert!(
                    all.iter().all(|rate| *rate > 0.0 && *rate <= 0.8),
                    "{all:?}"
                );
            }
        }
    }
}
