//! What one node keeps: objects as files, and records that index them.
//!
//! *Invariants*: the files are the truth, the index is remade from them; what is acknowledged is
//! fsynced; bytes are verified before they are handed out, parts of a long file once for all of
//! them; nothing half-written is ever visible. One object is written by one thread at a time.
//!
//! *Not here*: other nodes (`cluster`), what a predicate means (query). Every method blocks.

mod aside;
mod audit;
#[cfg(test)]
mod crash;
mod disk;
mod doubt;
mod error;
mod files;
mod find;
mod index;
mod keys;
mod model_disk;
mod note;
pub mod object;
mod parts;
mod put;
mod rebuild;
pub mod record;
mod records;
mod rows;
mod settle;
mod split_file;
mod sums;
mod tree;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use query::empty::Emptiness;
use query::index::Turn;
use query::predicate::Predicate;
use wire::bundle::Kind;
use wire::hit::FileEntry;

pub use aside::Remains;
pub use audit::Harm;
pub use error::StoreError;
pub use files::Unlisted;
pub use find::FoundPage;
pub(crate) use model_disk::{Failing, ModelDisk, STEPS, Step, When};
pub use object::{ContentHash, Hashed, Object, ObjectError, ObjectFile, ObjectKey};
pub use put::{Put, PutMode};
pub(crate) use rebuild::RebuildPlan;
pub use rebuild::{LeftOut, Rebuild};
pub use record::{Held, Record, Version};
pub use sums::{Span, Sum, place};
pub use tree::Compared;

use disk::{Disk, OsDisk};
use doubt::Doubt;
use files::{Files, Staged};
use index::{Index, unwound};
use parts::Whole;
use records::Records;

use crate::slots::SlotSet;

/// Bytes of the disk that puts leave free: the index can still be written, and read.
pub const RESERVE_BYTES: u64 = 64 << 20;
/// What lies beside the index of a node that is a member of a cluster.
pub(crate) const MEMBER_FILE: &str = "cluster.json";
/// Locks over objects: more than the threads that put at a time.
const LOCKS: usize = 64;
/// Times a file is read again because its object was overwritten meanwhile.
const READS_MAX: u32 = 3;

/// What one node keeps.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    files: Files,
    /// Swapped when the index is remade; readers keep the one they began with.
    index: RwLock<Arc<Index>>,
    /// Held while an object is written, by the hash of its key.
    locks: Vec<Mutex<()>>,
    /// Read by every write, written while the index is remade.
    gate: RwLock<()>,
    /// What is on the disk and in no record because it is not whole.
    left_out: Mutex<BTreeMap<ObjectKey, LeftOut>>,
    doubt: Doubt,
    /// Files that may be read in parts.
    whole: Whole,
}

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Splits.
    pub splits: u64,
    /// Splits in the slots asked for.
    pub splits_in_slots: u64,
    /// Models.
    pub models: u64,
    /// Objects of every kind.
    pub objects: u64,
    /// Bytes of all objects.
    pub bytes: u64,
}

impl Store {
    /// Opens the store below `dir`, makes it where there is none, and remakes an index that cannot
    /// be trusted. The caller holds the lock of `dir`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with_reserve(dir, RESERVE_BYTES)
    }

    /// As `open`, leaving another number of bytes of the disk free.
    pub fn open_with_reserve(dir: &Path, reserve_bytes: u64) -> Result<Self, StoreError> {
        Self::open_on(Arc::new(OsDisk), dir, reserve_bytes)
    }

    /// As `open_with_reserve`, on a disk.
    fn open_on(disk: Arc<dyn Disk>, dir: &Path, reserve_bytes: u64) -> Result<Self, StoreError> {
        let doubt = Doubt::open(Arc::clone(&disk), dir);
        let files = Files::open(disk, dir, reserve_bytes)?;
        let was_there = files.disk.is_there(&index_path(dir));
        let opened = if was_there {
            match open_settled(dir, &files) {
                Err(error) if error.is_damage() => {
                    tracing::warn!(%error, "the index is remade from the files");
                    None
                }
                opened => Some(opened?),
            }
        } else {
            // A new store, or one whose index was lost: the files tell which.
            None
        };
        // A member's store held something once, or was to: an index that is gone was lost.
        let was_there = was_there || files.disk.is_there(&dir.join(MEMBER_FILE));
        doubt.set_unread(opened.is_some());
        let (index, done) = match opened {
            Some(index) => (index, Rebuild::default()),
            None => remake_settled(dir, &files, (&doubt, was_there))?,
        };
        Ok(Self {
            dir: dir.to_owned(),
            files,
            index: RwLock::new(Arc::new(index)),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            gate: RwLock::new(()),
            left_out: Mutex::new(rebuild::by_key(done.left_out)),
            doubt,
            whole: Whole::default(),
        })
    }

    /// Changes how many bytes of the disk puts leave free; with all of them, the disk is full.
    pub(crate) fn reserve(&self, bytes: u64) {
        self.files.reserve(bytes);
    }

    /// Forgets an object and removes its files; `false` if it was not there. Other replicas bring
    /// it back: what users delete, a tombstone takes the place of.
    pub fn delete(&self, key: &ObjectKey) -> Result<bool, StoreError> {
        self.drop_if(key, |_| true)
    }

    /// Forgets an object if that version is what is held.
    pub fn forget(&self, key: &ObjectKey, version: Version) -> Result<bool, StoreError> {
        self.drop_if(key, |record| record.version() == version)
    }

    fn drop_if(&self, key: &ObjectKey, fits: impl Fn(&Record) -> bool) -> Result<bool, StoreError> {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock(key);
        let index = self.index();
        let Some(record) = index.records.get(key)?.filter(fits) else {
            return Ok(false);
        };
        let away: Staged = self.files.announce_removal(key, record.slot())?;
        index.remove(&record)?;
        self.files.take_away(&away, key, record.slot())?;
        Ok(true)
    }

    /// Returns the record of an object.
    pub fn record(&self, key: &ObjectKey) -> Result<Option<Record>, StoreError> {
        Ok(self.known(key)?.filter(|record| !record.is_tombstone()))
    }

    /// Returns what is known of an object: its record, or its tombstone.
    pub fn known(&self, key: &ObjectKey) -> Result<Option<Record>, StoreError> {
        self.trusted(|index| index.records.get(key))
    }

    /// Returns one file of an object, verified against its record.
    pub fn file(&self, key: &ObjectKey, name: &str) -> Result<Bytes, StoreError> {
        self.entry(key, name).map(|(_, bytes)| bytes)
    }

    /// Returns one file of an object, verified, with what its record says of it.
    pub(crate) fn entry(
        &self,
        key: &ObjectKey,
        name: &str,
    ) -> Result<(FileEntry, Bytes), StoreError> {
        let mut last = None;
        for _ in 0..READS_MAX {
            let record = self.held_record(key)?;
            let entry = record.file(name);
            let entry = entry.ok_or_else(|| StoreError::MissingFile {
                key: key.clone(),
                name: name.to_owned(),
            })?;
            match self.read_verified(&record, entry) {
                // Overwritten between record and file: look again.
                Err(error) if last.is_none_or(|hash| hash != record.hash) => {
                    last = Some(record.hash);
                    drop(error);
                }
                answer => return answer.map(|bytes| (entry.clone(), bytes)),
            }
        }
        Err(StoreError::Corrupt {
            key: key.clone(),
            name: name.to_owned(),
        })
    }

    /// Returns an object with all its files, verified against its record; of a deleted one its
    /// tombstone.
    pub fn object(&self, key: &ObjectKey) -> Result<(Record, Object), StoreError> {
        let record = self.known(key)?;
        let record = record.ok_or_else(|| StoreError::Missing { key: key.clone() })?;
        let mut files = Vec::with_capacity(record.files.len());
        for entry in &record.files {
            files.push(ObjectFile {
                name: entry.name.clone(),
                bytes: self.read_verified(&record, entry)?,
            });
        }
        let object = Object {
            key: record.key.clone(),
            placement_key: record.placement_key.clone(),
            files,
        };
        Ok((record, object))
    }

    /// Reads every file of an object; `Corrupt` names the first that is not what was put.
    pub fn verify(&self, key: &ObjectKey) -> Result<ContentHash, StoreError> {
        self.object(key).map(|(record, _)| record.hash)
    }

    /// Returns what is held of a kind in some slots, tombstones too, by slot and id.
    pub fn list(&self, kind: Kind, slots: &SlotSet) -> Result<Vec<Held>, StoreError> {
        self.trusted(|index| index.records.held(kind, slots))
    }

    /// Returns the records of a kind in some slots, tombstones too, by id; for kinds of which there
    /// are few.
    pub fn records_of(&self, kind: Kind, slots: &SlotSet) -> Result<Vec<Record>, StoreError> {
        self.trusted(|index| index.records.all(kind, slots))
    }

    /// Returns one page of the splits that match, with their records.
    pub fn query(&self, predicate: &Predicate, turn: &Turn<'_>) -> Result<FoundPage, StoreError> {
        self.trusted(|index| {
            let found = index.finder.places(predicate, turn)?;
            let ids = found.rows.iter().map(|p| p.id.as_str());
            let records = index.records.splits(ids)?;
            let hits = found.rows.into_iter().zip(records);
            // One that is gone was deleted between row and record.
            let there = |record: &Record| !record.is_tombstone();
            let hits = hits.filter_map(|(place, record)| Some((place, record.filter(there)?)));
            Ok(FoundPage {
                hits: hits.collect(),
                next: found.next,
                matched: found.matched,
                explain: found.explain,
                pairs: found.pairs,
            })
        })
    }

    /// Returns which predicate emptied an answer in those slots, as far as this node knows.
    pub fn emptiness(&self, predicate: &Predicate, slots: &SlotSet) -> Emptiness {
        self.index().finder.emptiness(predicate, slots)
    }

    /// Returns what the store holds, and how many splits of it in those slots.
    pub fn stats(&self, slots: &SlotSet) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        for kind in files::KINDS {
            let held = self.list(kind, &SlotSet::all())?;
            for held in held.into_iter().filter(|held| !held.is_tombstone()) {
                stats.objects += 1;
                stats.bytes += held.bytes;
                match kind {
                    Kind::Split => {
                        stats.splits += 1;
                        stats.splits_in_slots += u64::from(slots.contains(held.slot));
                    }
                    Kind::Model => stats.models += 1,
                    Kind::Run | Kind::Ledger | Kind::Collection | Kind::Tag | Kind::Module => {}
                }
            }
        }
        Ok(stats)
    }

    /// Says what remaking every record would read.
    pub(crate) fn plan_rebuild(&self) -> RebuildPlan {
        rebuild::plan(&self.files)
    }

    /// Remakes every record from the files alone; puts wait meanwhile, reads do not.
    pub fn rebuild_index(&self) -> Result<Rebuild, StoreError> {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let (index, done) = remake(&self.dir, &self.files, (&self.doubt, true))?;
        let mut left = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        *left = rebuild::by_key(done.left_out.iter().cloned());
        let mut current = self.index.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(index);
        Ok(done)
    }

    /// Returns how often puts were committed: less often than puts, where they share commits.
    pub fn commits(&self) -> u64 {
        self.index().commits()
    }

    /// Returns the folder that holds an object's files.
    pub fn folder(&self, record: &Record) -> PathBuf {
        self.files.folder(&record.key, record.slot())
    }

    /// Asks the index; if that turns out damaged, remakes it and asks once more.
    fn trusted<T>(&self, ask: impl Fn(&Index) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match unwound(|| ask(&self.index())) {
            Err(error) if error.is_damage() => {
                tracing::warn!(%error, "the index is remade from the files");
                self.rebuild_index()?;
                ask(&self.index())
            }
            answer => answer,
        }
    }

    fn index(&self) -> Arc<Index> {
        let current = self.index.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn held_record(&self, key: &ObjectKey) -> Result<Record, StoreError> {
        match self.record(key)? {
            Some(record) => Ok(record),
            None if self.is_left_out(key) => Err(StoreError::Corrupt {
                key: key.clone(),
                name: object::OBJECT_FILE.to_owned(),
            }),
            None => Err(StoreError::Missing { key: key.clone() }),
        }
    }

    fn read_verified(&self, record: &Record, entry: &FileEntry) -> Result<Bytes, StoreError> {
        let path = self.folder(record).join(&entry.name);
        let bytes = self.files.disk.read(&path).unwrap_or_default();
        let right = bytes.len() as u64 == entry.bytes
            && blake3::hash(&bytes).to_hex().as_str() == entry.blake3;
        if right {
            return Ok(Bytes::from(bytes));
        }
        Err(StoreError::Corrupt {
            key: record.key.clone(),
            name: entry.name.clone(),
        })
    }

    fn lock(&self, key: &ObjectKey) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        let at = usize::try_from(hash % LOCKS as u64).unwrap_or(0);
        self.locks[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn index_path(dir: &Path) -> PathBuf {
    dir.join("index.redb")
}

fn open_settled(dir: &Path, files: &Files) -> Result<Index, StoreError> {
    let index = Index::open(files.disk.as_ref(), &index_path(dir))?;
    settle::settle(files, &index.records, &[])?;
    Ok(index)
}

fn remake_settled(
    dir: &Path,
    files: &Files,
    about: (&Doubt, bool),
) -> Result<(Index, Rebuild), StoreError> {
    let (index, done) = remake(dir, files, about)?;
    settle::settle(files, &index.records, &done.unlisted)?;
    Ok((index, done))
}

/// Makes a new index from the files and puts it in the place of the old one, if there was one; it
/// is doubtful, unless the store is new.
fn remake(
    dir: &Path,
    files: &Files,
    (doubt, was_there): (&Doubt, bool),
) -> Result<(Index, Rebuild), StoreError> {
    let fresh = dir.join("index.redb.new");
    let path = index_path(dir);
    let swap = || StoreError::io("replace the index");
    files.disk.remove(&fresh).map_err(swap())?;
    let records = Arc::new(Records::open(files.disk.as_ref(), &fresh)?);
    let done = rebuild::fill(files, &records)?;
    let index = Index::over(records)?;
    if was_there || !done.found_nothing() {
        doubt.raise()?;
    }
    let is_in_part = !done.unlisted.is_empty();
    if is_in_part {
        doubt.set_unlisted(true)?;
    }
    files.disk.rename(&fresh, &path).map_err(swap())?;
    files.disk.sync_folder(dir).map_err(swap())?;
    if !is_in_part {
        doubt.set_unlisted(false)?;
    }
    Ok((index, done))
}
