//! Comparing replicas: what is asked and answered.
//!
//! *Invariants*: spans of one question are compared over the slots that both own in one layout.
//!
//! *Not here*: sums (`store::sums`), the exchange (`upkeep::compare`).

use serde::{Deserialize, Serialize};

use crate::layout::Stamp;
use crate::store::{Held, Span};

/// Spans of what two owners hold, compared over the slots that both own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The layout that says which slots those are.
    pub layout: Stamp,
    /// What the asker holds.
    pub spans: Vec<Span>,
}

/// What differs in a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Difference {
    /// Something does: the answerer's spans within.
    Within(Vec<Span>),
    /// All that the answerer holds there.
    Items(Vec<Held>),
}
