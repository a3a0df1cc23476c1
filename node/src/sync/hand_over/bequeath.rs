//! Who leaves does not wait for owners that are away: another member takes its place.
//!
//! ```text
//! leaver: all of a slot ─▶ heir has it ─▶ heir is marked, a majority knows ─▶ confirmed
//! ```
//! An owner that took the leaver for dead has forgotten it, and never answers it again; others,
//! which still wait for it, waited for ever.
//!
//! *Invariants*: an heir is a member of the newest layout that holds all that the leaver does of a
//! slot, and is marked for it: it is asked, and hands over, as the leaver would have.
//!
//! *Not here*: owners that answer (`hand_over`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use earth::split::placement::Slot;
use wire::cluster::NodeState;

use super::offer;
use crate::cluster::core::{Core, View};
use crate::identity::NodeId;
use crate::peer::Request;
use crate::slots::SlotSet;
use crate::store::Held;

/// Longest that an heir may take to tell a majority.
const MARK_LIMIT: Duration = Duration::from_secs(5);

/// Leaves what lies in open slots to other members; returns those that nobody takes.
pub(super) async fn to_others(core: &Arc<Core>, items: &[Held], mut open: SlotSet) -> SlotSet {
    let members = core.look(|view| view.ring.newest().members().len());
    for choice in 0..members {
        let mut to: BTreeMap<NodeId, SlotSet> = BTreeMap::new();
        core.look(|view| {
            for slot in open.iter() {
                if let Some(heir) = heirs(view, slot).nth(choice) {
                    let slots = to.entry(heir.clone()).or_insert_with(SlotSet::none);
                    slots.insert(slot);
                }
            }
        });
        for (heir, slots) in to {
            open.subtract(&leave_to(core, (&heir, slots), items).await);
        }
    }
    open
}

/// Returns the members that are up in the order in which they inherit a slot: its owners first.
fn heirs(view: &View, slot: Slot) -> impl Iterator<Item = &NodeId> {
    let newest = view.ring.newest();
    let all = newest.owners(slot).chain(newest.standins(slot));
    all.filter(|node| view.table.state(node) == NodeState::Up)
}

/// Makes a node the heir of slots; returns those that it has taken.
async fn leave_to(
    core: &Arc<Core>,
    (heir, mut slots): (&NodeId, SlotSet),
    items: &[Held],
) -> SlotSet {
    let items = items.iter().filter(|item| slots.contains(item.slot));
    let items: Vec<&Held> = items.collect();
    slots.subtract(&offer(core, heir, &items).await);
    if slots.is_empty() {
        return slots;
    }
    let mark = Request::Mark(slots.clone());
    match core.ask(heir, mark, MARK_LIMIT).await {
        Ok(_) => slots,
        Err(error) => {
            tracing::debug!(%error, "a member takes no slots over from who leaves");
            SlotSet::none()
        }
    }
}
