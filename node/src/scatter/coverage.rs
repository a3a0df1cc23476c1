//! Which nodes to ask for which slots, and what their answers are worth together.
//!
//! A slot is asked of one owner and of every node that may hold what owners lack (`unconfirmed`).
//! It is answered for if one owner and all those nodes answered; or if fewer than W of its holders
//! did not: then no W of them can hold something that nobody told.
//!
//! *Invariants*: nobody else is asked; a node that failed is not asked again; pure.
//!
//! *Not here*: asking (`scatter`), what makes a slot unconfirmed (`replicate`, `sync`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use earth::split::placement::Slot;
use wire::cluster::NodeState;

use crate::cluster::core::View;
use crate::identity::NodeId;
use crate::layout::Layout;
use crate::slots::SlotSet;

/// What is asked of whom.
pub(crate) type Assignment = BTreeMap<NodeId, SlotSet>;

/// Who may be asked.
#[derive(Debug, Clone)]
pub(crate) struct Holders {
    pub me: NodeId,
    pub layout: Arc<Layout>,
    pub states: BTreeMap<NodeId, NodeState>,
    pub unconfirmed: BTreeMap<NodeId, SlotSet>,
}

impl Holders {
    /// Returns who may be asked, as a node sees it now.
    pub(crate) fn of(view: &View) -> Self {
        let state = |node: NodeId| {
            let state = view.table.state(&node);
            (node, state)
        };
        let me = view.table.me().node.clone();
        let everybody = view.others().into_iter().chain([me.clone()]);
        Self {
            states: everybody.map(state).collect(),
            me,
            layout: Arc::clone(view.ring.read()),
            unconfirmed: view.unconfirmed(),
        }
    }
}

/// The state of one question.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    holders: Holders,
    slots: SlotSet,
    asked: Assignment,
    failed: BTreeSet<NodeId>,
}

impl Coverage {
    /// Plans a question about some slots; nobody has been asked yet.
    pub(crate) fn new(holders: Holders, slots: SlotSet) -> Self {
        Self {
            holders,
            slots,
            asked: Assignment::new(),
            failed: BTreeSet::new(),
        }
    }

    /// Leaves a node out from the start.
    pub(crate) fn without(mut self, node: &NodeId) -> Self {
        self.failed.insert(node.clone());
        self
    }

    /// Returns the layout that the question is put under.
    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.holders.layout
    }

    /// Returns what is to be asked of whom beyond what has been.
    pub(crate) fn assign(&mut self) -> Assignment {
        let mut more = Assignment::new();
        for slot in self.slots.iter().collect::<Vec<_>>() {
            for node in self.wanted(slot) {
                let asked = self.asked.entry(node.clone()).or_insert_with(SlotSet::none);
                if !asked.contains(slot) {
                    asked.insert(slot);
                    more.entry(node).or_insert_with(SlotSet::none).insert(slot);
                }
            }
        }
        more
    }

    /// Notes that a node did not answer; `assign` then says who can instead.
    pub(crate) fn fail(&mut self, node: &NodeId) {
        self.failed.insert(node.clone());
    }

    /// Returns the slots that are not answered for.
    pub(crate) fn missing(&self) -> SlotSet {
        self.slots
            .iter()
            .filter(|s| !self.is_answered(*s))
            .collect()
    }

    /// Returns the nodes to ask for a slot.
    fn wanted(&self, slot: Slot) -> Vec<NodeId> {
        let mut wanted: Vec<NodeId> = Vec::new();
        let mut all_owners = false;
        for (node, _) in self.extra(slot) {
            if self.can_answer(node) {
                wanted.push(node.clone());
            } else {
                all_owners = true;
            }
        }
        let able = || self.owners(slot).filter(|o| self.can_answer(o));
        if all_owners {
            wanted.extend(able().cloned());
        } else if !able().any(|o| self.was_asked(o, slot) || wanted.contains(o)) {
            wanted.extend(able().min_by_key(|o| self.cost(o)).cloned());
        }
        wanted
    }

    /// Orders owners: this node itself, then who is up, then who is asked for least.
    fn cost(&self, node: &NodeId) -> (bool, bool, u64) {
        let suspect = self.holders.states.get(node) != Some(&NodeState::Up);
        let load = self.asked.get(node).map_or(0, SlotSet::len);
        (*node != self.holders.me, suspect, load)
    }

    fn is_answered(&self, slot: Slot) -> bool {
        let answered = |n: &NodeId| self.was_asked(n, slot) && !self.failed.contains(n);
        if self.owners(slot).any(answered) && self.extra(slot).all(|(n, _)| answered(n)) {
            return true;
        }
        let owners: BTreeSet<&NodeId> = self.owners(slot).collect();
        let extra = self.extra(slot).map(|(node, _)| node);
        let holders: BTreeSet<&NodeId> = owners.into_iter().chain(extra).collect();
        let silent = holders.iter().filter(|n| !answered(n)).count();
        let members = self.holders.layout.members().len();
        silent < self.holders.layout.write_quorum().min(members)
    }

    fn owners(&self, slot: Slot) -> impl Iterator<Item = &NodeId> {
        self.holders.layout.owners(slot)
    }

    fn extra(&self, slot: Slot) -> impl Iterator<Item = (&NodeId, &SlotSet)> {
        let holding = self.holders.unconfirmed.iter();
        holding.filter(move |(_, slots)| slots.contains(slot))
    }

    fn was_asked(&self, node: &NodeId, slot: Slot) -> bool {
        self.asked
            .get(node)
            .is_some_and(|slots| slots.contains(slot))
    }

    fn can_answer(&self, node: &NodeId) -> bool {
        let state = self.holders.states.get(node);
        !self.failed.contains(node) && state.is_some_and(|s| *s != NodeState::Down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{ChangeSet, Member, What};

    fn node(i: usize) -> NodeId {
        NodeId::parse(&format!("n{i}")).unwrap()
    }

    fn holders(nodes: usize, replicas: u8) -> Holders {
        let first = Member {
            node: node(0),
            host: None,
            weight: 1,
        };
        let join = |set: ChangeSet, i| {
            let what = What::Join {
                host: None,
                weight: 1,
            };
            set.with(node(i), what).unwrap()
        };
        let changes = (1..nodes).fold(ChangeSet::found(replicas, &first).unwrap(), join);
        Holders {
            me: node(0),
            layout: Arc::new(changes.layout()),
            states: (0..nodes).map(|i| (node(i), NodeState::Up)).collect(),
            unconfirmed: BTreeMap::new(),
        }
    }

    fn one_slot() -> (Slot, SlotSet) {
        let slot = Slot::new(77).unwrap();
        (slot, std::iter::once(slot).collect())
    }

    /// Asks until nobody is left to ask; nodes in `dead` fail.
    fn ask(coverage: &mut Coverage, dead: &[NodeId]) -> BTreeSet<NodeId> {
        let mut asked = BTreeSet::new();
        loop {
            let more = coverage.assign();
            if more.is_empty() {
                return asked;
            }
            for node in more.into_keys() {
                if dead.contains(&node) {
                    coverage.fail(&node);
                }
                asked.insert(node);
            }
        }
    }

    #[test]
    fn one_slot_is_asked_of_one_owner() {
        let holders = holders(5, 2);
        let (slot, slots) = one_slot();
        let mut coverage = Coverage::new(holders.clone(), slots);
        let asked = ask(&mut coverage, &[]);
        assert_eq!(asked.len(), 1);
        assert!(asked.iter().all(|n| holders.layout.owns(n, slot)));
        assert!(coverage.missing().is_empty());
    }

    #[test]
    fn all_slots_are_shared_among_the_owners() {
        let mut coverage = Coverage::new(holders(4, 2), SlotSet::all());
        let shares = coverage.assign();
        let total: u64 = shares.values().map(SlotSet::len).sum();
        assert_eq!((shares.len(), total), (4, 16_384));
        assert!(shares.values().all(|s| s.len() > 1_000), "{shares:?}");
        assert!(coverage.assign().is_empty());
    }

    #[test]
    fn another_owner_answers_for_one_that_fails_and_no_slot_is_missing() {
        let mut coverage = Coverage::new(holders(3, 2), SlotSet::all());
        ask(&mut coverage, &[node(1)]);
        assert!(coverage.missing().is_empty());
    }

    #[test]
    fn slots_whose_owners_all_fail_are_missing_and_no_others() {
        let holders = holders(3, 2);
        let dead = [node(1), node(2)];
        let mut coverage = Coverage::new(holders.clone(), SlotSet::all());
        ask(&mut coverage, &dead);
        let lost = |s: &Slot| holders.layout.owners(*s).all(|o| dead.contains(o));
        assert_eq!(coverage.missing(), Slot::all().filter(lost).collect());
        assert!(!coverage.missing().is_empty());
    }

    #[test]
    fn who_holds_what_owners_may_lack_is_asked_too() {
        let mut holders = holders(4, 2);
        let (slot, slots) = one_slot();
        let standin = holders.layout.standins(slot).next().unwrap().clone();
        holders.unconfirmed.insert(standin.clone(), slots.clone());
        let mut coverage = Coverage::new(holders, slots);
        let asked = ask(&mut coverage, &[]);
        assert!(asked.contains(&standin) && asked.len() == 2);
        assert!(coverage.missing().is_empty());
    }

    #[test]
    fn a_lost_standin_makes_all_owners_asked() {
        let mut holders = holders(5, 3);
        let (slot, slots) = one_slot();
        let standin = holders.layout.standins(slot).next().unwrap().clone();
        holders.unconfirmed.insert(standin.clone(), slots.clone());
        holders.states.insert(standin.clone(), NodeState::Down);
        let mut coverage = Coverage::new(holders.clone(), slots.clone());
        let asked = ask(&mut coverage, &[]);
        let owners: BTreeSet<NodeId> = holders.layout.owners(slot).cloned().collect();
        assert_eq!(asked, owners);
        assert!(
            coverage.missing().is_empty(),
            "one silent holder is fewer than W"
        );
        let owner = owners.first().unwrap().clone();
        let mut coverage = Coverage::new(holders, slots);
        ask(&mut coverage, &[owner]);
        assert!(
            !coverage.missing().is_empty(),
            "two silent ones may share a secret"
        );
    }

    #[test]
    fn without_replicas_every_loss_shows() {
        let mut one = holders(3, 1);
        one.states.insert(node(2), NodeState::Down);
        let mut coverage = Coverage::new(one.clone(), SlotSet::all());
        ask(&mut coverage, &[]);
        let lost = |s: &Slot| one.layout.primary(*s) == &node(2);
        assert_eq!(coverage.missing(), Slot::all().filter(lost).collect());
    }
}
