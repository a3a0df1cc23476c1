//! Collections over HTTP.
//!
//! *Invariants*: creating the same collection twice is no error; another one of that name is.
//!
//! *Not here*: the type itself (earth).

use earth::split::collection::Collection;
use serde::{Deserialize, Serialize};

/// `GET /v1/collections`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Collections {
    /// All collections, by name.
    pub collections: Vec<Collection>,
}

/// `DELETE /v1/collections/{name}` answer: what was or would be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CollectionDeleted {
    /// Splits (distinct).
    pub splits: u64,
    /// Bytes of one replica of each.
    pub bytes: u64,
    /// Nothing was deleted: this is what would be.
    pub dry_run: bool,
}
