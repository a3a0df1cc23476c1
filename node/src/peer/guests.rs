//! Jobs that one node does in place of another.
//!
//! *Invariants*: what a job is, and what became of it, travel as JSON: both leave out fields.
//!
//! *Not here*: which jobs move, and what is done about an answer (`cluster::lend`).

use serde::{Deserialize, Serialize};
use wire::run::Renew;

/// Jobs of one run, lent to the node that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRequest {
    /// `wire::run::Run` as JSON.
    pub run: String,
    /// Milliseconds until the last of them would be begun where it was planned.
    pub wait_ms: u64,
    /// JSON of a list of `runs::Guest`.
    pub jobs: String,
}

/// What a node says of jobs that it does in place of the one that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestWord {
    /// They are under way. Answered with `Granted`.
    Renew(Vec<Renew>),
    /// The model is kept; JSON of `runs::book::Published`. Answered with `Done`.
    Published(Renew, String),
    /// JSON of `wire::run::Failure`. Answered with `Done`.
    Failed(String),
    /// Nobody began them. Answered with `Done`.
    Untried(Vec<Renew>),
    /// The model is being put, which takes no more than so many milliseconds. Answered with
    /// `Granted`.
    Publishing(Renew, u64),
}
