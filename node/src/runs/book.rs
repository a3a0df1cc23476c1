//! The jobs of one node: planned, lent to workers, done, quarantined.
//!
//! *Invariants*: pure, time is an argument; at most one live lease a job; tokens only grow, and
//! only the newest token of a job may finish or fail it; a job ends in exactly one of done,
//! dropped, quarantined, cancelled, and only a user has one of the last two tried again; donors are
//! lent first, and no heir before it is known what its donor left.
//!
//! *Not here*: keeping the book on disk, starting workers (`runs`), finding out what donors left
//! (`cluster::tend`).

mod heirs;
pub mod rivals;
mod surplus;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use serde::{Deserialize, Serialize};
use wire::model::Metrics;
use wire::run::{Failure, JobCounts, JobState, Moved, Wish};
use wire::transfer::Descent;

pub use heirs::Role;
pub use surplus::{Surplus, WORTH_MS, millis};

/// Time a lease lives unless renewed: several heartbeats of a busy worker.
pub const LEASE_MS: u64 = 30_000;
/// Attempts after which a job is quarantined (DESIGN §8).
pub const ATTEMPTS_MAX: u32 = 3;

/// Names a job: run and geocode text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// Run.
    pub run: String,
    /// Geocode text.
    pub geocode: String,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Where its model will be placed.
    pub placement_key: PlacementKey,
    /// What it learns from, sorted.
    pub splits: Vec<SplitId>,
    /// State.
    pub state: JobState,
    /// Times it was lent.
    pub attempts: u32,
    /// Token of the newest lease; 0 before the first.
    pub token: u64,
    /// When the newest lease ends, in milliseconds of the caller's clock; lost with a restart.
    #[serde(skip)]
    pub expires_ms: u64,
    /// Until when its model may be on its way to its owners, in milliseconds of the caller's clock:
    /// until then the lease lives, whoever is heard of.
    #[serde(skip)]
    pub publishing_ms: u64,
    /// When it was lent last, in milliseconds of the caller's clock.
    #[serde(skip)]
    pub lent_ms: u64,
    /// Who holds the newest lease, by its own name.
    #[serde(skip)]
    pub worker: String,
    /// Why it failed last.
    pub reason: Option<String>,
    /// Scores of its model.
    pub metrics: Option<Metrics>,
    /// Seconds from its last lease to its model.
    pub seconds: Option<f64>,
    /// Its part in transfer.
    #[serde(default)]
    pub role: Role,
    /// How its model started, where it was to start from a donor's, be it published or dropped.
    #[serde(default)]
    pub descent: Option<Descent>,
    /// The node that does it in place of this one.
    #[serde(default)]
    pub moved: Option<Moved>,
    /// Until when it is not offered again, for no other node took it.
    #[serde(skip)]
    pub stays_ms: u64,
}

/// What a published model says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Its scores.
    pub metrics: Metrics,
    /// How it started, where it was to start from a donor's.
    #[serde(default)]
    pub descent: Option<Descent>,
    /// Seconds from reading the first split to the last score.
    #[serde(default)]
    pub seconds: Option<f64>,
}

/// Why a worker's word on a job is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// There is no such job here.
    #[error("no job {run}/{geocode} on this node")]
    Unknown {
        /// Run.
        run: String,
        /// Geocode text.
        geocode: String,
    },
    /// The lease ran out and the job was lent again, or it ended.
    #[error("lease {token} of {run}/{geocode} is stale")]
    Stale {
        /// Run.
        run: String,
        /// Geocode text.
        geocode: String,
        /// Token given.
        token: u64,
    },
}

/// All jobs of one node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book {
    jobs: BTreeMap<JobKey, Job>,
    /// The last token given out; tokens grow over all jobs and restarts.
    token: u64,
}

impl Book {
    /// Begins a book whose tokens are greater than one given.
    pub fn counting_from(token: u64) -> Self {
        Self {
            token,
            ..Self::default()
        }
    }

    /// Gives out tokens that are greater than one given.
    pub fn count_from(&mut self, token: u64) {
        self.token = self.token.max(token);
    }

    /// Adds a job unless it is there already; returns whether it was added.
    pub fn plan(&mut self, key: JobKey, job: Job) -> bool {
        let vacant = !self.jobs.contains_key(&key);
        self.jobs.entry(key).or_insert(job);
        vacant
    }

    /// Takes a job out.
    pub fn forget(&mut self, key: &JobKey) {
        self.jobs.remove(key);
    }

    /// Puts back a job as it was kept; a lease that lived then has run out now, unless another node
    /// holds it.
    pub fn restore(&mut self, key: JobKey, mut job: Job) {
        self.token = self.token.max(job.token);
        if job.moved.is_some() {
            // Its host did not restart, and renews it.
            job.expires_ms = LEASE_MS;
        }
        self.jobs.insert(key, job);
    }

    /// Quarantines every waiting job; returns which.
    pub fn give_up(&mut self, reason: &str) -> Vec<JobKey> {
        let waiting = self
            .jobs
            .iter_mut()
            .filter(|(_, j)| j.state == JobState::Waiting);
        let given = waiting.map(|(key, job)| {
            job.give_up(reason, true);
            key.clone()
        });
        given.collect()
    }

    /// Returns all jobs in order of run and geocode.
    pub fn jobs(&self) -> impl Iterator<Item = (&JobKey, &Job)> {
        self.jobs.iter()
    }

    /// Returns the jobs of a run in order of geocode, those behind one or all.
    pub fn jobs_of(&self, run: &str, after: Option<&str>) -> impl Iterator<Item = (&JobKey, &Job)> {
        let key = |geocode: &str| JobKey {
            run: run.to_owned(),
            geocode: geocode.to_owned(),
        };
        let from = match after {
            Some(geocode) => Bound::Excluded(key(geocode)),
            None => Bound::Included(key("")),
        };
        let behind = self.jobs.range((from, Bound::Unbounded));
        behind.take_while(move |(key, _)| key.run == run)
    }

    /// Returns one job.
    pub fn job(&self, key: &JobKey) -> Option<&Job> {
        self.jobs.get(key)
    }

    /// Counts the jobs of a run, or of all, by state.
    pub fn counts(&self, run: Option<&str>) -> JobCounts {
        let mut counts = JobCounts::default();
        let of_run = |k: &JobKey| run.is_none_or(|r| r == k.run);
        self.jobs
            .iter()
            .filter(|(k, _)| of_run(k))
            .for_each(|(_, j)| counts.add(j.state));
        counts
    }

    /// Lends a job of a run, or of any: the first donor, else the first that waits for nobody;
    /// `None` if there is neither. A lease that has run out is lent again once it has expired.
    pub fn lend(&mut self, run: Option<&str>, worker: &str, now_ms: u64) -> Option<JobKey> {
        let ready = |(k, j): &(&JobKey, &Job)| j.is_ready() && run.is_none_or(|r| r == k.run);
        let ready = self.jobs.iter().filter(ready);
        let first = ready.min_by_key(|(_, job)| job.role != Role::Donor);
        let key = first.map(|(k, _)| k.clone())?;
        self.hand(&key, worker, now_ms)?;
        Some(key)
    }

    /// Lends that job.
    fn hand(&mut self, key: &JobKey, worker: &str, now_ms: u64) -> Option<&mut Job> {
        let job = self.jobs.get_mut(key)?;
        self.token += 1;
        job.state = JobState::Running;
        job.attempts += 1;
        job.token = self.token;
        job.lent_ms = now_ms;
        worker.clone_into(&mut job.worker);
        job.expires_ms = now_ms + LEASE_MS;
        job.publishing_ms = 0;
        Some(job)
    }

    /// Lengthens a lease.
    pub fn renew(&mut self, key: &JobKey, token: u64, now_ms: u64) -> Result<(), LeaseError> {
        let job = self.leased(key, token)?;
        job.expires_ms = now_ms + LEASE_MS;
        Ok(())
    }

    /// Notes that a job's model is being put, which may take until then.
    pub fn publishing(
        &mut self,
        key: &JobKey,
        token: u64,
        until_ms: u64,
    ) -> Result<(), LeaseError> {
        let job = self.leased(key, token)?;
        job.publishing_ms = job.publishing_ms.max(until_ms);
        Ok(())
    }

    /// Lengthens a job's lease, whose model is being put now.
    pub fn sustain(&mut self, key: &JobKey, now_ms: u64) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.expires_ms = job.expires_ms.max(now_ms + LEASE_MS);
            job.publishing_ms = job.publishing_ms.max(now_ms + 1);
        }
    }

    /// Checks that a token may still publish, without changing anything.
    pub fn may_publish(&self, key: &JobKey, token: u64) -> Result<(), LeaseError> {
        let job = self.jobs.get(key).ok_or_else(|| LeaseError::unknown(key))?;
        job.held_by(key, token)
    }

    /// Marks a job done: its model is published.
    pub fn done(
        &mut self,
        key: &JobKey,
        token: u64,
        published: Published,
        now_ms: u64,
    ) -> Result<(), LeaseError> {
        let job = self.leased(key, token)?;
        let here = now_ms.saturating_sub(job.lent_ms) as f64 / 1e3;
        job.seconds = match job.moved {
            // It waited and was prepared at its host, too.
            Some(_) => published.seconds,
            None => Some(here),
        };
        job.end(published);
        Ok(())
    }

    /// Takes a failure: the job waits again, or is quarantined if it failed as often as allowed or
    /// trying again cannot help.
    pub fn fail(
        &mut self,
        key: &JobKey,
        token: u64,
        reason: &str,
        hopeless: bool,
    ) -> Result<(), LeaseError> {
        let job = self.leased(key, token)?;
        job.give_up(reason, hopeless);
        Ok(())
    }

    /// Takes a worker's word that a job has no model: a failure, or no better than its parent's.
    pub fn give_back(&mut self, key: &JobKey, failure: &Failure) -> Result<(), LeaseError> {
        let (token, reason) = (failure.lease.token, failure.reason.as_str());
        let Some(descent) = &failure.dropped else {
            return self.fail(key, token, reason, failure.hopeless);
        };
        let job = self.leased(key, token)?;
        job.state = JobState::Dropped;
        job.reason = Some(reason.to_owned());
        job.descent = Some(descent.as_ref().clone());
        Ok(())
    }

    /// Returns jobs whose lease has run out to the queue; returns which.
    pub fn expire(&mut self, now_ms: u64) -> Vec<JobKey> {
        let ended = |(_, j): &(&JobKey, &mut Job)| {
            j.state == JobState::Running && j.expires_ms.max(j.publishing_ms) <= now_ms
        };
        let ended = self.jobs.iter_mut().filter(ended);
        let overdue = ended.map(|(key, job)| {
            job.give_up("the worker's lease ran out: it was killed or hangs", false);
            key.clone()
        });
        overdue.collect()
    }

    /// Returns the jobs that a worker holds to the queue, for it has ended, but those whose models
    /// may be on their way; returns which.
    pub fn take_back(&mut self, worker: &str, reason: &str, now_ms: u64) -> Vec<JobKey> {
        let held = |(_, job): &(&JobKey, &mut Job)| {
            let is_theirs = job.state == JobState::Running && job.worker == worker;
            is_theirs && job.publishing_ms <= now_ms
        };
        let held = self.jobs.iter_mut().filter(held);
        let back = held.map(|(key, job)| {
            job.give_up(reason, false);
            key.clone()
        });
        back.collect()
    }

    /// Does what a user wants of a run's jobs; returns those that changed. Cells in `done` have
    /// models of other nodes and are not tried again.
    pub fn steer(&mut self, run: &str, wish: Wish, done: &BTreeSet<String>) -> Vec<JobKey> {
        let mut changed = Vec::new();
        let of_run = |(key, _): &(&JobKey, &mut Job)| key.run == run;
        for (key, job) in self.jobs.iter_mut().filter(of_run) {
            if job.steer(wish, done.contains(&key.geocode)) {
                changed.push(key.clone());
            }
        }
        changed
    }

    /// Does what is wanted of one job.
    pub fn steer_one(&mut self, key: &JobKey, wish: Wish) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.steer(wish, false);
        }
    }

    fn leased(&mut self, key: &JobKey, token: u64) -> Result<&mut Job, LeaseError> {
        let job = self
            .jobs
            .get_mut(key)
            .ok_or_else(|| LeaseError::unknown(key))?;
        job.held_by(key, token)?;
        Ok(job)
    }
}

impl LeaseError {
    fn unknown(key: &JobKey) -> Self {
        Self::Unknown {
            run: key.run.clone(),
            geocode: key.geocode.clone(),
        }
    }
}

impl Job {
    /// Returns a job that waits for a worker.
    pub fn new(placement_key: PlacementKey, mut splits: Vec<SplitId>, role: Role) -> Self {
        splits.sort();
        Self {
            placement_key,
            splits,
            state: JobState::Waiting,
            attempts: 0,
            token: 0,
            expires_ms: 0,
            publishing_ms: 0,
            lent_ms: 0,
            worker: String::new(),
            reason: None,
            metrics: None,
            seconds: None,
            role,
            descent: None,
            moved: None,
            stays_ms: 0,
        }
    }

    /// Marks a job done: its model is published.
    pub fn end(&mut self, published: Published) {
        self.state = JobState::Done;
        self.reason = None;
        self.metrics = Some(published.metrics);
        self.descent = published.descent;
    }

    /// Tells whether it will not be lent any more, unless a user has it tried again.
    pub fn has_ended(&self) -> bool {
        let open = [JobState::Waiting, JobState::Running, JobState::Paused];
        !open.contains(&self.state)
    }

    /// Does what a user wants; tells whether that changed anything.
    fn steer(&mut self, wish: Wish, done_elsewhere: bool) -> bool {
        let Some(next) = self.state.after(wish) else {
            return false;
        };
        if next == JobState::Waiting && done_elsewhere {
            return false;
        }
        if self.state != JobState::Paused && next == JobState::Waiting {
            self.attempts = 0;
            self.reason = None;
        }
        self.moved = None;
        self.state = next;
        true
    }

    fn held_by(&self, key: &JobKey, token: u64) -> Result<(), LeaseError> {
        if self.state == JobState::Running && self.token == token {
            return Ok(());
        }
        Err(LeaseError::Stale {
            run: key.run.clone(),
            geocode: key.geocode.clone(),
            token,
        })
    }

    fn give_up(&mut self, reason: &str, hopeless: bool) {
        self.reason = Some(reason.to_owned());
        self.moved = None;
        let spent = hopeless || self.attempts >= ATTEMPTS_MAX;
        self.state = if spent {
            JobState::Quarantined
        } else {
            JobState::Waiting
        };
    }
}

#[cfg(test)]
mod tests;
