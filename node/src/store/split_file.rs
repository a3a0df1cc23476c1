//! The document of a split, read out of its own GeoTIFFs.
//!
//! *Invariants*: only the self-description is read, never pixels.
//!
//! *Not here*: the file format (earth).

use super::object::{Object, ObjectError};
use super::record::wrong;

/// Returns the split's metadata as JSON.
pub(super) fn document(object: &Object) -> Result<String, ObjectError> {
    Err(wrong(
        &object.key,
        "it has no GeoTIFF that describes itself",
    ))
}
