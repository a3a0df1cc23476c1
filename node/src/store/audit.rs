//! Looking for what a disk has lost or changed, without anybody asking for it.
//!
//! *Invariants*: whatever differs from what was acknowledged is found: a byte of a file, a note, a
//! file or folder that is gone, a record without a folder, a folder without a record.
//!
//! *Not here*: bringing it back (`upkeep`), how fast to look (`upkeep`).

use std::collections::BTreeMap;
use std::io;
use std::sync::{MutexGuard, PoisonError};

use wire::bundle::Kind;

use super::error::StoreError;
use super::files::{KINDS, Unlisted};
use super::note::ObjectNote;
use super::object::{OBJECT_FILE, ObjectKey};
use super::record::Record;
use super::{LeftOut, PutMode, Store, note, rebuild};
use crate::slots::SlotSet;

/// What is wrong with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Nothing.
    None,
    /// Its files are right; what is said beside them is not.
    Note,
    /// A file is not what was put, or is gone.
    Files,
}

impl Store {
    /// Returns every object of a kind that is held, tombstones too.
    pub fn keys(&self, kind: Kind) -> Result<Vec<ObjectKey>, StoreError> {
        let held = self.list(kind, &SlotSet::all())?;
        Ok(held.into_iter().map(|held| held.key).collect())
    }

    /// Returns the objects of which a file is gone or has another length; reads no file.
    pub fn missing(&self) -> Result<Vec<ObjectKey>, StoreError> {
        let mut missing = Vec::new();
        for kind in KINDS {
            for key in self.keys(kind)? {
                let harmed = |record: &Record| !self.has_files(record);
                // Looked at twice: it may be replaced or deleted meanwhile.
                if self.known(&key)?.is_some_and(|r| harmed(&r))
                    && self.known(&key)?.is_some_and(|r| harmed(&r))
                {
                    missing.push(key);
                }
            }
        }
        Ok(missing)
    }

    fn has_files(&self, record: &Record) -> bool {
        let folder = self.folder(record);
        let length = |name: &str| self.files.disk.length(&folder.join(name));
        let noted = record.revision == 1 && record.key.kind == Kind::Split;
        let note = record.is_tombstone() || !noted;
        (!note || length(OBJECT_FILE).is_some())
            && record
                .files
                .iter()
                .all(|f| length(&f.name) == Some(f.bytes))
    }

    /// Reads all of an object; returns what is wrong with it, and the bytes read.
    pub fn audit(&self, key: &ObjectKey) -> Result<(Harm, u64), StoreError> {
        let (flaw, bytes) = self.read_all(key)?;
        Ok((flaw.map_or(Harm::None, |(harm, _)| harm), bytes))
    }

    /// Reads all of an object, what is said beside its files too; says what is wrong with it, if
    /// anything is.
    pub fn flaw(&self, key: &ObjectKey) -> Result<Option<String>, StoreError> {
        let (flaw, _) = self.read_all(key)?;
        Ok(flaw.map(|(_, what)| what))
    }

    fn read_all(&self, key: &ObjectKey) -> Result<(Option<(Harm, String)>, u64), StoreError> {
        // The index is not remade while the object is locked: who writes may wait for that.
        self.trusted(|_| {
            let _lock = self.lock(key);
            let Some(record) = self.index().records.get(key)? else {
                return Ok((None, 0));
            };
            for entry in &record.files {
                match self.read_verified(&record, entry) {
                    Err(error @ StoreError::Corrupt { .. }) => {
                        return Ok((Some((Harm::Files, error.to_string())), record.bytes()));
                    }
                    read => drop(read?),
                }
            }
            let what = self.wrong_note(&record)?;
            Ok((what.map(|what| (Harm::Note, what)), record.bytes()))
        })
    }

    /// Says what is wrong with what is said beside an object's files.
    fn wrong_note(&self, record: &Record) -> Result<Option<String>, StoreError> {
        let expected = note::of(record).map_err(StoreError::io("describe an object"))?;
        let path = self.folder(record).join(OBJECT_FILE);
        let found = match (expected, self.files.disk.read(&path)) {
            (None, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            (None, _) => {
                let what = "is there, and its files say all";
                return Ok(Some(format!("{OBJECT_FILE} of {} {what}", record.key)));
            }
            (Some(_), found) => found,
        };
        // One of an earlier version says the same in fewer words.
        let what = match found.map(|bytes| ObjectNote::read(&bytes)) {
            Ok(Ok(note)) if (note.revision, &note.files) == (record.revision, &record.files) => {
                return Ok(None);
            }
            Ok(Ok(_)) => "does not say what its record says".to_owned(),
            Ok(Err(error)) => format!("cannot be read: {error}"),
            Err(error) => format!("cannot be read: {error}"),
        };
        Ok(Some(format!("{OBJECT_FILE} of {} {what}", record.key)))
    }

    /// Writes an object anew from its own files, which are right.
    pub fn restate(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let (record, object) = self.object(key)?;
        self.put(&object, PutMode::Heal(record.revision)).map(drop)
    }

    /// Compares folders and records; remakes the index if a whole folder has none, and notes those
    /// that are not whole. Tells whether either was new: the index is doubtful since. An error if
    /// not all folders could be read: the first time in a row the index is doubtful since, too.
    pub fn reconcile(&self) -> Result<bool, StoreError> {
        let doubts = self.doubts();
        let looked = self.look_for_folders();
        let noted = self.doubt.has_read(looked.is_ok());
        self.doubt.set_unread(false);
        looked.and(noted)?;
        Ok(self.doubts() != doubts)
    }

    fn look_for_folders(&self) -> Result<(), StoreError> {
        let (found, unlisted) = self.files.walk();
        for (key, slot, folder) in found {
            let is_here = |known: Option<Record>| known.is_some_and(|record| record.slot() == slot);
            if is_here(self.known(&key)?) {
                continue;
            }
            let was_left_out = self.is_left_out(&key);
            let read = {
                // Whoever was just writing it has recorded it, or taken it away.
                let _lock = self.lock(&key);
                if is_here(self.index().records.get(&key)?) || !self.files.disk.is_there(&folder) {
                    continue;
                }
                let read = rebuild::read(self.files.disk.as_ref(), &key, (slot, &folder));
                if let (Err(why), false) = (&read, was_left_out) {
                    let (key, why) = (key.clone(), why.clone());
                    let left = LeftOut { key, slot, why };
                    self.left_out_by_key().insert(left.key.clone(), left);
                }
                read
            };
            match read {
                Ok(_) => {
                    tracing::warn!(%key, "has files and no record; the index is remade of them");
                    // That reads all folders.
                    return Unlisted::none(&self.rebuild_index()?.unlisted);
                }
                Err(_) if was_left_out => {}
                Err(why) => {
                    tracing::warn!(%key, why, "an object is left out of the index");
                    self.doubt.raise()?;
                }
            }
        }
        Unlisted::none(&unlisted)
    }

    /// Returns what is on the disk and in no record, because it is not whole.
    pub fn left_out(&self) -> Vec<LeftOut> {
        self.left_out_by_key().values().cloned().collect()
    }

    /// Returns the slots of what is left out.
    pub fn left_out_slots(&self) -> SlotSet {
        let left = self.left_out_by_key();
        left.values().map(|left| left.slot).collect()
    }

    /// Tells whether an object is on the disk and in no record.
    pub(super) fn is_left_out(&self, key: &ObjectKey) -> bool {
        self.left_out_by_key().contains_key(key)
    }

    pub(super) fn left_out_by_key(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, LeftOut>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use earth::split::placement::PlacementKey;

    use super::super::{Object, ObjectFile};
    use super::*;

    fn run(name: &str) -> Object {
        let text = format!(r#"{{"name":"{name}","recipe":"mean","query":{{}},"seed":1}}"#);
        Object {
            key: ObjectKey::new(Kind::Run, name),
            placement_key: PlacementKey::named("run", name),
            files: vec![ObjectFile {
                name: "run.json".to_owned(),
                bytes: text.into(),
            }],
        }
    }

    #[test]
    fn a_note_that_is_gone_torn_or_of_another_revision_is_named_and_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (object, other) = (run("r"), run("other"));
        store.put(&object, PutMode::Replica(2)).unwrap();
        store.put(&other, PutMode::Replica(3)).unwrap();
        let note = |object: &Object| {
            let record = store.known(&object.key).unwrap().unwrap();
            store.folder(&record).join(OBJECT_FILE)
        };
        let foreign = fs::read(note(&other)).unwrap();
        let path = note(&object);
        let check = |bytes: Option<&[u8]>, words: &str| {
            match bytes {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let what = store.flaw(&object.key).unwrap().unwrap();
            let named = what.contains("object.json of run r") && what.contains(words);
            assert!(named, "{what}");
            assert_eq!(store.audit(&object.key).unwrap().0, Harm::Note);
            store.restate(&object.key).unwrap();
            assert_eq!(store.flaw(&object.key).unwrap(), None);
        };
        check(None, "cannot be read");
        check(Some(b"{"), "cannot be read");
        check(Some(&foreign), "does not say what its record says");
    }
}
