//! The index as a whole: records on disk, rows and sums in memory, and commits that puts share.
//!
//! *Invariants*: a commit takes all records that wait for one, so that puts at the same time share
//! its fsync; one that cannot be committed fails alone; rows and sums follow what is committed.
//!
//! *Not here*: the tables (`records`), the files (`files`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use wire::bundle::Kind;

use super::disk::Disk;
use super::error::StoreError;
use super::files::KINDS;
use super::find::Finder;
use super::object::ObjectKey;
use super::record::Record;
use super::records::Records;
use super::sums::Sums;
use crate::slots::SlotSet;

/// Records in one commit: bounds how long the first of them waits for the last.
const BATCH_MAX: usize = 256;

/// Records on disk, rows and sums in memory.
#[derive(Debug)]
pub(super) struct Index {
    pub records: Arc<Records>,
    pub finder: Finder,
    sums: Mutex<Sums>,
    queue: Mutex<Queue>,
    /// Rung when a commit has ended.
    ended: Condvar,
    commits: AtomicU64,
}

/// Records that wait to be committed.
#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<(Record, Place)>,
    /// Somebody is committing.
    busy: bool,
}

/// Where the outcome of a commit is left.
type Place = Arc<Mutex<Option<Result<(), StoreError>>>>;

impl Index {
    /// Opens the tables and reads rows and sums.
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        unwound(|| Self::over(Arc::new(Records::open(disk, path)?)))
    }

    /// Reads rows and sums of open tables.
    pub(super) fn over(records: Arc<Records>) -> Result<Self, StoreError> {
        let finder = Finder::open(&records)?;
        let mut sums = Sums::default();
        for kind in KINDS {
            for held in records.held(kind, &SlotSet::all())? {
                sums.add(&held);
            }
        }
        Ok(Self {
            records,
            finder,
            sums: Mutex::new(sums),
            queue: Mutex::default(),
            ended: Condvar::new(),
            commits: AtomicU64::new(0),
        })
    }

    /// Keeps one record in the place of an old one; its split is found once it is committed.
    pub(super) fn insert(&self, old: Option<&Record>, record: &Record) -> Result<(), StoreError> {
        let id = &record.key.id;
        if record.key.kind == Kind::Split {
            self.finder.dismiss(&self.records, id)?;
        }
        self.commit(record.clone())?;
        self.count(old, Some(record));
        if record.key.kind == Kind::Split && !record.is_tombstone() {
            self.finder.admit_committed(&self.records, id)?;
        }
        Ok(())
    }

    /// Forgets an object.
    pub(super) fn remove(&self, old: &Record) -> Result<(), StoreError> {
        let key: &ObjectKey = &old.key;
        if key.kind == Kind::Split {
            self.finder.dismiss(&self.records, &key.id)?;
        }
        self.records.remove(key)?;
        self.count(Some(old), None);
        Ok(())
    }

    /// Looks at the sums.
    pub(super) fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many commits there were for puts.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn count(&self, old: Option<&Record>, new: Option<&Record>) {
        let mut sums = self.sums();
        if let Some(old) = old {
            sums.take(&old.held());
        }
        if let Some(new) = new {
            sums.add(&new.held());
        }
    }

    /// Commits a record together with all that wait: whoever finds nobody committing does it.
    fn commit(&self, record: Record) -> Result<(), StoreError> {
        let mine = Place::default();
        let mut queue = self.queue();
        queue.waiting.push((record, Arc::clone(&mine)));
        loop {
            if let Some(outcome) = lock(&mine).take() {
                return outcome;
            }
            if queue.busy {
                let woken = self.ended.wait(queue);
                queue = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.busy = true;
            let count = queue.waiting.len().min(BATCH_MAX);
            let batch: Vec<_> = queue.waiting.drain(..count).collect();
            drop(queue);
            self.commit_all(batch);
            queue = self.queue();
            queue.busy = false;
            self.ended.notify_all();
        }
    }

    /// Commits a batch; if that fails, each record by itself.
    fn commit_all(&self, batch: Vec<(Record, Place)>) {
        let (records, places): (Vec<Record>, Vec<Place>) = batch.into_iter().unzip();
        self.commits.fetch_add(1, Ordering::Relaxed);
        let whole = unwound(|| self.records.insert(&records));
        for (record, place) in records.iter().zip(places) {
            let outcome = match &whole {
                Ok(()) => Ok(()),
                Err(_) => unwound(|| self.records.insert(std::slice::from_ref(record))),
            };
            *lock(&place) = Some(outcome);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what reads pages of the index: redb panics on some that are damaged.
pub(super) fn unwound<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or(Err(StoreError::Damaged { table: "pages" }))
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
