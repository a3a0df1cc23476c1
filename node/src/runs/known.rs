//! A run as one node knows it, and what its users want of it.
//!
//! *Invariants*: of two wishes the greater is the later; a definition is shared, never changed.
//!
//! *Not here*: its jobs (`book`), how it is kept (`keep`).

use std::sync::Arc;

use query::slots::SlotSet;
use serde::{Deserialize, Serialize};
use wire::run::{Run, Wish};

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
