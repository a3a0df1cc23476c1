//! How many bytes may be on their way between this node and each other one.
//!
//! *Invariants*: a node that takes nothing in holds back at most its own budget of memory here, and
//! what is sent to others goes on; replicas that are pulled make the questions on the same
//! connection wait for no more than their budget.
//!
//! *Not here*: objects that wait to be sent (`http` bounds those that it takes in).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::identity::NodeId;

/// Kibibytes of puts on their way to one node: eight of the greatest chunks keep a disk busy.
pub(crate) const SENT_KIB: u32 = 8 * (4 << 10);
/// Kibibytes of repair on their way from one node: what a gigabit carries in 8 ms, so that
/// questions beside it do not wait longer, and more than it carries until the next is asked for.
pub(crate) const PULLED_KIB: u32 = 1 << 10;

/// Bytes on their way between this node and each other one.
#[derive(Debug)]
pub(crate) struct Budgets {
    kib: u32,
    nodes: Mutex<BTreeMap<NodeId, Budget>>,
}

/// Bytes that may be on their way to or from one node.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    kib: u32,
    left: Arc<Semaphore>,
}

impl Budgets {
    /// Returns budgets of so many kibibytes each.
    pub(crate) fn new(kib: u32) -> Self {
        Self {
            kib,
            nodes: Mutex::default(),
        }
    }

    /// Returns the budget of a node.
    pub(crate) fn of(&self, node: &NodeId) -> Budget {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Budget {
            kib: self.kib,
            left: Arc::new(Semaphore::new(self.kib as usize)),
        };
        nodes.entry(node.clone()).or_insert_with(fresh).clone()
    }
}

impl Budget {
    /// Returns the bytes that may be on their way at once.
    pub(crate) fn bytes(&self) -> u32 {
        self.kib.saturating_mul(1 << 10)
    }

    /// Waits for room for that many bytes, or for the whole budget where they are more; it is given
    /// back when the share is dropped.
    pub(crate) async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(self.kib);
        let share = Arc::clone(&self.left).acquire_many_owned(kib.clamp(1, self.kib));
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
        let sending = Budgets::new(SENT_KIB);
        let node = |name| NodeId::parse(name).unwrap();
        let budget = sending.of(&node("a"));
        let mut shares = Vec::new();
        while let Some(Some(share)) = budget.take(CHUNK_BYTES_MAX as u64).now_or_never() {
            shares.push(share);
        }
        assert_eq!(shares.len(), 8);
        assert!(sending.of(&node("a")).take(1).now_or_never().is_none());
        assert!(sending.of(&node("b")).take(1).now_or_never().is_some());
        shares.pop();
        assert!(sending.of(&node("a")).take(1).now_or_never().is_some());
    }
}
