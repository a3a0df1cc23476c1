//! Membership changes and the mergeable set of them.
//!
//! *Invariants*: changes are ordered by (counter, node id); merging two sets is their union, so it
//! is commutative, associative and idempotent; the last member cannot leave, so a set in which
//! anybody joined folds to a layout.
//!
//! *Not here*: how slots move (`fold`).

use std::collections::BTreeSet;

use earth::split::placement::SLOTS;
use serde::{Deserialize, Serialize};

use super::{Layout, MEMBERS_MAX, Member, Place, REPLICAS_MAX, WEIGHT_MAX, fold::Fold};
use crate::identity::NodeId;

/// Greatest number of changes kept: a cluster that changed daily for ninety years.
const CHANGES_MAX: usize = 32_768;
/// Greatest number of slots moved by hand in all changes: three bytes each, so that the whole set
/// still fits a message.
const SHIFTED_MAX: usize = 1 << 18;

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Asks for that many replicas.
    Replicas(u8),
    /// Makes the node a member; of a member, changes where it stands.
    Join(Place),
    /// Ends the node's membership.
    Leave,
    /// Changes the node's share.
    Weight(u32),
    /// Takes all slots from the node, which stays a member; or ends that.
    Drain(bool),
    /// Moves slots, as measured loads ask for; shares are kept as they are afterwards.
    Rebalance(Vec<Shift>),
    /// Ends the node's membership for good, and gives up what only it held; of one that has left
    /// already, the latter.
    Forsake,
}

/// Slots that one node gives to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shift {
    /// Who owns them.
    pub from: NodeId,
    /// Who is to own them.
    pub to: NodeId,
    /// Their numbers.
    pub slots: Vec<u16>,
}

/// One membership change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change {
    /// One more than the greatest counter known where it was made.
    pub counter: u64,
    /// The node it is about; for `Replicas` and `Rebalance` the node that asked.
    pub node: NodeId,
    /// What it does.
    pub what: What,
}

/// The name of a layout: number and digest of its changes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Stamp {
    /// Number of changes.
    pub version: u64,
    /// First eight bytes of the BLAKE3 of the changes.
    pub digest: u64,
}

/// A set of membership changes that folds to a layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Change>", into = "Vec<Change>")]
pub struct ChangeSet {
    changes: BTreeSet<Change>,
}

/// Why changes fold to no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeSetError {
    /// Nobody ever joined.
    #[error("the changes make nobody a member")]
    Empty,
    /// There are more changes, members or moved slots than are kept.
    #[error(
        "{found} are more than the {CHANGES_MAX} changes, {MEMBERS_MAX} members and {SHIFTED_MAX} \
         moved slots allowed, half of which one side may use up"
    )]
    TooMany {
        /// How many were found.
        found: usize,
    },
    /// A change asks for what cannot be.
    #[error("a change of '{node}' asks for {what}")]
    Senseless {
        /// The node it is about.
        node: NodeId,
        /// What it asks for.
        what: &'static str,
    },
}

impl ChangeSet {
    /// Founds a cluster of one member.
    pub fn found(replicas: u8, first: &Member) -> Result<Self, ChangeSetError> {
        let change = |counter, what| Change {
            counter,
            node: first.node.clone(),
            what,
        };
        let join = What::Join(first.place.clone());
        let changes = vec![change(1, What::Replicas(replicas)), change(2, join)];
        Self::try_from(changes)
    }

    /// Returns the set with one more change, ordered after all that it holds.
    pub fn with(&self, node: NodeId, what: What) -> Result<Self, ChangeSetError> {
        let counter = self.changes.last().map_or(0, |c| c.counter) + 1;
        let change = Change {
            counter,
            node,
            what,
        };
        let one = std::iter::once(change);
        let set = Self::try_from(self.iter().cloned().chain(one).collect::<Vec<_>>())?;
        for (found, most) in [
            (set.len(), CHANGES_MAX),
            (shifted(&set.changes), SHIFTED_MAX),
        ] {
            // Half: what two sides of a parting add must still fit when they meet.
            if found > most / 2 {
                return Err(ChangeSetError::TooMany { found });
            }
        }
        Ok(set)
    }

    /// Returns the union of two sets.
    pub fn merged(&self, other: &Self) -> Result<Self, ChangeSetError> {
        let union: BTreeSet<Change> = self.changes.union(&other.changes).cloned().collect();
        Self::try_from(union.into_iter().collect::<Vec<_>>())
    }

    /// Returns the set of the first `version` changes, if they fold to a layout.
    pub fn prefix(&self, version: u64) -> Option<Self> {
        let count = usize::try_from(version).ok()?;
        let first = self.iter().take(count).cloned().collect::<Vec<_>>();
        Self::try_from(first).ok().filter(|set| set.len() == count)
    }

    /// Returns the set without the changes at these places, if it folds to a layout.
    pub fn without(&self, places: &[u32]) -> Option<Self> {
        let lacks = |place: usize| places.iter().any(|p| *p as usize == place);
        let kept = self.iter().enumerate().filter(|(place, _)| !lacks(*place));
        let kept: Vec<Change> = kept.map(|(_, change)| change.clone()).collect();
        let count = kept.len();
        Self::try_from(kept).ok().filter(|set| set.len() == count)
    }

    /// Returns the places of the changes that another set lacks.
    pub fn beyond(&self, other: &Self) -> Vec<u32> {
        let lacking = (0_u32..)
            .zip(&self.changes)
            .filter(|(_, c)| !other.changes.contains(*c));
        lacking.map(|(place, _)| place).collect()
    }

    /// Returns the changes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter()
    }

    /// Returns the number of changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Tells whether there is none: never, for a set folds to a layout.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns the name of the layout that the set folds to.
    pub fn stamp(&self) -> Stamp {
        let hash = blake3::hash(&crate::peer::encode(&self.changes));
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        Stamp {
            version: self.changes.len() as u64,
            digest: u64::from_be_bytes(first),
        }
    }

    /// Folds the changes, in order, to a layout.
    pub fn layout(&self) -> Layout {
        let mut fold = Fold::new();
        for change in &self.changes {
            fold.apply(change);
        }
        fold.finish(self.stamp())
    }
}

impl TryFrom<Vec<Change>> for ChangeSet {
    type Error = ChangeSetError;

    fn try_from(changes: Vec<Change>) -> Result<Self, ChangeSetError> {
        if changes.len() > CHANGES_MAX {
            let found = changes.len();
            return Err(ChangeSetError::TooMany { found });
        }
        let changes: BTreeSet<Change> = changes.into_iter().collect();
        let mut members = BTreeSet::new();
        for change in &changes {
            check(change)?;
            match change.what {
                What::Join(_) => drop(members.insert(&change.node)),
                What::Leave | What::Forsake if members.len() > 1 => {
                    members.remove(&change.node);
                }
                _ => {}
            }
        }
        match members.len() {
            0 => Err(ChangeSetError::Empty),
            found if found > MEMBERS_MAX => Err(ChangeSetError::TooMany { found }),
            _ if shifted(&changes) > SHIFTED_MAX => Err(ChangeSetError::TooMany {
                found: shifted(&changes),
            }),
            _ => Ok(Self { changes }),
        }
    }
}

impl From<ChangeSet> for Vec<Change> {
    fn from(set: ChangeSet) -> Self {
        set.changes.into_iter().collect()
    }
}

/// Counts the slots that changes move by hand.
fn shifted(changes: &BTreeSet<Change>) -> usize {
    let slots = |change: &Change| match &change.what {
        What::Rebalance(shifts) => shifts.iter().map(|s| s.slots.len()).sum(),
        _ => 0,
    };
    changes.iter().map(slots).sum()
}

/// Refuses a change that no fold could carry out.
fn check(change: &Change) -> Result<(), ChangeSetError> {
    let beyond = |shift: &Shift| shift.slots.iter().any(|slot| *slot >= SLOTS);
    let what = match &change.what {
        What::Replicas(0) => "no replica at all",
        What::Replicas(r) if *r > REPLICAS_MAX => "more replicas than are possible",
        What::Join(Place { weight: 0, .. }) | What::Weight(0) => "a share of nothing",
        What::Join(Place { weight, .. }) | What::Weight(weight) if *weight > WEIGHT_MAX => {
            "a share beyond all others"
        }
        What::Rebalance(shifts) if shifts.iter().any(beyond) => "a slot that there is not",
        _ => return Ok(()),
    };
    let node = change.node.clone();
    Err(ChangeSetError::Senseless { node, what })
}
