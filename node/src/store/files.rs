//! Objects as folders of files.
//!
//! ```text
//! DIR/objects/KIND/SLOT/ID/FILE…    SLOT four hex digits, ID with '/' as '+'
//! DIR/ballast                       laid by for a start on a full disk, with the first put
//! DIR/quarantine/N-KIND-ID/FILE…    what a damaged folder held before it was healed or set aside
//! DIR/tmp/N  DIR/tmp/N.intent       staged, or on the way out; settled and emptied at start
//! ```
//! *Invariants*: a folder below `objects` is whole: files and folder are fsynced before the rename
//! that makes it visible, its parent after it. Whoever renames has written down before what it is
//! about to do (`Intent`), so that a start after a crash can undo what was never acknowledged.
//!
//! *Not here*: what the folders mean (`records`), who may write at the same time (`store`).

mod interrupted;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use earth::split::placement::Slot;
use serde::{Deserialize, Serialize};
use wire::bundle::Kind;

use super::disk::Disk;
use super::error::StoreError;
use super::note;
use super::object::{ContentHash, OBJECT_FILE, Object, ObjectKey};
use super::record::Record;

/// Every kind, in the order of folders.
pub(super) const KINDS: [Kind; 7] = [
    Kind::Split,
    Kind::Model,
    Kind::Run,
    Kind::Ledger,
    Kind::Collection,
    Kind::Tag,
    Kind::Module,
];

/// Bytes laid by: what a start writes, the index's journal, `cluster.json` and the book of jobs,
/// with room to spare.
const BALLAST_BYTES: usize = 8 << 20;
/// Free bytes from which it is laid by: far above those where it is given up, so that a disk that
/// is all but full is not filled and emptied by turns.
const BALLAST_ROOM: u64 = 4 * BALLAST_BYTES as u64;
/// Damaged folders kept aside: enough to see what a disk does, too few to fill it.
const QUARANTINE_MAX: usize = 64;

/// The folders of one store.
#[derive(Debug)]
pub(super) struct Files {
    pub disk: Arc<dyn Disk>,
    objects: PathBuf,
    tmp: PathBuf,
    quarantine: PathBuf,
    ballast: PathBuf,
    /// It is there, or was tried to be.
    laid_by: AtomicBool,
    /// Bytes of the disk that puts leave free, so that the index can always be written.
    reserve_bytes: AtomicU64,
    next: AtomicU64,
    /// Held while the folder of a slot is made.
    making: Mutex<()>,
    /// Held while a damaged folder is kept aside.
    aside: Mutex<()>,
}

/// An object's folder, and where it lies.
pub(super) type Found = (ObjectKey, Slot, PathBuf);

/// A folder that cannot be listed: nobody knows what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// The folder.
    pub folder: PathBuf,
    /// What the system said.
    pub why: String,
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
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    intent: PathBuf,
    /// Both stay for the next start.
    stays: bool,
}

impl Files {
    /// Opens the folders below `dir`, making those that are missing.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        reserve_bytes: u64,
    ) -> Result<Self, StoreError> {
        let files = Self {
            disk,
            objects: dir.join("objects"),
            tmp: dir.join("tmp"),
            quarantine: dir.join("quarantine"),
            ballast: dir.join("ballast"),
            laid_by: AtomicBool::new(false),
            reserve_bytes: AtomicU64::new(reserve_bytes),
            next: AtomicU64::new(0),
            making: Mutex::new(()),
            aside: Mutex::new(()),
        };
        let make = StoreError::io("make the store's folders");
        files.make_folders(dir).map_err(make)?;
        files.give_up_ballast(files.disk.free(&files.tmp).unwrap_or(u64::MAX));
        Ok(files)
    }

    fn make_folders(&self, dir: &Path) -> io::Result<()> {
        self.disk.make_folder(&self.tmp)?;
        for kind in KINDS {
            self.disk.make_folder(&self.objects.join(kind.word()))?;
        }
        self.disk.sync_folder(&self.objects)?;
        self.disk.sync_folder(dir)?;
        // The store's own folder may be new, too.
        match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => self.disk.sync_folder(parent),
            None => self.disk.sync_folder(Path::new(".")),
        }
    }

    /// Returns the folder of an object.
    pub(super) fn folder(&self, key: &ObjectKey, slot: Slot) -> PathBuf {
        self.slot_folder(key.kind, slot).join(folder_name(&key.id))
    }

    fn slot_folder(&self, kind: Kind, slot: Slot) -> PathBuf {
        let slot = format!("{:04x}", slot.number());
        self.objects.join(kind.word()).join(slot)
    }

    /// Gives up, on a full disk, what was laid by for a start there.
    fn give_up_ballast(&self, free: u64) {
        if self.keeps_ballast() && free < BALLAST_BYTES as u64 {
            self.laid_by.store(false, Ordering::Relaxed);
            said(self.disk.remove(&self.ballast));
        }
    }

    /// Lays by what a start on a full disk needs: once, and again once there is room again. Others
    /// may fill the disk at any time.
    fn lay_by_ballast(&self, free: u64) {
        let room = free >= BALLAST_ROOM;
        if !self.keeps_ballast() || !room || self.laid_by.swap(true, Ordering::Relaxed) {
            return;
        }
        if !self.disk.is_there(&self.ballast) {
            let zeros = vec![0; BALLAST_BYTES];
            said(self.disk.write_synced(&self.ballast, &zeros));
        }
    }

    fn keeps_ballast(&self) -> bool {
        let reserve_bytes = self.reserve_bytes.load(Ordering::Relaxed);
        reserve_bytes != 0 && reserve_bytes != u64::MAX
    }

    /// Changes how many bytes of the disk puts leave free.
    pub(super) fn reserve(&self, bytes: u64) {
        self.reserve_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Refuses what would leave less than the reserve.
    pub(super) fn check_space(&self, needed: u64) -> Result<(), StoreError> {
        let free = self.disk.free(&self.tmp);
        let free = free.map_err(StoreError::io("ask for free space"))?;
        self.give_up_ballast(free);
        self.lay_by_ballast(free);
        let reserve_bytes = self.reserve_bytes.load(Ordering::Relaxed);
        if free < needed.saturating_add(reserve_bytes) {
            return Err(StoreError::NoSpace { needed });
        }
        Ok(())
    }

    /// Writes an object below `tmp`, fsynced but not visible.
    pub(super) fn stage(&self, object: &Object, record: &Record) -> Result<Staged, StoreError> {
        let staged = self.new_stage();
        let write = || -> io::Result<()> {
            self.disk.make_folder(&staged.folder)?;
            for file in &object.files {
                let path = staged.folder.join(&file.name);
                self.disk.write_synced(&path, &file.bytes)?;
            }
            if let Some(note) = note::of(record)? {
                let path = staged.folder.join(OBJECT_FILE);
                self.disk.write_synced(&path, &note)?;
            }
            self.disk.sync_folder(&staged.folder)
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
        let mut exchanged = false;
        let mut place = || -> io::Result<()> {
            let intent = Staged::intent_of(&record.key, slot, Some(record.hash))?;
            let parent = self.make_slot_folder(record.key.kind, slot)?;
            let target = self.folder(&record.key, slot);
            // Nobody else renames here, so what does not exist now will not in between; exchanging
            // is asked for only where it must be, for not every file system can.
            if self.disk.is_there(&target) {
                // Where this brings back what was acknowledged before, it must survive a power cut.
                self.disk.write_synced(&staged.intent, &intent)?;
                self.disk.sync_folder(&self.tmp)?;
                self.disk.exchange(&staged.folder, &target)?;
                exchanged = true;
            } else {
                // What it would undo is whole, only not acknowledged.
                self.disk.write(&staged.intent, &intent)?;
                self.disk.rename(&staged.folder, &target)?;
            }
            self.disk.sync_folder(&parent)
        };
        let placed = place().map_err(StoreError::io("make an object visible"));
        match placed {
            Ok(()) => Ok(staged),
            Err(error) => {
                if exchanged {
                    // What was acknowledged before may be in there: the next start settles it.
                    staged.stay();
                }
                Err(error)
            }
        }
    }

    /// Makes a slot's folder; when it returns, that is there after a power cut, whoever made it.
    fn make_slot_folder(&self, kind: Kind, slot: Slot) -> io::Result<PathBuf> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.slot_folder(kind, slot);
        if !self.disk.is_there(&folder) {
            self.disk.make_folder(&folder)?;
            self.disk.sync_folder(&self.objects.join(kind.word()))?;
        }
        Ok(folder)
    }

    /// Writes down that an object is about to be removed; `Files::take_away` then removes it.
    /// Earlier intents for it are gone for good when this returns: once its record is gone, a start
    /// after a power cut that brings one back would have what was deleted return to its place.
    pub(super) fn announce_removal(
        &self,
        key: &ObjectKey,
        slot: Slot,
    ) -> Result<Staged, StoreError> {
        let staged = self.new_stage();
        Staged::intent_of(key, slot, None)
            .and_then(|intent| self.disk.write(&staged.intent, &intent))
            .and_then(|()| self.disk.sync_folder(&self.tmp))
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
        if !self.disk.is_there(&folder) {
            return Ok(());
        }
        let parent = self.slot_folder(key.kind, slot);
        self.disk
            .rename(&folder, &staged.folder)
            .and_then(|()| self.disk.sync_folder(&parent))
            .map_err(StoreError::io("remove an object"))
    }

    /// Keeps what a damaged folder held aside, for whoever wants to know what happened to it; the
    /// oldest go.
    pub(super) fn quarantine(&self, replaced: &Staged, key: &ObjectKey) {
        let keep = || -> io::Result<()> {
            let _aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
            self.disk.make_folder(&self.quarantine)?;
            let mut kept = self.folders(&self.quarantine)?;
            let number = |folder: &PathBuf| {
                let name = folder.file_name().and_then(|n| n.to_str());
                name.and_then(|n| n.split_once('-')?.0.parse::<u64>().ok())
            };
            kept.sort_by_key(number);
            let next = kept.last().and_then(number).map_or(0, |n| n + 1);
            let surplus = (kept.len() + 1).saturating_sub(QUARANTINE_MAX);
            for oldest in kept.iter().take(surplus) {
                self.disk.remove(oldest)?;
            }
            let name = format!("{next}-{}-{}", key.kind.word(), folder_name(&key.id));
            let aside = self.quarantine.join(name);
            self.disk.rename(&replaced.folder, &aside)
        };
        if self.disk.is_there(&replaced.folder)
            && let Err(error) = keep()
        {
            tracing::warn!(%key, %error, "a damaged replica could not be kept aside");
        }
    }

    fn new_stage(&self) -> Staged {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        Staged {
            disk: Arc::clone(&self.disk),
            folder: self.tmp.join(n.to_string()),
            intent: self.tmp.join(format!("{n}.intent")),
            stays: false,
        }
    }

    /// Returns every object folder below `objects` with the kind and slot it lies under, and the
    /// folders that cannot be listed.
    pub(super) fn walk(&self) -> (Vec<Found>, Vec<Unlisted>) {
        let (mut found, mut unlisted) = (Vec::new(), Vec::new());
        let mut listed = |folder: &Path| {
            self.folders(folder).unwrap_or_else(|error| {
                tracing::warn!(folder = %folder.display(), %error, "a folder cannot be listed");
                unlisted.push(Unlisted {
                    folder: folder.to_owned(),
                    why: error.to_string(),
                });
                Vec::new()
            })
        };
        for kind in KINDS {
            for slot_folder in listed(&self.objects.join(kind.word())) {
                let Some(slot) = slot_of(&slot_folder) else {
                    continue;
                };
                for folder in listed(&slot_folder) {
                    if let Some(id) = id_of(&folder) {
                        found.push((ObjectKey { kind, id }, slot, folder));
                    }
                }
            }
        }
        (found, unlisted)
    }

    fn folders(&self, parent: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = self.disk.entries(parent)?.into_iter();
        let folders = entries.filter(|entry| entry.is_folder);
        Ok(folders.map(|entry| parent.join(entry.name)).collect())
    }
}

impl Unlisted {
    /// Returns an error that names the first folder, if there is one.
    pub(super) fn none(unlisted: &[Self]) -> Result<(), StoreError> {
        let Some(first) = unlisted.first() else {
            return Ok(());
        };
        let (folder, count) = (first.folder.display(), unlisted.len());
        let what = format!("{folder}: {} ({count} folders in all)", first.why);
        Err(StoreError::io("list the objects")(io::Error::other(what)))
    }
}

impl Staged {
    /// Leaves the folder and its intent where they are: the next start settles them.
    pub(super) fn stay(mut self) {
        self.stays = true;
    }

    fn intent_of(key: &ObjectKey, slot: Slot, hash: Option<ContentHash>) -> io::Result<Vec<u8>> {
        let key = key.clone();
        Ok(serde_json::to_vec(&Intent { key, slot, hash })?)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        for path in [&self.folder, &self.intent] {
            if let Err(error) = self.disk.remove(path) {
                tracing::warn!(%error, "an unfinished write stays until the next start");
            }
        }
    }
}

fn said(kept: io::Result<()>) {
    if let Err(error) = kept {
        tracing::warn!(%error, "what a start on a full disk needs could not be kept");
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

#[cfg(test)]
mod tests {
    use super::super::disk::OsDisk;
    use super::*;

    #[test]
    fn folders_are_named_by_kind_slot_and_id() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(Arc::new(OsDisk), dir.path(), 0).unwrap();
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

    #[test]
    fn what_is_staged_goes_when_it_is_dropped_unless_it_is_to_stay() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(Arc::new(OsDisk), dir.path(), 0).unwrap();
        let staged = || {
            let staged = files.new_stage();
            files.disk.make_folder(&staged.folder).unwrap();
            (staged.folder.clone(), staged)
        };
        let (gone, dropped) = staged();
        let (there, stays) = staged();
        drop(dropped);
        stays.stay();
        assert!(!gone.exists() && there.is_dir());
        assert_eq!(Arc::strong_count(&files.disk), 1);
    }
}
