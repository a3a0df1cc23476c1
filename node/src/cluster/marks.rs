//! What this node is to hand over to the owners of slots, and since when.
//!
//! *Invariants*: a slot that is marked again while it is handed over stays marked.
//!
//! *Not here*: which of it others are told (the own beat), handing over (`sync`).

use std::collections::BTreeMap;

use earth::split::placement::Slot;

use crate::slots::SlotSet;

/// Marks of slots, counted.
#[derive(Debug)]
pub(crate) struct Marks {
    count: u64,
    /// The count of each slot's latest mark.
    latest: BTreeMap<Slot, u64>,
    /// What nodes that are gone put here lately, told to nobody: what was acknowledged, all owners
    /// have, or a node that is marked for it, so no answer is worth less without this one.
    orphans: SlotSet,
}

impl Marks {
    pub(crate) fn none() -> Self {
        Self {
            count: 0,
            latest: BTreeMap::new(),
            orphans: SlotSet::none(),
        }
    }

    /// Returns how many times slots were marked.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn orphans(&self) -> &SlotSet {
        &self.orphans
    }

    pub(crate) fn add(&mut self, slots: &SlotSet) {
        self.count += 1;
        let latest = slots.iter().map(|slot| (slot, self.count));
        self.latest.extend(latest);
    }

    /// Adds slots that others need not know of.
    pub(crate) fn adopt(&mut self, slots: &SlotSet) {
        self.add(slots);
        self.orphans.union(slots);
    }

    /// Takes the mark from slots that were not marked again since that count; returns those.
    pub(crate) fn take(&mut self, slots: &SlotSet, count: u64) -> Vec<Slot> {
        let old = |slot: &Slot| self.latest.get(slot).is_none_or(|at| *at <= count);
        let old: Vec<Slot> = slots.iter().filter(old).collect();
        for slot in &old {
            self.latest.remove(slot);
            self.orphans.remove(*slot);
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(numbers: &[u16]) -> SlotSet {
        numbers.iter().map(|n| Slot::new(*n).unwrap()).collect()
    }

    #[test]
    fn what_is_marked_again_meanwhile_stays_marked() {
        let mut marks = Marks::none();
        marks.adopt(&slots(&[1, 2]));
        let seen = marks.count();
        marks.adopt(&slots(&[2]));
        let taken: SlotSet = marks.take(&slots(&[1, 2]), seen).into_iter().collect();
        assert_eq!(taken, slots(&[1]));
        assert_eq!(*marks.orphans(), slots(&[2]));
    }

    #[test]
    fn only_what_gone_nodes_put_is_an_orphan() {
        let mut marks = Marks::none();
        marks.add(&slots(&[1]));
        marks.adopt(&slots(&[2]));
        assert_eq!(*marks.orphans(), slots(&[2]));
    }
}
