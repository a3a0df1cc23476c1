//! In which slots of runs nothing was left to be taken over, and for how long that is believed.
//!
//! *Invariants*: what others plan is asked again as soon as one says that nobody has a job of a
//! cell, and after a while, for its word may be lost.
//!
//! *Not here*: taking cells over (`tend`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::slots::SlotSet;

/// For how long it is believed that others see to what this node has not planned.
const BELIEVED: Duration = Duration::from_mins(5);

/// Of each run the slots in which nothing was left to be taken over, and since when.
#[derive(Debug, Default)]
pub(super) struct Settled {
    of: BTreeMap<String, (SlotSet, Instant)>,
}

impl Settled {
    /// Forgets all: the nodes, or what they hold, have changed.
    pub(super) fn clear(&mut self) {
        self.of.clear();
    }

    /// Forgets what was found of these runs: somebody knows better.
    pub(super) fn forget(&mut self, runs: &BTreeSet<String>) {
        self.of.retain(|run, _| !runs.contains(run));
    }

    /// Notes that nothing is left in these slots.
    pub(super) fn note(&mut self, run: String, slots: SlotSet, now: Instant) {
        self.of.insert(run, (slots, now));
    }

    /// Tells whether nothing was left in these slots lately.
    pub(super) fn holds(&self, run: &str, slots: &SlotSet, now: Instant) -> bool {
        self.of.get(run).is_some_and(|(settled, since)| {
            settled == slots && now.saturating_duration_since(*since) < BELIEVED
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_plan_is_asked_again_after_a_while_and_at_once_where_slots_differ() {
        let (mut settled, now) = (Settled::default(), Instant::now());
        settled.note("r".to_owned(), SlotSet::all(), now);
        let late = now + BELIEVED;
        assert!(settled.holds("r", &SlotSet::all(), now));
        assert!(
            !settled.holds("r", &SlotSet::all(), late),
            "one may be lost"
        );
        assert!(!settled.holds("r", &SlotSet::none(), now));
        assert!(!settled.holds("other", &SlotSet::all(), now));
        settled.note("other".to_owned(), SlotSet::all(), now);
        settled.forget(&BTreeSet::from(["r".to_owned()]));
        assert!(!settled.holds("r", &SlotSet::all(), now), "it is unplanned");
        assert!(settled.holds("other", &SlotSet::all(), now));
        settled.clear();
        assert!(!settled.holds("other", &SlotSet::all(), now));
    }
}
