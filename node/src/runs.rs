//! Training runs on this node: jobs planned where their data lies, lent to local workers.
//!
//! *Invariants*: what a worker was told is on disk before it is told; see `book` for what a lease
//! promises. Calls block for a disk write.
//!
//! *Not here*: which splits a run learns from (`cluster`), what a recipe computes (trainer).

pub mod book;
pub mod keep;
pub mod workers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use tokio::sync::Notify;
use wire::fault::{Fault, FaultKind};
use wire::model::Metrics;
use wire::run::{
    Failure, JobCounts, JobView, Lease, LeaseAnswer, LeaseRequest, LeaseSplit, Renew, Run,
};

use book::{Book, JobKey, LEASE_MS, LeaseError};
use keep::{Keep, KeepError};

/// Time after which a worker asks again while others' leases may still come back.
const ASK_AGAIN_MS: u64 = 500;

/// A local split of which this node is the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSplit {
    /// Id; its geocode names the job.
    pub id: SplitId,
    /// Where the model will be placed: with its split.
    pub placement_key: PlacementKey,
    /// Folder with the split's files.
    pub folder: PathBuf,
}

/// The runs of one node.
#[derive(Debug)]
pub struct Runs {
    node: String,
    inner: Mutex<Inner>,
    start: Instant,
    /// Told whenever a job waits.
    pub waiting: Notify,
}

#[derive(Debug)]
struct Inner {
    book: Book,
    runs: BTreeMap<String, Run>,
    folders: BTreeMap<SplitId, PathBuf>,
    keep: Keep,
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
            runs,
            folders: BTreeMap::new(),
            keep,
        };
        let (node, inner) = (node.to_owned(), Mutex::new(inner));
        Ok(Self {
            node,
            inner,
            start: Instant::now(),
            waiting: Notify::new(),
        })
    }

    /// Plans the jobs of a run from this node's own splits; returns how many are new.
    ///
    /// Announcing a run again adds the jobs of cells that are new since.
    pub fn plan(&self, run: &Run, splits: &[PlannedSplit]) -> Result<u64, Fault> {
        let mut by_cell: BTreeMap<String, (PlacementKey, Vec<SplitId>)> = BTreeMap::new();
        for split in splits {
            let cell = by_cell.entry(split.id.geocode().to_owned());
            let (_, ids) = cell.or_insert_with(|| (split.placement_key.clone(), Vec::new()));
            ids.push(split.id.clone());
        }
        let mut inner = self.lock();
        inner
            .folders
            .extend(splits.iter().map(|s| (s.id.clone(), s.folder.clone())));
        let mut added = Vec::new();
        for (geocode, (placement_key, ids)) in by_cell {
            let key = JobKey {
                run: run.name.clone(),
                geocode,
            };
            if inner.book.plan(key.clone(), placement_key, ids)
                && let Some(job) = inner.book.job(&key)
            {
                added.push((key, job.clone()));
            }
        }
        inner.keep.run(run, &added).map_err(|e| kept(&e))?;
        inner.runs.insert(run.name.clone(), run.clone());
        drop(inner);
        self.waiting.notify_waiters();
        Ok(added.len() as u64)
    }

    /// Lends a job to a worker, or says whether to ask again.
    pub fn lease(&self, request: &LeaseRequest) -> Result<LeaseAnswer, Fault> {
        let mut inner = self.lock();
        let of_run = request.run.as_deref();
        let Some(key) = inner.book.lend(of_run, self.now_ms()) else {
            let unfinished = inner.book.counts(of_run).unfinished();
            let wait = LeaseAnswer::Wait {
                millis: ASK_AGAIN_MS,
            };
            return Ok(if unfinished > 0 {
                wait
            } else {
                LeaseAnswer::Finished
            });
        };
        inner.save(&key)?;
        let job = inner.book.job(&key).ok_or_else(|| unknown(&key))?;
        let run = inner
            .runs
            .get(&key.run)
            .cloned()
            .ok_or_else(|| unknown(&key))?;
        let folder = |id: &SplitId| inner.folders.get(id).cloned();
        let split = |id: &SplitId| {
            folder(id).map(|f| LeaseSplit {
                id: id.clone(),
                folder: f,
            })
        };
        Ok(LeaseAnswer::Job(Box::new(Lease {
            token: job.token,
            expires_millis: LEASE_MS,
            run,
            geocode: key.geocode.clone(),
            placement_key: job.placement_key.clone(),
            splits: job.splits.iter().filter_map(split).collect(),
        })))
    }

    /// Tells which run definitions this node knows, for planning again after a restart.
    pub fn known(&self) -> Vec<Run> {
        self.lock().runs.values().cloned().collect()
    }

    /// Lengthens a lease.
    pub fn renew(&self, lease: &Renew) -> Result<(), Fault> {
        let now_ms = self.now_ms();
        self.lock()
            .book
            .renew(&key(lease), lease.token, now_ms)
            .map_err(|e| stale(&e))
    }

    /// Checks that a lease may still publish.
    pub fn may_publish(&self, lease: &Renew) -> Result<(), Fault> {
        self.lock()
            .book
            .may_publish(&key(lease), lease.token)
            .map_err(|e| stale(&e))
    }

    /// Marks a job done once its model is acknowledged.
    pub fn published(&self, lease: &Renew, metrics: Metrics) -> Result<(), Fault> {
        let (key, now_ms) = (key(lease), self.now_ms());
        let mut inner = self.lock();
        inner
            .book
            .done(&key, lease.token, metrics, now_ms)
            .map_err(|e| stale(&e))?;
        inner.save(&key)
    }

    /// Takes a worker's word that a job failed.
    pub fn fail(&self, failure: &Failure) -> Result<(), Fault> {
        let key = key(&failure.lease);
        let mut inner = self.lock();
        let failed = inner
            .book
            .fail(&key, failure.lease.token, &failure.reason, failure.hopeless);
        failed.map_err(|e| stale(&e))?;
        inner.save(&key)?;
        drop(inner);
        self.waiting.notify_waiters();
        Ok(())
    }

    /// Quarantines every waiting job: workers cannot be started here.
    pub fn give_up(&self, reason: &str) -> Result<(), Fault> {
        let mut inner = self.lock();
        for key in inner.book.give_up(reason) {
            inner.save(&key)?;
        }
        Ok(())
    }

    /// Cancels the waiting and running jobs of a run; returns how many.
    pub fn cancel(&self, run: &str) -> Result<u64, Fault> {
        let mut inner = self.lock();
        let cancelled = inner.book.cancel(run);
        let keys: Vec<_> = inner
            .book
            .jobs()
            .map(|(k, _)| k.clone())
            .filter(|k| k.run == run)
            .collect();
        for key in &keys {
            inner.save(key)?;
        }
        Ok(cancelled)
    }

    /// Returns this node's jobs of a run, by geocode.
    pub fn jobs(&self, run: &str) -> Vec<JobView> {
        let inner = self.lock();
        let view = |(key, job): (&JobKey, &book::Job)| JobView {
            run: key.run.clone(),
            geocode: key.geocode.clone(),
            node: self.node.clone(),
            state: job.state,
            splits: job.splits.len() as u64,
            attempts: job.attempts,
            reason: job.reason.clone(),
            metrics: job.metrics,
            seconds: job.seconds,
        };
        inner
            .book
            .jobs()
            .filter(|(k, _)| k.run == run)
            .map(view)
            .collect()
    }

    /// Counts this node's jobs of a run, or of all runs; overdue leases are counted as waiting.
    pub fn counts(&self, run: Option<&str>) -> JobCounts {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        if inner.book.expire(now_ms) {
            self.waiting.notify_waiters();
        }
        inner.book.counts(run)
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
    fn save(&mut self, key: &JobKey) -> Result<(), Fault> {
        match self.book.job(key) {
            Some(job) => self.keep.job(key, job).map_err(|e| kept(&e)),
            None => Ok(()),
        }
    }
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
