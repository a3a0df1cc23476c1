//! Whether others refuse to speak with this node, and so took it out of the cluster while it was
//! away: they answer a former member with nothing at all.
//!
//! *Invariants*: whoever answers ends the suspicion; nodes that cannot be reached raise none.
//!
//! *Not here*: what is done about it (`cluster`).

use std::time::Duration;

use super::Table;

/// How long nobody has answered and somebody refused before that is taken for a removal: a newcomer
/// is let in by all within a second or two, and a node with too many questions answers some.
const REMOVED_AFTER: Duration = Duration::from_secs(5);

impl Table {
    /// Notes that a member was reached, and refused to speak with this node.
    pub fn refused(&mut self, now: Duration) {
        self.refused_since.get_or_insert(now);
    }

    /// Tells whether somebody refused, and nobody has answered since.
    pub fn is_refused(&self) -> bool {
        self.refused_since.is_some()
    }

    /// Tells whether the other members have most likely removed this node.
    pub fn seems_removed(&self, now: Duration) -> bool {
        let long = |since: Duration| now.saturating_sub(since) >= REMOVED_AFTER;
        self.refused_since.is_some_and(long)
    }
}
