//! One scene in, its splits acknowledged, its ledger written.
//!
//! A scene is read whole before its first split is put, so that a file that cannot be read stores
//! nothing; what is still to be cut then is put as it comes. What an interrupted ingest had stored
//! is asked for and not cut again.
//!
//! *Invariants*: the exit code tells a scene that failed from a node that does not answer or
//! refuses, and the ledger of a scene that failed keeps the reason; a scene is skipped only if its
//! ledger says that these very bytes are done.
//!
//! *Not here*: other scenes (`supervise`), cutting (`cutting`), routing of puts (`put`),
//! collections (`target`).

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use earth::geocode::Geocode;
use earth::split::collection::Collection;
use earth::split::meta::SplitId;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::select;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use wire::client::{Client, ClientOptions};
use wire::event::{Event, SplitStored};
use wire::fault::{Fault, FaultKind};

use crate::args::RunArgs;
use crate::cutting::{self, CutSums, Known, Sink, Step, Told};
use crate::events::{Events, Unread};
use crate::failure::{self, Spot};
use crate::ledger::{self, Sums};
use crate::name::file_name;
use crate::pieces::PIECES_BYTES_MAX;
use crate::plan::{self, Plan};
use crate::put::{self, Owners};
use crate::source::{self, Given, Scene};
use crate::spool::Spool;
use crate::target;

/// What may wait to be told: strips, and splits that are cut faster than they are put.
const TOLD_WAITING_MAX: usize = 256;

/// Why a run ends early.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Something failed; its kind decides whether other scenes go on.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Nobody reads the events.
    #[error(transparent)]
    Unread(#[from] Unread),
}

/// Ingests one scene into the node at an address; returns the exit code.
pub async fn run(
    args: &RunArgs,
    (node, path): (&str, &Path),
    events: &mut Events,
) -> Result<u8, Stop> {
    let client = Client::new(node, ClientOptions::from_env()?)?;
    let owners = Owners::new(client).await?;
    let mut ingest = Ingest {
        args,
        given: given(args),
        owners,
        events,
    };
    let fault = match ingest.scene_or_reason(path).await {
        Ok(()) => return Ok(0),
        Err(Stop::Fault(fault)) => fault,
        Err(unread) => return Err(unread),
    };
    let code = if ends_all(fault.kind) {
        fault.kind.exit_code()
    } else {
        FaultKind::Data.exit_code()
    };
    let source = file_name(path);
    events.tell(&Event::SceneFailed { source, fault })?;
    Ok(code)
}

/// Returns what the user says of all scenes.
pub fn given(args: &RunArgs) -> Given {
    Given::from(&args.given)
}

/// Tells whether what failed one scene will fail all others.
fn ends_all(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Usage
        | FaultKind::Unreachable
        | FaultKind::Refused
        | FaultKind::Partial
        | FaultKind::Timeout
        | FaultKind::Internal
        | FaultKind::Unidentified
        | FaultKind::Forbidden
        | FaultKind::Busy => true,
        FaultKind::Nothing | FaultKind::Data => false,
    }
}

/// What the ingest of a scene needs.
struct Ingest<'a> {
    args: &'a RunArgs,
    given: Given,
    owners: Owners,
    events: &'a mut Events,
}

/// A scene on its way into a collection.
struct Job {
    scene: Scene,
    plan: Plan,
    collection: Collection,
    /// The collection is there; else it is made once there is something to put into it.
    exists: bool,
}

/// The collection that a scene goes into.
struct Target {
    collection: Collection,
    exists: bool,
}

impl Ingest<'_> {
    /// Ingests a scene; if it alone fails, its ledger keeps the reason.
    async fn scene_or_reason(&mut self, path: &Path) -> Result<(), Stop> {
        let mut spot = failure::spot(self.args, path);
        let ended = self.scene(path, &mut spot).await;
        if let Err(Stop::Fault(fault)) = &ended
            && !ends_all(fault.kind)
            && !self.args.dry_run
        {
            failure::keep(&self.owners, &spot, fault).await?;
        }
        ended
    }

    async fn scene(&mut self, path: &Path, spot: &mut Spot) -> Result<(), Stop> {
        let started = self.events.seconds();
        let scene = self.open(path.to_owned()).await?;
        let Target { collection, exists } = self.target(&scene).await?;
        *spot = Spot {
            collection: collection.name.clone(),
            scene: scene.name.clone(),
            source: scene.source.clone(),
            delivered: Some((scene.delivered.hash.clone(), scene.delivered.bytes)),
        };
        let client = self.owners.conduit();
        let stored = client.ledger(&collection.name, &scene.name).await?;
        let again = self.args.overwrite;
        if !again && ledger::is_done(&scene, &collection, stored.as_ref())? {
            let ledger = stored.into_iter().next();
            let scene = scene.name.clone();
            let skipped = ledger.map(|ledger| Event::Skipped { scene, ledger });
            return skipped.map_or(Ok(()), |event| Ok(self.events.tell(&event)?));
        }
        let plan = plan::plan(&scene, collection.scheme, collection.precision)?;
        if plan.cells.is_empty() {
            return Err(plan::no_cells(&scene).into());
        }
        let cells = plan.cells.len() as u64;
        self.events.progress.cells_total += cells;
        let (name, bytes) = (scene.name.clone(), scene.delivered.bytes);
        self.events.tell(&Event::SceneStarted {
            scene: name,
            cells,
            bytes,
        })?;
        let job = Job {
            scene,
            plan,
            collection,
            exists,
        };
        let ledger = if self.args.dry_run {
            let estimate = target::estimate(&job.scene, &job.plan, &job.collection)?;
            drop(job);
            estimate
        } else {
            self.store(job).await?
        };
        let seconds = self.events.seconds() - started;
        // The last word: the supervisor ends this process now. The scene's own files are gone.
        self.events.tell(&Event::SceneDone { ledger, seconds })?;
        Ok(())
    }

    async fn open(&self, path: PathBuf) -> Result<Scene, Fault> {
        let given = self.given.clone();
        blocking(move || source::open(&path, &given)).await
    }

    /// Finds the collection that a scene belongs to, or plans the one to make for it.
    async fn target(&self, scene: &Scene) -> Result<Target, Fault> {
        let wanted = target::Wanted {
            name: self.args.collection.as_deref(),
            scheme: self.args.scheme.map(Into::into),
            precision: self.args.precision,
        };
        let name = wanted.name_for(scene);
        let listed = self.owners.conduit().collections().await?.collections;
        match listed.into_iter().find(|c| c.name == name) {
            Some(collection) => Ok(Target {
                collection: target::agree(collection, &wanted, scene)?,
                exists: true,
            }),
            None => Ok(Target {
                collection: target::new(&wanted, scene)?,
                exists: false,
            }),
        }
    }

    /// Cuts what is not stored yet, puts it, and writes the ledger.
    async fn store(&mut self, job: Job) -> Result<wire::ledger::Ledger, Stop> {
        let known = if self.args.overwrite {
            Known::new()
        } else {
            self.known(&job).await?
        };
        let missing = |c: &&Geocode| !known.contains_key(&c.to_string());
        let cells: Vec<Geocode> = job.plan.cells.iter().filter(missing).copied().collect();
        self.events.progress.cells += known.len() as u64;
        let all = job.plan.cells.len() as u64;
        let (job, cut) = self.cut(job, cells).await?;
        let mut sums = Sums {
            cells: all,
            splits: cut.splits + known.len() as u64,
            empty: cut.sums.empty,
            bytes: cut.bytes,
            counts: cut.sums.counts,
        };
        for (counts, bytes) in known.values() {
            sums.counts = sums.counts.plus(*counts);
            sums.bytes += bytes;
        }
        let ledger = ledger::of(&job.scene, &job.collection.name, sums);
        self.owners.put(&ledger.bundle()?, true).await?;
        Ok(ledger)
    }

    /// Asks for the splits of the scene that are stored already.
    async fn known(&self, job: &Job) -> Result<Known, Fault> {
        let client = self.owners.conduit();
        let known = client
            .known_splits(&job.collection.name, &job.scene.name)
            .await?;
        let entry = |s: wire::hit::KnownSplit| (s.id.geocode().to_owned(), (s.counts, s.bytes));
        let mut stored: Known = known.splits.into_iter().map(entry).collect();
        // Splits of an earlier precision of a collection that was made anew are not this scene's.
        let own = |code: &String| job.plan.cells.iter().any(|c| c.to_string() == *code);
        stored.retain(|code, _| own(code));
        self.of_same_bytes(job, stored).await
    }

    /// Keeps stored splits only if they come from the same bytes; fails otherwise.
    async fn of_same_bytes(&self, job: &Job, stored: Known) -> Result<Known, Fault> {
        let Some(cell) = stored.keys().next() else {
            return Ok(stored);
        };
        let (collection, scene) = (&job.collection.name, &job.scene.name);
        let id = SplitId::parse(&format!("{collection}/{scene}~{cell}"));
        let id = id.map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
        let meta = self.owners.conduit().split(&id).await?;
        if meta.source_hash == job.scene.delivered.hash {
            return Ok(stored);
        }
        Err(Fault::new(
            FaultKind::Data,
            format!("'{scene}' is in '{collection}' already"),
        )
        .because("an interrupted ingest stored splits from files with other content")
        .try_("--overwrite replaces them"))
    }

    /// Cuts cells on blocking threads, puts splits as they are handed on, tells how far it is.
    async fn cut(&mut self, job: Job, cells: Vec<Geocode>) -> Result<(Job, Put), Stop> {
        let mut collection = (!job.exists).then(|| job.collection.clone());
        let (sender, mut told) = mpsc::channel::<Told>(TOLD_WAITING_MAX);
        let worker = spawn_blocking(move || {
            let target = (&job.collection, cells.as_slice());
            let spool = Spool::new()?;
            let mut tell = |told| {
                // Nobody hears it if the run has ended; then the cut does not matter either.
                match sender.blocking_send(told) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            };
            let sink = Sink {
                spool: &spool,
                tell: &mut tell,
                ahead_max: PIECES_BYTES_MAX,
            };
            let sums = cutting::stream(&job.scene, &job.plan, target, sink);
            sums.map(|sums| (job, sums))
        });
        let (owners, events, overwrite) = (&self.owners, &mut *self.events, self.args.overwrite);
        let mut done = Put::default();
        let mut puts = FuturesOrdered::new();
        let mut open = true;
        while open || !puts.is_empty() {
            select! {
                next = told.recv(), if open && puts.len() < put::IN_FLIGHT_MAX => match next {
                    None => open = false,
                    Some(Told::Step(step)) => tell_step(events, step)?,
                    Some(Told::Split(split)) => {
                        if let Some(collection) = collection.take() {
                            owners.conduit().create_collection(&collection).await?;
                        }
                        puts.push_back(put::split(owners, *split, overwrite));
                    }
                },
                Some(stored) = puts.next() => {
                    let stored: SplitStored = stored?;
                    done.splits += 1;
                    done.bytes += stored.bytes;
                    events.progress.bytes += stored.bytes;
                    events.tell(&Event::Split(stored))?;
                    events.tell_progress()?;
                }
            }
        }
        drop(puts);
        let (job, sums) = worker.await.map_err(|e| panicked(&e))??;
        if let Some(collection) = collection {
            owners.conduit().create_collection(&collection).await?;
        }
        Ok((job, Put { sums, ..done }))
    }
}

fn tell_step(events: &mut Events, step: Step) -> Result<(), Unread> {
    events.progress.cells += step.cells;
    events.progress.pixels += step.pixels;
    events.tell_progress()
}

/// What was cut of a scene and put.
#[derive(Debug, Default)]
struct Put {
    sums: CutSums,
    splits: u64,
    bytes: u64,
}

/// Runs work that decodes or hashes on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    spawn_blocking(work).await.map_err(|e| panicked(&e))?
}

fn panicked(error: &tokio::task::JoinError) -> Fault {
    Fault::new(FaultKind::Internal, "the worker broke").because(error.to_string())
}
