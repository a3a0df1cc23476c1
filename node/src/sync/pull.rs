//! Pulls what this node lacks from those that hold it.
//!
//! *Invariants*: an object is kept only if its files have the hashes that its holder listed; who
//! cannot read it is told from who could not be asked.
//!
//! *Not here*: when to pull (`sync`).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use wire::fault::{Fault, FaultKind};

use super::KINDS;
use crate::answer::transfer;
use crate::cluster::core::Core;
use crate::identity::NodeId;
use crate::meters::Purpose;
use crate::peer::Version;
use crate::scatter::{self, cover, gather, held, listing};
use crate::slots::SlotSet;
use crate::store::{Held, ObjectKey};

/// Objects pulled at once: hides the round trips of small ones, and leaves processors to questions.
pub(crate) const AT_ONCE: usize = 4;

/// Pulls everything in these slots, from the owners read from and whoever must be asked besides.
/// The node itself may be one of those: what it holds as a stand-in for a dead owner, it has.
pub(super) async fn pull(core: &Arc<Core>, slots: &SlotSet) -> Result<(), Fault> {
    for kind in KINDS {
        let coverage = cover(core, slots.clone()).await.patient();
        let gathered = gather(coverage, |node, slots| async move {
            let listing = listing(kind, slots, Purpose::Repair);
            let held = held(core, &node, listing).await?;
            Ok((node, held.items))
        })
        .await;
        if !gathered.missing.is_empty() {
            let what = format!(
                "{} slots have no holder that answers",
                gathered.missing.len()
            );
            return Err(Fault::new(FaultKind::Partial, what));
        }
        pull_items(core, newest(gathered.answers)).await?;
    }
    Ok(())
}

/// Returns for each object the version that stays, and a node that holds it.
fn newest(answers: Vec<(NodeId, Vec<Held>)>) -> BTreeMap<ObjectKey, (NodeId, Held)> {
    let mut newest: BTreeMap<ObjectKey, (NodeId, Held)> = BTreeMap::new();
    for (node, items) in answers {
        for item in items {
            let known = newest.get(&item.key);
            if known.is_none_or(|(_, known)| !known.version().covers(&item.version())) {
                newest.insert(item.key.clone(), (node.clone(), item));
            }
        }
    }
    newest
}

async fn pull_items(
    core: &Arc<Core>,
    items: BTreeMap<ObjectKey, (NodeId, Held)>,
) -> Result<(), Fault> {
    let others = items.into_iter().filter(|(_, (node, _))| *node != core.me);
    let pulls = others.map(|(key, (node, held))| async move {
        pull_one(core, (&node, Purpose::Repair), &key, held.version()).await
    });
    let mut pulls = stream::iter(pulls).buffer_unordered(AT_ONCE);
    while let Some(pulled) = pulls.next().await {
        pulled.map_err(Fault::from)?;
    }
    Ok(())
}

/// Why an object could not be pulled.
#[derive(Debug)]
pub(crate) enum Unpulled {
    /// It could not be asked for.
    Asking(Fault),
    /// Its holder cannot read it either.
    There(Fault),
    /// It cannot be written here.
    Here(Fault),
}

impl Unpulled {
    /// Tells a holder that cannot read an object from one that could not be asked for it.
    fn reading(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::Data | FaultKind::Nothing => Self::There(fault),
            _ => Self::Asking(fault),
        }
    }
}

impl From<Unpulled> for Fault {
    fn from(unpulled: Unpulled) -> Self {
        match unpulled {
            Unpulled::Asking(fault) | Unpulled::There(fault) | Unpulled::Here(fault) => fault,
        }
    }
}

/// Pulls one object, unless what is held here covers it; what travels counts to a purpose.
pub(crate) async fn pull_one(
    core: &Arc<Core>,
    (node, purpose): (&NodeId, Purpose),
    key: &ObjectKey,
    theirs: Version,
) -> Result<(), Unpulled> {
    let name = key.clone();
    let mine = core.blocking(move |store| store.version(&name)).await;
    let mine = mine.map_err(Unpulled::Asking)?;
    if mine.is_some_and(|mine| mine.covers(&theirs)) {
        return Ok(());
    }
    let (record, replica) = scatter::replica_at(core, (node, purpose), key)
        .await
        .map_err(Unpulled::reading)?;
    let revision = Some(record.revision);
    let kept = transfer::store(core, Arc::new(replica), revision, (false, None)).await;
    kept.map(drop).map_err(Unpulled::Here)
}
