//! The document of a split, read out of its own GeoTIFFs.
//!
//! *Invariants*: every file is checked against its seal and its checksum; all files of a split say
//! the same; pixels are never decoded.
//!
//! *Not here*: the file format (earth).

use earth::split::codec;
use earth::split::meta::SplitMeta;

use super::object::{Object, ObjectError, ObjectFile, ObjectKey};
use super::record::{agree, wrong};

/// Returns the split's metadata as JSON.
pub(super) fn document(object: &Object) -> Result<String, ObjectError> {
    let key = &object.key;
    let meta = meta(key, &object.files)?;
    if meta.placement_key != object.placement_key {
        return Err(wrong(key, "they belong under another placement key"));
    }
    agree(key, meta.id.as_str())?;
    serde_json::to_string(&meta).map_err(|e| wrong(key, e.to_string()))
}

/// Returns the split's metadata.
pub(super) fn meta(key: &ObjectKey, files: &[ObjectFile]) -> Result<SplitMeta, ObjectError> {
    let mut found: Option<SplitMeta> = None;
    for file in files {
        let of_file = |e: codec::DecodeError| wrong(key, format!("{}: {e}", file.name));
        let meta = codec::verify(&file.bytes).map_err(of_file)?;
        let name = codec::asset_name(&file.bytes).map_err(of_file)?;
        if name != file.name {
            return Err(wrong(key, format!("{} was written as {name}", file.name)));
        }
        match &found {
            Some(first) if *first != meta => {
                return Err(wrong(key, format!("{} is of another split", file.name)));
            }
            _ => found = Some(meta),
        }
    }
    let meta = found.ok_or_else(|| wrong(key, "there is none"))?;
    if meta.assets.len() == files.len() {
        Ok(meta)
    } else {
        let (found, named) = (files.len(), meta.assets.len());
        Err(wrong(key, format!("there are {found} of {named}")))
    }
}
