//! A run as one node knows it, and what its users want of it.
//!
//! *Invariants*: of two wishes the greater is the later; a definition is shared, never changed; a
//! slot that was planned here is vouched for while each of its cells has a job here, or at a node
//! that is there and has not said that it has none.
//!
//! *Not here*: its jobs (`book`), how it is kept (`keep`).

use std::collections::BTreeMap;
use std::sync::Arc;

use earth::split::placement::Slot;
use query::slots::SlotSet;
use serde::{Deserialize, Serialize};
use wire::run::{Run, Wish};

use super::Runs;

/// A run as one node knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownRun {
    /// The definition.
    #[serde(with = "told_whole")]
    pub run: Arc<Run>,
    /// Slots whose cells this node has planned.
    pub slots: SlotSet,
    /// What its users want of it.
    #[serde(default)]
    pub wished: Wished,
    /// Cells that were planned here and left to other nodes, which have a job of them, too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ceded: BTreeMap<String, Ceded>,
}

/// What became of a job that was left to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceded {
    /// The node; empty once that has no job of it any more.
    pub to: String,
    /// Slot of the cell.
    pub slot: Slot,
    /// Token of the newest lease here: later ones are greater.
    pub token: u64,
}

impl Ceded {
    /// Tells whether it is known that no node has the job.
    pub fn is_lost(&self) -> bool {
        self.to.is_empty()
    }
}

impl Runs {
    /// Returns the definition of a run that this node knows.
    pub fn definition(&self, run: &str) -> Option<Arc<Run>> {
        let inner = self.lock();
        inner.runs.get(run).map(|known| Arc::clone(&known.run))
    }
}

impl KnownRun {
    /// Builds what is known of a run of which some slots are planned.
    pub fn new(run: Run, slots: SlotSet) -> Self {
        Self {
            run: Arc::new(run),
            slots,
            wished: Wished::default(),
            ceded: BTreeMap::new(),
        }
    }

    /// Adds what was known before.
    pub fn go_on_from(&mut self, before: &Self) {
        self.slots.union(&before.slots);
        self.wished = before.wished;
        self.ceded.clone_from(&before.ceded);
    }

    /// Returns the slots each of whose cells has a job here, or at another node that is there.
    pub fn vouched(&self, is_there: impl Fn(&str) -> bool) -> SlotSet {
        let mut lost = SlotSet::none();
        let is_gone = |ceded: &&Ceded| ceded.is_lost() || !is_there(&ceded.to);
        let gone = self.ceded.values().filter(is_gone);
        gone.for_each(|ceded| lost.insert(ceded.slot));
        let mut slots = self.slots.clone();
        slots.subtract(&lost);
        slots
    }
}

/// A wish, and which of all wishes for the run it is: the latest counts, on whatever node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Wished {
    /// Greater than the numbers of all wishes that were known when it was uttered.
    pub number: u64,
    /// What is wanted.
    pub wish: Wish,
}

/// A shared definition is written down as itself.
mod told_whole {
    use std::sync::Arc;

    use serde::{Deserialize, Serialize};
    use wire::run::Run;

    pub(super) fn serialize<S: serde::Serializer>(
        run: &Arc<Run>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        run.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<Run>, D::Error> {
        Run::deserialize(from).map(Arc::new)
    }
}
