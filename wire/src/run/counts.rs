//! How many jobs of a run are in which state.
//!
//! *Invariants*: every state has its count, so that a total leaves none out; whatever a node says
//! it counts, sums end at the greatest number.
//!
//! *Not here*: the states (`run`).

use serde::{Deserialize, Serialize};

use super::{JobState, Wish};

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
        let count = match state {
            JobState::Waiting => &mut self.waiting,
            JobState::Running => &mut self.running,
            JobState::Done => &mut self.done,
            JobState::Quarantined => &mut self.quarantined,
            JobState::Cancelled => &mut self.cancelled,
            JobState::Paused => &mut self.paused,
            JobState::Dropped => &mut self.dropped,
        };
        *count = count.saturating_add(1);
    }

    /// Adds another node's counts, which are what it says: more than can be counted stay the most.
    pub fn merge(&mut self, other: &Self) {
        let each = [
            (&mut self.waiting, other.waiting),
            (&mut self.running, other.running),
            (&mut self.done, other.done),
            (&mut self.quarantined, other.quarantined),
            (&mut self.cancelled, other.cancelled),
            (&mut self.paused, other.paused),
            (&mut self.dropped, other.dropped),
        ];
        for (count, more) in each {
            *count = count.saturating_add(more);
        }
    }

    /// Returns the jobs whose state a wish would change.
    pub fn changed_by(&self, wish: Wish) -> u64 {
        let each = [
            (JobState::Waiting, self.waiting),
            (JobState::Running, self.running),
            (JobState::Done, self.done),
            (JobState::Quarantined, self.quarantined),
            (JobState::Cancelled, self.cancelled),
            (JobState::Paused, self.paused),
            (JobState::Dropped, self.dropped),
        ];
        let changed = each.iter().filter(|(state, _)| state.after(wish).is_some());
        changed.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Returns all jobs.
    pub fn total(&self) -> u64 {
        sum(&[self.unfinished(), self.paused, self.ended()])
    }

    /// Returns the jobs that nobody will do any more unless a user has them tried again.
    pub fn ended(&self) -> u64 {
        sum(&[self.done, self.quarantined, self.cancelled, self.dropped])
    }

    /// Returns the jobs that wait or run.
    pub fn unfinished(&self) -> u64 {
        sum(&[self.waiting, self.running])
    }
}

fn sum(counts: &[u64]) -> u64 {
    counts
        .iter()
        .fold(0, |sum, count| sum.saturating_add(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(count: u64) -> JobCounts {
        JobCounts {
            waiting: count,
            running: count,
            done: count,
            quarantined: count,
            cancelled: count,
            paused: count,
            dropped: count,
        }
    }

    #[test]
    fn a_wish_changes_the_jobs_that_are_not_as_it_wants_them() {
        let counts = JobCounts {
            waiting: 1,
            running: 10,
            paused: 100,
            cancelled: 1_000,
            quarantined: 10_000,
            ..each(100_000)
        };
        assert_eq!(counts.changed_by(Wish::Pause), 11);
        assert_eq!(counts.changed_by(Wish::Cancel), 111);
        assert_eq!(counts.changed_by(Wish::Go), 11_100);
    }

    /// One node that answered nonsense ended whoever asked.
    #[test]
    fn counts_that_are_too_great_stay_the_greatest() {
        let mut counts = each(1);
        counts.merge(&each(2));
        assert_eq!(counts, each(3));
        counts.merge(&each(u64::MAX));
        assert_eq!(counts, each(u64::MAX));
        counts.add(JobState::Done);
        counts.merge(&each(1));
        assert_eq!(counts, each(u64::MAX));
        let sums = [counts.total(), counts.ended(), counts.unfinished()];
        assert_eq!(sums, [u64::MAX; 3]);
    }
}
