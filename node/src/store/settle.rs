//! What a start does about writes that a crash cut off.
//!
//! *Invariants*: afterwards `tmp` is empty, every acknowledged object is in its place, and what was
//! renamed but never acknowledged is gone again.
//!
//! *Not here*: how intents are written (`files`).

use std::path::Path;

use super::error::StoreError;
use super::files::Files;
use super::object::{ContentHash, OBJECT_FILE};
use super::records::Records;

/// Settles every intent, then empties `tmp`.
pub(super) fn settle(files: &Files, records: &Records) -> Result<(), StoreError> {
    for (intent, staged) in files.intents()? {
        let record = records.get(&intent.key)?;
        let committed = record.as_ref().map(|r| r.hash) == intent.hash;
        if committed && intent.hash.is_some() {
            continue;
        }
        let folder = files.folder(&intent.key, intent.slot);
        match record {
            Some(record) if record.slot() == intent.slot => {
                let expected = Some(record.hash);
                if hash_of(files, &folder) != expected && hash_of(files, &staged) == expected {
                    files.undo(&intent, &staged)?;
                }
            }
            // Placed and not recorded, to be removed and recorded no longer, or recorded elsewhere.
            _ => files.discard(&intent)?,
        }
        tracing::info!(key = %intent.key, "settled a write that was cut off");
    }
    files.clear_tmp()
}

/// Returns the content hash of a folder, `None` if there is none to read.
fn hash_of(files: &Files, folder: &Path) -> Option<ContentHash> {
    let mut entries = Vec::new();
    for entry in files.disk.entries(folder).ok()? {
        if entry.name != OBJECT_FILE {
            let bytes = files.disk.read(&folder.join(&entry.name)).ok()?;
            entries.push(super::object::entry(&entry.name, &bytes));
        }
    }
    Some(ContentHash::of(&entries))
}
