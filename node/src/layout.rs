//! Which nodes own a slot: an immutable, versioned value.
//!
//! It is a fold, with minimal movement, over a mergeable set of membership changes, so every node
//! that holds the same changes computes the same layout and rival versions converge by union.
//!
//! *Invariants*: a layout has at least one member; every slot has min(replicas, members) distinct
//! owners, primary first; the same changes give the same layout, whatever order they arrived in.
//!
//! *Not here*: which of several layouts is read from (`ring`), who is alive (`membership`).

mod apart;
mod change;
mod fold;
pub(crate) mod folded;
mod load;
mod rebalance;
mod spread;

use std::collections::BTreeSet;

use earth::split::placement::Slot;
use serde::{Deserialize, Serialize};

pub use change::{Change, ChangeSet, ChangeSetError, Shift, Stamp, What};
pub use load::{Balance, Flow, Load, Loads};
pub use rebalance::even_out;

use crate::identity::NodeId;
use crate::slots::SlotSet;

/// Version of how changes are folded. Nodes that fold them otherwise find other owners, so another
/// one takes a version of messages before which nothing is spoken (`peer::Speaks`).
pub const FOLD: u32 = 2;
/// Greatest number of replicas: beyond it a write costs more than any disk farm loses.
pub const REPLICAS_MAX: u8 = 7;
/// Greatest share of a node relative to the others': a disk of a petabyte beside one of a gigabyte.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// Greatest number of members: the one-hop table is exchanged whole.
pub const MEMBERS_MAX: usize = 4_096;

/// Where a node stands and how much it takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Its machine: replicas are kept on distinct ones where there are enough.
    pub host: Option<String>,
    /// Its rack, room or site: replicas are kept in distinct ones where there are enough.
    #[serde(default)]
    pub zone: Option<String>,
    /// Its share relative to the others'.
    pub weight: u32,
}

/// What a node was told of its place; what it was not told stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its machine.
    pub host: Option<String>,
    /// Its rack, room or site.
    pub zone: Option<String>,
    /// Its share relative to the others'.
    pub weight: Option<u32>,
}

/// A node as the layout knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Where it stands.
    pub place: Place,
    /// It is to own nothing any more, and still answers.
    pub draining: bool,
}

/// Slot → ordered distinct owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    stamp: Stamp,
    replicas: u8,
    members: Vec<Member>,
    width: usize,
    owners: Vec<u16>,
    /// The same by member: what each owns.
    owned: Vec<SlotSet>,
    /// Former members whose removal gave up what only they held.
    forsaken: BTreeSet<NodeId>,
}

impl Layout {
    /// Returns what names the layout: number and digest of its changes.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Returns the number of changes it was folded from.
    pub fn version(&self) -> u64 {
        self.stamp.version
    }

    /// Returns the replicas asked for; fewer are kept while there are fewer members.
    pub fn replicas(&self) -> u8 {
        self.replicas
    }

    /// Returns W, the nodes that must hold an object before it is acknowledged: min(2, replicas).
    pub fn write_quorum(&self) -> usize {
        usize::from(self.replicas.min(2))
    }

    /// Returns the members, ordered by id.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns the owners that each slot has: min(replicas, members that own anything).
    pub fn width(&self) -> usize {
        self.width
    }

    /// Tells whether the node is a member.
    pub fn contains(&self, node: &NodeId) -> bool {
        self.index(node).is_some()
    }

    /// Returns the owners of a slot as indexes into the members, primary first; never empty.
    pub fn owner_indexes(&self, slot: Slot) -> &[u16] {
        let start = usize::from(slot.number()) * self.width;
        &self.owners[start..start + self.width]
    }

    /// Returns the owners of a slot, primary first; never empty.
    pub fn owners(&self, slot: Slot) -> impl Iterator<Item = &NodeId> {
        let indexes = self.owner_indexes(slot).iter();
        indexes.map(|i| &self.members[usize::from(*i)].node)
    }

    /// Returns the first owner of a slot.
    pub fn primary(&self, slot: Slot) -> &NodeId {
        &self.members[usize::from(self.owner_indexes(slot)[0])].node
    }

    /// Tells whether the node owns the slot.
    pub fn owns(&self, node: &NodeId, slot: Slot) -> bool {
        self.owners(slot).any(|owner| owner == node)
    }

    /// Returns the slots that a node owns; none if it is no member.
    pub fn slots_of(&self, node: &NodeId) -> SlotSet {
        let place = self.index(node);
        place.map_or_else(SlotSet::none, |place| self.owned[place].clone())
    }

    /// Returns the slots that each member owns, in the order of the members.
    pub fn owned(&self) -> &[SlotSet] {
        &self.owned
    }

    /// Returns the former members whose removal gave up what only they held.
    pub fn forsaken(&self) -> &BTreeSet<NodeId> {
        &self.forsaken
    }

    /// Tells whether these nodes are more than half of the members, or all but forsaken ones: one
    /// of them has heard what nodes that `can_keep` it were told.
    pub fn can_tell(&self, nodes: &BTreeSet<NodeId>, forsaken: &BTreeSet<NodeId>) -> bool {
        let (there, away): (Vec<&Member>, Vec<&Member>) =
            self.members.iter().partition(|m| nodes.contains(&m.node));
        there.len() > away.len() || away.iter().all(|m| forsaken.contains(&m.node))
    }

    /// Tells whether these nodes are more than half of the members that are not forsaken: of nodes
    /// that `can_tell`, one is one of them.
    pub fn can_keep(&self, nodes: &BTreeSet<NodeId>, forsaken: &BTreeSet<NodeId>) -> bool {
        let rest = self.members.iter().filter(|m| !forsaken.contains(&m.node));
        let (there, away): (Vec<&Member>, Vec<&Member>) =
            rest.partition(|m| nodes.contains(&m.node));
        there.len() > away.len() || there.len() + away.len() == 0
    }

    /// Returns the members that do not own the slot, in the order in which they stand in for an
    /// owner that is down: from the first owner on, around the members; none that is draining.
    pub fn standins(&self, slot: Slot) -> impl Iterator<Item = &NodeId> {
        let start = usize::from(self.owner_indexes(slot)[0]);
        let around = (0..self.members.len()).map(move |i| (start + i) % self.members.len());
        let others = around.filter(move |i| {
            let owners = self.owner_indexes(slot);
            !owners.iter().any(|o| usize::from(*o) == *i)
        });
        let staying = others.map(|i| &self.members[i]).filter(|m| !m.draining);
        staying.map(|m| &m.node)
    }

    /// Returns the place of a node among the members.
    pub fn index(&self, node: &NodeId) -> Option<usize> {
        self.members.binary_search_by(|m| m.node.cmp(node)).ok()
    }
}

impl Default for Place {
    fn default() -> Self {
        Self {
            host: None,
            zone: None,
            weight: 1,
        }
    }
}

impl Standing {
    /// Returns the place that results from the one before.
    pub fn over(&self, before: &Place) -> Place {
        Place {
            host: self.host.clone().or_else(|| before.host.clone()),
            zone: self.zone.clone().or_else(|| before.zone.clone()),
            weight: self.weight.unwrap_or(before.weight),
        }
    }
}

#[cfg(test)]
mod tests;
