//! What a simulated cluster has promised, and whether it kept it.
//!
//! *Invariants*: what is acknowledged is never forgotten here; an answer that calls itself complete
//! is held to all puts and deletions that were acknowledged before the question.
//!
//! *Not here*: who asks (`drill`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wire::fault::{Fault, FaultKind};
use wire::object::PutAck;
use wire::search::SearchEnd;

use super::imagery::{FILE, Imagery};

/// Broken promises kept with their text: the first say it all.
const VIOLATIONS_MAX: usize = 20;

/// What was promised.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// Number of each split by its id.
    numbers: BTreeMap<String, usize>,
    attempted: BTreeSet<usize>,
    /// How many users are putting each split, or were cut off while they did.
    putting: BTreeMap<usize, u32>,
    /// Splits that somebody has begun to delete: they may be found or not.
    doomed: BTreeSet<usize>,
    promised: Promised,
    /// Nodes that must hold what is acknowledged.
    quorum: usize,
    pub violations: Vec<String>,
    pub tally: Tally,
}

/// What is promised at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Promised {
    /// Splits that must be found.
    acked: BTreeSet<usize>,
    /// Splits that must not be found.
    deleted: BTreeSet<usize>,
}

/// How often what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Puts that were acknowledged.
    pub acked: u64,
    /// Puts and deletions that were refused.
    pub refused: u64,
    /// Splits that were deleted.
    pub deleted: u64,
    /// Queries that were answered.
    pub queries: u64,
    /// Those of them whose answer was complete.
    pub complete: u64,
    /// Splits that were fetched and compared.
    pub fetched: u64,
}

impl Promised {
    /// Returns how many splits must be found.
    pub(super) fn found(&self) -> usize {
        self.acked.len()
    }
}

impl Truth {
    /// Begins with nothing promised to users of a cluster that keeps so many replicas.
    pub(super) fn new(imagery: &Imagery, replicas: u8) -> Self {
        let named = |(i, split): (usize, &crate::store::Object)| (split.key.id.clone(), i);
        Self {
            numbers: imagery.splits.iter().enumerate().map(named).collect(),
            quorum: usize::from(replicas.min(2)),
            ..Self::default()
        }
    }

    /// Notes that a split is about to be put: it may be found from now on.
    pub(super) fn attempt(&mut self, split: usize) {
        self.attempted.insert(split);
        *self.putting.entry(split).or_default() += 1;
    }

    /// Notes how a put ended.
    pub(super) fn put(&mut self, split: usize, ended: &Result<PutAck, Fault>) {
        if let Some(putting) = self.putting.get_mut(&split) {
            *putting = putting.saturating_sub(1);
        }
        match ended {
            Ok(ack) => {
                self.tally.acked += 1;
                self.promised.acked.insert(split);
                let holders: BTreeSet<&String> = ack.acked_by.iter().collect();
                if holders.len() < self.quorum {
                    self.violate(format!(
                        "split {split} was acknowledged by {holders:?} alone"
                    ));
                }
            }
            Err(_) => self.tally.refused += 1,
        }
    }

    /// Returns what is promised by now.
    pub(super) fn promised(&self) -> Promised {
        self.promised.clone()
    }

    /// Returns the splits that must be found by now.
    pub(super) fn acked(&self) -> Vec<usize> {
        self.promised.acked.iter().copied().collect()
    }

    /// Returns the splits that may be deleted: nobody is putting them any more.
    pub(super) fn idle(&self) -> Vec<usize> {
        let idle = |split: &usize| self.putting.get(split).is_none_or(|n| *n == 0);
        self.promised.acked.iter().copied().filter(idle).collect()
    }

    /// Tells whether somebody has begun to delete a split: nobody puts it again.
    pub(super) fn is_doomed(&self, split: usize) -> bool {
        self.doomed.contains(&split)
    }

    /// Notes that a split is about to be deleted.
    pub(super) fn doom(&mut self, split: usize) {
        self.doomed.insert(split);
        self.promised.acked.remove(&split);
    }

    /// Notes how a deletion ended.
    pub(super) fn deleted(&mut self, split: usize, who: &str, ended: &Result<u64, Fault>) {
        match ended {
            Ok(0) => self.violate(format!("{who} did not find split {split} to delete it")),
            Ok(_) => {
                self.tally.deleted += 1;
                self.promised.deleted.insert(split);
            }
            Err(_) => self.tally.refused += 1,
        }
    }

    /// Holds an answer to what was acknowledged before it was asked for.
    pub(super) fn answered(
        &mut self,
        before: &Promised,
        who: &str,
        (ids, end): (&[String], &SearchEnd),
    ) {
        self.tally.queries += 1;
        let mut found = BTreeSet::new();
        for id in ids {
            match self.numbers.get(id) {
                Some(split) if self.attempted.contains(split) => {
                    if !found.insert(*split) {
                        self.violate(format!("{who} answered {id} twice"));
                    }
                }
                _ => self.violate(format!("{who} answered {id}, which nobody ever put")),
            }
        }
        if !end.complete {
            return;
        }
        self.tally.complete += 1;
        let lost = before.acked.difference(&found);
        let lost: Vec<&usize> = lost.filter(|s| !self.doomed.contains(s)).collect();
        if !lost.is_empty() {
            self.violate(format!("{who} gave a complete answer without {lost:?}"));
        }
        let back: Vec<&usize> = before.deleted.intersection(&found).collect();
        if !back.is_empty() {
            self.violate(format!(
                "{who} gave a complete answer with {back:?}, deleted before"
            ));
        }
    }

    /// Holds a fetched split to what was put.
    pub(super) fn fetched(
        &mut self,
        (split, imagery): (usize, &Imagery),
        who: &str,
        got: &Result<Bytes, Fault>,
    ) {
        let object = &imagery.splits[split];
        let right = object.files.iter().find(|f| f.name == FILE);
        let doomed = self.is_doomed(split);
        match got {
            Ok(bytes) if right.is_some_and(|file| file.bytes == *bytes) => self.tally.fetched += 1,
            Ok(_) => self.violate(format!(
                "{who} fetched other bytes of {split} than were put"
            )),
            Err(_) if doomed => {}
            Err(fault) if fault.kind == FaultKind::Nothing || fault.kind == FaultKind::Data => {
                self.violate(format!("{who} fetched split {split} in vain: {fault}"));
            }
            Err(_) => {}
        }
    }

    /// Notes a broken promise.
    pub(super) fn violate(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(what);
        }
    }
}
