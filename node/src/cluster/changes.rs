//! Wakes those that wait for a change of the view.
//!
//! *Invariants*: no change is missed between two waits; who waits longest is woken first, so that a
//! simulated cluster goes one way only (tokio's `watch` wakes in an order of its own choice).
//!
//! *Not here*: what has changed (`core`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    count: AtomicU64,
    wake: Notify,
}

/// Waits for changes that come after it was made.
#[derive(Debug)]
pub(crate) struct Watch {
    changes: Arc<Changes>,
    seen: u64,
}

impl Changes {
    /// Notes a change.
    pub(crate) fn note(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    /// Returns what waits for the next change.
    pub(crate) fn watch(self: &Arc<Self>) -> Watch {
        Watch {
            seen: self.count.load(Ordering::SeqCst),
            changes: Arc::clone(self),
        }
    }
}

impl Watch {
    /// Waits until something has changed since the last wait.
    pub(crate) async fn changed(&mut self) {
        loop {
            // It counts from here on, polled or not: a change after the look below wakes it.
            let woken = self.changes.wake.notified();
            let count = self.changes.count.load(Ordering::SeqCst);
            if count != self.seen {
                self.seen = count;
                return;
            }
            woken.await;
        }
    }
}
