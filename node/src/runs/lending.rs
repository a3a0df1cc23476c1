//! Jobs of this node that others do, for they would wait long here.
//!
//! *Invariants*: what another node is told of a lease is on disk before; one that it did not take,
//! or that it is silent about, waits here again.
//!
//! *Not here*: which jobs those are (`book`), whom they are offered (`cluster::lend`).

use std::sync::Arc;

use wire::fault::Fault;
use wire::run::{Failure, JobState, Renew, Run};
use wire::transfer::TransferMode;

use super::book::{JobKey, Role, Surplus};
use super::{Guest, Inner, Runs, key, unknown};

/// Jobs of one run that were lent to another node.
#[derive(Debug)]
pub struct Lent {
    /// The run.
    pub run: Arc<Run>,
    /// As they are sent.
    pub guests: Vec<Guest>,
}

impl Runs {
    /// Returns the jobs of each run that wait so long here that they may move.
    pub fn surplus(&self) -> Vec<Surplus> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        self.expire(&mut inner);
        if inner.contest.is_held {
            return Vec::new();
        }
        let all_wait = inner.book.has_ready() && inner.book.under_way() == 0;
        let staffed = inner.hands.any(all_wait, now_ms);
        let inner = &*inner;
        let may_move = |key: &JobKey, job: &super::book::Job| inner.may_move(key, &job.role);
        inner.book.surplus(may_move, staffed, now_ms)
    }

    /// Lends jobs of one run to another node; returns them as they are sent.
    pub fn move_out(&self, keys: &[JobKey], to: &str) -> Result<Option<Lent>, Fault> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let mut guests = Vec::new();
        for key in keys {
            let Some(job) = inner.book.move_out(key, to, now_ms) else {
                continue;
            };
            guests.push(Guest {
                geocode: key.geocode.clone(),
                placement_key: job.placement_key.clone(),
                splits: job.splits.clone(),
                heritage: job.heritage().cloned(),
                token: job.token,
            });
        }
        let Some(first) = keys.first().filter(|_| !guests.is_empty()) else {
            return Ok(None);
        };
        let key = |guest: &Guest| JobKey {
            run: first.run.clone(),
            geocode: guest.geocode.clone(),
        };
        let lent: Vec<JobKey> = guests.iter().map(key).collect();
        if let Err(fault) = inner.save_all(&lent) {
            for (key, guest) in lent.iter().zip(&guests) {
                drop(inner.book.recall(key, guest.token, now_ms));
            }
            return Err(fault);
        }
        let known = inner.runs.get(&first.run).ok_or_else(|| unknown(first))?;
        Ok(Some(Lent {
            run: Arc::clone(&known.run),
            guests,
        }))
    }

    /// Notes of jobs lent to another node what was shipped for each, or that it did not take it.
    pub fn moved_out(&self, answers: &[(Renew, Option<u64>)], to: &str) -> Result<(), Fault> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let mut told = Vec::new();
        for (lease, taken) in answers {
            let key = key(lease);
            let noted = match taken {
                Some(bytes) => inner.book.shipped(&key, lease.token, *bytes),
                None => inner.book.recall(&key, lease.token, now_ms),
            };
            // One that has ended or was steered meanwhile is as that left it.
            if noted.is_ok() {
                let text = taken.map(|bytes| {
                    format!(
                        "moved to node {to}, which holds its imagery, too: {bytes} bytes travel"
                    )
                });
                told.push((key, text));
            }
        }
        let keys: Vec<JobKey> = told.iter().map(|(key, _)| key.clone()).collect();
        inner.save_all(&keys)?;
        drop(inner);
        let said = told
            .iter()
            .filter_map(|(key, text)| Some((key, text.clone()?)));
        self.say(said);
        if told.iter().any(|(_, text)| text.is_none()) {
            self.waiting.notify_waiters();
        }
        Ok(())
    }

    /// Takes back jobs from nodes of which `is_gone` says so, but those whose models may be on
    /// their way.
    pub fn take_back(&self, is_gone: impl Fn(&str) -> bool) -> Result<(), Fault> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        for node in inner
            .book
            .helpers()
            .into_iter()
            .filter(|node| is_gone(node))
        {
            let reason = format!("node {node}, to which it had moved, does not answer");
            let back = inner.book.take_back(&node, &reason, now_ms);
            inner.save_all(&back)?;
            self.say_given_up(&inner, &back);
            self.waiting.notify_waiters();
        }
        Ok(())
    }

    /// Lengthens leases of jobs that another node does; tells which of them still count.
    pub fn renew_moved(&self, leases: &[Renew], by: &str) -> Vec<bool> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let mut renew = |lease: &Renew| {
            let key = key(lease);
            let is_theirs = inner.is_moved_to(&key, by);
            is_theirs && inner.book.renew(&key, lease.token, now_ms).is_ok()
        };
        leases.iter().map(&mut renew).collect()
    }

    /// Has jobs wait again that another node has not tried.
    pub fn come_home(&self, leases: &[Renew], from: &str) -> Result<(), Fault> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let mut back = Vec::new();
        for lease in leases {
            let key = key(lease);
            let is_theirs = inner.is_moved_to(&key, from);
            if is_theirs && inner.book.recall(&key, lease.token, now_ms).is_ok() {
                back.push(key);
            }
        }
        inner.save_all(&back)?;
        self.waiting.notify_waiters();
        self.moving.notify_one();
        Ok(())
    }

    /// Takes another node's word that a job failed there; tells whether heirs may have waited.
    /// Where somebody works here, it is tried here before it counts as hopeless.
    pub fn failed_away(&self, mut failure: Failure) -> Result<bool, Fault> {
        let now_ms = self.now_ms();
        failure.hopeless &= failure.dropped.is_some() || !self.lock().hands.present(now_ms);
        self.fail(&failure)
    }

    /// Tells whether there may be something to move, or to be taken back.
    pub fn has_moving(&self) -> bool {
        let book = &self.lock().book;
        book.has_ready() || book.under_way() > 0 || !book.helpers().is_empty()
    }

    /// Tells whether a job has moved to that node.
    pub fn is_moved_to(&self, lease: &Renew, node: &str) -> bool {
        self.lock().is_moved_to(&key(lease), node)
    }
}

impl Inner {
    /// Tells whether another node may do a job: not what only the owner of a node allows on it, and
    /// no parent of a tree, which is planned where most of its cells are.
    fn may_move(&self, key: &JobKey, role: &Role) -> bool {
        self.runs.get(&key.run).is_some_and(|known| {
            let run = &known.run;
            let is_parent = run.transfer.mode == TransferMode::Tree && *role == Role::Donor;
            run.module.is_none() && !run.is_programs() && !is_parent
        })
    }

    pub(super) fn is_moved_to(&self, key: &JobKey, node: &str) -> bool {
        let job = self
            .book
            .job(key)
            .filter(|job| job.state == JobState::Running);
        let moved = job.and_then(|job| job.moved.as_ref());
        moved.is_some_and(|moved| moved.to == node)
    }
}
