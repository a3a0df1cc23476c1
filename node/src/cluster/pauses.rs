//! Nodes that did not answer a question, and when each is asked again.
//!
//! *Invariants*: a node that never answers is asked ever less often, `LONGEST` apart at last: each
//! question without an answer makes it look as if it were gone.
//!
//! *Not here*: asking (`rivals`, `ceded`).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::NodeId;

/// Longest pause between two questions to a node.
const LONGEST: Duration = Duration::from_mins(5);

/// Of each node that did not answer its last pause, and when that ends.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    of: BTreeMap<NodeId, (Duration, Instant)>,
}

impl Pauses {
    /// Tells whether a node may be asked.
    pub(super) fn are_over(&self, node: &NodeId, now: Instant) -> bool {
        self.of.get(node).is_none_or(|(_, until)| *until <= now)
    }

    /// Notes that a node did not answer: twice the pause before, and at least the first one.
    pub(super) fn begin(&mut self, node: &NodeId, first: Duration, now: Instant) {
        let before = self
            .of
            .get(node)
            .map_or(Duration::ZERO, |(pause, _)| *pause);
        let pause = before.saturating_mul(2).clamp(first.min(LONGEST), LONGEST);
        self.of.insert(node.clone(), (pause, now + pause));
    }

    /// Notes that a node answered, or is another by now.
    pub(super) fn end(&mut self, node: &NodeId) {
        self.of.remove(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_answers_is_asked_ever_less_often_until_it_does() {
        let node = NodeId::parse("n").unwrap();
        let (mut pauses, mut now) = (Pauses::default(), Instant::now());
        let first = Duration::from_secs(2);
        let mut took = Vec::new();
        for _ in 0..10 {
            assert!(pauses.are_over(&node, now));
            pauses.begin(&node, first, now);
            let began = now;
            while !pauses.are_over(&node, now) {
                now += Duration::from_secs(1);
            }
            took.push((now - began).as_secs());
        }
        assert_eq!(took, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        pauses.begin(&node, first, now);
        pauses.end(&node);
        assert!(pauses.are_over(&node, now));
    }
}
