//! What a start does about writes that a crash cut off.
//!
//! *Invariants*: afterwards `tmp` is empty, every acknowledged object is in its place, and what was
//! renamed but never acknowledged is gone again; but where folders could not be listed, for then no
//! record tells what was acknowledged.
//!
//! *Not here*: how intents are written (`files`).

use std::path::Path;

use super::error::StoreError;
use super::files::{Files, Unlisted};
use super::object::{ContentHash, OBJECT_FILE};
use super::records::Records;

/// Settles every intent, then empties `tmp`; the records tell nothing of folders that could not be
/// listed when they were made.
pub(super) fn settle(
    files: &Files,
    records: &Records,
    unlisted: &[Unlisted],
) -> Result<(), StoreError> {
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
            // Perhaps it was recorded before.
            None if intent.hash.is_some() && is_below(&folder, unlisted) => {}
            // Placed and not recorded, to be removed and recorded no longer, or recorded elsewhere.
            _ => files.discard(&intent)?,
        }
        tracing::info!(key = %intent.key, "settled a write that was cut off");
    }
    files.clear_tmp()
}

fn is_below(folder: &Path, unlisted: &[Unlisted]) -> bool {
    unlisted.iter().any(|un| folder.starts_with(&un.folder))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use earth::split::placement::Slot;
    use wire::bundle::Kind;

    use super::super::disk::OsDisk;
    use super::super::files::Intent;
    use super::super::object::ObjectKey;
    use super::*;

    #[test]
    fn what_no_record_can_tell_of_is_not_taken_for_unacknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(Arc::new(OsDisk), dir.path(), 0).unwrap();
        let records = Records::open(&OsDisk, &dir.path().join("index.redb")).unwrap();
        let (key, slot) = (ObjectKey::new(Kind::Run, "r"), Slot::new(3).unwrap());
        let folder = files.folder(&key, slot);
        let unlisted = Unlisted {
            folder: folder.parent().unwrap().to_owned(),
            why: "it cannot".to_owned(),
        };
        // Cut off after it was placed: before its record, or behind it, when the index was whole.
        for (unlisted, stays) in [(vec![unlisted], true), (vec![], false)] {
            let hash = Some(ContentHash::NOTHING);
            let intent = Intent {
                key: key.clone(),
                slot,
                hash,
            };
            std::fs::create_dir_all(&folder).unwrap();
            let text = serde_json::to_vec(&intent).unwrap();
            std::fs::write(dir.path().join("tmp/0.intent"), text).unwrap();
            settle(&files, &records, &unlisted).unwrap();
            assert_eq!(folder.is_dir(), stays);
            assert!(files.intents().unwrap().is_empty());
        }
    }
}
