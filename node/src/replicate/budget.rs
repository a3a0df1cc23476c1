//! How many bytes may be on their way to other nodes.
//!
//! *Invariants*: a node that takes nothing in holds back at most its own budget of memory here, and
//! what is sent to others goes on.
//!
//! *Not here*: objects that wait to be sent (`http` bounds those that it takes in).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::identity::NodeId;

/// Kibibytes on their way to one node: eight of the greatest chunks keep a disk busy.
const PER_NODE_KIB: u32 = 8 * (4 << 10);

/// Bytes on their way to each node.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    nodes: Mutex<BTreeMap<NodeId, Budget>>,
}

/// Bytes that may be on their way to one node.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Sending {
    /// Returns the budget of a node.
    pub(crate) fn of(&self, node: &NodeId) -> Budget {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Budget(Arc::new(Semaphore::new(PER_NODE_KIB as usize)));
        nodes.entry(node.clone()).or_insert_with(fresh).clone()
    }
}

impl Budget {
    /// Waits for room for that many bytes; it is given back when the share is dropped.
    pub(crate) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(PER_NODE_KIB);
        let share = Arc::clone(&self.0).acquire_many_owned(kib.clamp(1, PER_NODE_KIB));
        // None: nobody closes it.
        share.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::swarm::CHUNK_BYTES_MAX;

    #[tokio::test]
    async fn a_full_budget_holds_back_its_own_node_only() {
        let sending = Sending::default();
        let node = |name| NodeId::parse(name).unwrap();
        let budget = sending.of(&node("a"));
        let mut shares = Vec::new();
        while let Some(Some(share)) = budget.take(CHUNK_BYTES_MAX).now_or_never() {
            shares.push(share);
        }
        assert_eq!(shares.len(), 8);
        assert!(sending.of(&node("a")).take(1).now_or_never().is_none());
        assert!(sending.of(&node("b")).take(1).now_or_never().is_some());
        shares.pop();
        assert!(sending.of(&node("a")).take(1).now_or_never().is_some());
    }
}
