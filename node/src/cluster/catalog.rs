//! All collections of the cluster, as the route of a query needs them.
//!
//! Every node's beat names the collections that it holds; whoever stores one tells all others
//! before it is acknowledged. While all beats name what they named, the list stands as it was read.
//!
//! *Invariants*: an acknowledged collection is in the list, on every node that could be told.
//!
//! *Not here*: what a collection is (earth).

use std::sync::{Arc, PoisonError};

use earth::split::collection::Collection;
use wire::bundle::Kind;
use wire::fault::Fault;

use super::core::Core;
use super::gossip;
use crate::identity::NodeId;
use crate::layout::Stamp;
use crate::scatter;
use crate::slots::SlotSet;
use crate::store::{Store, StoreError};

/// The list, and what the beats said when it was read.
#[derive(Debug, Clone)]
pub(super) struct Known {
    said: Said,
    collections: Arc<Vec<Collection>>,
}

/// The layout read from, and what each node's beat names.
type Said = (Stamp, Vec<(NodeId, u64)>);

/// The collections, and what is not known of them.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    /// All that were found.
    pub collections: Arc<Vec<Collection>>,
    /// Slots that may hold others.
    pub missing: SlotSet,
}

impl Core {
    /// Returns the collections.
    pub(crate) async fn catalog(self: &Arc<Self>) -> Catalog {
        let said = self.look(|view| {
            let named = view.table.beats().map(|b| (b.node.clone(), b.catalog));
            (view.ring.read().stamp(), named.collect::<Vec<_>>())
        });
        if let Some(known) = self.known_catalog().filter(|known| known.said == said) {
            return Catalog {
                collections: known.collections,
                missing: SlotSet::none(),
            };
        }
        let gathered = scatter::records(self, Kind::Collection, SlotSet::all()).await;
        let read = gathered
            .answers
            .iter()
            .filter_map(|record| record.read().ok());
        let collections = Arc::new(read.collect::<Vec<Collection>>());
        if gathered.missing.is_empty() {
            let collections = Arc::clone(&collections);
            let mut known = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(Known { said, collections });
        }
        Catalog {
            collections,
            missing: gathered.missing,
        }
    }

    fn known_catalog(&self) -> Option<Known> {
        self.catalog
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Names anew the collections that this node holds; tells all others if they are others.
pub(crate) async fn changed(core: &Arc<Core>) -> Result<(), Fault> {
    let name = core.blocking(name).await?;
    let other = core.quietly(|view| {
        let other = view.table.me().catalog != name;
        if other {
            view.table.beat(|me| me.catalog = name);
        }
        other
    });
    if other {
        gossip::announce(core).await;
    }
    Ok(())
}

/// Returns a name for the collections that a store holds.
pub(crate) fn name(store: &Store) -> Result<u64, StoreError> {
    let mut hasher = blake3::Hasher::new();
    for held in store.list(Kind::Collection, &SlotSet::all())? {
        hasher
            .update(held.key.id.as_bytes())
            .update(held.hash.as_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    Ok(u64::from_be_bytes(first))
}
