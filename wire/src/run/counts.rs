//! How many jobs of a run are in which state.
//!
//! *Invariants*: every state has its count, so that a total leaves none out.
//!
//! *Not here*: the states (`run`).

use serde::{Deserialize, Serialize};

use super::JobState;

/// Jobs of a run, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobCounts {
    /// Wait for a worker.
    pub waiting: u64,
    /// Leased.
    pub running: u64,
    /// Published.
    pub done: u64,
    /// Failed as often as allowed.
    pub quarantined: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Paused.
    #[serde(default)]
    pub paused: u64,
    /// No better than their parents.
    #[serde(default)]
    pub dropped: u64,
}

impl JobCounts {
    /// Counts one more job in that state.
    pub fn add(&mut self, state: JobState) {
        *match state {
            JobState::Waiting => &mut self.waiting,
            JobState::Running => &mut self.running,
            JobState::Done => &mut self.done,
            JobState::Quarantined => &mut self.quarantined,
            JobState::Cancelled => &mut self.cancelled,
            JobState::Paused => &mut self.paused,
            JobState::Dropped => &mut self.dropped,
        } += 1;
    }

    /// Adds another node's counts.
    pub fn merge(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.running += other.running;
        self.done += other.done;
        self.quarantined += other.quarantined;
        self.cancelled += other.cancelled;
        self.paused += other.paused;
        self.dropped += other.dropped;
    }

    /// Returns all jobs.
    pub fn total(&self) -> u64 {
        self.unfinished() + self.paused + self.ended()
    }

    /// Returns the jobs that nobody will do any more unless a user has them tried again.
    pub fn ended(&self) -> u64 {
        self.done + self.quarantined + self.cancelled + self.dropped
    }

    /// Returns the jobs that wait or run.
    pub fn unfinished(&self) -> u64 {
        self.waiting + self.running
    }
}
