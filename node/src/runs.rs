//! Training runs on this node: jobs planned where their data lies, lent to local workers.
//!
//! *Invariants*: what a worker was told is on disk before it is told; see `book` for what a lease
//! promises. Calls block for a disk write.
//!
//! *Not here*: which splits a run learns from (`cluster`), what a recipe computes (trainer).

mod alone;
pub mod book;
mod ceded;
pub mod diaries;
mod guests;
mod hands;
pub mod inherit;
pub mod keep;
mod known;
mod leased;
mod lending;
mod publishing;
pub mod spool;
mod told;
mod withdraw;
pub mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use query::slots::SlotSet;
use tokio::sync::Notify;
use wire::fault::{Fault, FaultKind};
use wire::run::{Failure, JobCounts, JobState, Lease, LeaseAnswer, LeaseRequest, Renew, Run, Wish};
use wire::transfer::{Heritage, Legacy};

use book::{Book, Job, JobKey, LeaseError, Published, Role};
use diaries::Diaries;
use guests::Guests;
pub use guests::{GoneHome, Guest};
use hands::Hands;
use keep::{Keep, KeepError};
pub use known::{KnownRun, Wished};
pub use lending::Lent;
pub use publishing::Publishing;
use spool::Spool;
use withdraw::Contest;

/// Time after which a worker asks again while others' leases may still come back.
const ASK_AGAIN_MS: u64 = 500;

/// A local split of which this node is the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSplit {
    /// Id.
    pub id: SplitId,
    /// Geocode of the job that learns from it: its own, or its parent's.
    pub cell: String,
    /// Where the model will be placed: with its split.
    pub placement_key: PlacementKey,
    /// Folder with the split's files.
    pub folder: PathBuf,
}

/// The runs of one node.
#[derive(Debug)]
pub struct Runs {
    node: String,
    data: PathBuf,
    diaries: Diaries,
    inner: Mutex<Inner>,
    start: Instant,
    /// Told whenever a job waits.
    pub waiting: Notify,
    /// Told whenever it may have become known what a donor left, or somebody waits for that.
    pub tidings: Notify,
    /// Told whenever jobs may have to move, or there is something to say of some that did.
    pub moving: Notify,
    /// Told whenever there is something to say to the homes of jobs that are done here.
    pub hosting: Notify,
}

#[derive(Debug)]
struct Inner {
    book: Book,
    guests: Guests,
    runs: BTreeMap<String, KnownRun>,
    folders: BTreeMap<SplitId, PathBuf>,
    keep: Keep,
    spool: Spool,
    hands: Hands,
    contest: Contest,
}

impl Runs {
    /// Opens the book in a node's folder; jobs that were lent before a restart wait again.
    #[allow(
        clippy::disallowed_methods,
        reason = "a driver: leases end by this machine's clock"
    )]
    pub fn open(data: &Path, node: &str) -> Result<Self, KeepError> {
        let keep = Keep::open(&data.join("jobs.redb"))?;
        let (book, runs) = keep.load()?;
        let inner = Inner {
            book,
            guests: Guests::new(),
            runs,
            folders: BTreeMap::new(),
            keep,
            spool: Spool::new(data),
            hands: Hands::default(),
            contest: Contest::default(),
        };
        inner.sweep();
        let (node, inner) = (node.to_owned(), Mutex::new(inner));
        Ok(Self {
            node,
            data: data.to_owned(),
            diaries: Diaries::new(data),
            inner,
            start: Instant::now(),
            waiting: Notify::new(),
            tidings: Notify::new(),
            moving: Notify::new(),
            hosting: Notify::new(),
        })
    }

    /// Returns the node's folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Plans the jobs of a run from this node's own splits in some slots; returns how many are new.
    ///
    /// Announcing a run again adds the jobs of cells that are new since.
    /// Cells in `published` are done: their models were made elsewhere.
    pub fn plan(
        &self,
        run: &Run,
        (slots, splits): (&SlotSet, &[PlannedSplit]),
        published: &BTreeMap<String, Published>,
    ) -> Result<u64, Fault> {
        let mut by_cell: BTreeMap<String, (PlacementKey, Vec<SplitId>)> = BTreeMap::new();
        for split in splits {
            let cell = by_cell.entry(split.cell.clone());
            let (_, ids) = cell.or_insert_with(|| (split.placement_key.clone(), Vec::new()));
            ids.push(split.id.clone());
        }
        let roles = roles(run);
        let mut inner = self.lock();
        let inner = &mut *inner;
        let folders = splits.iter().map(|s| (s.id.clone(), s.folder.clone()));
        inner.folders.extend(folders);
        let mut known = KnownRun::new(run.clone(), slots.clone());
        if let Some(before) = inner.runs.get(&run.name) {
            known.go_on_from(before);
        }
        let mut added = Vec::new();
        for (geocode, (placement_key, ids)) in by_cell {
            let role = roles.get(geocode.as_str()).cloned().unwrap_or_default();
            let mut job = Job::new(placement_key, ids, role);
            if let Some(published) = published.get(&geocode) {
                job.end(published.clone());
            }
            let run = run.name.clone();
            let key = JobKey { run, geocode };
            if let Some(ceded) = known.ceded.get(&key.geocode) {
                job.token = ceded.token;
            }
            if inner.book.plan(key.clone(), job.clone()) {
                known.ceded.remove(&key.geocode);
                // Its home is gone: who does it here goes on from its checkpoint.
                inner.guests.leave(&key);
                added.push((key, job));
            }
        }
        if known.wished.wish == Wish::Pause {
            inner.book.steer(&run.name, Wish::Pause, &BTreeSet::new());
        }
        for (key, job) in &mut added {
            job.state = inner.book.job(key).map_or(job.state, |job| job.state);
        }
        inner.keep.run(&known, &added).map_err(|e| kept(&e))?;
        inner.runs.insert(run.name.clone(), known);
        self.waiting.notify_waiters();
        self.tidings.notify_one();
        self.moving.notify_one();
        Ok(added.len() as u64)
    }

    /// Notes where the splits of jobs lie that were planned before a restart.
    pub fn remind(&self, splits: &[PlannedSplit]) {
        let folders = splits.iter().map(|s| (s.id.clone(), s.folder.clone()));
        self.lock().folders.extend(folders);
    }

    /// Takes in runs that this node has planned nothing of.
    pub fn learn(&self, runs: Vec<Run>) {
        let mut inner = self.lock();
        for run in runs {
            let known = KnownRun::new(run, SlotSet::none());
            inner.runs.entry(known.run.name.clone()).or_insert(known);
        }
    }

    /// Returns the donors that heirs here wait for, by run.
    pub fn awaited(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.lock().book.awaited()
    }

    /// Tells heirs that wait for a donor what it left; returns how many.
    pub fn bequeath(&self, donor: &JobKey, legacy: &Legacy) -> Result<u64, Fault> {
        let mut inner = self.lock();
        let heirs = inner.book.bequeath(donor, legacy);
        inner.save_all(&heirs)?;
        drop(inner);
        self.waiting.notify_waiters();
        self.moving.notify_one();
        Ok(heirs.len() as u64)
    }

    /// Returns state and reason of a job, if it was planned here.
    pub fn fate(&self, key: &JobKey) -> Option<(JobState, Option<String>)> {
        let inner = self.lock();
        let job = inner.book.job(key)?;
        Some((job.state, job.told()))
    }

    /// Lends a job to a worker, or says whether to ask again: one of this node's own, or else one
    /// of another's that is done here.
    pub fn lease(&self, request: &LeaseRequest) -> Result<LeaseAnswer, Fault> {
        let mut inner = self.lock();
        let (of_run, now_ms) = (request.run.as_deref(), self.now_ms());
        inner.hands.asks(&request.worker, of_run, now_ms);
        self.expire(&mut inner);
        let own = (!inner.contest.is_held).then(|| {
            let worker = &request.worker;
            inner.book.lend(of_run, worker, now_ms)
        });
        let (key, lease) = if let Some(key) = own.flatten() {
            inner.save(&key)?;
            let known = inner.runs.get(&key.run).ok_or_else(|| unknown(&key))?;
            let job = inner.book.job(&key).ok_or_else(|| unknown(&key))?;
            let lease = Lease {
                next: inner.next(&key, &known.run),
                ..inner.lease(&key, job, &known.run)
            };
            (key, lease)
        } else if let Some(lent) = inner.lend_guest(of_run, &request.worker, now_ms) {
            lent
        } else {
            inner.sweep();
            let unfinished = inner.book.counts(of_run).unfinished()
                + inner.guests.book.counts(of_run).unfinished();
            let wait = LeaseAnswer::Wait {
                millis: ASK_AGAIN_MS,
            };
            return Ok(if unfinished > 0 {
                inner.hands.waits(&request.worker);
                wait
            } else {
                LeaseAnswer::Finished
            });
        };
        let attempt = inner.book_of(&key).job(&key).map_or(0, |job| job.attempts);
        let lent = format!("lent to {}, attempt {attempt}", request.worker);
        self.say([(&key, lent)].into_iter());
        Ok(LeaseAnswer::Job(Box::new(lease)))
    }

    /// Returns all runs that this node knows, with what it has planned of each.
    pub fn known(&self) -> Vec<KnownRun> {
        self.lock().runs.values().cloned().collect()
    }

    /// Returns one run as this node knows it.
    pub fn known_run(&self, run: &str) -> Option<KnownRun> {
        self.lock().runs.get(run).cloned()
    }

    /// Lengthens a lease.
    pub fn renew(&self, lease: &Renew) -> Result<(), Fault> {
        let (key, now_ms) = (key(lease), self.now_ms());
        let mut inner = self.lock();
        let renewed = inner.book_of(&key).renew(&key, lease.token, now_ms);
        renewed.map_err(|e| stale(&e))
    }

    /// Checks that a lease may still publish.
    pub fn may_publish(&self, lease: &Renew) -> Result<(), Fault> {
        let key = key(lease);
        let held = self.lock().book_of(&key).may_publish(&key, lease.token);
        held.map_err(|e| stale(&e))
    }

    /// Marks a job done once its model is acknowledged; tells whether heirs may wait for it.
    pub fn published(&self, lease: &Renew, published: Published) -> Result<bool, Fault> {
        let (key, now_ms) = (key(lease), self.now_ms());
        let mut inner = self.lock();
        let done = inner.book.done(&key, lease.token, published, now_ms);
        done.map_err(|e| stale(&e))?;
        inner.save(&key)?;
        self.say([(&key, "its model is published".to_owned())].into_iter());
        self.moving.notify_one();
        Ok(self.has_news(&inner, &key))
    }

    /// Takes a worker's word that a job failed; tells whether heirs may have waited for it.
    pub fn fail(&self, failure: &Failure) -> Result<bool, Fault> {
        let key = key(&failure.lease);
        let mut inner = self.lock();
        let given_back = inner.book_of(&key).give_back(&key, failure);
        given_back.map_err(|e| stale(&e))?;
        if inner.guests.has(&key) {
            inner.guests.send_home(&key, failure.clone());
            inner.spool.remove(&key);
            self.hosting.notify_one();
            return Ok(false);
        }
        inner.save(&key)?;
        self.say_given_up(&inner, std::slice::from_ref(&key));
        self.waiting.notify_waiters();
        self.moving.notify_one();
        Ok(self.has_news(&inner, &key))
    }

    /// Tells whether a job was a donor's and has ended; whoever waits here hears of it.
    fn has_news(&self, inner: &Inner, key: &JobKey) -> bool {
        let job = inner.book.job(key);
        let ended = job.is_some_and(|j| j.role == Role::Donor && j.has_ended());
        if ended {
            self.tidings.notify_one();
        }
        ended
    }

    /// Does what a user wants of a run's jobs here, unless something later was wanted already;
    /// returns how many changed. Cells in `done` have models of other nodes.
    pub fn steer(&self, run: &str, wished: Wished, done: &BTreeSet<String>) -> Result<u64, Fault> {
        let mut inner = self.lock();
        let known = inner.runs.get_mut(run);
        if known.as_ref().is_some_and(|known| known.wished > wished) {
            return Ok(0);
        }
        let known = known.map(|known| {
            known.wished = wished;
            known.clone()
        });
        let changed = inner.book.steer(run, wished.wish, done);
        inner.save_all(&changed)?;
        if let Some(known) = known {
            inner.keep.run(&known, &[]).map_err(|e| kept(&e))?;
        }
        let text = match wished.wish {
            Wish::Go => "is to be tried again: it was resumed",
            Wish::Pause => "paused",
            Wish::Cancel => "cancelled",
        };
        drop(inner);
        self.say(changed.iter().map(|key| (key, text.to_owned())));
        self.waiting.notify_waiters();
        self.tidings.notify_one();
        self.moving.notify_one();
        Ok(changed.len() as u64)
    }

    /// Returns overdue leases to the queue.
    fn expire(&self, inner: &mut Inner) {
        let (astray, overdue) = inner.overdue(self.now_ms());
        if !astray.is_empty() {
            inner.send_home_all(&astray);
            self.hosting.notify_one();
        }
        if overdue.is_empty() {
            return;
        }
        if let Err(fault) = inner.save_all(&overdue) {
            tracing::warn!(%fault, "overdue leases are written down later");
        }
        self.say_given_up(inner, &overdue);
        self.waiting.notify_waiters();
        self.tidings.notify_one();
        self.moving.notify_one();
    }

    /// Counts this node's jobs of a run, or of all runs; overdue leases are counted as waiting.
    pub fn counts(&self, run: Option<&str>) -> JobCounts {
        let mut inner = self.lock();
        self.expire(&mut inner);
        inner.book.counts(run)
    }

    /// Tells whether a job waits for a worker, and for nobody else.
    pub fn has_ready(&self) -> bool {
        let mut inner = self.lock();
        self.expire(&mut inner);
        let may_lend = !inner.contest.is_held;
        may_lend && inner.book.has_ready() || inner.guests.book.has_ready()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the book was held leaves it whole: every change is one assignment.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Removes checkpoints of jobs that have ended and of nobody.
    fn sweep(&self) {
        self.spool.sweep(|key, token| {
            let job = { self.book.job(key) }.or_else(|| self.guests.book.job(key));
            let open = job.filter(|job| !job.has_ended());
            open.is_some_and(|job| token.is_none_or(|token| token == job.token))
        });
    }

    fn save_all(&mut self, keys: &[JobKey]) -> Result<(), Fault> {
        let ended = |key: &&JobKey| self.book.job(key).is_some_and(Job::has_ended);
        keys.iter()
            .filter(ended)
            .for_each(|key| self.spool.remove(key));
        let job = |key: &JobKey| Some((key.clone(), self.book.job(key)?.clone()));
        let jobs: Vec<_> = keys.iter().filter_map(job).collect();
        self.keep.jobs(&jobs).map_err(|e| kept(&e))
    }

    fn save(&mut self, key: &JobKey) -> Result<(), Fault> {
        self.save_all(std::slice::from_ref(key))
    }
}

/// Returns the part of each cell of a run that has one in transfer.
fn roles(run: &Run) -> BTreeMap<&str, Role> {
    let Some(inheritance) = &run.inheritance else {
        return BTreeMap::new();
    };
    let donors = inheritance.donors.iter().filter(|d| !d.heirs.is_empty());
    let donors = donors.map(|donor| (donor.geocode.as_str(), Role::Donor));
    let heirs = inheritance.donor_of().into_iter();
    let heirs = heirs.map(|(heir, donor)| (heir, Role::Heir(Heritage::awaited(donor))));
    donors.chain(heirs).collect()
}

fn key(lease: &Renew) -> JobKey {
    JobKey {
        run: lease.run.clone(),
        geocode: lease.geocode.clone(),
    }
}

fn stale(error: &LeaseError) -> Fault {
    Fault::new(FaultKind::Refused, error.to_string())
        .because("the job was lent again, cancelled or is done; only the newest lease counts")
}

fn unknown(key: &JobKey) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!("job {}/{} has no run", key.run, key.geocode),
    )
}

fn kept(error: &KeepError) -> Fault {
    let why = std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default();
    Fault::new(FaultKind::Internal, error.to_string()).because(why)
}
