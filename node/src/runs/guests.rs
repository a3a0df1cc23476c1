//! Jobs of other nodes that are done here: each would have waited long at the node that planned it,
//! its home.
//!
//! *Invariants*: the home's lease counts: what it no longer grants is neither lent nor published
//! here; no job is a guest here and planned here at a time; a guest that fails goes home, which
//! counts its attempts; one that nobody begins within a lease's time, or that cannot be prepared,
//! goes home untried; tokens of guests are never those of the book.
//!
//! *Not here*: what is said between the two nodes (`cluster::lend`), which jobs move (`book`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wire::fault::Fault;
use wire::run::{Failure, JobState, Lease, Renew, Run, Wish};
use wire::transfer::Heritage;

use super::book::{Book, Job, JobKey, LEASE_MS, Role, millis};
use super::{Inner, Runs, key, stale};
use crate::identity::NodeId;

/// Bytes a second that imagery is thought to come here with before any has: some 100 Mbit/s.
const RATE_AT_FIRST: f64 = 1e7;
/// How much of what is thought of the rate is the latest measurement.
const RATE_SHARE: f64 = 0.3;
/// Fewer bytes than this tell little of a network's rate.
const RATE_BYTES_MIN: u64 = 1 << 20;

/// Most guests at a time: more than are sent at a time.
const GUESTS_MAX: usize = 256;

/// A job as its home sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guest {
    /// Geocode text.
    pub geocode: String,
    /// Where its model will be placed.
    pub placement_key: PlacementKey,
    /// What it learns from, sorted.
    pub splits: Vec<SplitId>,
    /// What it starts from; from weights of its own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heritage: Option<Heritage>,
    /// Token of the lease at home.
    pub token: u64,
}

/// Where a guest comes from.
#[derive(Debug, Clone)]
struct Home {
    node: NodeId,
    token: u64,
    run: Arc<Run>,
    bytes_moved: u64,
    /// When the guest came, and when its home said last that the lease counts, in milliseconds of
    /// this node's clock.
    since_ms: u64,
    heard_ms: u64,
}

/// What homes are still to be told of guests that have left.
#[derive(Debug, Default, PartialEq)]
pub struct GoneHome {
    /// Those that failed.
    pub failed: Vec<(NodeId, Failure)>,
    /// Those that nobody began.
    pub untried: Vec<(NodeId, Renew)>,
}

/// All guests.
#[derive(Debug)]
pub(super) struct Guests {
    pub(super) book: Book,
    homes: BTreeMap<JobKey, Home>,
    gone: GoneHome,
    /// Bytes a second that came here lately.
    rate: f64,
}

impl Guests {
    /// Begins with none. Tokens start with the time: above all that the book gives out, and that
    /// were given to guests before a restart.
    #[allow(
        clippy::disallowed_methods,
        reason = "a driver: only that it grows from start to start counts"
    )]
    pub(super) fn new() -> Self {
        let micros = Timestamp::now().as_microsecond();
        Self {
            book: Book::counting_from(u64::try_from(micros).unwrap_or_default()),
            homes: BTreeMap::new(),
            gone: GoneHome::default(),
            rate: RATE_AT_FIRST,
        }
    }

    pub(super) fn has(&self, key: &JobKey) -> bool {
        self.homes.contains_key(key)
    }

    /// Sees a guest off.
    pub(super) fn leave(&mut self, key: &JobKey) {
        self.homes.remove(key);
        self.book.forget(key);
    }

    /// Sends a guest home that could not be done.
    pub(super) fn send_home(&mut self, key: &JobKey, mut failure: Failure) {
        if let Some(home) = self.homes.get(key) {
            failure.lease.token = home.token;
            self.gone.failed.push((home.node.clone(), failure));
        }
        self.leave(key);
    }

    /// Sends a guest home that was not tried.
    fn decline(&mut self, key: &JobKey) {
        self.gone.untried.extend(self.renew(key));
        self.leave(key);
    }

    /// Sends home those guests that nobody has begun, of which `overdue` says so.
    pub(super) fn decline_waiting(&mut self, overdue: impl Fn(u64) -> bool) {
        let is_waiting = |key: &JobKey| {
            let job = self.book.job(key);
            job.is_none_or(|job| job.state == JobState::Waiting)
        };
        let keys = self
            .homes
            .iter()
            .filter(|(key, home)| is_waiting(key) && overdue(home.since_ms));
        let keys: Vec<JobKey> = keys.map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.decline(key);
        }
    }

    fn renew(&self, key: &JobKey) -> Option<(NodeId, Renew)> {
        let home = self.homes.get(key)?;
        let lease = Renew {
            run: key.run.clone(),
            geocode: key.geocode.clone(),
            token: home.token,
        };
        Some((home.node.clone(), lease))
    }
}

impl Inner {
    /// Returns the book that a job is in.
    pub(super) fn book_of(&mut self, key: &JobKey) -> &mut Book {
        if self.guests.has(key) {
            &mut self.guests.book
        } else {
            &mut self.book
        }
    }

    /// Lends a guest to a worker.
    pub(super) fn lend_guest(
        &mut self,
        run: Option<&str>,
        worker: &str,
        now_ms: u64,
    ) -> Option<(JobKey, Lease)> {
        let key = self.guests.book.lend(run, worker, now_ms)?;
        let (job, home) = (self.guests.book.job(&key)?, self.guests.homes.get(&key)?);
        let lease = Lease {
            bytes_moved: home.bytes_moved,
            ..self.lease(&key, job, &home.run)
        };
        Some((key, lease))
    }

    /// Sends guests home whose worker is gone.
    pub(super) fn send_home_all(&mut self, keys: &[JobKey]) {
        for key in keys {
            let job = self.guests.book.job(key);
            let reason = job.and_then(|job| job.reason.clone()).unwrap_or_default();
            let failure = Failure {
                lease: renew(key),
                reason,
                hopeless: false,
                dropped: None,
            };
            self.guests.send_home(key, failure);
        }
    }
}

impl Runs {
    /// Returns how many jobs of others could be begun here now, of a run.
    pub fn spare(&self, run: &str) -> usize {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        self.expire(&mut inner);
        let is_busy = inner.book.has_ready() || inner.guests.book.has_ready();
        if is_busy {
            0
        } else {
            inner.hands.idle(run, now_ms)
        }
    }

    /// Takes in a guest of another node, unless it was planned here, too, is here already, or is
    /// one too many. One without folders waits until `arrived`.
    pub fn welcome(
        &self,
        home: &NodeId,
        run: &Arc<Run>,
        guest: Guest,
        (folders, bytes_moved): (Option<Vec<PathBuf>>, u64),
    ) -> bool {
        let key = JobKey {
            run: run.name.clone(),
            geocode: guest.geocode,
        };
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let is_here = inner.book.job(&key).is_some() || inner.guests.has(&key);
        if is_here || inner.guests.homes.len() >= GUESTS_MAX {
            return false;
        }
        let role = guest.heritage.map_or(Role::Alone, Role::Heir);
        let mut job = Job::new(guest.placement_key, guest.splits, role);
        match folders {
            Some(folders) => inner
                .folders
                .extend(job.splits.iter().cloned().zip(folders)),
            None => job.state = JobState::Paused,
        }
        let home = Home {
            node: home.clone(),
            token: guest.token,
            run: Arc::clone(run),
            bytes_moved,
            since_ms: now_ms,
            heard_ms: now_ms,
        };
        inner.guests.homes.insert(key.clone(), home);
        inner.guests.book.plan(key, job);
        drop(inner);
        self.waiting.notify_waiters();
        self.hosting.notify_one();
        true
    }

    /// Has a guest begun whose splits were brought here.
    pub fn arrived(&self, key: &JobKey, folders: Vec<PathBuf>) {
        let mut inner = self.lock();
        let Some(splits) = inner.guests.book.job(key).map(|job| job.splits.clone()) else {
            return;
        };
        inner.folders.extend(splits.into_iter().zip(folders));
        inner.guests.book.steer_one(key, Wish::Go);
        drop(inner);
        self.waiting.notify_waiters();
    }

    /// Sends a guest home whose splits could not be brought here.
    pub fn turn_away(&self, key: &JobKey) {
        self.lock().guests.decline(key);
        self.hosting.notify_one();
    }

    /// Checks that a lease may publish; returns the home of its job, and the lease there, `None` if
    /// it was planned here.
    pub fn home(&self, lease: &Renew) -> Result<Option<(NodeId, Renew)>, Fault> {
        let (key, inner) = (key(lease), self.lock());
        let Some(home) = inner.guests.renew(&key) else {
            let held = inner.book.may_publish(&key, lease.token);
            return held.map(|()| None).map_err(|e| stale(&e));
        };
        let held = inner.guests.book.may_publish(&key, lease.token);
        held.map(|()| Some(home)).map_err(|e| stale(&e))
    }

    /// Sees a guest off whose model is published.
    pub fn left(&self, lease: &Renew) {
        let key = key(lease);
        let mut inner = self.lock();
        inner.guests.leave(&key);
        inner.spool.remove(&key);
    }

    /// Returns how many jobs workers do here, whoever planned them.
    pub fn at_work(&self) -> u64 {
        let inner = self.lock();
        inner.book.under_way() + inner.guests.book.under_way()
    }

    /// Returns the leases of all guests, by home; those that nobody began go home first.
    pub fn homes(&self) -> BTreeMap<NodeId, Vec<Renew>> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let overdue = |since_ms| now_ms.saturating_sub(since_ms) > LEASE_MS;
        inner.guests.decline_waiting(overdue);
        let mut homes: BTreeMap<NodeId, Vec<Renew>> = BTreeMap::new();
        for key in inner.guests.homes.keys() {
            if let Some((node, lease)) = inner.guests.renew(key) {
                homes.entry(node).or_default().push(lease);
            }
        }
        homes
    }

    /// Notes whether a guest's home still grants its lease; `None` if the home does not answer.
    pub fn heard(&self, lease: &Renew, granted: Option<bool>) {
        let (key, now_ms) = (key(lease), self.now_ms());
        let mut inner = self.lock();
        // Its home was told before how long that takes.
        let publishes = inner.is_publishing(&key);
        let home = inner.guests.homes.get_mut(&key);
        let Some(home) = home.filter(|home| home.token == lease.token) else {
            return;
        };
        if granted == Some(true) {
            home.heard_ms = now_ms;
        }
        let is_silent = now_ms.saturating_sub(home.heard_ms) > LEASE_MS;
        if granted == Some(false) || is_silent && !publishes {
            inner.guests.leave(&key);
            inner.spool.remove(&key);
        }
    }

    /// Returns how many milliseconds so much imagery is thought to be on its way here.
    pub fn shipping_ms(&self, bytes: u64) -> u64 {
        let took = Duration::try_from_secs_f64(bytes as f64 / self.lock().guests.rate);
        took.map_or(u64::MAX, millis)
    }

    /// Notes how long so much imagery was on its way here.
    pub fn shipped_in(&self, bytes: u64, took: Duration) {
        if bytes < RATE_BYTES_MIN || took.is_zero() {
            return;
        }
        let rate = bytes as f64 / took.as_secs_f64();
        let mut inner = self.lock();
        let known = inner.guests.rate;
        inner.guests.rate = known + RATE_SHARE * (rate - known);
    }

    /// Takes what homes are still to be told of guests that have left.
    pub fn gone_home(&self) -> GoneHome {
        std::mem::take(&mut self.lock().guests.gone)
    }

    /// Tells whether homes are to be told something.
    pub fn has_guests(&self) -> bool {
        let guests = &self.lock().guests;
        !guests.homes.is_empty() || guests.gone != GoneHome::default()
    }
}

/// Names a job's lease; which of them is its home's to say.
fn renew(key: &JobKey) -> Renew {
    Renew {
        run: key.run.clone(),
        geocode: key.geocode.clone(),
        token: 0,
    }
}

#[cfg(test)]
mod tests;
