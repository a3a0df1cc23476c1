//! Hands over what owners may lack, and confirms what they do not.
//!
//! *Invariants*: a slot is confirmed only when every owner in every live layout said that it holds
//! what is held here, or something newer, or, by who leaves, when an heir does (`bequeath`); a mark
//! that comes meanwhile is kept, as is that of what cannot be read, until the index is trusted.
//!
//! *Not here*: who marks slots (`replicate`).

mod bequeath;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use wire::fault::{Fault, FaultKind};

use super::{KINDS, pull};
use crate::answer::VERSIONS_MAX;
use crate::cluster::core::{AskError, Core, View};
use crate::identity::NodeId;
use crate::layout::Layout;
use crate::meters::Purpose;
use crate::peer::{Request, Response, Version};
use crate::replicate::send::{Shipment, send};
use crate::slots::SlotSet;
use crate::store::{Held, StoreError};

/// Longest that an owner may take to compare some thousand objects.
const COMPARE_LIMIT: Duration = Duration::from_secs(10);

/// How long an owner that refuses an object is left alone: space is not freed within seconds.
const REFUSED_REST: Duration = Duration::from_secs(10);

/// Slots that can be handed over now, and the layouts that say to whom.
struct Round {
    marks: u64,
    slots: SlotSet,
    layouts: Vec<Arc<Layout>>,
    /// Owners that cannot be handed anything now.
    absent: BTreeSet<NodeId>,
    /// The node leaves: it does not wait for owners.
    leaving: bool,
}

/// Hands over, and confirms, what can be now.
pub(super) async fn run(core: &Arc<Core>) {
    let round = core.look(plan);
    if round.slots.is_empty() {
        return;
    }
    let slots = round.slots.clone();
    let items = match core.blocking(move |store| items(store, &slots)).await {
        Ok(items) => items,
        Err(fault) => {
            tracing::error!(%fault, "cannot list what is to be handed over");
            return;
        }
    };
    let mut to: BTreeMap<NodeId, Vec<&Held>> = BTreeMap::new();
    for item in &items {
        let owners = round.layouts.iter().flat_map(|l| l.owners(item.slot));
        let owners: BTreeSet<&NodeId> = owners.filter(|o| **o != core.me).collect();
        for owner in owners {
            to.entry(owner.clone()).or_default().push(item);
        }
    }
    let mut open = SlotSet::none();
    for (owner, items) in to {
        if round.absent.contains(&owner) || core.upkeep.rests(&owner, core.now()) {
            for item in items {
                open.insert(item.slot);
            }
        } else {
            open.union(&offer(core, &owner, &items).await);
        }
    }
    if !round.leaving && core.store.doubt().is_some() {
        // What cannot be read here the others may lack.
        open.union(&core.store.left_out_slots());
    }
    if round.leaving {
        open = bequeath::to_others(core, &items, open).await;
    }
    let mut done = round.slots.clone();
    done.subtract(&open);
    if !done.is_empty() {
        core.change(|view, _| view.confirm(&done, round.marks));
    }
}

/// Plans a round: slots whose owners may all answer, or, for who leaves, all.
fn plan(view: &View) -> Round {
    let me = view.table.me();
    let ready =
        |node: &NodeId| *node == me.node || (view.table.may_answer(node) && is_synced(view, node));
    let layouts: Vec<Arc<Layout>> = view.ring.writes().to_vec();
    let leaving = !view.ring.newest().contains(&me.node);
    let mut slots = view.to_hand_over();
    if !leaving {
        for layout in &layouts {
            let each = layout.members().iter().zip(layout.owned());
            for (_, owned) in each.filter(|(member, _)| !ready(&member.node)) {
                slots.subtract(owned);
            }
        }
    }
    let others = view.others().into_iter();
    Round {
        marks: view.marks(),
        slots,
        absent: others.filter(|node| !ready(node)).collect(),
        layouts,
        leaving,
    }
}

/// Tells whether an owner has pulled what it should: before that, both would send the same.
fn is_synced(view: &View, owner: &NodeId) -> bool {
    let newest = view.ring.newest();
    let said = view.table.of(owner).map(|beat| beat.synced);
    !newest.contains(owner) || said == Some(newest.stamp())
}

fn items(store: &crate::store::Store, slots: &SlotSet) -> Result<Vec<Held>, StoreError> {
    let mut items = Vec::new();
    for kind in KINDS {
        items.extend(store.list(kind, slots)?);
    }
    Ok(items)
}

/// Offers items to an owner; returns the slots in which it still may lack something.
async fn offer(core: &Arc<Core>, owner: &NodeId, items: &[&Held]) -> SlotSet {
    let mut open = SlotSet::none();
    for batch in items.chunks(VERSIONS_MAX) {
        match versions(core, owner, batch).await {
            Ok(versions) => {
                for (item, theirs) in batch.iter().zip(versions) {
                    if let Err(fault) = even_out(core, owner, item, theirs).await {
                        tracing::warn!(%fault, object = %item.key, "could not hand over");
                        open.insert(item.slot);
                        if fault.kind == FaultKind::Refused {
                            // Its disk is full, say: the rest would fare no better now.
                            core.upkeep.rest(owner, core.now() + REFUSED_REST);
                        }
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "an owner does not compare");
                for item in batch {
                    open.insert(item.slot);
                }
            }
        }
    }
    open
}

async fn versions(
    core: &Arc<Core>,
    owner: &NodeId,
    batch: &[&Held],
) -> Result<Vec<Option<Version>>, AskError> {
    let keys = batch.iter().map(|item| item.key.clone()).collect();
    let request = Request::Versions(Purpose::Repair, keys);
    match core.ask(owner, request, COMPARE_LIMIT).await? {
        Response::Versions(versions) if versions.len() == batch.len() => Ok(versions),
        _ => Err(AskError::senseless(owner)),
    }
}

/// Gives the owner what it lacks, or takes from it what is newer there.
async fn even_out(
    core: &Arc<Core>,
    owner: &NodeId,
    item: &Held,
    theirs: Option<Version>,
) -> Result<(), Fault> {
    let mine = item.version();
    match theirs {
        Some(theirs) if theirs == mine => Ok(()),
        Some(theirs) if theirs.covers(&mine) => {
            pull::pull_one(core, (owner, Purpose::Repair), &item.key, theirs).await?;
            Ok(())
        }
        _ => {
            let key = item.key.clone();
            let (record, object) = core.blocking(move |store| store.object(&key)).await?;
            let shipment = Shipment {
                object: Arc::new(object.into()),
                revision: Some(record.revision),
                standin: false,
                layout: None,
                purpose: Purpose::Repair,
            };
            send(core, owner, &shipment).await?;
            Ok(())
        }
    }
}
