//! `marks`: what other members said that they hold besides owners, kept so that a node that starts
//! again still knows what it was told as one of a majority.
//!
//! The file holds the beats themselves, signed by their nodes: they are told on like any other.
//!
//! ```text
//! b"marks 2\n" ‖ BLAKE3 of the rest, 32 bytes ‖ postcard Vec<Beat>    version 1: the last alone
//! ```
//! *Invariants*: written beside, fsynced and renamed before whoever told is answered; what is
//! marked is looked up by who is about to write, so that nobody writes what was true before
//! another wrote; a node that is not marked any more is forgotten later: to ask one too many does
//! no harm.
//!
//! *Not here*: marking (`core`), what a beat is (`membership`), when it is written (`persist`).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, TryLockError};

use super::file::ClusterFileError;
use crate::identity::{NodeId, write_private};
use crate::membership::Beat;
use crate::peer::{decode, encode};
use crate::slots::SlotSet;

/// Name of the file in a node's data folder.
const MARKS_FILE: &str = "marks";
/// What the file begins with.
const HEAD: &[u8] = b"marks 2\n";

/// The file and what stands in it.
#[derive(Debug)]
pub(crate) struct Remembered {
    path: PathBuf,
    written: Mutex<Marked>,
}

/// Of each node that is marked the start in which it said so, and the slots.
type Marked = BTreeMap<NodeId, (u64, SlotSet)>;

/// Reads what was told before this node stopped.
pub(crate) fn read(data: &Path) -> Result<Vec<Beat>, ClusterFileError> {
    let path = data.join(MARKS_FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ClusterFileError::Io { path, source }),
    };
    unseal(&bytes).map_err(|reason| ClusterFileError::Damaged {
        path,
        reason,
        step: "start the other nodes first, then move the file away: they tell it again",
    })
}

pub(super) fn seal(beats: &[Beat]) -> Vec<u8> {
    let body = encode(&beats);
    [HEAD, blake3::hash(&body).as_bytes(), &body].concat()
}

fn unseal(bytes: &[u8]) -> Result<Vec<Beat>, String> {
    let body = match bytes.strip_prefix(HEAD) {
        None => bytes,
        Some(sealed) => match sealed.split_first_chunk() {
            Some((sum, body)) if blake3::hash(body) == blake3::Hash::from_bytes(*sum) => body,
            _ => return Err("its checksum is not that of its content".to_owned()),
        },
    };
    decode(body).map_err(|error| error.to_string())
}

impl Remembered {
    /// Names the file of a data folder, in which these beats stand.
    pub(crate) fn new(data: &Path, beats: &[Beat]) -> Self {
        Self {
            path: data.join(MARKS_FILE),
            written: Mutex::new(marked(beats)),
        }
    }

    /// Tells whether all that is marked was written, as far as that is known without waiting for
    /// somebody who writes.
    pub(crate) fn covers<'a>(&self, beats: impl Iterator<Item = &'a Beat>) -> bool {
        match self.written.try_lock() {
            Ok(written) => covers(&written, beats),
            Err(TryLockError::Poisoned(lock)) => covers(&lock.into_inner(), beats),
            Err(TryLockError::WouldBlock) => false,
        }
    }

    /// Writes what is marked once nobody else does, unless it was written meanwhile.
    pub(crate) fn keep(&self, beats: impl FnOnce() -> Vec<Beat>) -> Result<(), ClusterFileError> {
        self.write(beats, |written, beats| covers(written, beats.iter()))
    }

    /// Writes what is marked, unless it and nothing else was.
    pub(crate) fn tidy(&self, beats: impl FnOnce() -> Vec<Beat>) -> Result<(), ClusterFileError> {
        self.write(beats, |written, beats| {
            let is_marked = |node: &NodeId| beats.iter().any(|beat| beat.node == *node);
            covers(written, beats.iter()) && written.keys().all(is_marked)
        })
    }

    fn write(
        &self,
        beats: impl FnOnce() -> Vec<Beat>,
        suffices: impl FnOnce(&Marked, &[Beat]) -> bool,
    ) -> Result<(), ClusterFileError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let beats = beats();
        if suffices(&written, &beats) {
            return Ok(());
        }
        write_private(&self.path, &seal(&beats)).map_err(|source| ClusterFileError::Io {
            path: self.path.clone(),
            source,
        })?;
        *written = marked(&beats);
        Ok(())
    }
}

fn marked(beats: &[Beat]) -> Marked {
    let of = |beat: &Beat| (beat.age.incarnation, beat.unconfirmed.clone());
    beats.iter().map(|b| (b.node.clone(), of(b))).collect()
}

fn covers<'a>(written: &Marked, mut beats: impl Iterator<Item = &'a Beat>) -> bool {
    beats.all(|beat| {
        written.get(&beat.node).is_some_and(|(incarnation, slots)| {
            *incarnation == beat.age.incarnation && beat.unconfirmed.is_subset(slots)
        })
    })
}

#[cfg(test)]
mod tests {
    use earth::split::placement::Slot;

    use super::*;
    use crate::cluster::start::beat;
    use crate::layout::Stamp;

    fn marked(name: &str, slots: std::ops::Range<u16>) -> Beat {
        let node = NodeId::parse(name).unwrap();
        let mut beat = beat(node, String::new(), String::new(), Stamp::default());
        beat.unconfirmed = slots.filter_map(Slot::new).collect();
        beat
    }

    #[test]
    fn what_was_told_is_read_back_and_what_is_over_is_forgotten_later() {
        let data = tempfile::tempdir().unwrap();
        let remembered = Remembered::new(data.path(), &read(data.path()).unwrap());
        let (few, more) = (marked("a", 0..3), marked("a", 0..9));
        let other = marked("b", 4..5);
        assert!(!remembered.covers([&few].into_iter()));
        remembered
            .keep(|| vec![more.clone(), other.clone()])
            .unwrap();
        assert!(remembered.covers([&few, &more, &other].into_iter()));
        assert_eq!(read(data.path()).unwrap(), [more.clone(), other]);
        // Less than was written is no reason to write, until it is tidied.
        remembered.keep(|| vec![more.clone()]).unwrap();
        assert_eq!(read(data.path()).unwrap().len(), 2);
        remembered.tidy(|| vec![more.clone()]).unwrap();
        assert_eq!(read(data.path()).unwrap(), [more]);
        let mut again = few;
        again.age.incarnation += 1;
        assert!(!remembered.covers([&again].into_iter()), "another start");
    }

    #[test]
    fn what_is_marked_is_looked_up_while_nobody_else_writes() {
        let data = tempfile::tempdir().unwrap();
        let beat = marked("a", 0..3);
        let remembered = Remembered::new(data.path(), std::slice::from_ref(&beat));
        let mut looked = false;
        let look = || {
            looked = true;
            assert!(!remembered.covers([&beat].into_iter()), "somebody writes");
            vec![beat.clone()]
        };
        remembered.keep(look).unwrap();
        assert!(looked && remembered.covers([&beat].into_iter()));
    }

    #[test]
    fn a_damaged_file_says_what_to_do() {
        let data = tempfile::tempdir().unwrap();
        let whole = seal(&[marked("a", 0..3)]);
        let mut flipped = vec![vec![0xff; 9], Vec::new()];
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            flipped.push(bytes);
        }
        for bytes in flipped {
            fs::write(data.path().join(MARKS_FILE), bytes).unwrap();
            let error = read(data.path()).unwrap_err();
            assert!(matches!(error, ClusterFileError::Damaged { step, .. } if !step.is_empty()));
        }
    }

    #[test]
    fn a_file_of_the_first_version_is_read() {
        let data = tempfile::tempdir().unwrap();
        let beats = [marked("a", 0..3)];
        fs::write(data.path().join(MARKS_FILE), encode(&beats.to_vec())).unwrap();
        assert_eq!(read(data.path()).unwrap(), beats);
    }
}
