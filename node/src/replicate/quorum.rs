//! How many nodes must hold an object before it is acknowledged.
//!
//! *Invariants*: every live layout's own count is met, so that whoever reads from any of them finds
//! what was acknowledged; a stand-in counts in each.
//!
//! *Not here*: reading (`scatter::coverage`).

use std::collections::BTreeSet;
use std::sync::Arc;

use earth::split::placement::Slot;

use crate::identity::NodeId;
use crate::layout::Layout;

/// A layout whose count is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lack {
    /// Nodes that hold the object.
    pub held: usize,
    /// Nodes that must.
    pub needed: usize,
}

/// Checks that W = min(2, R, members) nodes of each layout, or stand-ins, hold an object.
pub(super) fn check(
    layouts: &[Arc<Layout>],
    slot: Slot,
    holders: &BTreeSet<NodeId>,
    standins: &BTreeSet<NodeId>,
) -> Result<(), Lack> {
    for layout in layouts {
        let needed = layout.write_quorum().min(layout.members().len());
        let owners = layout.owners(slot).filter(|o| holders.contains(*o));
        let others = standins.iter().filter(|s| !layout.owns(s, slot));
        let held = owners.count() + others.count();
        if held < needed {
            return Err(Lack { held, needed });
        }
    }
    Ok(())
}
