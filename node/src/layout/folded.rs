//! Layouts that were folded already, for the many nodes of one simulated cluster.
//!
//! A fold is a pure function of its changes, and all nodes of a cluster fold the same ones: a drill
//! spent a fifth of its time on folding each again for every node and every start.
//!
//! *Invariants*: remembers nothing unless told to, on this thread, and forgets it with the cluster;
//! what is remembered is what a fold gives.
//!
//! *Not here*: folding (`fold`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::{ChangeSet, Layout, Stamp};

thread_local! {
    static FOLDED: RefCell<Option<HashMap<Stamp, Arc<Layout>>>> = const { RefCell::new(None) };
}

/// Remembers layouts on this thread from now on, or forgets them.
pub(crate) fn remember(on: bool) {
    FOLDED.set(on.then(HashMap::new));
}

/// Returns the layout that changes fold to.
pub(crate) fn of(changes: &ChangeSet) -> Arc<Layout> {
    FOLDED.with_borrow_mut(|folded| match folded {
        None => Arc::new(changes.layout()),
        Some(folded) => {
            let fold = || Arc::new(changes.layout());
            Arc::clone(folded.entry(changes.stamp()).or_insert_with(fold))
        }
    })
}
