//! Layouts that were folded already, for the many nodes of one simulated cluster.
//!
//! A fold is a pure function of its changes, and all nodes of a cluster fold the same ones: a drill
//! spent a fifth of its time on folding each again for every node and every start, and an eighth on
//! folding again from the first change on what had one change more.
//!
//! *Invariants*: remembers nothing unless told to, on this thread, and forgets it with the cluster;
//! what is remembered is what a fold gives.
//!
//! *Not here*: folding (`fold`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::fold::Fold;
use super::{Change, ChangeSet, Layout, Stamp};

thread_local! {
    static FOLDED: RefCell<Option<Folded>> = const { RefCell::new(None) };
}

/// What one cluster's changes fold to.
#[derive(Debug, Default)]
struct Folded {
    layouts: HashMap<Stamp, Arc<Layout>>,
    /// The folds on the way to them, each with its changes.
    folds: Vec<(Vec<Change>, Fold)>,
}

/// Remembers layouts on this thread from now on, or forgets them.
pub(crate) fn remember(on: bool) {
    FOLDED.set(on.then(Folded::default));
}

/// Returns the layout that changes fold to.
pub(crate) fn of(changes: &ChangeSet) -> Arc<Layout> {
    FOLDED.with_borrow_mut(|folded| match folded {
        None => Arc::new(changes.layout()),
        Some(folded) => folded.of(changes),
    })
}

impl Folded {
    fn of(&mut self, changes: &ChangeSet) -> Arc<Layout> {
        let stamp = changes.stamp();
        if let Some(known) = self.layouts.get(&stamp) {
            return Arc::clone(known);
        }
        let begins = |(first, _): &&(Vec<Change>, Fold)| changes.iter().take(first.len()).eq(first);
        let longest = self
            .folds
            .iter()
            .filter(begins)
            .max_by_key(|(f, _)| f.len());
        let (done, mut fold) = match longest {
            Some((first, fold)) => (first.len(), fold.clone()),
            None => (0, Fold::new()),
        };
        changes.iter().skip(done).for_each(|c| fold.apply(c));
        self.folds
            .push((changes.iter().cloned().collect(), fold.clone()));
        let layout = Arc::new(fold.finish(stamp));
        self.layouts.insert(stamp, Arc::clone(&layout));
        layout
    }
}
