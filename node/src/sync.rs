//! Brings objects to where they belong: to new owners, and to owners that were away.
//!
//! ```text
//! catch up   this node owns slots under the newest layout that it did not own: it pulls them from
//!            the owners read from, then says `synced`
//! hand over  this node holds what an owner may lack (it stood in, was marked, or has just
//!            started): it offers it to all owners, and says no more that it must be asked once
//!            all have it
//! let go     this node holds what it does not own: once all owners have read and hashed theirs, it
//!            gives its own up
//! ```
//! *Invariants*: nothing is given up that an owner lacks; a slot counts as synced only if, as for a
//! query, nobody can hold something that was not told; pulled bytes are checked against their
//! hashes; all of it is idempotent and tried again until it is done.
//!
//! *Not here*: which layout is read from (`ring`).

mod hand_over;
mod let_go;
mod pull;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use pull::pull_one;

use crate::cluster::core::{Core, View};
use crate::layout::Stamp;
use crate::slots::SlotSet;
use crate::store::{Store, StoreError};
use let_go::LetGo;
use wire::bundle::Kind;

/// Every kind of object, those first without which the others are not found.
pub(crate) const KINDS: [Kind; 6] = [
    Kind::Collection,
    Kind::Run,
    Kind::Ledger,
    Kind::Split,
    Kind::Model,
    Kind::Tag,
];
/// Paces for which a layout must have been the only one before anything is let go: half a minute,
/// longer than any page of a search that began under the layout before.
const GRACE_PACES: u32 = 60;
/// How often is tried again what others were not ready for.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, pace: Duration) {
    let mut changes = core.changes();
    let mut let_go = LetGo::new(pace * GRACE_PACES);
    loop {
        let work = async {
            catch_up(&core).await;
            hand_over::run(&core).await;
            let_go.run(&core).await
        };
        let waiting = tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            waiting = work => waiting,
        };
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = changes.changed() => {}
            () = tokio::time::sleep(TRY_AGAIN), if waiting || !is_idle(&core) => {}
        }
    }
}

/// Tells whether nothing is left to do until something changes.
fn is_idle(core: &Core) -> bool {
    core.look(|view| {
        let me = view.table.me();
        me.unconfirmed.is_empty() && me.synced == view.ring.newest().stamp()
    })
}

/// Pulls the slots that the newest layout gives this node, once every write goes there too.
async fn catch_up(core: &Arc<Core>) {
    let Some((newest, slots)) = core.look(lacking) else {
        return;
    };
    if !slots.is_empty() {
        tracing::info!(slots = slots.len(), "pulling slots that this node owns now");
        if let Err(reason) = pull::pull(core, &slots).await {
            tracing::warn!(%reason, "not all slots could be pulled; trying again");
            return;
        }
    }
    core.change(|view, _| {
        if view.ring.newest().stamp() == newest {
            view.table.beat(|me| me.synced = newest);
        }
    });
}

/// Returns the newest layout and the slots that this node must pull for it, when it is time.
fn lacking(view: &View) -> Option<(Stamp, SlotSet)> {
    let (newest, read) = (view.ring.newest(), view.ring.read());
    let stamp = newest.stamp();
    let me = view.table.me();
    if me.synced == stamp {
        return None;
    }
    let known =
        |beat: &crate::membership::Beat| beat.known == stamp || !view.table.may_answer(&beat.node);
    if !view.table.beats().all(known) {
        return None;
    }
    let mut gained = newest.slots_of(&me.node);
    read.slots_of(&me.node)
        .iter()
        .for_each(|slot| gained.remove(slot));
    Some((stamp, gained))
}

/// Returns the slots of everything that a store holds.
pub(crate) fn slots_held(store: &Store) -> Result<SlotSet, StoreError> {
    let mut slots = SlotSet::none();
    for kind in KINDS {
        let held = store.list(kind, &SlotSet::all())?;
        for item in held {
            slots.insert(item.slot);
        }
    }
    Ok(slots)
}
