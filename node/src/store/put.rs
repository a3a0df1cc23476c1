//! Keeping an object.
//!
//! *Invariants*: one object is written by one thread at a time; what is acknowledged is fsynced,
//! files first, then the record that names them.
//!
//! *Not here*: how files are written (`files`), how records are committed (`index`).

use std::sync::PoisonError;

use wire::object::PutOutcome;

use super::Store;
use super::error::StoreError;
use super::object::{ContentHash, Hashed, Object, ObjectKey};
use super::record::Record;

/// What a put does where the id is held with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// What was there first stays, unless it was deleted.
    Keep,
    /// The new content is the next revision.
    Overwrite,
    /// The content comes from another replica with that revision: the greater revision stays, of
    /// equal ones the one with the lesser hash, so that replicas converge in any order.
    Replica(u32),
    /// As `Replica`, and the files are written anew even if the record names the same content:
    /// they were found corrupt.
    Heal(u32),
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// New, same or kept.
    pub outcome: PutOutcome,
    /// Hash of what is held now.
    pub hash: ContentHash,
    /// Revision of what is held now.
    pub revision: u32,
    /// Bytes of what is held now.
    pub bytes: u64,
}

impl Store {
    /// Keeps an object; when it returns, payload and record are fsynced.
    pub fn put(&self, object: &Object, mode: PutMode) -> Result<Put, StoreError> {
        self.put_hashed(&object.clone().into(), mode)
    }

    /// As `put`; what is hashed already is not hashed again.
    pub fn put_hashed(&self, hashed: &Hashed, mode: PutMode) -> Result<Put, StoreError> {
        let object = hashed.object();
        let mut record = Record::describe(hashed, 1)?;
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock(&object.key);
        let index = self.index();
        let old = index.records.get(&object.key)?;
        let Some(revision) = next_revision(old.as_ref(), &record, mode) else {
            // An old one is there: without one every mode writes.
            return Ok(old.map_or_else(
                || put(PutOutcome::Same, &record),
                |old| {
                    let same = old.hash == record.hash;
                    put(
                        if same {
                            PutOutcome::Same
                        } else {
                            PutOutcome::Kept
                        },
                        &old,
                    )
                },
            ));
        };
        record.revision = revision;
        self.files.check_space(record.bytes())?;
        let staged = self.files.stage(object, &record)?;
        let replaced = self.files.place(staged, &record)?;
        if let Err(error) = index.insert(old.as_ref(), &record) {
            // The start settles what the disk holds against what the index holds.
            replaced.stay();
            return Err(error);
        }
        if matches!(mode, PutMode::Heal(_)) || self.is_left_out(&record.key) {
            self.files.quarantine(&replaced, &record.key);
        }
        drop(replaced);
        self.whole_again(&record.key);
        self.leave_old_slot(old.as_ref(), &record)?;
        Ok(put(PutOutcome::New, &record))
    }

    fn whole_again(&self, key: &ObjectKey) {
        self.left_out_by_key().remove(key);
    }

    /// Removes the folder of an earlier revision that was placed elsewhere.
    fn leave_old_slot(&self, old: Option<&Record>, new: &Record) -> Result<(), StoreError> {
        match old {
            Some(old) if old.slot() != new.slot() => {
                let away = self.files.announce_removal(&old.key, old.slot())?;
                self.files.take_away(&away, &old.key, old.slot())
            }
            _ => Ok(()),
        }
    }
}

/// Decides whether to write, and as which revision.
fn next_revision(old: Option<&Record>, new: &Record, mode: PutMode) -> Option<u32> {
    let wins = |old: &Record, revision: u32| {
        let newer = revision > old.revision;
        let first = revision == old.revision && new.hash < old.hash;
        (newer || first).then_some(revision)
    };
    match (old, mode) {
        (None, PutMode::Replica(revision) | PutMode::Heal(revision)) => Some(revision),
        (None, _) => Some(1),
        (Some(old), PutMode::Heal(revision)) if old.hash == new.hash => {
            Some(revision.max(old.revision))
        }
        (Some(old), PutMode::Replica(revision) | PutMode::Heal(revision)) => wins(old, revision),
        (Some(old), PutMode::Overwrite) if old.hash != new.hash => {
            Some(old.revision.saturating_add(1))
        }
        (Some(old), PutMode::Keep) if old.is_tombstone() => Some(old.revision.saturating_add(1)),
        (Some(_), PutMode::Overwrite | PutMode::Keep) => None,
    }
}

fn put(outcome: PutOutcome, record: &Record) -> Put {
    Put {
        outcome,
        hash: record.hash,
        revision: record.revision,
        bytes: record.bytes(),
    }
}
