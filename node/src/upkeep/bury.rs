//! Collects tombstones once nobody is left who could bring back what they delete.
//!
//! The first owner of a slot asks every member what it holds of what was deleted there. Once each
//! holds the tombstone or, not being an owner, nothing, and a while after, it has all forget it.
//!
//! *Invariants*: while one member of any live layout does not answer, or cannot be sure that it
//! does not know an object, nothing is collected; nor while slots are on their way.
//!
//! *Not here*: how tombstones spread (`replicate`, `sync`, `compare`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use earth::split::placement::Slot;
use futures::future::try_join_all;
use wire::cluster::NodeState;
use wire::fault::Fault;

use crate::answer::VERSIONS_MAX;
use crate::cluster::core::{AskError, Core, View};
use crate::identity::NodeId;
use crate::meters::Purpose;
use crate::peer::{Request, Response, Version};
use crate::replicate::send::{Shipment, send};
use crate::slots::SlotSet;
use crate::store::{Held, Store, StoreError};
use crate::sync::KINDS;

/// Longest that a node may take to say what it holds, or to forget.
const ASK_LIMIT: Duration = Duration::from_secs(15);

/// Collects the tombstones of which this node is the first owner.
pub(super) async fn run(core: &Arc<Core>, after: Duration) {
    let Some((slots, members)) = core.look(ready) else {
        return;
    };
    let found = core.blocking(move |store| tombstones(store, &slots)).await;
    let found = found.unwrap_or_default();
    core.upkeep
        .state()
        .known_everywhere
        .retain(|(key, revision), _| {
            found
                .iter()
                .any(|held| held.key == *key && held.revision == *revision)
        });
    for batch in found.chunks(VERSIONS_MAX) {
        if let Err(fault) = collect(core, &members, (batch, after)).await {
            tracing::debug!(%fault, "tombstones stay for now");
        }
    }
}

/// Returns the slots whose first owner this node is, and all members; none unless all are up.
fn ready(view: &View) -> Option<(SlotSet, Vec<NodeId>)> {
    let others = view.others();
    let up = |node: &NodeId| view.table.state(node) == NodeState::Up;
    if !view.ring.settled() || !others.iter().all(up) {
        return None;
    }
    let layout = view.ring.read();
    let me = layout.index(&view.table.me().node)?;
    let first = |slot: &Slot| usize::from(layout.owner_indexes(*slot)[0]) == me;
    Some((Slot::all().filter(first).collect(), others))
}

fn tombstones(store: &Store, slots: &SlotSet) -> Result<Vec<Held>, StoreError> {
    let mut found = Vec::new();
    for kind in KINDS {
        let held = store.list(kind, slots)?;
        found.extend(held.into_iter().filter(Held::is_tombstone));
    }
    Ok(found)
}

/// Has all members forget those of a batch that have been known to all for a while.
async fn collect(
    core: &Arc<Core>,
    members: &[NodeId],
    (batch, after): (&[Held], Duration),
) -> Result<(), Fault> {
    let asked = members.iter().map(|node| versions(core, node, batch));
    let answers = try_join_all(asked).await?;
    let mut ripe = Vec::new();
    for (i, tombstone) in batch.iter().enumerate() {
        let mut everywhere = true;
        for (node, versions) in members.iter().zip(&answers) {
            everywhere &= settled(core, node, (tombstone, versions[i])).await?;
        }
        if everywhere && is_ripe(core, tombstone, after) {
            ripe.push((tombstone.key.clone(), tombstone.version()));
        }
    }
    if ripe.is_empty() {
        return Ok(());
    }
    let forget = |node: &NodeId| {
        let (node, request) = (node.clone(), Request::Forget(ripe.clone()));
        async move { core.ask(&node, request, ASK_LIMIT).await }
    };
    try_join_all(members.iter().map(forget)).await?;
    // Its own last: until all others have forgotten, this node asks them again.
    forget(&core.me).await?;
    tracing::info!(
        tombstones = ripe.len(),
        "collected tombstones that every node knew"
    );
    Ok(())
}

async fn versions(
    core: &Arc<Core>,
    node: &NodeId,
    batch: &[Held],
) -> Result<Vec<Option<Version>>, AskError> {
    let keys = batch.iter().map(|held| held.key.clone()).collect();
    // As for a query: one whose index may lack something does not say that it knows nothing.
    let request = Request::Versions(Purpose::Query, keys);
    match core.ask(node, request, ASK_LIMIT).await? {
        Response::Versions(versions) if versions.len() == batch.len() => Ok(versions),
        _ => Err(AskError::senseless(node)),
    }
}

/// Tells whether a member can bring back nothing; gives it the tombstone where it could.
async fn settled(
    core: &Arc<Core>,
    node: &NodeId,
    (tombstone, theirs): (&Held, Option<Version>),
) -> Result<bool, AskError> {
    let is_owner = core.look(|view| view.owners(tombstone.slot).contains(node));
    if theirs == Some(tombstone.version()) || (theirs.is_none() && !is_owner) {
        return Ok(true);
    }
    if theirs.is_some_and(|theirs| theirs.covers(&tombstone.version())) {
        // It was put again there; this node hears of it by comparing.
        return Ok(false);
    }
    let key = tombstone.key.clone();
    let Ok((record, object)) = core.blocking(move |store| store.object(&key)).await else {
        return Ok(false);
    };
    let shipment = Shipment {
        object: Arc::new(object.into()),
        revision: Some(record.revision),
        standin: false,
        layout: None,
        purpose: Purpose::Repair,
    };
    send(core, node, &shipment).await?;
    Ok(false)
}

/// Tells whether a tombstone has been known to all for a while; notes it if it was not.
fn is_ripe(core: &Core, tombstone: &Held, after: Duration) -> bool {
    let now = core.now();
    let mut state = core.upkeep.state();
    let known: &mut BTreeMap<_, _> = &mut state.known_everywhere;
    let since = *known
        .entry((tombstone.key.clone(), tombstone.revision))
        .or_insert(now);
    now > since && now.saturating_sub(since) >= after
}
