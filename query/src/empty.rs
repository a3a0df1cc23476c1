//! Why an answer is empty: which single predicate emptied it, and the nearest value that would not.
//!
//! *Invariants*: mergeable: the findings of all slots are the merge of those of each; asked with
//! the nearest value, the query matches something, at least until it is deleted.
//!
//! *Not here*: the words around it (cli).

mod nearest;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use nearest::Nearest;

use crate::index::IndexSet;
use crate::predicate::{Clause, Predicate};
use crate::row::Row;
use crate::slots::SlotSet;

/// What is known about an empty answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Emptiness {
    /// Rows in the store.
    pub rows: u64,
    /// For each predicate, the rows that fail it alone.
    pub alone: BTreeMap<Clause, Alone>,
}

/// The rows that fail one predicate and no other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Alone {
    /// How many they are.
    pub rows: u64,
    /// The value of the predicate nearest to the one given with which one of them matches.
    pub nearest: Option<Nearest>,
}

/// The predicate that emptied an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// The predicate.
    pub clause: Clause,
    /// Rows that match all others.
    pub others_match: u64,
    /// The nearest value with which one of them matches, as text for the flag.
    pub nearest: Option<String>,
}

impl Emptiness {
    /// Looks at every row in those slots; to be done only when nothing matched.
    ///
    /// Slots must be those of the whole store that the node answers for, not only those that the
    /// query was routed to: a split elsewhere is what a wrong geocode misses.
    pub fn of<S>(indexes: &IndexSet<S>, predicate: &Predicate, slots: &SlotSet) -> Self {
        let mut found = Self::default();
        let rows = indexes.iter().filter(|row| slots.contains(row.slot));
        rows.for_each(|row| found.add(predicate, &row));
        found
    }

    /// Adds the findings of other slots.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for (clause, theirs) in other.alone {
            let ours = self.alone.entry(clause).or_default();
            ours.rows += theirs.rows;
            if let Some(nearest) = theirs.nearest {
                nearest.improve(&mut ours.nearest);
            }
        }
    }

    /// Returns the predicate to blame: the one that stands alone between the query and most rows.
    pub fn blame(&self) -> Option<Blame> {
        let (clause, alone) = self
            .alone
            .iter()
            .rev()
            .max_by_key(|(_, alone)| (alone.nearest.is_some(), alone.rows))?;
        Some(Blame {
            clause: *clause,
            others_match: alone.rows,
            nearest: alone.nearest.as_ref().map(|n| n.text.clone()),
        })
    }

    fn add(&mut self, predicate: &Predicate, row: &Row<'_>) {
        self.rows += 1;
        let failed = predicate.failed(row);
        let [clause] = failed.as_slice() else {
            return;
        };
        let alone = self.alone.entry(*clause).or_default();
        alone.rows += 1;
        Nearest::offer(*clause, predicate, row, &mut alone.nearest);
    }
}
