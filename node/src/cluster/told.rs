//! `marks`: what other members said that they hold besides owners, kept so that a node that starts
//! again still knows what it was told as one of a majority.
//!
//! The file holds the beats themselves, signed by their nodes: they are told on like any other.
//!
//! *Invariants*: written beside, fsynced and renamed before whoever told is answered; a node that
//! is not marked any more is forgotten later: to ask one too many does no harm.
//!
//! *Not here*: marking (`core`), what a beat is (`membership`).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::file::ClusterFileError;
use crate::identity::{NodeId, write_private};
use crate::membership::Beat;
use crate::peer::{decode, encode};
use crate::slots::SlotSet;

/// Name of the file in a node's data folder.
const MARKS_FILE: &str = "marks";

/// The file and what stands in it.
#[derive(Debug)]
pub(crate) struct ToldMarks {
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
    decode(&bytes).map_err(|error| ClusterFileError::Damaged {
        path,
        reason: error.to_string(),
    })
}

impl ToldMarks {
    /// Names the file of a data folder, in which these beats stand.
    pub(crate) fn new(data: &Path, beats: &[Beat]) -> Self {
        Self {
            path: data.join(MARKS_FILE),
            written: Mutex::new(marked(beats)),
        }
    }

    /// Tells whether all that is marked was written.
    pub(crate) fn covers(&self, beats: &[Beat]) -> bool {
        covers(&self.lock(), beats)
    }

    /// Writes what is marked, unless it was.
    pub(crate) fn keep(&self, beats: &[Beat]) -> Result<(), ClusterFileError> {
        let mut written = self.lock();
        // Whoever waited for the lock may find its own written.
        if covers(&written, beats) {
            return Ok(());
        }
        self.write(&mut written, beats)
    }

    /// Writes what is marked, unless it and nothing else was.
    pub(crate) fn tidy(&self, beats: &[Beat]) -> Result<(), ClusterFileError> {
        let mut written = self.lock();
        let is_marked = |node: &NodeId| beats.iter().any(|beat| beat.node == *node);
        if covers(&written, beats) && written.keys().all(is_marked) {
            return Ok(());
        }
        self.write(&mut written, beats)
    }

    fn write(&self, written: &mut Marked, beats: &[Beat]) -> Result<(), ClusterFileError> {
        write_private(&self.path, &encode(&beats)).map_err(|source| ClusterFileError::Io {
            path: self.path.clone(),
            source,
        })?;
        *written = marked(beats);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Marked> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn marked(beats: &[Beat]) -> Marked {
    let of = |beat: &Beat| (beat.age.incarnation, beat.unconfirmed.clone());
    beats.iter().map(|b| (b.node.clone(), of(b))).collect()
}

fn covers(written: &Marked, beats: &[Beat]) -> bool {
    beats.iter().all(|beat| {
        written.get(&beat.node).is_some_and(|(incarnation, slots)| {
            let mut lacking = beat.unconfirmed.clone();
            lacking.subtract(slots);
            *incarnation == beat.age.incarnation && lacking.is_empty()
        })
    })
}
