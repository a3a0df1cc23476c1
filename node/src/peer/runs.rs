//! Planning a run, its jobs page by page, what a user wants of it, and what was said of its jobs.
//!
//! *Invariants*: positions are those of the answerer's own lines; pages go by geocode.
//!
//! *Not here*: what is done about it (`runs`).

use serde::{Deserialize, Serialize};
use wire::run::JobState;

use crate::runs::Wished;
use crate::slots::SlotSet;

/// A run to plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// `wire::run::Run` as JSON.
    pub run: String,
    /// Slots of which the answerer is the first owner that is alive.
    pub slots: SlotSet,
    /// Count only.
    pub dry_run: bool,
}

/// What one node planned of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Planned {
    /// Splits that match.
    pub splits: u64,
    /// Jobs, one a geocode.
    pub jobs: u64,
}

/// Where to go on with the jobs of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobsRequest {
    /// Name of the run.
    pub run: String,
    /// Geocode text of the last job that was told.
    pub after: String,
}

/// A page of a node's jobs of a run, by geocode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobsPage {
    /// JSON of a list of `wire::run::JobView`.
    pub jobs: String,
    /// Slots whose cells were planned when it was read.
    pub slots: SlotSet,
    /// More follow.
    pub more: bool,
}

/// Jobs of the asker that the one asked may have, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RivalsRequest {
    /// Name of the run.
    pub run: String,
    /// The jobs.
    pub jobs: Vec<Rival>,
}

/// What is compared of two nodes' jobs of one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rival {
    /// Geocode text.
    pub geocode: String,
    /// State.
    pub state: JobState,
    /// It was lent before it got there, and not found done.
    pub was_lent: bool,
}

/// What is to become of a run's jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steer {
    /// Name of the run.
    pub run: String,
    /// What is wanted, unless something later was.
    pub wished: Wished,
    /// Geocode texts of cells that have their models, whoever trained them.
    pub done: Vec<String>,
}

/// Lines to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsRequest {
    /// Name of the run.
    pub run: String,
    /// Geocode text of one job, or all.
    pub geocode: Option<String>,
    /// From which position on.
    pub after: u64,
}

/// Lines of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogPart {
    /// JSON of a list of `wire::diary::Line`.
    pub lines: String,
    /// Where to go on.
    pub next: u64,
    /// More are there.
    pub more: bool,
}
