//! Jobs whose models are on their way to their owners.
//!
//! Whoever puts a model may be heard of by nobody meanwhile: its worker waits for the answer, and a
//! slow line is full of the model itself.
//!
//! *Invariants*: while a model is being put here, its job's lease lives and is left to nobody; a
//! host that says so keeps its lease for as long as that put may take, `PUT_MS_MAX` at most.
//!
//! *Not here*: putting it (`replicate`), leases (`book`), telling the home (`cluster::lend`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use wire::run::Renew;

use super::book::JobKey;
use super::{Inner, Runs};

/// Longest that a host's word is good for that a put may take: some seven chunks, or 30 MB, over a
/// line on which each takes all the time it may.
const PUT_MS_MAX: u64 = 15 * 60 * 1_000;

/// Jobs whose models are being published, each with by how many.
pub(super) type Underway = Arc<Mutex<BTreeMap<JobKey, u32>>>;

/// While it lives, a job's model is being published, and the job is left to nobody.
#[derive(Debug)]
#[must_use = "the job may be left to another node once this is dropped"]
pub struct Publishing {
    key: JobKey,
    all: Underway,
}

impl Drop for Publishing {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all
            .get(&self.key)
            .map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            all.remove(&self.key);
        } else {
            all.insert(self.key.clone(), left);
        }
    }
}

impl Runs {
    /// Keeps a job from being left to another node while its model is being published; taken
    /// before its lease is checked.
    pub fn publishing(&self, lease: &Renew) -> Publishing {
        let (key, inner) = (super::key(lease), self.lock());
        let all = Arc::clone(&inner.contest.publishing);
        let mut counts = all.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.clone()).or_insert(0);
        *count = count.saturating_add(1);
        drop(counts);
        Publishing { key, all }
    }

    /// Notes that another node puts the model of a job that it does for this one, which may take so
    /// many milliseconds; tells whether its lease still counts.
    pub fn publishing_moved(&self, lease: &Renew, by: &str, put_ms: u64) -> bool {
        let (key, now_ms) = (super::key(lease), self.now_ms());
        let until_ms = now_ms.saturating_add(put_ms.min(PUT_MS_MAX));
        let mut inner = self.lock();
        let is_theirs = inner.is_moved_to(&key, by);
        let mut note = || {
            inner.book.renew(&key, lease.token, now_ms)?;
            inner.book.publishing(&key, lease.token, until_ms)
        };
        is_theirs && note().is_ok()
    }
}

impl Inner {
    pub(super) fn is_publishing(&self, key: &JobKey) -> bool {
        let all = self.contest.publishing.lock();
        let all = all.unwrap_or_else(PoisonError::into_inner);
        all.contains_key(key)
    }

    /// Lengthens the leases of all jobs whose models are being put here.
    pub(super) fn sustain(&mut self, now_ms: u64) {
        let all = self.contest.publishing.lock();
        let all = all.unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<JobKey> = all.keys().cloned().collect();
        drop(all);
        for key in &keys {
            self.book_of(key).sustain(key, now_ms);
        }
    }

    /// Returns overdue leases to the queue; returns the guests, and the jobs of this node, that
    /// are.
    pub(super) fn overdue(&mut self, now_ms: u64) -> (Vec<JobKey>, Vec<JobKey>) {
        self.sustain(now_ms);
        (self.guests.book.expire(now_ms), self.book.expire(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use earth::split::meta::SplitId;
    use earth::split::placement::PlacementKey;
    use query::Query;
    use tempfile::TempDir;
    use wire::run::{JobState, LeaseAnswer, LeaseRequest, Run};

    use super::super::PlannedSplit;
    use super::super::book::LEASE_MS;
    use super::*;
    use crate::slots::SlotSet;

    /// A node with a job that a worker has.
    fn lent() -> (TempDir, Runs, Renew) {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path(), "n").unwrap();
        let split = PlannedSplit {
            id: SplitId::parse("c/s~9xj5k").unwrap(),
            cell: "9xj5k".to_owned(),
            placement_key: PlacementKey::named("test", "9xj5k"),
            folder: PathBuf::from("/there"),
        };
        let run = Run::new("r", "ndvi-cnn", Query::default());
        let planned = runs.plan(&run, (&SlotSet::all(), &[split]), &BTreeMap::new());
        assert_eq!(planned.unwrap(), 1);
        let request = LeaseRequest {
            worker: "w".to_owned(),
            run: None,
        };
        let LeaseAnswer::Job(lease) = runs.lease(&request).unwrap() else {
            panic!("nobody has it");
        };
        let ours = Renew {
            run: "r".to_owned(),
            geocode: lease.geocode.clone(),
            token: lease.token,
        };
        (dir, runs, ours)
    }

    /// A put that took longer than a lease was refused when it was done, and the job done again.
    #[test]
    fn while_a_model_is_put_its_lease_is_not_overdue() {
        let (_dir, runs, ours) = lent();
        let publishing = runs.publishing(&ours);
        let late = runs.now_ms() + 10 * LEASE_MS;
        let none = (Vec::new(), Vec::new());
        assert_eq!(runs.lock().overdue(late), none);
        drop(publishing);
        assert_eq!(runs.lock().overdue(late + 1), none, "as if renewed");
        let (_, overdue) = runs.lock().overdue(late + LEASE_MS);
        assert_eq!(overdue, [super::super::key(&ours)]);
    }

    #[test]
    fn what_a_worker_was_publishing_when_it_ended_is_not_taken_back() {
        let (_dir, runs, ours) = lent();
        let publishing = runs.publishing(&ours);
        runs.ended("w", "signal 9").unwrap();
        assert!(runs.may_publish(&ours).is_ok());
        drop(publishing);
        let (_dir, runs, ours) = lent();
        runs.ended("w", "signal 9").unwrap();
        assert!(runs.may_publish(&ours).is_err(), "nothing was put");
        assert_eq!(runs.jobs("r")[0].state, JobState::Waiting);
    }

    #[test]
    fn a_host_that_puts_a_model_keeps_its_lease_but_not_for_ever() {
        let (_dir, runs, ours) = lent();
        assert!(!runs.publishing_moved(&ours, "host", 1), "it did not move");
        runs.fail(&wire::run::Failure {
            lease: ours.clone(),
            reason: "tried".to_owned(),
            hopeless: false,
            dropped: None,
        })
        .unwrap();
        let key = super::super::key(&ours);
        let lent = runs.move_out(std::slice::from_ref(&key), "host").unwrap();
        let theirs = Renew {
            token: lent.unwrap().guests[0].token,
            ..ours
        };
        let before = runs.now_ms();
        assert!(runs.publishing_moved(&theirs, "host", u64::MAX));
        assert!(!runs.publishing_moved(&theirs, "other", u64::MAX));
        runs.take_back(|_| true).unwrap();
        assert_eq!(runs.jobs("r")[0].state, JobState::Running);
        let until = runs.lock().book.job(&key).unwrap().publishing_ms;
        assert!((before + PUT_MS_MAX..=runs.now_ms() + PUT_MS_MAX).contains(&until));
    }
}
