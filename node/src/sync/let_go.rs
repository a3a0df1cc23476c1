//! Lets go of what this node owned once, or held for another, when all owners hold it.
//!
//! ```text
//! settled for a while ─▶ owners read and hash what they hold ─▶ all have it: shed
//!                                                            └▶ one has not: mark, and hand over
//! ```
//! *Invariants*: nothing goes while two layouts are live, or before every owner has read its own
//! replica from disk and found the hash; what an owner lacks is handed over first; a node that is
//! stopped in between goes on where it was, for nothing else than the files says what is left.
//!
//! *Not here*: handing over (`hand_over`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use earth::split::placement::Slot;
use tokio::time::Instant;
use wire::bundle::Kind;
use wire::fault::Fault;

use super::KINDS;
use crate::answer;
use crate::cluster::catalog;
use crate::cluster::core::{Core, View};
use crate::identity::NodeId;
use crate::layout::{Layout, Stamp};
use crate::meters::Purpose;
use crate::peer::Version;
use crate::scatter::{held, listing};
use crate::slots::SlotSet;
use crate::store::{Held, ObjectKey};

/// Slots let go at a time: owners read all that lies in them before anything goes.
const SLOTS_AT_ONCE: usize = 64;

/// What was settled when, and what was let go of for it.
#[derive(Debug)]
pub(super) struct LetGo {
    /// How long a layout must be the only one: a search that began under the one before is over.
    grace: Duration,
    since: Option<(State, Instant)>,
    done: Option<State>,
}

/// The one layout, and the marks made and objects of others kept so far.
type State = (Stamp, u64, u64);

/// What stands in the way of letting go.
enum Left {
    Nothing,
    Waiting,
}

impl LetGo {
    /// Returns what has let go of nothing yet.
    pub(super) fn new(grace: Duration) -> Self {
        Self {
            grace,
            since: None,
            done: None,
        }
    }

    /// Lets go of what can go now; tells whether it is to be asked again soon.
    pub(super) async fn run(&mut self, core: &Arc<Core>) -> bool {
        let Some((stamp, marks)) = core.look(settled) else {
            self.since = None;
            return false;
        };
        let state = (stamp, marks, core.arrivals.strays());
        if self.done == Some(state) {
            return false;
        }
        match self.since {
            Some((since, at)) if since.0 == state.0 => {
                if at.elapsed() < self.grace {
                    return true;
                }
            }
            _ => {
                self.since = Some((state, Instant::now()));
                return true;
            }
        }
        let left = let_go(core, state.0).await;
        if let Err(fault) = &left {
            tracing::warn!(%fault, "cannot let go of what others own");
        }
        if matches!(left, Ok(Left::Nothing)) {
            self.done = Some(state);
            return false;
        }
        // Owners read everything again: not at once.
        self.since = Some((state, Instant::now()));
        true
    }
}

/// Returns the one live layout, if nothing of it is still under way here.
fn settled(view: &View) -> Option<(Stamp, u64)> {
    let read = view.ring.read().stamp();
    let quiet = view.ring.settled() && view.table.me().unconfirmed.is_empty();
    quiet.then(|| (read, view.marks()))
}

async fn let_go(core: &Arc<Core>, stamp: Stamp) -> Result<Left, Fault> {
    let layout = core.look(|view| Arc::clone(view.ring.read()));
    let mut foreign = SlotSet::all();
    foreign.subtract(&layout.slots_of(&core.me));
    let items = core.blocking(move |store| {
        let mut items = Vec::new();
        for kind in KINDS {
            items.extend(store.list(kind, &foreign)?);
        }
        Ok(items)
    });
    let items = items.await?;
    let slots: BTreeSet<Slot> = items.iter().map(|item| item.slot).collect();
    let slots: Vec<Slot> = slots.into_iter().collect();
    let mut left = Left::Nothing;
    for some in slots.chunks(SLOTS_AT_ONCE) {
        let some: SlotSet = some.iter().copied().collect();
        let items = items.iter().filter(|item| some.contains(item.slot));
        let items: Vec<&Held> = items.collect();
        if matches!(
            let_go_of(core, (&layout, stamp), (&some, &items)).await?,
            Left::Waiting
        ) {
            left = Left::Waiting;
        }
    }
    Ok(left)
}

/// Lets go of the items in some slots that all their owners hold, and marks the others.
async fn let_go_of(
    core: &Arc<Core>,
    (layout, stamp): (&Arc<Layout>, Stamp),
    (slots, items): (&SlotSet, &[&Held]),
) -> Result<Left, Fault> {
    let owners: BTreeSet<&NodeId> = slots.iter().flat_map(|s| layout.owners(s)).collect();
    let mut whole: BTreeMap<(&NodeId, ObjectKey), Version> = BTreeMap::new();
    for owner in owners {
        if core.look(|view| !view.table.may_answer(owner)) {
            return Ok(Left::Waiting);
        }
        let mut own = layout.slots_of(owner);
        own.intersect(slots);
        let Some(held) = hashed(core, owner, own).await else {
            return Ok(Left::Waiting);
        };
        whole.extend(
            held.into_iter()
                .map(|(key, version)| ((owner, key), version)),
        );
    }
    let mut lacking = SlotSet::none();
    for item in items {
        let mine = item.version();
        let has = |owner: &NodeId| {
            let theirs = whole.get(&(owner, item.key.clone()));
            theirs.is_some_and(|theirs| theirs.covers(&mine))
        };
        if !layout.owners(item.slot).all(has) {
            lacking.insert(item.slot);
        } else if core.look(|view| settled(view).is_some_and(|(now, _)| now == stamp)) {
            let key = item.key.clone();
            core.blocking(move |store| store.forget(&key, mine)).await?;
            if item.key.kind == Kind::Collection {
                catalog::changed(core).await?;
            }
        } else {
            return Ok(Left::Waiting);
        }
    }
    if lacking.is_empty() {
        return Ok(Left::Nothing);
    }
    tracing::info!(
        slots = lacking.len(),
        "owners lack what is held here: handing it over"
    );
    answer::mark(core, &lacking).await?;
    Ok(Left::Waiting)
}

/// Has an owner read and hash what it holds in some slots; returns what is whole there, nothing if
/// it does not answer.
async fn hashed(
    core: &Arc<Core>,
    owner: &NodeId,
    slots: SlotSet,
) -> Option<Vec<(ObjectKey, Version)>> {
    let mut whole = Vec::new();
    for kind in KINDS {
        let mut listing = listing(kind, slots.clone(), Purpose::Repair);
        listing.verify = true;
        match held(core, owner, listing).await {
            Ok(held) => {
                let broken: BTreeSet<&ObjectKey> = held.corrupt.iter().map(|(k, _)| k).collect();
                let sound = held.items.iter().filter(|item| !broken.contains(&item.key));
                whole.extend(sound.map(|item| (item.key.clone(), item.version())));
            }
            Err(error) => {
                tracing::debug!(%error, "an owner does not read its replicas");
                return None;
            }
        }
    }
    Some(whole)
}
