//! `POST /v1/search`: a query in, a stream of lines (ndjson) out.
//!
//! *Invariants*: the last line is always `end`; a stream without it was cut off and is no answer.
//!
//! *Not here*: the predicates (query).

use query::Query;
use query::empty::Emptiness;
use query::pairs::Tally;
use serde::{Deserialize, Serialize};

use crate::hit::Hit;

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchLine {
    /// A matching split.
    Hit(Box<Hit>),
    /// The end of the answer.
    End(SearchEnd),
}

/// What is known once all hits have been sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SearchEnd {
    /// Hits sent.
    pub hits: u64,
    /// For every slot asked, a live synced replica answered.
    pub complete: bool,
    /// Slots that nobody alive could answer for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_slots: Vec<u16>,
    /// Version of the layout used.
    pub layout_version: u64,
    /// Which nodes were asked and what each did.
    pub asked: Vec<Asked>,
    /// Slots that can hold an answer.
    pub slots_asked: u64,
    /// Where pairs were asked for, what was counted at the owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Tally>,
    /// Why nothing matched, when nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<EmptyReason>,
    /// Milliseconds at the conduit.
    pub millis: f64,
}

/// What one node did for a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Node id.
    pub node: String,
    /// Slots asked of it.
    pub slots: u64,
    /// Index that drove the evaluation.
    pub index: String,
    /// Rows the index promised.
    pub rows_estimated: u64,
    /// Rows read.
    pub rows_read: u64,
    /// Hits sent.
    pub hits: u64,
    /// Milliseconds there.
    pub millis: f64,
    /// Why it did not answer, if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why an answer is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmptyReason {
    /// Splits in the store.
    pub splits: u64,
    /// The predicate without which there would have been hits (`--max-cloud`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Splits that match all others.
    pub others_match: u64,
    /// The nearest value of that predicate that matches something, as text for the flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl EmptyReason {
    /// Puts what the nodes found about an empty answer into words.
    pub fn new(found: &Emptiness) -> Self {
        let blame = found.blame();
        Self {
            splits: found.rows,
            predicate: blame.as_ref().map(|b| b.clause.flag().to_owned()),
            others_match: blame.as_ref().map_or(0, |b| b.others_match),
            nearest: blame.and_then(|b| b.nearest),
        }
    }
}

/// `POST /v1/search` body.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SearchRequest {
    /// What is asked for.
    pub query: Query,
}
