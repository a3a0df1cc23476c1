//! Training runs, their jobs and leases.
//!
//! *Invariants*: a run's definition is immutable; a lease's token only grows, and only the newest
//! token of a job may publish; times in milliseconds.
//!
//! *Not here*: what a recipe computes (trainer).

mod counts;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use query::Query;
use serde::{Deserialize, Serialize};

pub use self::counts::JobCounts;
use crate::fault::{Fault, FaultKind};
pub use crate::hyper::{HoldOut, Hyper, OutOfRange, Schedule};
use crate::model::Metrics;
use crate::module::Module;
use crate::transfer::{Descent, Heritage, Inheritance, Transfer, TransferMode};

/// How a run names a program of a node's owner in place of a recipe.
pub const PROGRAM: &str = "exec:";

/// How models come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One model per geocode, at its owner.
    #[default]
    Partitioned,
    /// One model, gradients in a ring.
    Distributed,
}

/// How many jobs of a run a worker does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// One after the other.
    #[default]
    Sequential,
    /// As many as memory and cores allow, measured on the first.
    Packed,
}

impl Packing {
    /// Tells whether jobs are done one after the other.
    pub fn is_sequential(&self) -> bool {
        *self == Self::Sequential
    }
}

/// One training request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Name, unique in the cluster.
    pub name: String,
    /// Recipe name.
    pub recipe: String,
    /// Which splits to learn from.
    pub query: Query,
    /// Mode.
    #[serde(default)]
    pub mode: Mode,
    /// How many jobs a worker does at once; changes no weight.
    #[serde(default, skip_serializing_if = "Packing::is_sequential")]
    pub packing: Packing,
    /// Hyper-parameters.
    #[serde(default)]
    pub hyper: Hyper,
    /// Seed of everything random.
    pub seed: u64,
    /// Where first weights come from.
    #[serde(default, skip_serializing_if = "Transfer::is_none")]
    pub transfer: Transfer,
    /// Who starts from whose weights: settled when the run is planned, whatever a user sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inheritance: Option<Inheritance>,
    /// Names of the collections that its cells are of: those that its query asked when the run was
    /// planned. Settled then, whatever a user sends; what comes later is another run's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<String>,
    /// Geocode texts of its cells, in order: those that matched when it was planned. Settled then,
    /// whatever a user sends; what is ingested later is another run's. None in runs of older
    /// versions, whose cells are all that match; left out of leases and of `RunView`, for there may
    /// be many: some 8 bytes each where geocodes have 5 letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
    /// The user's module that is learned with, where the recipe is none of glebe's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Module>,
}

impl Run {
    /// Builds a run with all else as usual: one model a cell, jobs one after the other, default
    /// hyper-parameters, seed 1, each model from weights of its own, nothing settled.
    pub fn new(name: impl Into<String>, recipe: impl Into<String>, query: Query) -> Self {
        Self {
            name: name.into(),
            recipe: recipe.into(),
            query,
            mode: Mode::default(),
            packing: Packing::default(),
            hyper: Hyper::default(),
            seed: 1,
            transfer: Transfer::default(),
            inheritance: None,
            collections: Vec::new(),
            cells: Vec::new(),
            module: None,
        }
    }

    /// Tells whether a cell is one of the run's, once they are settled; of a run of an older
    /// version all are.
    pub fn is_of(&self, geocode: &str) -> bool {
        let cells = &self.cells;
        cells.is_empty() || cells.binary_search_by(|c| c.as_str().cmp(geocode)).is_ok()
    }

    /// Returns what was asked for, without all that is settled when a run is planned.
    #[must_use]
    pub fn as_asked(&self) -> Self {
        Self {
            inheritance: None,
            collections: Vec::new(),
            cells: Vec::new(),
            ..self.clone()
        }
    }

    /// Returns what a job needs of a run: all but its cells and who else inherits from whom, both
    /// of which may be long.
    #[must_use]
    pub fn for_job(&self) -> Self {
        Self {
            name: self.name.clone(),
            recipe: self.recipe.clone(),
            query: self.query.clone(),
            mode: self.mode,
            packing: self.packing,
            hyper: self.hyper.clone(),
            seed: self.seed,
            transfer: self.transfer,
            inheritance: None,
            collections: self.collections.clone(),
            cells: Vec::new(),
            module: self.module.clone(),
        }
    }

    /// Tells whether a program learns.
    pub fn is_programs(&self) -> bool {
        self.recipe.starts_with(PROGRAM)
    }

    /// Refuses what contradicts itself, whoever asks for it.
    ///
    /// # Errors
    /// A hyper-parameter out of range; transfer between a program's models, whose weights nobody
    /// else can read; a test of a program; days held out of a tree, whose parents may know others.
    pub fn check(&self) -> Result<(), Fault> {
        self.hyper.check().map_err(|error| {
            Fault::new(
                FaultKind::Usage,
                format!("--{} is out of range", error.flag()),
            )
            .because(error.to_string())
            .try_("glebe train --help")
        })?;
        if self.is_programs() && !self.transfer.is_none() {
            let what = "--transfer is for recipes of glebe's own networks";
            return Err(Fault::new(FaultKind::Usage, what)
                .because("the weights of a program are its own affair")
                .try_("the same command without --transfer"));
        }
        if self.is_programs() && self.hyper.test > 0.0 {
            let what = "--test is for recipes of glebe's own networks";
            return Err(Fault::new(FaultKind::Usage, what)
                .because("a program answers the chips that it may choose by, and no others")
                .try_("the same command without --test"));
        }
        if self.transfer.mode == TransferMode::Tree && self.hyper.hold_out == HoldOut::Dates {
            let what = "--transfer tree does not go with --hold-out dates";
            return Err(Fault::new(FaultKind::Usage, what)
                .because("a parent may learn from days that its children are judged by")
                .try_("--hold-out blocks"));
        }
        Ok(())
    }
}

/// `POST /v1/runs?dry_run=…` answer: what will be or would be done.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Splits that match.
    pub splits: u64,
    /// Jobs, one a geocode.
    pub jobs: u64,
    /// Node id → jobs there.
    pub jobs_by_node: std::collections::BTreeMap<String, u64>,
    /// Imagery that would travel between nodes before the first job: none, for each is planned
    /// where its imagery lies. What travels for jobs that move later is told with them.
    pub bytes_moved: u64,
    /// For every slot asked, a live replica answered.
    pub complete: bool,
    /// Who starts from whose weights, where transfer is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inheritance: Option<Inheritance>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for a worker.
    Waiting,
    /// Leased to a worker.
    Running,
    /// Its model is published.
    Done,
    /// Failed as often as allowed; its reason is kept.
    Quarantined,
    /// Cancelled by a user.
    Cancelled,
    /// Paused by a user; its checkpoint, if it has one, is kept.
    Paused,
    /// Learned, and no better than its parent, whose model answers in its place.
    Dropped,
}

impl JobState {
    /// Returns the state that a wish brings a job of this one into, if it changes it.
    #[must_use]
    pub fn after(self, wish: Wish) -> Option<Self> {
        match (wish, self) {
            (Wish::Pause, Self::Waiting | Self::Running) => Some(Self::Paused),
            (Wish::Cancel, Self::Waiting | Self::Running | Self::Paused) => Some(Self::Cancelled),
            (Wish::Go, Self::Paused | Self::Cancelled | Self::Quarantined) => Some(Self::Waiting),
            _ => None,
        }
    }
}

/// What its users want of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// Its jobs are done.
    #[default]
    Go,
    /// No job is begun, and those under way stop at their checkpoints.
    Pause,
    /// No job is done any more.
    Cancel,
}

/// One model to train for one geocode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Run.
    pub run: String,
    /// Geocode text.
    pub geocode: String,
    /// Node that planned it, and runs it unless it moved.
    pub node: String,
    /// Where it went instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
    /// State.
    pub state: JobState,
    /// Splits it learns from.
    pub splits: u64,
    /// Times it was started.
    pub attempts: u32,
    /// Why it failed last, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Metrics of the published model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Seconds of the successful attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Geocode text of the donor from whose weights it is to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub donor: Option<String>,
    /// Why it starts from no donor's weights, where the run asks for donors: it is a donor itself,
    /// none fits its cell, or its own has no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_donor: Option<String>,
    /// How it did start, once its model is published, or was dropped beside its parent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descent: Option<Descent>,
}

/// Where a job went that would have waited long where it was planned: to another owner of its cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Node that runs it.
    pub to: String,
    /// Bytes of imagery that travelled there for it: what that replica lacked.
    pub bytes: u64,
}

/// `GET /v1/runs/{name}?jobs=`: a run with its jobs from all nodes, or with how many there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// The definition, without its cells: its jobs tell them. Without who starts from whose
    /// weights, too, where the jobs are left out.
    pub run: Run,
    /// Its jobs, by geocode; none where they are counted instead.
    pub jobs: Vec<JobView>,
    /// For every slot that can hold a cell of the run, a live node has planned it and answered.
    pub complete: bool,
    /// Its jobs counted, where they were asked for so and are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<JobCounts>,
}

impl JobView {
    /// Returns the node that does it, or did.
    pub fn at(&self) -> &str {
        self.moved.as_ref().map_or(&self.node, |moved| &moved.to)
    }
}

impl RunView {
    /// Returns its jobs counted, whether they are told or left out.
    pub fn counted(&self) -> JobCounts {
        let told = || {
            let mut counts = JobCounts::default();
            self.jobs.iter().for_each(|job| counts.add(job.state));
            counts
        };
        self.counts.unwrap_or_else(told)
    }

    /// Returns how many jobs moved, and the bytes of imagery that travelled for them.
    pub fn moved(&self) -> (usize, u64) {
        let moved = self.jobs.iter().filter_map(|job| job.moved.as_ref());
        moved.fold((0, 0_u64), |(jobs, bytes), moved| {
            (jobs + 1, bytes.saturating_add(moved.bytes))
        })
    }
}

/// One run, as listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Name.
    pub name: String,
    /// Recipe.
    pub recipe: String,
    /// Mode.
    pub mode: Mode,
    /// Seed.
    pub seed: u64,
    /// Jobs by state.
    pub jobs: JobCounts,
}

/// `GET /v1/runs`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Runs {
    /// Runs, by name.
    pub runs: Vec<RunSummary>,
    /// Every node answered.
    pub complete: bool,
}

/// `POST /v1/runs/{name}/cancel|pause|resume` answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunSteered {
    /// Jobs that are cancelled or paused, or wait again.
    pub jobs: u64,
}

/// `POST /v1/lease` body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// Worker's own name, for logs.
    pub worker: String,
    /// Run to work for, or any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// `POST /v1/lease` answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseAnswer {
    /// Here is a job.
    Job(Box<Lease>),
    /// Nothing now, but others' leases may still come back: ask again after so many milliseconds.
    Wait {
        /// Milliseconds.
        millis: u64,
    },
    /// No job of the run is left on this node.
    Finished,
}

/// A job lent to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Fencing token.
    pub token: u64,
    /// Milliseconds until it expires unless it is renewed.
    pub expires_millis: u64,
    /// The run, without its cells and who else inherits from whom.
    pub run: Run,
    /// Geocode text.
    pub geocode: String,
    /// Placement key, for the model's bundle.
    pub placement_key: PlacementKey,
    /// What to learn from.
    pub splits: Vec<LeaseSplit>,
    /// What the job after this one will probably learn from, where jobs are done one after the
    /// other: its chips can be prepared meanwhile. Nothing is promised: another may be lent it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<LeaseSplit>,
    /// Bytes of imagery that were brought here for it from another node.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes_moved: u64,
    /// What to start from; from weights of its own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heritage: Option<Heritage>,
    /// File on this host that checkpoints are written to, and gone on from if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<std::path::PathBuf>,
}

/// A split that a job learns from, with local files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseSplit {
    /// Id.
    pub id: SplitId,
    /// Folder on this host that holds the split's files.
    pub folder: std::path::PathBuf,
}

/// `POST /v1/lease/renew` body; answered 204, or refused if the token is stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// Run.
    pub run: String,
    /// Geocode text.
    pub geocode: String,
    /// Token of the lease.
    pub token: u64,
}

/// `POST /v1/lease/fail` body: the job could not be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The lease.
    #[serde(flatten)]
    pub lease: Renew,
    /// Why.
    pub reason: String,
    /// Trying again cannot help (no chips left after masking, …).
    pub hopeless: bool,
    /// How it did beside its parent, where it is dropped for doing no better: that is its end, and
    /// no failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Box<Descent>>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}
