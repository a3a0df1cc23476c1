//! What one node knows of a run that others wait for.
//!
//! *Invariants*: one answer a cell asked about, in order.
//!
//! *Not here*: what is made of it (`cluster::tend`).

use serde::{Deserialize, Serialize};
use wire::run::JobState;

use crate::runs::Wished;
use crate::slots::SlotSet;

/// Cells of a run to tell of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FatesRequest {
    /// Name of the run.
    pub run: String,
    /// Geocode texts.
    pub cells: Vec<String>,
}

/// What one node knows of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fates {
    /// Slots whose cells it has planned.
    pub slots: SlotSet,
    /// What users want of the run, as far as it has heard.
    pub wished: Wished,
    /// Of each cell asked about its state and what is said of it, if it was planned there.
    pub cells: Vec<Option<(JobState, Option<String>)>>,
}
