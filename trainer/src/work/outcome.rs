//! What became of a job, and what the node is told of it.
//!
//! *Invariants*: a job that has no model says why.
//!
//! *Not here*: publishing and giving back (`work`).

use wire::run::{Failure, Renew};
use wire::transfer::Descent;

use crate::job::{JobError, Learned};
use crate::log::{chain, joined};

/// What became of a job.
#[derive(Debug)]
pub(super) enum Outcome {
    Learned(Box<Learned>),
    Failed {
        reason: String,
        hopeless: bool,
        short: bool,
    },
    /// Its parent answers as well.
    NoBetter {
        reason: String,
        descent: Box<Descent>,
    },
    /// Nobody wants it any more.
    Dropped,
}

impl Outcome {
    /// Returns what a job came to that ended so.
    pub(super) fn without(error: &JobError) -> Self {
        let next = match error {
            JobError::Made(error) => error.next(),
            JobError::Program(error) => error.next(),
            _ => None,
        };
        let reason = match next {
            Some(next) => joined(&chain(error), &next),
            None => chain(error),
        };
        match error {
            JobError::NoBetter(descent) => Self::NoBetter {
                reason,
                descent: descent.clone(),
            },
            error => Self::Failed {
                hopeless: error.hopeless(),
                short: error.is_short(),
                reason,
            },
        }
    }
}

/// Returns a failure with its reason.
pub(super) fn failed(lease: Renew, reason: String, hopeless: bool) -> Failure {
    Failure {
        lease,
        reason,
        hopeless,
        dropped: None,
    }
}
