//! Why a node answers for no slots alone.
//!
//! *Invariants*: none beyond what the fields say.
//!
//! *Not here*: when that is so (`answer::doubt`), how it ends (`upkeep::doubt`).

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;

/// Why a node leaves answers to others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Doubted {
    /// Seconds since that is so, or since the node started if it was so before.
    pub seconds: u64,
    /// Folders were not compared with the index yet.
    pub unread: bool,
    /// The index was remade past folders that cannot be listed.
    pub unlisted: bool,
    /// The nodes that are yet to be compared with, in order.
    pub waits_for: Vec<NodeId>,
}
