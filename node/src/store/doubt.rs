//! Whether the index may lack what was acknowledged.
//!
//! What is not whole on the disk is in no index that is made of it, so an index that was remade, or
//! that lacks a folder, must not be taken for all that there is, until other owners were compared
//! with; one that was remade past folders that could not be listed, until they are.
//!
//! *Invariants*: a doubt outlives the process: it is on the disk before the index that it is about
//! takes its place, and so is that folders were passed over; a doubt that comes while another is
//! being ended stays.
//!
//! *Not here*: what a doubtful node answers (`answer::doubt`), what ends a doubt (`upkeep::doubt`).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Store;
use super::disk::Disk;
use super::error::StoreError;

/// Name of the file beside the index that says so.
const MARKER: &str = "doubt";
/// What it holds, for people: that it is there is what counts.
const WORDS: &[u8] = b"The index may lack what other owners hold. They are compared with.\n";
/// Name of the file beside the index that says that folders were passed over as it was remade.
const PASSED: &str = "unlisted";
/// What it holds, for people.
const PASSED_WORDS: &[u8] = b"The index was remade past folders that could not be listed.\n";

/// The doubt about one index.
#[derive(Debug)]
pub(super) struct Doubt {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// How often there was a reason: the number of the latest.
    raised: AtomicU64,
    open: AtomicBool,
    /// The index is as it was found, and folders were not compared with it yet.
    unread: AtomicBool,
    /// Not all folders could be read when they were last looked at.
    hindered: AtomicBool,
    /// The index was remade past folders that could not be listed, and they were not since.
    unlisted: AtomicBool,
    /// Since when the index is doubtful; held while a file comes or goes.
    since: Mutex<Instant>,
}

impl Doubt {
    /// Finds out whether there is one below `dir`.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        let open = disk.is_there(&dir.join(MARKER));
        let unlisted = disk.is_there(&dir.join(PASSED));
        Self {
            disk,
            dir: dir.to_owned(),
            raised: AtomicU64::new(u64::from(open)),
            open: AtomicBool::new(open),
            unread: AtomicBool::new(false),
            hindered: AtomicBool::new(false),
            unlisted: AtomicBool::new(unlisted),
            since: Mutex::new(Instant::now()),
        }
    }

    /// Notes whether all folders could be read; if not, and they could before, a doubt begins. It
    /// is one for all attempts: a comparison ends it, however often they are tried again.
    pub(super) fn has_read(&self, all: bool) -> Result<(), StoreError> {
        let was_hindered = self.hindered.swap(!all, Ordering::SeqCst);
        if all {
            return self.set_unlisted(false);
        }
        if was_hindered {
            return Ok(());
        }
        self.raise()
    }

    /// Notes whether the index was remade past folders that could not be listed; that it was holds
    /// in this process even if it cannot be written down.
    pub(super) fn set_unlisted(&self, unlisted: bool) -> Result<(), StoreError> {
        let _changing = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        self.unlisted.fetch_or(unlisted, Ordering::SeqCst);
        let passed = self.dir.join(PASSED);
        let noted = match (unlisted, self.disk.is_there(&passed)) {
            (true, false) => self.disk.write_synced(&passed, PASSED_WORDS),
            (false, true) => self.disk.remove(&passed),
            (true, true) | (false, false) => {
                self.unlisted.store(unlisted, Ordering::SeqCst);
                return Ok(());
            }
        };
        noted
            .and_then(|()| self.disk.sync_folder(&self.dir))
            .map_err(StoreError::io("note whether all folders were listed"))?;
        self.unlisted.store(unlisted, Ordering::SeqCst);
        Ok(())
    }

    /// Begins a doubt; it holds in this process even if it cannot be written down.
    pub(super) fn raise(&self) -> Result<(), StoreError> {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        self.raised.fetch_add(1, Ordering::SeqCst);
        if !self.open.swap(true, Ordering::SeqCst) {
            *since = Instant::now();
        }
        let marker = self.dir.join(MARKER);
        let written = if self.disk.is_there(&marker) {
            Ok(())
        } else {
            self.disk.write_synced(&marker, WORDS)
        };
        written
            .and_then(|()| self.disk.sync_folder(&self.dir))
            .map_err(StoreError::io("note that the index is doubtful"))
    }

    /// Ends the doubt of that number; `false` if there is none, or another since.
    fn end(&self, number: u64) -> Result<bool, StoreError> {
        let _changing = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if self.current() != Some(number) {
            return Ok(false);
        }
        self.disk
            .remove(&self.dir.join(MARKER))
            .and_then(|()| self.disk.sync_folder(&self.dir))
            .map_err(StoreError::io("note that the index is trusted again"))?;
        self.open.store(false, Ordering::SeqCst);
        Ok(true)
    }

    fn current(&self) -> Option<u64> {
        let open = self.open.load(Ordering::SeqCst);
        open.then(|| self.raised.load(Ordering::SeqCst))
    }

    /// Notes whether folders are yet to be compared with the index.
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::SeqCst);
    }
}

impl Store {
    /// Tells whether the index may lack what was acknowledged: it was remade, or something is left
    /// out of it, and other owners were not compared with since; or folders were not compared with
    /// it since the start; or it was remade past folders that cannot be listed.
    pub fn is_doubtful(&self) -> bool {
        self.doubt.current().is_some() || self.is_unread() || self.is_unlisted()
    }

    /// Tells whether the index was remade past folders that could not be listed, and they were not
    /// since: other owners were perhaps compared with, but it lacks what is in them.
    pub fn is_unlisted(&self) -> bool {
        self.doubt.unlisted.load(Ordering::SeqCst)
    }

    /// Tells whether the index was found at the start and folders were not compared with it yet
    /// (`reconcile`).
    pub fn is_unread(&self) -> bool {
        self.doubt.unread.load(Ordering::SeqCst)
    }

    /// Returns for how long the index is doubtful, if it is: since the start at most.
    pub fn doubted_for(&self) -> Option<Duration> {
        let since = self.doubt.since.lock();
        let since = since.unwrap_or_else(PoisonError::into_inner);
        self.is_doubtful().then(|| since.elapsed())
    }

    /// Returns the number of the doubt that comparing with other owners ends, if there is one.
    pub fn doubt(&self) -> Option<u64> {
        self.doubt.current()
    }

    /// Returns how many doubts there were since the start.
    pub fn doubts(&self) -> u64 {
        self.doubt.raised.load(Ordering::SeqCst)
    }

    /// Begins a doubt.
    #[cfg(test)]
    pub(crate) fn distrust(&self) -> Result<(), StoreError> {
        self.doubt.raise()
    }

    /// Ends the doubt of that number: what other owners hold is here, too. A doubt that began since
    /// stays, and `false` is returned.
    pub fn trust(&self, doubt: u64) -> Result<bool, StoreError> {
        self.doubt.end(doubt)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;
    use earth::split::placement::PlacementKey;
    use wire::bundle::Kind;

    use super::super::model_disk::{Failing, ModelDisk};
    use super::super::{Object, ObjectFile, ObjectKey, PutMode};
    use super::*;
    use crate::simulate::dice::Dice;

    fn object(name: &str) -> Object {
        let text = format!(r#"{{"run":"r","geocode":"{name}"}}"#);
        Object {
            key: ObjectKey::new(Kind::Model, format!("r/{name}")),
            placement_key: PlacementKey::named("test", name),
            files: vec![ObjectFile {
                name: "config.json".to_owned(),
                bytes: Bytes::from(text),
            }],
        }
    }

    /// Makes a store of two objects; returns where the files of the first lie.
    fn two(dir: &Path) -> PathBuf {
        let store = Store::open(dir).unwrap();
        for name in ["a", "b"] {
            store.put(&object(name), PutMode::Keep).unwrap();
        }
        store.folder(&store.known(&object("a").key).unwrap().unwrap())
    }

    fn reopened(dir: &Path) -> Store {
        let store = Store::open(dir).unwrap();
        store.reconcile().unwrap();
        store
    }

    #[test]
    fn a_new_store_and_one_that_was_closed_and_opened_again_are_not_doubtful() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(!store.is_doubtful());
        drop(store);
        // One that holds nothing yet, of a node that has joined: nothing was lost.
        std::fs::write(dir.path().join(super::super::MEMBER_FILE), b"{}").unwrap();
        assert!(!reopened(dir.path()).is_doubtful());
        two(dir.path());
        let store = Store::open(dir.path()).unwrap();
        // Until its folders were looked at, nobody knows whether the index is the newest.
        assert!(store.is_doubtful() && store.doubt().is_none());
        assert!(!store.reconcile().unwrap());
        assert!(!store.is_doubtful());
    }

    #[test]
    fn a_member_whose_disk_came_back_empty_is_doubtful_also_after_a_start_that_failed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(super::super::MEMBER_FILE), b"{}").unwrap();
        for _ in 0..2 {
            assert!(Store::open(dir.path()).unwrap().doubt().is_some());
        }
    }

    #[test]
    fn an_index_that_was_damaged_or_lost_is_doubtful_until_it_is_trusted_even_after_a_restart() {
        for damage in [Some(b"no database at all".as_slice()), None] {
            let dir = tempfile::tempdir().unwrap();
            two(dir.path());
            let index = dir.path().join("index.redb");
            match damage {
                Some(bytes) => fs::write(&index, bytes).unwrap(),
                None => fs::remove_file(&index).unwrap(),
            }
            assert!(reopened(dir.path()).is_doubtful());
            let store = reopened(dir.path());
            let doubt = store.doubt().unwrap();
            assert!(store.trust(doubt).unwrap());
            assert!(!store.is_doubtful() && !store.trust(doubt).unwrap());
            drop(store);
            assert!(!reopened(dir.path()).is_doubtful());
        }
    }

    #[test]
    fn what_is_left_out_makes_an_index_doubtful_and_is_told_with_its_slot() {
        let dir = tempfile::tempdir().unwrap();
        let folder = two(dir.path());
        let index = dir.path().join("index.redb");
        let whole = fs::read(&index).unwrap();
        let store = reopened(dir.path());
        assert!(store.delete(&object("a").key).unwrap());
        drop(store);
        // A folder that no record names, and that is not whole.
        fs::create_dir_all(&folder).unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.doubt(), None);
        assert!(store.reconcile().unwrap(), "that is new");
        let doubt = store.doubt().unwrap();
        assert_eq!(store.left_out()[0].slot, object("a").slot());
        assert!(store.left_out_slots().contains(object("a").slot()));
        assert!(store.trust(doubt).unwrap());
        // It is known by now.
        assert!(!store.reconcile().unwrap() && !store.is_doubtful());
        drop(store);
        fs::write(&index, &whole[..whole.len() / 2]).unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.doubt().is_some() && store.left_out_slots().contains(object("a").slot()));
        store.put(&object("a"), PutMode::Replica(1)).unwrap();
        assert!(store.left_out().is_empty());
    }

    #[test]
    fn an_older_index_is_found_out_and_doubtful() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let index = dir.path().join("index.redb");
        let before = fs::read(&index).unwrap();
        two(dir.path());
        fs::write(&index, before).unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.is_doubtful() && store.doubt().is_none());
        assert!(store.reconcile().unwrap());
        assert!(store.doubt().is_some() && !store.is_unread());
    }

    #[test]
    fn a_folder_that_cannot_be_listed_hides_no_other_and_its_doubt_ends_like_any() {
        let dir = tempfile::tempdir().unwrap();
        let folder = two(dir.path());
        let store = Store::open(dir.path()).unwrap();
        assert!(store.delete(&object("a").key).unwrap());
        fs::create_dir_all(&folder).unwrap();
        // Splits are looked at before models.
        let splits = dir.path().join("objects/split");
        fs::remove_dir(&splits).unwrap();
        fs::write(&splits, b"no folder").unwrap();
        assert!(store.is_unread() && store.reconcile().is_err());
        assert!(!store.is_unread());
        assert_eq!(store.left_out()[0].key, object("a").key);
        assert!(store.trust(store.doubt().unwrap()).unwrap());
        assert!(store.reconcile().is_err() && !store.is_doubtful());
        fs::remove_file(&splits).unwrap();
        fs::create_dir(&splits).unwrap();
        assert!(!store.reconcile().unwrap() && !store.is_doubtful());
        fs::remove_dir(&splits).unwrap();
        assert!(store.reconcile().is_err() && store.is_doubtful());
    }

    #[test]
    fn an_index_remade_past_a_folder_that_cannot_be_listed_is_doubtful_until_it_can() {
        let dir = tempfile::tempdir().unwrap();
        two(dir.path());
        let store = reopened(dir.path());
        let (models, away) = (dir.path().join("objects/model"), dir.path().join("away"));
        fs::rename(&models, &away).unwrap();
        // Splits, runs and all else are recorded all the same.
        let done = store.rebuild_index().unwrap();
        assert_eq!(done.unlisted[0].folder, models);
        assert!(store.known(&object("a").key).unwrap().is_none());
        // Comparing with other owners does not end it, nor does a start.
        assert!(store.trust(store.doubt().unwrap()).unwrap());
        assert!(store.is_doubtful() && store.is_unlisted());
        assert!(store.reconcile().is_err() && store.is_unlisted());
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert!(store.is_doubtful() && store.is_unlisted());
        fs::remove_dir(&models).unwrap();
        fs::rename(&away, &models).unwrap();
        store.reconcile().unwrap();
        assert!(!store.is_unlisted());
        assert!(store.known(&object("a").key).unwrap().is_some());
        assert!(store.trust(store.doubt().unwrap()).unwrap() && !store.is_doubtful());
        drop(store);
        assert!(!reopened(dir.path()).is_doubtful());
    }

    #[test]
    fn a_doubt_that_cannot_be_written_down_holds_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        fs::remove_dir_all(dir.path()).unwrap();
        assert!(store.distrust().is_err());
        assert!(store.is_doubtful() && store.doubt().is_some());
    }

    #[test]
    fn a_doubt_that_comes_meanwhile_is_not_ended_with_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.distrust().unwrap();
        let first = store.doubt().unwrap();
        store.distrust().unwrap();
        assert!(!store.trust(first).unwrap());
        assert!(store.is_doubtful() && dir.path().join(MARKER).is_file());
        assert!(store.trust(store.doubt().unwrap()).unwrap());
        assert!(!dir.path().join(MARKER).exists());
        assert_eq!(store.doubts(), 2);
    }

    #[test]
    fn a_power_cut_at_any_step_leaves_no_remade_index_without_its_doubt() {
        const CUTS: u64 = 200;
        let made = ModelDisk::new();
        let dir = Path::new("/d");
        let store = made.open(dir).unwrap();
        store.put(&object("a"), PutMode::Keep).unwrap();
        drop(store);
        let (mut cut, mut done) = (0, false);
        while !done && cut < CUTS {
            for variant in 0..8 {
                let mut dice = Dice::new(cut * 8 + variant);
                let disk = made.cut(&mut dice);
                let index = dir.join("index.redb");
                disk.remove(&index).unwrap();
                disk.write_synced(&index, b"no database at all").unwrap();
                disk.sync_folder(dir).unwrap();
                disk.fail(Failing::After(cut), dice);
                done = disk.open(dir).is_ok();
                disk.spare();
                let store = disk.left().unwrap_or(disk).open(dir).unwrap();
                assert!(store.doubt().is_some(), "cut {variant} after {cut} events");
            }
            cut += 1;
        }
        assert!(done && cut > 5, "{cut} cuts");
    }
}
