//! When to stop learning: after so many epochs without a better validation score.
//!
//! *Invariants*: the best epoch is the first with the least score; NaN is never better.
//!
//! *Not here*: what is kept of the best epoch (`fit`).

use serde::{Deserialize, Serialize};

/// Watches validation scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EarlyStop {
    patience: u32,
    best: f64,
    best_epoch: u32,
    epoch: u32,
}

/// What an epoch's score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The best so far: keep these weights.
    Better,
    /// Not better, but patience remains.
    Wait,
    /// Patience has run out.
    Stop,
}

impl EarlyStop {
    /// Starts watching; patience 0 counts as 1.
    pub fn new(patience: u32) -> Self {
        Self {
            patience: patience.max(1),
            best: f64::INFINITY,
            best_epoch: 0,
            epoch: 0,
        }
    }

    /// Judges the next epoch's score.
    pub fn judge(&mut self, score: f64) -> Verdict {
        self.epoch += 1;
        if score < self.best {
            self.best = score;
            self.best_epoch = self.epoch;
            Verdict::Better
        } else if self.epoch - self.best_epoch >= self.patience {
            Verdict::Stop
        } else {
            Verdict::Wait
        }
    }

    /// Returns the best epoch, from 1; 0 before any.
    pub fn best_epoch(&self) -> u32 {
        self.best_epoch
    }
}

#[cfg(test)]
mod tests {
    use super::{EarlyStop, Verdict};

    #[test]
    fn it_stops_after_patience_epochs_that_are_not_better() {
        let mut stop = EarlyStop::new(2);
        let verdicts: Vec<_> = [3.0, 2.0, 2.0, 2.5]
            .into_iter()
            .map(|s| stop.judge(s))
            .collect();
        let (better, wait, end) = (Verdict::Better, Verdict::Wait, Verdict::Stop);
        assert_eq!(verdicts, [better, better, wait, end]);
        assert_eq!(stop.best_epoch(), 2);
    }

    #[test]
    fn nothing_is_worse_than_not_a_number() {
        let mut stop = EarlyStop::new(5);
        assert_eq!(stop.judge(f64::NAN), Verdict::Wait);
        assert_eq!(stop.judge(9.0), Verdict::Better);
    }
}
