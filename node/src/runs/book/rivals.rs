//! Two nodes' jobs of one cell: which of them stays.
//!
//! *Invariants*: pure; of two jobs exactly one stays, whichever of both nodes reckons.
//!
//! *Not here*: finding out who else has a job (`cluster::rivals`), taking one out (`withdraw`).

use wire::run::JobState;

/// What is compared of a job: its state, whether it was lent to get there, and its node.
pub type Standing<'a> = (JobState, bool, &'a str);

/// Returns how far a job got, the farthest first: 0..=7. What was found done comes behind what was
/// lent and done, which tells more of how.
pub fn rank(state: JobState, was_lent: bool) -> u8 {
    match (state, was_lent) {
        (JobState::Done, true) => 0,
        (JobState::Done, false) => 1,
        (JobState::Dropped, _) => 2,
        (JobState::Running, _) => 3,
        (JobState::Waiting, _) => 4,
        (JobState::Paused, _) => 5,
        (JobState::Quarantined, _) => 6,
        (JobState::Cancelled, _) => 7,
    }
}

/// Tells whether the first of two nodes' jobs of one cell stays; the other one goes then.
pub fn stays(one: Standing<'_>, other: Standing<'_>) -> bool {
    let place = |(state, was_lent, node)| (rank(state, was_lent), node);
    place(one) < place(other)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// All of them, the farthest first.
    pub(crate) const STATES: [JobState; 7] = [
        JobState::Done,
        JobState::Dropped,
        JobState::Running,
        JobState::Waiting,
        JobState::Paused,
        JobState::Quarantined,
        JobState::Cancelled,
    ];

    #[test]
    fn of_every_two_jobs_exactly_one_stays_whoever_reckons() {
        let lent = [true, false];
        let all = STATES
            .iter()
            .flat_map(|s| lent.map(|was_lent| (*s, was_lent)));
        let all: Vec<(JobState, bool)> = all.collect();
        for (a, a_lent) in &all {
            for (b, b_lent) in &all {
                let (one, other) = ((*a, *a_lent, "a"), (*b, *b_lent, "b"));
                assert_ne!(stays(one, other), stays(other, one), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_got_farther_stays_and_of_equals_that_of_the_first_node() {
        for pair in STATES.windows(2) {
            assert!(
                stays((pair[0], true, "b"), (pair[1], true, "a")),
                "{pair:?}"
            );
        }
        let (lent, found) = ((JobState::Done, true, "b"), (JobState::Done, false, "a"));
        assert!(stays(lent, found), "it tells how it was done");
        let waits = |node| (JobState::Waiting, false, node);
        assert!(stays(waits("a"), waits("b")));
    }
}
