//! Brings a harmed object back from another replica.
//!
//! *Invariants*: what takes the place of a harmed object is at least its revision, and was checked;
//! what nobody else holds is left where it is.
//!
//! *Not here*: finding harm (`scrub`, `store::audit`).

use std::sync::Arc;

use wire::cluster::RepairReport;
use wire::fault::{Fault, FaultKind};

use crate::cluster::core::Core;
use crate::identity::NodeId;
use crate::meters::Purpose;
use crate::peer::{Request, Response};
use crate::scatter::{self, PAGE_LIMIT};
use crate::store::{ContentHash, Harm, ObjectKey, PutMode, Record, Version};

/// Heals an object if it is harmed, and notes what came of it.
pub(super) async fn heal(core: &Arc<Core>, key: &ObjectKey, report: &mut RepairReport) {
    match try_heal(core, key).await {
        Ok(true) => report.healed += 1,
        Ok(false) => {}
        Err(fault) => {
            tracing::error!(object = %key, %fault, "a harmed replica cannot be healed");
            report.left.push(format!("{key}: {fault}"));
        }
    }
}

/// Heals an object if it is harmed; tells whether it was.
async fn try_heal(core: &Arc<Core>, key: &ObjectKey) -> Result<bool, Fault> {
    let name = key.clone();
    let (harm, _) = core.blocking(move |store| store.audit(&name)).await?;
    match harm {
        Harm::None => Ok(false),
        Harm::Note => {
            let name = key.clone();
            core.blocking(move |store| store.restate(&name)).await?;
            Ok(true)
        }
        Harm::Files => {
            tracing::warn!(object = %key, "is corrupt or gone here; looking for another replica");
            replace(core, key).await.map(|()| true)
        }
    }
}

/// Replaces a harmed object by another node's replica.
async fn replace(core: &Arc<Core>, key: &ObjectKey) -> Result<(), Fault> {
    let name = key.clone();
    let known = core.blocking(move |store| store.known(&name)).await?;
    let Some(known) = known else { return Ok(()) };
    let mut last = Fault::new(FaultKind::Data, format!("{key} is corrupt"))
        .because("no other node that answers holds it".to_owned());
    for node in core.look(|view| holders(view, &known)) {
        match copy(core, &node, key, known.version()).await {
            Ok(Some(record)) => {
                tracing::info!(object = %key, %node, revision = record.revision, "healed");
                return Ok(());
            }
            Ok(None) => {}
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

/// Returns the other nodes that may hold an object, owners first.
fn holders(view: &crate::cluster::core::View, record: &Record) -> Vec<NodeId> {
    let mut nodes = view.owners(record.slot());
    for node in view.others() {
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    let me = &view.table.me().node;
    nodes.retain(|node| node != me && view.table.may_answer(node));
    nodes
}

/// Copies a node's replica here if it is as new as what is harmed.
async fn copy(
    core: &Arc<Core>,
    node: &NodeId,
    key: &ObjectKey,
    harmed: Version,
) -> Result<Option<Record>, Fault> {
    let request = Request::Describe(Purpose::Repair, key.clone());
    let Response::Described(record) = core.ask(node, request, PAGE_LIMIT).await? else {
        return Ok(None);
    };
    let fits = |record: &Record| {
        let whole = record.key == *key && record.hash == ContentHash::of(&record.files);
        whole && record.version().covers(&harmed)
    };
    let Some(record) = record.map(|r| *r).filter(fits) else {
        return Ok(None);
    };
    let replica = scatter::replica(core, (node, Purpose::Repair), &record).await?;
    let mode = PutMode::Heal(record.revision);
    core.blocking(move |store| store.put_hashed(&replica, mode))
        .await?;
    Ok(Some(record))
}
