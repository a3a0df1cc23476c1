//! A histogram as it stands in files: `{"of":"integers","joined":2,"runs":[[62,7,0,9],[80,4]]}`.
//!
//! A run is a bin and the counts of it and the bins after it; up to `GAP_MAX` empty bins are
//! written as 0, more begin a new run.
//!
//! *Invariants*: what is read is what `histogram` could have made; one histogram has one form.
//!
//! *Not here*: what bins mean (`bins`).

use serde::{Deserialize, Serialize};

use crate::raster::histogram::bins::{JOINED_MAX, Numbers};
use crate::raster::histogram::limit;

/// Empty bins written inside a run: a `0,` each, where a new run takes eight characters.
const GAP_MAX: u32 = 3;

/// The form in files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Runs {
    pub(super) of: Numbers,
    pub(super) joined: u8,
    #[serde(rename = "runs")]
    list: Vec<Vec<i64>>,
}

/// Why a text is no histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunsError {
    /// More joins than leave a bin.
    #[error("bins joined {0} times; at most {JOINED_MAX}")]
    Joined(u8),
    /// A run without counts, with counts below zero, or that ends in 0.
    #[error("run {0} of the histogram is no run")]
    Run(usize),
    /// Bins that do not ascend.
    #[error("the bins of the histogram do not ascend")]
    Order,
    /// More bins or values than there can be.
    #[error("the histogram has more bins or values than there can be")]
    TooMany,
}

impl Runs {
    pub(super) fn new(of: Numbers, joined: u8, counts: &[(i32, u64)]) -> Self {
        let mut runs: Vec<Vec<i64>> = Vec::new();
        let mut before: Option<i32> = None;
        for (bin, count) in counts {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            let gap = before.map_or(u32::MAX, |b| bin.abs_diff(b) - 1);
            match runs.last_mut().filter(|_| gap <= GAP_MAX) {
                Some(run) => {
                    run.extend((0..gap).map(|_| 0));
                    run.push(count);
                }
                None => runs.push(vec![i64::from(*bin), count]),
            }
            before = Some(*bin);
        }
        Self {
            of,
            joined,
            list: runs,
        }
    }

    /// Returns bins and counts, ascending.
    pub(super) fn counts(&self) -> Result<Vec<(i32, u64)>, RunsError> {
        if self.joined > JOINED_MAX {
            return Err(RunsError::Joined(self.joined));
        }
        let mut counts: Vec<(i32, u64)> = Vec::new();
        let mut total = 0_i64;
        for (number, run) in self.list.iter().enumerate() {
            let wrong = RunsError::Run(number);
            let (first, rest) = run.split_first().ok_or(wrong)?;
            if rest.iter().any(|c| *c < 0) || rest.last().is_none_or(|c| *c == 0) || rest[0] == 0 {
                return Err(wrong);
            }
            for (bin, count) in (*first..).zip(rest).filter(|(_, c)| **c > 0) {
                let bin = i32::try_from(bin).map_err(|_| RunsError::TooMany)?;
                if counts.last().is_some_and(|(last, _)| *last >= bin) {
                    return Err(RunsError::Order);
                }
                total = total.checked_add(*count).ok_or(RunsError::TooMany)?;
                counts.push((bin, count.unsigned_abs()));
            }
        }
        if counts.len() > limit(self.of, self.joined, &counts) {
            return Err(RunsError::TooMany);
        }
        Ok(counts)
    }
}
