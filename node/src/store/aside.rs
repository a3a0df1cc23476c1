//! Setting a damaged folder aside that no record names.
//!
//! *Invariants*: what is whole, or named by a record, is never set aside; what is set aside lies in
//! `quarantine` afterwards, as what a healed object's folder held does.
//!
//! *Not here*: whether anybody needs it (`upkeep::leftover`).

use std::sync::PoisonError;

use super::error::StoreError;
use super::note::ObjectNote;
use super::object::{ContentHash, OBJECT_FILE};
use super::record::{Record, Version};
use super::{LeftOut, Store, rebuild};

/// What can still be told of a folder that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remains {
    /// Which content it held, if its note can be read.
    pub version: Option<Version>,
    /// There are files in it besides its note: it is no tombstone.
    pub has_files: bool,
}

impl Store {
    /// Returns what can be told of a folder that is left out; `None` if it is gone, whole or named
    /// by a record by now.
    pub fn remains(&self, left: &LeftOut) -> Result<Option<Remains>, StoreError> {
        let _lock = self.lock(&left.key);
        self.remains_of(left)
    }

    /// Sets a folder aside that is left out; `false` if it is gone, whole or named by a record by
    /// now.
    pub fn set_aside(&self, left: &LeftOut) -> Result<bool, StoreError> {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock(&left.key);
        if self.remains_of(left)?.is_none() {
            return Ok(false);
        }
        let away = self.files.announce_removal(&left.key, left.slot)?;
        self.files.take_away(&away, &left.key, left.slot)?;
        self.files.quarantine(&away, &left.key);
        self.left_out_by_key().remove(&left.key);
        Ok(true)
    }

    /// As `remains`, for who holds the object's lock.
    fn remains_of(&self, left: &LeftOut) -> Result<Option<Remains>, StoreError> {
        let known = self.left_out_by_key().get(&left.key).map(|l| l.slot);
        if known != Some(left.slot) {
            return Ok(None);
        }
        let recorded = self.index().records.get(&left.key)?;
        if recorded.is_some_and(|record: Record| record.slot() == left.slot) {
            self.left_out_by_key().remove(&left.key);
            return Ok(None);
        }
        let folder = self.files.folder(&left.key, left.slot);
        let disk = self.files.disk.as_ref();
        if !disk.is_there(&folder) {
            self.left_out_by_key().remove(&left.key);
            return Ok(None);
        }
        if rebuild::read(disk, &left.key, (left.slot, &folder)).is_ok() {
            return Ok(None);
        }
        let note = disk.read(&folder.join(OBJECT_FILE)).ok();
        let note = note.and_then(|bytes| ObjectNote::read(&bytes).ok());
        // A folder that cannot be listed may hold anything.
        let has_files = disk.entries(&folder).map_or(true, |entries| {
            entries.iter().any(|entry| entry.name != OBJECT_FILE)
        });
        Ok(Some(Remains {
            version: note.map(|note| Version {
                revision: note.revision,
                hash: ContentHash::of(&note.files),
            }),
            has_files,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use bytes::Bytes;
    use earth::split::placement::PlacementKey;
    use tempfile::TempDir;
    use wire::bundle::Kind;

    use super::super::{Object, ObjectFile, ObjectKey, PutMode};
    use super::*;

    fn object(weights: &'static str) -> Object {
        let file = |name: &str, text: &'static str| ObjectFile {
            name: name.to_owned(),
            bytes: Bytes::from_static(text.as_bytes()),
        };
        let config = r#"{"run":"r","geocode":"9xj5"}"#;
        Object {
            key: ObjectKey::new(Kind::Model, "r/9xj5"),
            placement_key: PlacementKey::named("test", "9xj5"),
            files: vec![file("config.json", config), file("weights", weights)],
        }
    }

    /// A store that has lost its index, and the second revision's folder in it.
    fn second_revision() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.put(&object("old"), PutMode::Keep).unwrap();
        store.put(&object("new"), PutMode::Overwrite).unwrap();
        let folder = store.folder(&store.known(&object("new").key).unwrap().unwrap());
        drop(store);
        fs::remove_file(dir.path().join("index.redb")).unwrap();
        (dir, folder)
    }

    fn kept_aside(dir: &Path) -> usize {
        fs::read_dir(dir.join("quarantine")).map_or(0, Iterator::count)
    }

    #[test]
    fn what_is_not_whole_tells_its_version_and_is_kept_aside() {
        let (dir, folder) = second_revision();
        let weights = folder.join("weights");
        fs::write(&weights, "nex").unwrap();
        let store = Store::open(dir.path()).unwrap();
        let left = store.left_out().remove(0);
        let remains = store.remains(&left).unwrap().unwrap();
        assert_eq!(remains.version.map(|v| v.revision), Some(2));
        assert!(remains.has_files);
        // It is read again at the last moment.
        fs::write(&weights, "new").unwrap();
        assert!(!store.set_aside(&left).unwrap() && folder.is_dir());
        fs::write(&weights, "nex").unwrap();
        assert!(store.set_aside(&left).unwrap() && !folder.exists());
        assert_eq!((kept_aside(dir.path()), store.left_out()), (1, Vec::new()));
        assert!(!store.set_aside(&left).unwrap());
    }

    #[test]
    fn what_is_whole_again_is_recorded_without_a_restart() {
        let (dir, folder) = second_revision();
        fs::write(folder.join("weights"), "nex").unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.reconcile().unwrap();
        assert!(store.known(&object("new").key).unwrap().is_none());
        fs::write(folder.join("weights"), "new").unwrap();
        store.reconcile().unwrap();
        assert_eq!(
            store.known(&object("new").key).unwrap().unwrap().revision,
            2
        );
    }

    #[test]
    fn what_takes_the_place_of_a_damaged_folder_leaves_it_aside() {
        let (dir, folder) = second_revision();
        fs::write(folder.join("weights"), "nex").unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.put(&object("old"), PutMode::Replica(1)).unwrap();
        assert_eq!((kept_aside(dir.path()), store.left_out()), (1, Vec::new()));
    }

    #[test]
    fn a_folder_that_is_gone_is_left_out_no_more() {
        let (dir, folder) = second_revision();
        fs::write(folder.join("object.json"), "{").unwrap();
        let store = Store::open(dir.path()).unwrap();
        let left = store.left_out().remove(0);
        let remains = store.remains(&left).unwrap().unwrap();
        assert_eq!(remains.version, None);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(store.remains(&left).unwrap(), None);
        assert_eq!(store.left_out(), []);
    }
}
