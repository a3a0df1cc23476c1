//! Objects as folders of files.
//!
//! ```text
//! DIR/objects/KIND/SLOT/ID/FILE…    SLOT four hex digits, ID with '/' as '+'
//! DIR/tmp/N  DIR/tmp/N.intent       staged, or on the way out; settled and emptied at start
//! ```
//! *Invariants*: a folder below `objects` is whole: files and folder are fsynced before the rename
//! that makes it visible, its parent after it. Whoever renames has written down before what it is
//! about to do (`Intent`), so that a start after a crash can undo what was never acknowledged.
//!
//! *Not here*: what the folders mean (`records`), who may write at the same time (`store`).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use earth::split::placement::{PlacementKey, Slot};
use rustix::fs::{CWD, RenameFlags};
use serde::{Deserialize, Serialize};
use wire::bundle::Kind;
use wire::hit::FileEntry;

use super::error::StoreError;
use super::object::{ContentHash, OBJECT_FILE, Object, ObjectKey};
use super::record::Record;

/// Every kind, in the order of folders.
pub(super) const KINDS: [Kind; 5] = [
    Kind::Split,
    Kind::Model,
    Kind::Run,
    Kind::Ledger,
    Kind::Collection,
];

/// Version of `object.json`.
const OBJECT_VERSION: u32 = 1;

/// The folders of one store.
#[derive(Debug)]
pub(super) struct Files {
    objects: PathBuf,
    tmp: PathBuf,
    /// Bytes of the disk that puts leave free, so that the index can always be written.
    reserve_bytes: u64,
    next: AtomicU64,
}

/// `object.json`: what an object's own files do not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectNote {
    /// Version of this structure.
    pub format: u32,
    /// Kind and id.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// What is hashed to place it.
    pub placement_key: PlacementKey,
    /// See `Record::revision`.
    pub revision: u32,
    /// Its files, sorted by name.
    pub files: Vec<FileEntry>,
}

/// What a rename is about to do, written beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    /// The object.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// Its slot.
    pub slot: Slot,
    /// The content that its record will name; `None` when it is removed.
    pub hash: Option<ContentHash>,
}

/// A whole, fsynced folder that is not visible yet; dropped, it is removed.
#[derive(Debug)]
pub(super) struct Staged {
    folder: PathBuf,
    intent: PathBuf,
}

impl Files {
    /// Opens the folders below `dir`, making those that are missing.
    pub(super) fn open(dir: &Path, reserve_bytes: u64) -> Result<Self, StoreError> {
        let files = Self {
            objects: dir.join("objects"),
            tmp: dir.join("tmp"),
            reserve_bytes,
            next: AtomicU64::new(0),
        };
        let make = StoreError::io("make the store's folders");
        files.make_folders(dir).map_err(make)?;
        Ok(files)
    }

    fn make_folders(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.tmp)?;
        for kind in KINDS {
            fs::create_dir_all(self.objects.join(kind.word()))?;
        }
        sync_folder(&self.objects)?;
        sync_folder(dir)
    }

    /// Returns the folder of an object.
    pub(super) fn folder(&self, key: &ObjectKey, slot: Slot) -> PathBuf {
        self.slot_folder(key.kind, slot).join(folder_name(&key.id))
    }

    fn slot_folder(&self, kind: Kind, slot: Slot) -> PathBuf {
        let slot = format!("{:04x}", slot.number());
        self.objects.join(kind.word()).join(slot)
    }

    /// Refuses what would leave less than the reserve.
    pub(super) fn check_space(&self, needed: u64) -> Result<(), StoreError> {
        let stat = rustix::fs::statvfs(&self.tmp)
            .map_err(|e| StoreError::io("ask for free space")(e.into()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < needed.saturating_add(self.reserve_bytes) {
            return Err(StoreError::NoSpace { needed });
        }
        Ok(())
    }

    /// Writes an object below `tmp`, fsynced but not visible.
    pub(super) fn stage(&self, object: &Object, record: &Record) -> Result<Staged, StoreError> {
        let staged = self.new_stage();
        let write = || -> io::Result<()> {
            fs::create_dir(&staged.folder)?;
            for file in &object.files {
                write_synced(&staged.folder.join(&file.name), &file.bytes)?;
            }
            if let Some(note) = note(record)? {
                write_synced(&staged.folder.join(OBJECT_FILE), &note)?;
            }
            sync_folder(&staged.folder)
        };
        match write().map_err(StoreError::io("write an object")) {
            Err(StoreError::NoSpace { .. }) => Err(StoreError::NoSpace {
                needed: record.bytes(),
            }),
            Err(error) => Err(error),
            Ok(()) => Ok(staged),
        }
    }

    /// Makes a staged folder visible in the place of what was there, which is removed once the
    /// returned `Staged` is dropped: after the record is committed.
    pub(super) fn place(&self, staged: Staged, record: &Record) -> Result<Staged, StoreError> {
        let slot = record.slot();
        let place = || -> io::Result<()> {
            staged.write_intent(&record.key, slot, Some(record.hash))?;
            let parent = self.slot_folder(record.key.kind, slot);
            if !parent.exists() {
                fs::create_dir_all(&parent)?;
                sync_folder(&self.objects.join(record.key.kind.word()))?;
            }
            let target = self.folder(&record.key, slot);
            // Nobody else renames here, so what does not exist now will not in between; exchanging
            // is asked for only where it must be, for not every file system can.
            if target.exists() {
                let exchange = RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(CWD, &staged.folder, CWD, &target, exchange)?;
            } else {
                fs::rename(&staged.folder, &target)?;
            }
            sync_folder(&parent)
        };
        place().map_err(StoreError::io("make an object visible"))?;
        Ok(staged)
    }

    /// Writes down that an object is about to be removed; `Files::take_away` then removes it.
    pub(super) fn announce_removal(
        &self,
        key: &ObjectKey,
        slot: Slot,
    ) -> Result<Staged, StoreError> {
        let staged = self.new_stage();
        staged
            .write_intent(key, slot, None)
            .map_err(StoreError::io("announce a removal"))?;
        Ok(staged)
    }

    /// Moves an object out of sight; it is gone once the `Staged` is dropped.
    pub(super) fn take_away(
        &self,
        staged: &Staged,
        key: &ObjectKey,
        slot: Slot,
    ) -> Result<(), StoreError> {
        let folder = self.folder(key, slot);
        if !folder.exists() {
            return Ok(());
        }
        fs::rename(&folder, &staged.folder)
            .and_then(|()| sync_folder(&self.slot_folder(key.kind, slot)))
            .map_err(StoreError::io("remove an object"))
    }

    fn new_stage(&self) -> Staged {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        Staged {
            folder: self.tmp.join(n.to_string()),
            intent: self.tmp.join(format!("{n}.intent")),
        }
    }

    /// Returns the intents that a crash left behind, with the folders staged for them.
    pub(super) fn intents(&self) -> Result<Vec<(Intent, PathBuf)>, StoreError> {
        let read = || -> io::Result<Vec<(Intent, PathBuf)>> {
            let mut intents = Vec::new();
            for entry in fs::read_dir(&self.tmp)? {
                let path = entry?.path();
                if path.extension().is_none_or(|e| e != "intent") {
                    continue;
                }
                // One that was cut off was cut off before its rename: nothing to undo.
                if let Ok(intent) = serde_json::from_slice(&fs::read(&path)?) {
                    intents.push((intent, path.with_extension("")));
                }
            }
            Ok(intents)
        };
        read().map_err(StoreError::io("read what was interrupted"))
    }

    /// Takes back what an intent did: the staged folder returns to its place.
    pub(super) fn undo(&self, intent: &Intent, staged: &Path) -> Result<(), StoreError> {
        self.discard(intent)?;
        let parent = self.slot_folder(intent.key.kind, intent.slot);
        fs::rename(staged, self.folder(&intent.key, intent.slot))
            .and_then(|()| sync_folder(&parent))
            .map_err(StoreError::io("undo what was interrupted"))
    }

    /// Removes the folder that an intent speaks of.
    pub(super) fn discard(&self, intent: &Intent) -> Result<(), StoreError> {
        let parent = self.slot_folder(intent.key.kind, intent.slot);
        let discard = || -> io::Result<()> {
            remove(&self.folder(&intent.key, intent.slot))?;
            if parent.exists() {
                sync_folder(&parent)
            } else {
                Ok(())
            }
        };
        discard().map_err(StoreError::io("undo what was interrupted"))
    }

    /// Removes everything below `tmp`.
    pub(super) fn clear_tmp(&self) -> Result<(), StoreError> {
        let clear = || -> io::Result<()> {
            for entry in fs::read_dir(&self.tmp)? {
                remove(&entry?.path())?;
            }
            Ok(())
        };
        clear().map_err(StoreError::io("empty the folder of unfinished writes"))
    }

    /// Returns every object folder below `objects` with the kind and slot it lies under.
    pub(super) fn walk(&self) -> Result<Vec<(ObjectKey, Slot, PathBuf)>, StoreError> {
        let walk = || -> io::Result<Vec<(ObjectKey, Slot, PathBuf)>> {
            let mut found = Vec::new();
            for kind in KINDS {
                for slot_folder in folders(&self.objects.join(kind.word()))? {
                    let Some(slot) = slot_of(&slot_folder) else {
                        continue;
                    };
                    for folder in folders(&slot_folder)? {
                        if let Some(id) = id_of(&folder) {
                            found.push((ObjectKey { kind, id }, slot, folder));
                        }
                    }
                }
            }
            Ok(found)
        };
        walk().map_err(StoreError::io("list the objects"))
    }
}

impl Staged {
    /// The intent need not survive a power cut: what it would undo is whole, only not acknowledged.
    fn write_intent(
        &self,
        key: &ObjectKey,
        slot: Slot,
        hash: Option<ContentHash>,
    ) -> io::Result<()> {
        let key = key.clone();
        let bytes = serde_json::to_vec(&Intent { key, slot, hash })?;
        fs::write(&self.intent, bytes)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for path in [&self.folder, &self.intent] {
            if let Err(error) = remove(path) {
                tracing::warn!(%error, "an unfinished write stays until the next start");
            }
        }
    }
}

/// Returns the folder name of an id; `+` never occurs in one.
fn folder_name(id: &str) -> String {
    id.replace('/', "+")
}

fn id_of(folder: &Path) -> Option<String> {
    Some(folder.file_name()?.to_str()?.replace('+', "/"))
}

fn slot_of(folder: &Path) -> Option<Slot> {
    let name = folder.file_name()?.to_str()?;
    u16::from_str_radix(name, 16).ok().and_then(Slot::new)
}

fn folders(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A first revision of a split says everything in its own GeoTIFFs.
fn note(record: &Record) -> io::Result<Option<Vec<u8>>> {
    if record.key.kind == Kind::Split && record.revision == 1 {
        return Ok(None);
    }
    let note = ObjectNote {
        format: OBJECT_VERSION,
        key: record.key.clone(),
        placement_key: record.placement_key.clone(),
        revision: record.revision,
        files: record.files.clone(),
    };
    Ok(Some(serde_json::to_vec(&note)?))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::object::ObjectFile;
    use super::*;

    fn run() -> Object {
        let text = r#"{"name":"r","recipe":"ndvi-cnn","query":{},"seed":1}"#;
        Object {
            key: ObjectKey::new(Kind::Run, "r"),
            placement_key: PlacementKey::named("run", "r"),
            files: vec![ObjectFile {
                name: "run.json".to_owned(),
                bytes: Bytes::from(text),
            }],
        }
    }

    #[test]
    fn object_json_stays_what_it_is() {
        let record = Record::describe(&run(), 2).unwrap();
        let note = String::from_utf8(note(&record).unwrap().unwrap()).unwrap();
        assert_eq!(
            note,
            concat!(
                r#"{"format":1,"kind":"run","id":"r","placement_key":"run:r","revision":2,"#,
                r#""files":[{"name":"run.json","bytes":52,"blake3":""#,
                "371dbc7a476940b1d19365fd2b4158f79a927005146103849c6d3dd1d917cfe3",
                r#""}]}"#
            )
        );
    }

    #[test]
    fn folders_are_named_by_kind_slot_and_id() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path(), 0).unwrap();
        let key = ObjectKey::new(Kind::Split, "c/s~9xj5k");
        let slot = Slot::new(0x0a7f).unwrap();
        let folder = files.folder(&key, slot);
        assert!(
            folder.ends_with("objects/split/0a7f/c+s~9xj5k"),
            "{folder:?}"
        );
        assert_eq!(id_of(&folder).as_deref(), Some("c/s~9xj5k"));
        assert_eq!(slot_of(folder.parent().unwrap()), Some(slot));
    }
}
