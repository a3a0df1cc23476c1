//! What a start does about writes that a crash cut off.
//!
//! *Invariants*: afterwards `tmp` is empty, every acknowledged object is in its place, also if the
//! index has lost it, and what was renamed but never acknowledged is gone again; but where folders
//! could not be listed, for then no record tells what was acknowledged.
//!
//! *Not here*: how intents are written (`files`).

use std::path::Path;

use super::error::StoreError;
use super::files::{Files, Intent, Unlisted};
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
            None if intent.hash.is_some() => {
                let known = !is_below(&folder, unlisted);
                unrecorded(files, (&intent, &staged), known)?;
            }
            // To be removed and recorded no longer, or recorded elsewhere.
            _ => files.discard(&intent, &staged)?,
        }
        tracing::info!(key = %intent.key, "settled a write that was cut off");
    }
    files.clear_tmp()
}

/// Settles a put of what has no record: it takes its place no longer. What stood there before does:
/// an index that is older than the disk has no record of that either.
fn unrecorded(
    files: &Files,
    (intent, staged): (&Intent, &Path),
    known: bool,
) -> Result<(), StoreError> {
    let folder = files.folder(&intent.key, intent.slot);
    let is_placed = hash_of(files, &folder) == intent.hash;
    let before = hash_of(files, staged).filter(|hash| Some(*hash) != intent.hash);
    if before.is_some() && is_placed {
        return files.undo(intent, staged);
    }
    if is_placed && known && !files.disk.is_there(staged) {
        return files.discard(intent, staged);
    }
    // It did nothing yet; or all that it was for, and what it placed has gone since.
    Ok(())
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
    use super::super::object::ObjectKey;
    use super::*;

    /// Which revision stands in a folder: what its one file holds.
    fn revision(folder: &Path) -> Option<String> {
        std::fs::read_to_string(folder.join("weights")).ok()
    }

    /// An index that had gone back to an earlier commit had the older one removed with the new one.
    #[test]
    fn what_a_put_without_a_record_took_the_place_of_stays_wherever_it_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(Arc::new(OsDisk), dir.path(), 0).unwrap();
        let records = Records::open(&OsDisk, &dir.path().join("index.redb")).unwrap();
        let (key, slot) = (ObjectKey::new(Kind::Model, "m"), Slot::new(3).unwrap());
        let folder = files.folder(&key, slot);
        let staged = dir.path().join("tmp/0");
        let new = ContentHash::of(&[super::super::object::entry("weights", b"new")]);
        // In its place, staged, and what is in its place afterwards.
        let cases = [
            (Some("old"), Some("new"), Some("old")),
            (Some("new"), Some("old"), Some("old")),
            (None, Some("old"), None),
            (Some("new"), Some("new"), Some("new")),
            (Some("old"), Some("harmed"), Some("old")),
            (None, Some("new"), None),
            (Some("new"), None, None),
        ];
        for (placed, aside, stays) in cases {
            for (path, held) in [(&folder, placed), (&staged, aside)] {
                let Some(held) = held else { continue };
                std::fs::create_dir_all(path).unwrap();
                std::fs::write(path.join("weights"), held).unwrap();
            }
            let intent = Intent {
                key: key.clone(),
                slot,
                hash: Some(new),
            };
            let text = serde_json::to_vec(&intent).unwrap();
            std::fs::write(dir.path().join("tmp/0.intent"), text).unwrap();
            settle(&files, &records, &[]).unwrap();
            let told = format!("{placed:?} in its place, {aside:?} staged");
            assert_eq!(revision(&folder).as_deref(), stays, "{told}");
            assert!(!staged.exists() && files.intents().unwrap().is_empty());
            files.disk.remove(&folder).unwrap();
        }
    }

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
