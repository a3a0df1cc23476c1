//! What is said of jobs while they are done: `glebe job logs`.
//!
//! *Invariants*: a position only grows, and what stands behind one is never said again; lines are
//! bounded, the oldest go first.
//!
//! *Not here*: keeping lines (node), what is worth saying (trainer, node).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::run::Renew;

/// Greatest length of a text, in characters: a reason with its causes.
pub const TEXT_MAX: usize = 2_000;
/// Most entries in one message of a worker.
pub const ENTRIES_MAX: usize = 1_024;

/// What is worth saying of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// An epoch has ended.
    Epoch(EpochTold),
    /// Anything else, such as what was decided and why.
    Said(String),
}

/// How an epoch went; errors in squared units of the label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochTold {
    /// From 1.
    pub epoch: u32,
    /// Mean squared error over its batches, each before its step.
    pub train_mse: f64,
    /// Mean squared error on held-out chips after it.
    pub validation_mse: f64,
    /// The best so far.
    pub best: bool,
    /// Seconds that it took.
    pub seconds: f64,
}

/// An event with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was, by the clock of who says it.
    pub at: Timestamp,
    /// What was.
    #[serde(flatten)]
    pub event: Event,
}

/// `POST /v1/lease/log` body: what a worker says of its job; refused if the token is stale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The lease.
    #[serde(flatten)]
    pub lease: Renew,
    /// What is said, oldest first.
    pub entries: Vec<Entry>,
}

/// One line of a run's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Geocode text of the job.
    pub geocode: String,
    /// Node that keeps it.
    pub node: String,
    /// What was said, and when.
    #[serde(flatten)]
    pub entry: Entry,
}

/// `POST /v1/runs/{name}/logs` body: what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRequest {
    /// Geocode text of one job, or all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geocode: Option<String>,
    /// Behind which position of each node; from the oldest that is kept if absent.
    pub after: BTreeMap<String, u64>,
}

/// Its answer: lines in order of time, as far as one answer reaches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<Line>,
    /// Where to go on.
    pub after: BTreeMap<String, u64>,
    /// More are there already.
    pub more: bool,
    /// Every node answered.
    pub complete: bool,
}

impl Event {
    /// Says something, cut to the greatest length.
    pub fn said(text: &str) -> Self {
        Self::Said(text.chars().take(TEXT_MAX).collect())
    }
}

impl Entry {
    /// Returns what happens now.
    pub fn now(event: Event) -> Self {
        let at = Timestamp::now();
        Self { at, event }
    }
}
