//! What lies in each slot, how evenly a layout spreads it, and what a change of layout moves.
//!
//! *Invariants*: a replica counts at every owner; evenness is measured against the share that each
//! node's weight asks for.
//!
//! *Not here*: how loads are measured (`cluster`), how they are evened out (`rebalance`).

use std::collections::BTreeMap;

use earth::split::placement::{SLOTS, Slot};

use super::{Layout, apart};
use crate::identity::NodeId;

/// What lies in one slot: one replica of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Splits.
    pub splits: u64,
    /// Bytes of all objects.
    pub bytes: u64,
}

/// What lies in every slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loads {
    slots: Vec<Load>,
}

/// How evenly a layout spreads a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balance {
    /// Coefficient of variation of load over the share asked for; 0 is even.
    pub cv: f64,
    /// Greatest load over the share asked for; 1 is even.
    pub max: f64,
}

/// What one node has to bring to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// Slots.
    pub slots: u64,
    /// What lies in them.
    pub load: Load,
}

impl Loads {
    /// Returns the loads of empty slots.
    pub fn none() -> Self {
        Self {
            slots: vec![Load::default(); usize::from(SLOTS)],
        }
    }

    /// Adds to a slot.
    pub fn add(&mut self, slot: Slot, load: Load) {
        let at = &mut self.slots[usize::from(slot.number())];
        at.splits = at.splits.saturating_add(load.splits);
        at.bytes = at.bytes.saturating_add(load.bytes);
    }

    /// Takes in what one replica of a slot holds: the fullest replica counts.
    pub fn at_least(&mut self, slot: Slot, load: Load) {
        let at = &mut self.slots[usize::from(slot.number())];
        at.splits = at.splits.max(load.splits);
        at.bytes = at.bytes.max(load.bytes);
    }

    /// Returns what lies in a slot.
    pub fn of(&self, slot: Slot) -> Load {
        self.slots[usize::from(slot.number())]
    }

    /// Returns the slots in which anything lies.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, Load)> + '_ {
        let all = Slot::all().map(|slot| (slot, self.of(slot)));
        all.filter(|(_, load)| *load != Load::default())
    }

    /// Returns the bytes that each member holds under a layout, in the members' order.
    pub fn by_member(&self, layout: &Layout) -> Vec<u64> {
        let mut held = vec![0_u64; layout.members().len()];
        for (slot, load) in self.iter() {
            for owner in layout.owner_indexes(slot) {
                held[usize::from(*owner)] += load.bytes;
            }
        }
        held
    }

    /// Measures how evenly a layout spreads the bytes; nothing at all is even.
    pub fn balance(&self, layout: &Layout) -> Balance {
        let held = self.by_member(layout);
        let total: u64 = held.iter().sum();
        let shares = apart::members_shares(layout);
        let of_share = |(held, share): (&u64, &f64)| *held as f64 / (share * total as f64);
        let sharing = held.iter().zip(&shares).filter(|(_, share)| **share > 0.0);
        let ratios: Vec<f64> = sharing.map(of_share).collect();
        if total == 0 || ratios.is_empty() {
            return Balance { cv: 0.0, max: 1.0 };
        }
        let square: f64 = ratios.iter().map(|r| (r - 1.0).powi(2)).sum();
        Balance {
            cv: (square / ratios.len() as f64).sqrt(),
            max: ratios.iter().copied().fold(0.0, f64::max),
        }
    }

    /// Returns what a change of layout makes nodes bring to others.
    pub fn flows(&self, before: &Layout, after: &Layout) -> BTreeMap<(NodeId, NodeId), Flow> {
        let mut flows: BTreeMap<(NodeId, NodeId), Flow> = BTreeMap::new();
        for slot in Slot::all() {
            let old: Vec<&NodeId> = before.owners(slot).collect();
            let new: Vec<&NodeId> = after.owners(slot).collect();
            let gone = old.iter().filter(|o| !new.contains(o));
            let sources = gone.chain(old.iter()).copied();
            let gained = new.iter().filter(|n| !old.contains(n)).copied();
            for (from, to) in sources.zip(gained) {
                let flow = flows.entry((from.clone(), to.clone())).or_default();
                let load = self.of(slot);
                flow.slots += 1;
                flow.load.splits += load.splits;
                flow.load.bytes += load.bytes;
            }
        }
        flows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{ChangeSet, Member, Place, What};

    fn node(i: u8) -> NodeId {
        NodeId::parse(&format!("n{i}")).unwrap()
    }

    fn three() -> ChangeSet {
        let first = Member {
            node: node(0),
            place: Place::default(),
            draining: false,
        };
        let set = ChangeSet::found(1, &first).unwrap();
        let join = |set: ChangeSet, i| set.with(node(i), What::Join(Place::default())).unwrap();
        (1..3).fold(set, join)
    }

    fn uniform() -> Loads {
        let mut loads = Loads::none();
        for slot in Slot::all() {
            loads.add(
                slot,
                Load {
                    splits: 2,
                    bytes: 10,
                },
            );
        }
        loads
    }

    #[test]
    fn even_slots_are_even_nodes_and_an_empty_store_is_even() {
        let layout = three().layout();
        let balance = uniform().balance(&layout);
        assert!(balance.cv < 1e-3 && balance.max < 1.001, "{balance:?}");
        assert_eq!(
            Loads::none().balance(&layout),
            Balance { cv: 0.0, max: 1.0 }
        );
    }

    #[test]
    fn what_a_node_gains_is_brought_by_who_loses_it() {
        let set = three();
        let (before, after) = (
            set.layout(),
            set.with(node(1), What::Leave).unwrap().layout(),
        );
        let flows = uniform().flows(&before, &after);
        let from: Vec<&NodeId> = flows.keys().map(|(from, _)| from).collect();
        assert_eq!(from, [&node(1), &node(1)]);
        let slots: u64 = flows.values().map(|f| f.slots).sum();
        let owned = Slot::all().filter(|s| before.owns(&node(1), *s)).count();
        assert_eq!(slots, owned as u64);
        assert!(flows.values().all(|f| f.load.bytes == 10 * f.slots));
    }
}
