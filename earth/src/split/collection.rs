//! A collection: dataset, scheme, precision and placement under one name.
//!
//! *Invariants*: names are path- and URL-safe, so that they can stand in file names.
//!
//! *Not here*: the list of collections a cluster holds (node).

use serde::{Deserialize, Serialize};

use crate::geocode::Scheme;
use crate::split::placement::PlacementRule;

/// Longest name of a collection, scene or run: file names stay below 255 bytes.
pub const NAME_LENGTH_MAX: usize = 120;

/// Dataset, scheme, precision and placement under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// The name.
    pub name: String,
    /// The dataset its scenes belong to.
    pub dataset: String,
    /// How cells are named.
    pub scheme: Scheme,
    /// Characters per geocode.
    pub precision: u8,
    /// Which part of the geocode is hashed.
    pub placement: PlacementRule,
}

/// Tells whether a text may name a collection, scene or run:
/// 1..=120 of letters, digits, `-`, `_`, `.`, not starting with `.` or `-`.
pub fn is_name(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty()
        && text.len() <= NAME_LENGTH_MAX
        && !text.starts_with(['.', '-'])
        && text.chars().all(safe)
}
