//! Ends what is left of an object: a damaged folder that no record here names.
//!
//! Where its node owns it, comparing brings the object back. Elsewhere nobody heals it: its slot
//! has moved away, or all others have buried what deleted it.
//!
//! ```text
//! every member says what it knows ─▶ some know the object: each owner reads its own replica
//!                                    ─▶ all whole, and none older than the folder ─▶ set aside
//!                                 └▶ none does, nor has another damaged folder    ─▶ set aside
//! ```
//! What was acknowledged is on two nodes at least, where there are two replicas: what lies in the
//! folder is at another one, or was replaced or deleted since, or never acknowledged.
//!
//! *Invariants*: while a member is away, reads another layout or cannot be sure, while this index
//! is doubtful, or where a slot has one owner and nobody knows the object, all stays; so does what
//! is newer than what owners hold, and what can be read after all.
//!
//! *Not here*: moving the folder (`store::aside`), what is left out (`store::rebuild`).

use std::sync::Arc;
use std::time::Duration;

use wire::cluster::NodeState;
use wire::fault::Fault;

use crate::cluster::core::{AskError, Core, View};
use crate::identity::NodeId;
use crate::layout::Layout;
use crate::meters::Purpose;
use crate::peer::{Request, Response, Version};
use crate::scatter::{Holding, held, listing};
use crate::slots::SlotSet;
use crate::store::{ContentHash, Harm, LeftOut, ObjectKey, Record, Remains};

/// Longest that a member may take to say what it knows.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Folders looked at in one round: a few seconds' questions. The next goes on behind them.
const LOOKED_AT_MAX: usize = 256;

/// The one layout, with all its members up.
struct Calm {
    layout: Arc<Layout>,
    members: Vec<NodeId>,
}

/// Sets aside what nobody needs; what is not told apart now stays for the next round.
pub(super) async fn run(core: &Arc<Core>) {
    for left in turn(core) {
        let key = left.key.clone();
        match end(core, &left).await {
            Ok(Some(because)) => {
                tracing::warn!(
                    object = %key,
                    damage = left.why,
                    because,
                    "a damaged folder that no record names is set aside in quarantine"
                );
                // Its slot need not be asked for here any more.
                core.wake();
            }
            Ok(None) => tracing::debug!(object = %key, "a damaged folder stays for now"),
            Err(fault) => {
                tracing::debug!(object = %key, %fault, "a damaged folder stays for now");
                // Who did not answer is asked again in the next round, behind this one.
                core.upkeep.state().looked_at = Some(key);
                return;
            }
        }
    }
}

/// Returns what is left out, beginning behind what was looked at last.
fn turn(core: &Core) -> Vec<LeftOut> {
    let mut all = core.store.left_out();
    let mut state = core.upkeep.state();
    let looked_at = state.looked_at.take();
    let first = all.partition_point(|left| looked_at.as_ref().is_some_and(|k| left.key <= *k));
    all.rotate_left(first);
    all.truncate(LOOKED_AT_MAX);
    state.looked_at = all.last().map(|left| left.key.clone());
    all
}

/// Sets one folder aside if nobody needs it; returns why.
async fn end(core: &Arc<Core>, left: &LeftOut) -> Result<Option<&'static str>, Fault> {
    let Some(calm) = calm(core) else {
        return Ok(None);
    };
    let looked_at = left.clone();
    let remains = core
        .blocking(move |store| store.remains(&looked_at))
        .await?;
    let Some(remains) = remains else {
        return Ok(None);
    };
    let newest = newest(core, (&calm.members, &left.key)).await?;
    let because = match newest {
        Some(record) => superseded(core, &calm.layout, (remains, &record)).await?,
        None => forgotten(core, &calm, (remains, left)).await?,
    };
    let stamp = self::calm(core).map(|calm| calm.layout.stamp());
    if because.is_none() || stamp != Some(calm.layout.stamp()) {
        return Ok(None);
    }
    let gone = left.clone();
    let done = core.blocking(move |store| store.set_aside(&gone)).await?;
    Ok(because.filter(|_| done))
}

/// Returns the one layout if all its members are up and read it, and this index is trusted.
fn calm(core: &Core) -> Option<Calm> {
    if core.store.is_doubtful() {
        return None;
    }
    core.look(calm_view)
}

fn calm_view(view: &View) -> Option<Calm> {
    let layout = view.ring.read();
    let members: Vec<NodeId> = layout.members().iter().map(|m| m.node.clone()).collect();
    let reads = |node: &NodeId| {
        let beat = view.table.of(node);
        beat.is_some_and(|beat| beat.reading == layout.stamp())
    };
    let me = &view.table.me().node;
    let up = |node: &NodeId| node == me || view.table.state(node) == NodeState::Up;
    let calm = view.ring.settled() && members.iter().all(|node| up(node) && reads(node));
    calm.then(|| Calm {
        layout: Arc::clone(layout),
        members,
    })
}

/// Returns what the members know of an object; one that cannot be sure is an error.
async fn newest(
    core: &Arc<Core>,
    (members, key): (&[NodeId], &ObjectKey),
) -> Result<Option<Record>, Fault> {
    let mut newest: Option<Record> = None;
    for node in members {
        let request = Request::Describe(Purpose::Repair, key.clone());
        let Response::Described(known) = core.ask(node, request, ASK_LIMIT).await? else {
            return Err(AskError::senseless(node).into());
        };
        let Some(record) = known else { continue };
        if record.key != *key || record.hash != ContentHash::of(&record.files) {
            return Err(AskError::senseless(node).into());
        }
        let older = |newest: &Record| !newest.version().covers(&record.version());
        if newest.as_ref().is_none_or(older) {
            newest = Some(*record);
        }
    }
    Ok(newest)
}

/// Tells whether all owners hold the object whole, as new as what is known of it and of the folder.
async fn superseded(
    core: &Arc<Core>,
    layout: &Layout,
    (remains, record): (Remains, &Record),
) -> Result<Option<&'static str>, Fault> {
    let version = record.version();
    if remains.version.is_some_and(|v| !version.covers(&v)) {
        return Ok(None);
    }
    for owner in layout.owners(record.slot()) {
        if !is_whole(core, owner, record).await? {
            return Ok(None);
        }
    }
    Ok(Some(
        "every owner has read its own replica and holds it whole",
    ))
}

/// Has an owner read its replica; tells whether it is whole and as new as that.
async fn is_whole(core: &Arc<Core>, owner: &NodeId, record: &Record) -> Result<bool, Fault> {
    let covers = |version: Version| version.covers(&record.version());
    if *owner == core.me {
        let key = record.key.clone();
        let looked = core.blocking(move |s| Ok((s.audit(&key)?.0, s.version(&key)?)));
        let (harm, version) = looked.await?;
        return Ok(harm == Harm::None && version.is_some_and(covers));
    }
    let read = read_all(core, owner, record.slot(), &record.key).await?;
    let harmed = read.corrupt.iter().any(|(key, _)| *key == record.key);
    let mut held = read.items.iter().filter(|item| item.key == record.key);
    Ok(!harmed && held.any(|item| covers(item.version())))
}

/// Tells whether an object that no member knows left nothing else behind: where slots have several
/// owners it was deleted and buried, or never acknowledged. Another damaged folder of it may be of
/// the two that were.
async fn forgotten(
    core: &Arc<Core>,
    calm: &Calm,
    (remains, left): (Remains, &LeftOut),
) -> Result<Option<&'static str>, Fault> {
    if calm.layout.width() < 2 {
        return Ok(None);
    }
    if !remains.has_files {
        return Ok(Some(
            "there is no content in it, and no node knows the object",
        ));
    }
    for node in calm.members.iter().filter(|node| **node != core.me) {
        let read = read_all(core, node, left.slot, &left.key).await?;
        if read.corrupt.iter().any(|(key, _)| *key == left.key) {
            return Ok(None);
        }
    }
    Ok(Some(
        "no node knows the object: it was deleted, or never acknowledged",
    ))
}

/// Has a node read what it holds of an object's kind in a slot.
async fn read_all(
    core: &Arc<Core>,
    node: &NodeId,
    slot: earth::split::placement::Slot,
    key: &ObjectKey,
) -> Result<Holding, Fault> {
    let slots: SlotSet = std::iter::once(slot).collect();
    let mut listing = listing(key.kind, slots, Purpose::Repair);
    listing.verify = true;
    Ok(held(core, node, listing).await?)
}
