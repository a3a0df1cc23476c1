//! Whether a node can be removed without giving anything up, and whether all know what that means.
//!
//! Slots are pulled as a query is answered (`sync`), so what no query could answer for would be
//! waited for without an end.
//!
//! *Invariants*: asks nobody: what was seen when the change was planned counts; pure.
//!
//! *Not here*: planning the change (`steer`), what is given up (`scatter::coverage`).

use std::collections::BTreeSet;
use std::sync::Arc;

use wire::cluster::NodeState;
use wire::fault::{Fault, FaultKind};

use crate::cluster::core::View;
use crate::identity::NodeId;
use crate::layout::Layout;
use crate::peer::{FORSAKES, Speaks};
use crate::scatter::coverage::{Coverage, Holders};
use crate::slots::SlotSet;

/// What those that answer see together.
pub(super) struct Sight {
    holders: Holders,
    /// All live layouts.
    layouts: Vec<Arc<Layout>>,
    /// Those that answer and do not know that a node can be forsaken, with what they speak.
    behind: Vec<(NodeId, Speaks)>,
}

impl Sight {
    /// Returns what is seen by nodes that answer.
    pub(super) fn of(view: &View, live: &BTreeSet<NodeId>) -> Self {
        let mut holders = Holders::of(view);
        for (node, state) in &mut holders.states {
            if !live.contains(node) {
                *state = NodeState::Down;
            }
        }
        if !view.hears_majority(live) {
            holders.unheard = view.unheard(live);
        }
        let beats = view.table.beats().filter(|beat| live.contains(&beat.node));
        let behind = beats.filter(|beat| !beat.versions.messages.reaches(FORSAKES));
        Self {
            holders,
            layouts: view.ring.writes().to_vec(),
            behind: behind
                .map(|beat| (beat.node.clone(), beat.versions.messages))
                .collect(),
        }
    }

    /// Returns a node of that id that is leaving: a member of an older live layout alone.
    pub(super) fn leaver(&self, text: &str) -> Option<NodeId> {
        let node = NodeId::parse(text).ok()?;
        let (newest, older) = self.layouts.split_last()?;
        let leaves = !newest.contains(&node) && older.iter().any(|l| l.contains(&node));
        leaves.then_some(node)
    }

    /// Refuses to remove a node if what it held, alone or with others, could not be told by those
    /// that answer: whoever is to own its slots would wait for it without an end.
    pub(super) fn keeps_all(&self, node: &NodeId, after: &Layout, lost: u64) -> Result<(), Fault> {
        let mut open = self.open(after, BTreeSet::new());
        let again = "or, if its disk is gone, the same command with --forsake";
        if self.holders.unheard.is_empty() {
            // What waits for others than those that leave ends when they are back.
            open.subtract(&self.open(after, self.gone(after)));
            let open = open.len().max(lost);
            if open == 0 {
                return Ok(());
            }
            let what = format!("removing {node} would lose what lies in {open} slots");
            return Err(Fault::new(FaultKind::Refused, what)
                .because("nobody who holds all of it can be reached, so nobody can take it over")
                .try_(format!("start the node again; {again}")));
        }
        if open.is_empty() {
            return Ok(());
        }
        let open = open.len();
        let silent: Vec<&str> = self.holders.unheard.iter().map(NodeId::as_str).collect();
        let all = self.holders.layout.members().len();
        let what = format!(
            "removing {node} could not end: too few of {all} nodes answer to know what lies in \
             {open} slots"
        );
        Err(Fault::new(FaultKind::Refused, what)
            .because("what the others acknowledged together, nobody here can know")
            .because(format!("nothing is heard from {}", silent.join(", ")))
            .try_(format!("start one of them again; {again} for each of them")))
    }

    /// Refuses what members that answer could not read.
    pub(super) fn all_know(&self) -> Result<(), Fault> {
        let Some((node, speaks)) = self.behind.first() else {
            return Ok(());
        };
        let what = format!("node {node} does not know that a node can be forsaken");
        Err(Fault::new(FaultKind::Refused, what)
            .because(format!(
                "it exchanges messages of {speaks}; this came with version {FORSAKES}"
            ))
            .try_("the latest glebe on all nodes; glebe node list tells what each speaks"))
    }

    /// Returns the nodes that leave, or have begun to, and do not answer.
    fn gone(&self, after: &Layout) -> BTreeSet<NodeId> {
        let states = self.holders.states.iter();
        let gone =
            states.filter(|(node, state)| **state == NodeState::Down && !after.contains(node));
        gone.map(|(node, _)| node.clone()).collect()
    }

    /// Returns the slots that somebody would pull for a layout, and could not, also if these nodes
    /// were forsaken.
    fn open(&self, after: &Layout, gone: BTreeSet<NodeId>) -> SlotSet {
        let read = &self.holders.layout;
        let mut pulled = SlotSet::none();
        for member in after.members() {
            let mut gained = after.slots_of(&member.node);
            gained.subtract(&read.slots_of(&member.node));
            pulled.union(&gained);
        }
        for layout in &self.layouts {
            let members = layout.members().iter().map(|member| &member.node);
            for node in members.filter(|node| !after.contains(node)) {
                pulled.union(&layout.slots_of(node));
                if let Some(marked) = self.holders.unconfirmed.get(node) {
                    pulled.union(marked);
                }
            }
        }
        let mut holders = self.holders.clone();
        holders.forsaken.extend(gone);
        let mut coverage = Coverage::new(holders, pulled);
        // Who may answer does.
        coverage.assign();
        coverage.missing()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::layout::{ChangeSet, Member, Place, What};
    use crate::membership::Table;
    use crate::membership::tests::beat;
    use crate::peer::Versions;
    use crate::ring::Ring;

    fn node(i: usize) -> NodeId {
        NodeId::parse(&format!("n{i}")).unwrap()
    }

    /// What node 0 knows of so many nodes.
    fn view(nodes: usize, replicas: u8) -> View {
        let first = Member {
            node: node(0),
            place: Place::default(),
            draining: false,
        };
        let join = |set: ChangeSet, i| set.with(node(i), What::Join(Place::default())).unwrap();
        let changes = (1..nodes).fold(ChangeSet::found(replicas, &first).unwrap(), join);
        let mut table = Table::new(beat("n0", 1, 1));
        for i in 1..nodes {
            table.recall(beat(node(i).as_str(), 1, 1), Duration::ZERO);
        }
        View::new(Ring::new(changes), table)
    }

    fn live(nodes: usize) -> BTreeSet<NodeId> {
        (0..nodes).map(node).collect()
    }

    /// Removes a node without more words; returns why not.
    fn remove(view: &View, answering: usize, gone: usize) -> Option<String> {
        let after = view.ring.changes().with(node(gone), What::Leave).unwrap();
        let sight = Sight::of(view, &live(answering));
        let kept = sight.keeps_all(&node(gone), &after.layout(), 0);
        kept.err().map(|fault| fault.what)
    }

    #[test]
    fn a_removal_is_refused_that_waits_for_what_who_leaves_may_hold_and_no_other() {
        let check = |(nodes, replicas, answering), words: Option<&str>| {
            let refused = remove(&view(nodes, replicas), answering, nodes - 1);
            let is_said = match (&refused, words) {
                (Some(refused), Some(words)) => refused.contains(words),
                (refused, words) => refused.is_none() && words.is_none(),
            };
            assert!(is_said, "{nodes}, {replicas}, {answering}: {refused:?}");
        };
        check((3, 3, 1), Some("too few of 3 nodes"));
        check((2, 1, 1), Some("too few of 2 nodes"));
        check((3, 1, 2), Some("would lose"));
        check((2, 2, 1), None);
        check((3, 3, 2), None);
        check((5, 3, 3), None);
    }

    /// The first waits for the second, which may come back; the second for the first, which left.
    #[test]
    fn of_two_that_are_lost_with_all_replicas_of_something_the_second_is_refused() {
        let mut both = view(5, 2);
        assert_eq!(remove(&both, 3, 4), None);
        let left = both.ring.changes().with(node(4), What::Leave).unwrap();
        both.merge(&left);
        let refused = remove(&both, 3, 3).unwrap();
        assert!(refused.contains("would lose"), "{refused}");
    }

    #[test]
    fn who_has_left_and_is_waited_for_may_still_be_forsaken() {
        let mut view = view(3, 2);
        let left = view.ring.changes().with(node(2), What::Leave).unwrap();
        view.merge(&left);
        let sight = Sight::of(&view, &live(2));
        assert_eq!(sight.leaver("n2"), Some(node(2)));
        assert_eq!((sight.leaver("n1"), sight.leaver("n7")), (None, None));
    }

    #[test]
    fn who_answers_and_could_not_read_the_change_is_named_and_who_is_silent_is_not() {
        let mut view = view(3, 1);
        let mut old = beat("n1", 2, 1);
        old.versions = postcard::from_bytes(&[1, 2, 1, 1]).unwrap();
        assert_ne!(old.versions, Versions::OURS);
        assert!(view.table.hear(old, Duration::ZERO));
        assert_eq!(Sight::of(&view, &live(1)).all_know(), Ok(()));
        let fault = Sight::of(&view, &live(2)).all_know().unwrap_err();
        assert!(fault.what.contains("n1"), "{fault:?}");
        assert!(fault.because[0].contains("versions 1 to 2"), "{fault:?}");
    }
}
