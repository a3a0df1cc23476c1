//! Whether others refuse to speak with this node, and so took it out of the cluster while it was
//! away: they answer a former member with nothing at all.
//!
//! *Invariants*: whoever answers ends the suspicion; nodes that cannot be reached raise none.
//!
//! *Not here*: what is done about it (`cluster`).

use std::time::Duration;

use super::Table;

/// How long members must go on refusing, and nobody answer, before that is taken for a removal: a
/// newcomer is let in by all within a second or two, a node with too many questions answers some,
/// and one that stops refuses for a moment.
const REMOVED_AFTER: Duration = Duration::from_secs(5);
/// How long the last refusal may be ago.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

impl Table {
    /// Notes that a member was reached, and refused to speak with this node.
    pub fn refused(&mut self, now: Duration) {
        let first = self.refusals(now).map_or(now, |(first, _)| first);
        self.refused = Some((first, now));
    }

    /// Tells whether somebody refused just now, and nobody has answered since.
    pub fn is_refused(&self, now: Duration) -> bool {
        let recent = |(_, last)| now.saturating_sub(last) < REMOVED_AFTER;
        self.refused.is_some_and(recent)
    }

    /// Tells whether the other members have most likely removed this node.
    pub fn seems_removed(&self, now: Duration) -> bool {
        let refusals = self.refusals(now);
        refusals.is_some_and(|(first, last)| last.saturating_sub(first) >= REMOVED_AFTER)
    }

    /// Returns the first and last of those that count.
    fn refusals(&self, now: Duration) -> Option<(Duration, Duration)> {
        let recent = |(_, last): &(Duration, Duration)| now.saturating_sub(*last) < FORGOTTEN_AFTER;
        self.refused.filter(recent)
    }
}
