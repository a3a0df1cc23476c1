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
