//! Who works on this node: workers that it starts itself, and those that come and ask.
//!
//! *Invariants*: a worker counts as idle for a run if it would take a job of it: it is kept and not
//! yet started, or it was told to wait a moment ago, of any run or of this one. Workers that do not
//! start count as none.
//!
//! *Not here*: starting them (`workers`), what they are lent (`book`).

use std::collections::BTreeMap;

use crate::config::Device;

/// For how long a worker counts as idle that was told to wait: it asks again sooner.
const IDLE_MS: u64 = 2_000;
/// For how long a worker counts as present that asked for a job: some take as long to begin anew.
const PRESENT_MS: u64 = 60_000;

/// The workers of a node.
#[derive(Debug, Default)]
pub(super) struct Hands {
    /// Workers that this node keeps.
    pub(super) kept: u16,
    /// Where they compute, if the node tells them.
    pub(super) device: Option<Device>,
    /// The last worker that was started ended before it asked.
    pub(super) failing: bool,
    /// Those that it has started, and whether they have asked for a job.
    started: BTreeMap<String, bool>,
    /// What each asked for last.
    asked: BTreeMap<String, Asked>,
    /// Since when jobs have been ready and none under way.
    ready_ms: Option<u64>,
}

/// What a worker asked for last.
#[derive(Debug)]
struct Asked {
    /// In milliseconds of the node's clock.
    at_ms: u64,
    /// It was told to wait.
    waits: bool,
    /// Of which run, if not of any.
    run: Option<String>,
}

impl Hands {
    /// Notes that a worker is started under this name.
    pub(super) fn start(&mut self, worker: &str) {
        self.started.insert(worker.to_owned(), false);
    }

    /// Notes that a worker has ended; tells whether it had asked for a job.
    pub(super) fn end(&mut self, worker: &str) -> bool {
        self.asked.remove(worker);
        self.started.remove(worker).unwrap_or(false)
    }

    /// Notes that a worker asks for a job.
    pub(super) fn asks(&mut self, worker: &str, run: Option<&str>, now_ms: u64) {
        if let Some(asked) = self.started.get_mut(worker) {
            *asked = true;
            self.failing = false;
        }
        let lately = |asked: &Asked| now_ms.saturating_sub(asked.at_ms) <= PRESENT_MS;
        self.asked.retain(|_, asked| lately(asked));
        let asked = Asked {
            at_ms: now_ms,
            waits: false,
            run: run.map(str::to_owned),
        };
        self.asked.insert(worker.to_owned(), asked);
    }

    /// Notes that it was told to wait.
    pub(super) fn waits(&mut self, worker: &str) {
        if let Some(asked) = self.asked.get_mut(worker) {
            asked.waits = true;
        }
    }

    /// Tells whether somebody works here, or will soon, given whether jobs are ready and none is
    /// under way: who lets them lie does something else.
    pub(super) fn any(&mut self, all_wait: bool, now_ms: u64) -> bool {
        let since = self.ready_ms.filter(|_| all_wait).unwrap_or(now_ms);
        self.ready_ms = all_wait.then_some(since);
        self.present(now_ms) && now_ms.saturating_sub(since) <= PRESENT_MS
    }

    /// Tells whether anybody is there.
    pub(super) fn present(&self, now_ms: u64) -> bool {
        let lately = |asked: &Asked| now_ms.saturating_sub(asked.at_ms) <= PRESENT_MS;
        (self.kept > 0 && !self.failing) || self.asked.values().any(lately)
    }

    /// Returns how many could begin a job of a run now.
    pub(super) fn idle(&self, run: &str, now_ms: u64) -> usize {
        let would = |asked: &&Asked| {
            let is_there = asked.waits && now_ms.saturating_sub(asked.at_ms) <= IDLE_MS;
            is_there && asked.run.as_deref().is_none_or(|its| its == run)
        };
        let kept = usize::from(self.kept).saturating_sub(self.started.len());
        let kept = if self.failing { 0 } else { kept };
        kept + self.asked.values().filter(would).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_who_is_not_started_or_was_told_to_wait_a_moment_ago() {
        let mut hands = Hands::default();
        assert_eq!((hands.idle("r", 0), hands.any(false, 0)), (0, false));
        hands.kept = 2;
        assert_eq!((hands.idle("r", 0), hands.any(false, 0)), (2, true));
        hands.start("a");
        assert_eq!(hands.idle("r", 0), 1, "one starts up");
        hands.asks("a", None, 10);
        assert_eq!(hands.idle("r", 10), 1, "it has a job");
        hands.waits("a");
        let late = 10 + IDLE_MS + 1;
        assert_eq!((hands.idle("r", 10), hands.idle("r", late)), (2, 1));
        assert!(hands.end("a") && !hands.end("b"));
        assert_eq!(hands.idle("r", 10), 2);
    }

    #[test]
    fn who_does_not_start_or_lets_jobs_lie_is_nobody() {
        let mut hands = Hands {
            kept: 1,
            ..Hands::default()
        };
        assert!(hands.any(true, 5) && hands.any(true, 5 + PRESENT_MS));
        assert!(
            !hands.any(true, 6 + PRESENT_MS),
            "something else is done here"
        );
        let later = 7 + PRESENT_MS;
        assert!(hands.any(false, later) && hands.any(true, later));
        hands.failing = true;
        assert_eq!((hands.idle("r", 9), hands.any(false, 9)), (0, false));
        hands.start("w");
        hands.asks("w", None, 9);
        assert!(hands.any(false, 9), "it starts after all");
    }

    #[test]
    fn who_comes_from_outside_counts_while_it_asks() {
        let mut hands = Hands::default();
        hands.asks("pod", Some("r"), 5);
        hands.waits("pod");
        assert_eq!((hands.idle("r", 6), hands.idle("other", 6)), (1, 0));
        assert!(hands.any(false, 6) && !hands.any(false, 6 + PRESENT_MS));
    }
}
