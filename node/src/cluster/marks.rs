//! What this node is to hand over to the owners of slots, and since when.
//!
//! *Invariants*: a slot that is marked again while it is handed over stays marked.
//!
//! *Not here*: which of it others are told (the own beat), handing over (`sync`).

use earth::split::placement::SLOTS;

use crate::slots::SlotSet;

/// Marks of slots, counted.
#[derive(Debug)]
pub(crate) struct Marks {
    count: u64,
    /// The count of each slot's latest mark, 0 if it has none; empty until there is one.
    latest: Vec<u64>,
    /// What nodes that are gone put here lately, told to nobody: what was acknowledged, all owners
    /// have, or a node that is marked for it, so no answer is worth less without this one.
    orphans: SlotSet,
}

impl Marks {
    pub(crate) fn none() -> Self {
        Self {
            count: 0,
            latest: Vec::new(),
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
        self.latest.resize(usize::from(SLOTS), 0);
        for slot in slots.iter() {
            self.latest[usize::from(slot.number())] = self.count;
        }
    }

    /// Adds slots that others need not know of.
    pub(crate) fn adopt(&mut self, slots: &SlotSet) {
        self.add(slots);
        self.orphans.union(slots);
    }

    /// Takes the mark from slots that were not marked again since that count; returns those.
    pub(crate) fn take(&mut self, slots: &SlotSet, count: u64) -> SlotSet {
        let mut old = SlotSet::none();
        for slot in slots.iter() {
            match self.latest.get_mut(usize::from(slot.number())) {
                Some(at) if *at > count => {}
                Some(at) => {
                    *at = 0;
                    old.insert(slot);
                }
                None => old.insert(slot),
            }
        }
        self.orphans.subtract(&old);
        old
    }
}

#[cfg(test)]
mod tests {
    use earth::split::placement::Slot;

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
        assert_eq!(marks.take(&slots(&[1, 2]), seen), slots(&[1]));
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
