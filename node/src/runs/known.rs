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

impl Wished {
    /// Returns what is wanted once the run is announced again: what was wanted before, but that a
    /// cancelled run goes on, which is a later wish than the cancellation.
    pub(super) fn announced(self) -> Self {
        match self.wish {
            Wish::Go | Wish::Pause => self,
            Wish::Cancel => Self {
                number: self.number + 1,
                wish: Wish::Go,
            },
        }
    }
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

#[cfg(test)]
mod tests {
    use super::{Wish, Wished};

    #[test]
    fn a_run_announced_again_goes_on_whoever_still_knows_of_its_cancellation() {
        let wished = |number, wish| Wished { number, wish };
        let cancelled = wished(3, Wish::Cancel);
        let again = cancelled.announced();
        assert_eq!(again.wish, Wish::Go);
        assert!(again > cancelled);
        for kept in [wished(2, Wish::Go), wished(4, Wish::Pause)] {
            assert_eq!(kept.announced(), kept);
        }
    }
}
