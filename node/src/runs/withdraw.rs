//! Jobs that are given up for another node's of the same cell, and what a node holds back until it
//! knows whether there are such.
//!
//! *Invariants*: a job goes only for one that its node said to keep, and which it keeps for longer
//! than that word is good for: of the jobs of a cell one always stays; a job that changed since it
//! was compared stays, and so does one whose model is being published; what was given up to a node
//! is this node's to plan again once that node is gone.
//!
//! *Not here*: which of two jobs stays (`book::rivals`), asking others (`cluster::rivals`), what is
//! being published (`publishing`).

use std::collections::{BTreeMap, BTreeSet};

use wire::fault::Fault;

use super::book::rivals::{Standing, stays};
use super::book::{Job, JobKey};
use super::known::Ceded;
use super::publishing::Underway;
use super::{Inner, Runs, kept};
use crate::peer::Rival;

/// How long a job stays for which another's was to be given up: longer than anybody waits for the
/// answer that said so.
const STAYS_MS: u64 = 30_000;

/// What is known of other nodes' jobs of the same cells.
#[derive(Debug, Default)]
pub(super) struct Contest {
    /// Nothing is lent: others may have taken over what this node had.
    pub(super) is_held: bool,
    /// Until when jobs stay for which others may be given up, in milliseconds of the node's clock.
    stays_ms: BTreeMap<JobKey, u64>,
    /// Runs of which another node has a job that got farther than the one here.
    doubted: BTreeSet<String>,
    /// Runs of which cells have no job any more, as some node has found.
    pub(super) unplanned: BTreeSet<String>,
    /// Jobs whose models are being published here.
    pub(super) publishing: Underway,
}

impl Runs {
    /// Lends no job of this node's own until `let_go`.
    pub fn hold(&self) {
        self.lock().contest.is_held = true;
    }

    /// Lends jobs again.
    pub fn let_go(&self) {
        let was_held = std::mem::take(&mut self.lock().contest.is_held);
        if was_held {
            self.waiting.notify_waiters();
            self.moving.notify_one();
        }
    }

    /// Returns how many jobs of each run this node has.
    pub fn sizes(&self) -> BTreeMap<String, usize> {
        let inner = self.lock();
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for (key, _) in inner.book.jobs() {
            if let Some(size) = sizes.get_mut(&key.run) {
                *size += 1;
            } else {
                sizes.insert(key.run.clone(), 1);
            }
        }
        sizes
    }

    /// Returns the runs of which another node may have jobs that got farther, until they are
    /// `noted`.
    pub fn doubted(&self) -> BTreeSet<String> {
        self.lock().contest.doubted.clone()
    }

    /// Forgets these doubts, for whoever compares jobs has noted them.
    pub fn noted(&self, doubted: &BTreeSet<String>) {
        let mut inner = self.lock();
        inner.contest.doubted.retain(|run| !doubted.contains(run));
    }

    /// Returns this node's jobs of a run as they are compared with others'.
    pub fn rivals(&self, run: &str) -> Vec<Rival> {
        let inner = self.lock();
        let of_run = inner.book.jobs_of(run, None);
        of_run.map(|(key, job)| rival(key, job)).collect()
    }

    /// Tells of each of another node's jobs whether it may go, for this node has one that stays.
    pub fn weigh(&self, run: &str, by: &str, theirs: &[Rival]) -> Vec<bool> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.contest.stays_ms.retain(|_, until| *until > now_ms);
        let mut may_go = Vec::with_capacity(theirs.len());
        for theirs in theirs {
            let key = key(run, theirs);
            let Some(job) = inner.book.job(&key) else {
                may_go.push(false);
                continue;
            };
            let ours = rival(&key, job);
            let ours_stays = stays(standing(&ours, &self.node), standing(theirs, by));
            if ours_stays {
                inner.contest.stays_ms.insert(key, now_ms + STAYS_MS);
            } else {
                inner.contest.doubted.insert(run.to_owned());
            }
            may_go.push(ours_stays);
        }
        if inner.contest.doubted.contains(run) {
            self.tidings.notify_one();
        }
        may_go
    }

    /// Gives up jobs, as they were when they were compared, for those of another node; returns how
    /// many.
    pub fn withdraw(&self, run: &str, to: &str, jobs: &[Rival]) -> Result<usize, Fault> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let keys = inner.unchanged(run, jobs, now_ms);
        let Some(mut known) = inner.runs.get(run).cloned().filter(|_| !keys.is_empty()) else {
            return Ok(0);
        };
        for key in &keys {
            if let Some(job) = inner.book.job(key) {
                let ceded = Ceded {
                    to: to.to_owned(),
                    slot: job.placement_key.slot(),
                    token: job.token,
                };
                known.ceded.insert(key.geocode.clone(), ceded);
            }
        }
        inner.keep.withdraw(&known, &keys).map_err(|e| kept(&e))?;
        inner.runs.insert(run.to_owned(), known);
        for key in &keys {
            inner.book.forget(key);
            inner.spool.remove(key);
        }
        drop(inner);
        let text = format!("is left to node {to}, which has it, too");
        self.say(keys.iter().map(|key| (key, text.clone())));
        self.moving.notify_one();
        Ok(keys.len())
    }
}

impl Inner {
    /// Returns which of the jobs are still as they were, and not kept in the place of others.
    fn unchanged(&mut self, run: &str, jobs: &[Rival], now_ms: u64) -> Vec<JobKey> {
        let mut keys = Vec::new();
        for asked in jobs {
            let key = key(run, asked);
            let Some(job) = self.book.job(&key) else {
                continue;
            };
            let until = self.contest.stays_ms.get(&key);
            let stays = until.is_some_and(|until| *until > now_ms) || self.is_publishing(&key);
            if stays || rival(&key, job) != *asked {
                // It is compared again.
                self.contest.doubted.insert(run.to_owned());
            } else {
                keys.push(key);
            }
        }
        keys
    }
}

fn key(run: &str, rival: &Rival) -> JobKey {
    JobKey {
        run: run.to_owned(),
        geocode: rival.geocode.clone(),
    }
}

fn rival(key: &JobKey, job: &Job) -> Rival {
    Rival {
        geocode: key.geocode.clone(),
        state: job.state,
        was_lent: job.attempts > 0,
    }
}

fn standing<'a>(rival: &Rival, node: &'a str) -> Standing<'a> {
    (rival.state, rival.was_lent, node)
}

#[cfg(test)]
mod tests;
