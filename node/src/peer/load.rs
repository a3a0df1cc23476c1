//! What one node says that it holds in a slot.
//!
//! *Invariants*: slots in which nothing lies are left out.
//!
//! *Not here*: what is made of it (`layout`).

use serde::{Deserialize, Serialize};

/// What one node holds in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotLoad {
    /// Its number.
    pub slot: u16,
    /// Splits.
    pub splits: u64,
    /// Bytes of all objects.
    pub bytes: u64,
}
