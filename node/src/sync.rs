//! Brings objects to where they belong: to new owners, and to owners that were away.
//!
//! ```text
//! catch up   this node owns slots under the newest layout that it did not own: it pulls them from
//!            the owners read from, then says `synced`
//! hand over  this node holds what an owner may lack (it stood in, was marked, has just started, or
//!            got it from a node that died meanwhile): it offers it to all owners, and says no
//!            more that it must be asked once all have it
//! let go     this node holds what it does not own: once all owners have read and hashed theirs, it
//!            gives its own up
//! ```
//! *Invariants*: nothing is given up that an owner lacks; a slot counts as synced only if, as for a
//! query, nobody can hold something that was not told, and a doubtful index gains none; what is
//! pulled is checked against its hashes; all of it is idempotent and tried again until it is done.
//!
//! *Not here*: which layout is read from (`ring`).

mod arrivals;
mod hand_over;
mod let_go;
mod pull;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use arrivals::{Arrivals, Life};
pub(crate) use pull::{AT_ONCE, Unpulled, pull_one};

use crate::cluster::core::{Core, View};
use crate::layout::Stamp;
use crate::slots::SlotSet;
use crate::store::{Store, StoreError};
use let_go::LetGo;
use wire::bundle::Kind;

/// Every kind of object, those first without which the others are not found.
pub(crate) const KINDS: [Kind; 7] = [
    Kind::Collection,
    Kind::Module,
    Kind::Run,
    Kind::Ledger,
    Kind::Split,
    Kind::Model,
    Kind::Tag,
];
/// How often is tried again what others were not ready for.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Runs until the node stops; lets go of things only that long after the layout has changed.
pub(crate) async fn run(core: Arc<Core>, grace: Duration) {
    let mut changes = core.changes();
    let mut let_go = LetGo::new(grace);
    loop {
        let work = async {
            catch_up(&core).await;
            adopt(&core);
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

/// Takes over what those put here lately who are gone now: they may have reached no other owner.
fn adopt(core: &Core) {
    let now = core.now();
    let orphaned = core.look(|view| core.arrivals.orphaned(now, |node| Life::of(view, node)));
    if !orphaned.is_empty() {
        core.change(|view, _| view.adopt(&orphaned));
    }
}

/// Tells whether nothing is left to do until something changes.
fn is_idle(core: &Core) -> bool {
    core.look(|view| {
        let synced = view.table.me().synced == view.ring.newest().stamp();
        synced && view.to_hand_over().is_empty()
    })
}

/// Pulls the slots that the newest layout gives this node, once every write goes there too.
async fn catch_up(core: &Arc<Core>) {
    let Some(Lacking {
        newest,
        gained,
        shared,
    }) = core.look(lacking)
    else {
        return;
    };
    if !gained.is_empty() && core.store.doubt().is_some() {
        // Trusted first, for the slots that it owns: those that it gains could not be compared.
        return;
    }
    let doubts = core.store.doubts();
    if !gained.is_empty() {
        tracing::info!(
            slots = gained.len(),
            "pulling slots that this node owns now"
        );
    }
    let mut slots = gained;
    slots.union(&shared);
    if !slots.is_empty()
        && let Err(reason) = pull::pull(core, &slots).await
    {
        tracing::warn!(%reason, "not all slots could be pulled; trying again");
        return;
    }
    core.change(|view, _| {
        // What was pulled before a doubt began may be what was lost.
        if view.ring.newest().stamp() == newest && core.store.doubts() == doubts {
            view.table.beat(|me| me.synced = newest);
        }
    });
}

/// What a node must pull before it has what the newest layout gives it.
struct Lacking {
    newest: Stamp,
    /// Slots that it did not own.
    gained: SlotSet,
    /// Slots that it owned together with who leaves.
    shared: SlotSet,
}

/// Returns the newest layout and the slots that this node must pull for it, when it is time.
fn lacking(view: &View) -> Option<Lacking> {
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
    let mut shared = gained.clone();
    gained.subtract(&read.slots_of(&me.node));
    shared.subtract(&gained);
    shared.intersect(&left_behind(view));
    Some(Lacking {
        newest: stamp,
        gained,
        shared,
    })
}

/// Returns the slots of which somebody who leaves may hold something. What was acknowledged there
/// may be on that node and on a stand-in alone, and nobody waits for who leaves and is down: from
/// the newest layout on, its owners must do without.
fn left_behind(view: &View) -> SlotSet {
    let newest = view.ring.newest();
    let mut slots = SlotSet::none();
    for layout in view.ring.writes() {
        let members = layout.members().iter().map(|member| &member.node);
        for node in members.filter(|node| !newest.contains(node)) {
            slots.union(&layout.slots_of(node));
            if let Some(beat) = view.table.of(node) {
                slots.union(&beat.unconfirmed);
            }
        }
    }
    slots
}

/// Returns the slots for which a node must be asked when it starts: of everything that it holds,
/// and of what it held and cannot read.
pub(crate) fn slots_told(store: &Store) -> Result<SlotSet, StoreError> {
    let mut slots = slots_held(store)?;
    slots.union(&store.left_out_slots());
    Ok(slots)
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
