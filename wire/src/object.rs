//! Putting an object: what the writer asks and what the node acknowledges.
//!
//! *Invariants*: an acknowledgement names every node that fsynced payload and record.
//!
//! *Not here*: the body of the request (`bundle`).

use serde::{Deserialize, Serialize};

use crate::bundle::Kind;
use crate::run::Renew;

/// What putting an object did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PutOutcome {
    /// The id was not there, or `overwrite` replaced it.
    New,
    /// The same content was there already.
    Same,
    /// Other content was there first and stays.
    Kept,
}

/// `PUT /v1/object` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutAck {
    /// What was put.
    pub kind: Kind,
    /// Its id within the kind.
    pub id: String,
    /// What putting it did.
    pub outcome: PutOutcome,
    /// Ids of the nodes that hold it fsynced.
    pub acked_by: Vec<String>,
    /// Those of `acked_by` that are no owners and hand it over later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standins: Vec<String>,
    /// Bytes of one replica.
    #[serde(default)]
    pub bytes: u64,
}

/// Query string of `PUT /v1/object`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PutParams {
    /// Replace content of the same id.
    #[serde(default)]
    pub overwrite: bool,
    /// Run whose job the model answers; with `geocode` and `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Geocode of that job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geocode: Option<String>,
    /// Token of its lease; a stale one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
}

impl PutParams {
    /// Returns the parameters that publish a model under a lease.
    pub fn publish(lease: &Renew) -> Self {
        Self {
            overwrite: false,
            run: Some(lease.run.clone()),
            geocode: Some(lease.geocode.clone()),
            token: Some(lease.token),
        }
    }

    /// Returns the lease under which a model is published, when all three parts are given.
    pub fn lease(&self) -> Option<Renew> {
        Some(Renew {
            run: self.run.clone()?,
            geocode: self.geocode.clone()?,
            token: self.token?,
        })
    }
}

/// `POST /v1/repair/rebuild-index` answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rebuilt {
    /// Objects whose records were remade from their files.
    pub objects: u64,
    /// Slots in which these lie; told by a dry run alone.
    #[serde(default)]
    pub slots: u64,
    /// Bytes of their files; told by a dry run alone.
    #[serde(default)]
    pub bytes: u64,
    /// Nothing was done: objects are the folders that would be read.
    #[serde(default)]
    pub dry_run: bool,
    /// Objects left out because their files are not whole, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}
