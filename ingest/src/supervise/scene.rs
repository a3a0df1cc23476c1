//! One scene in, its splits acknowledged, its ledger written.
//!
//! Its process opens and cuts it; what goes to nodes and what they are asked goes through here. A
//! scene is read whole before its first split is put, so that a file that cannot be read stores
//! nothing; what is still to be cut then is put as it comes. What an interrupted ingest had stored
//! is asked for and not cut again.
//!
//! *Invariants*: a scene is skipped only if its ledger says that these very bytes are done; what
//! its process says is taken for no more than what it says of its own scene.
//!
//! *Not here*: other scenes and what becomes of one that failed (`supervise`), cutting (`obey`),
//! routing of puts (`put`), collections (`target`).

use std::path::Path;
use std::time::Duration;

use earth::geocode::Geocode;
use earth::split::collection::Collection;
use earth::split::meta::SplitId;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::select;
use wire::event::{Event, SplitStored};
use wire::fault::{Fault, FaultKind};
use wire::ledger::Ledger;

use super::child::{Heard, SceneProcess};
use crate::args::RunArgs;
use crate::cutting::{CutSums, Known, Step};
use crate::events::{Events, Unread};
use crate::facts::Facts;
use crate::failure::Spot;
use crate::ledger::{self, Sums};
use crate::orders::{Kept, Order, Told};
use crate::put::{self, Owners};
use crate::target;

/// Longest silence of a scene's process: a strip of a full tile takes under a minute of one busy
/// core, and every strip is told of.
pub(super) const SILENCE_MAX: Duration = Duration::from_mins(10);

/// Splits that are told to be known in one line.
const KNOWN_A_LINE: usize = 1_000;

/// Why a scene is not done.
#[derive(Debug)]
pub(super) enum Halt {
    /// Its process says so, or a node does.
    Fault(Fault),
    /// Nothing more is to be learned from its process.
    Lost(Lost),
    /// Nobody reads the events.
    Unread(Unread),
}

/// How a process was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It ended.
    Gone,
    /// It said nothing for [`SILENCE_MAX`].
    Silent,
    /// It said what is no answer, or none to what it was ordered.
    Garbled,
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Unread> for Halt {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// What the ingest of a scene needs.
pub(super) struct Ingest<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) owners: &'a Owners,
    pub(super) process: &'a mut SceneProcess,
    pub(super) events: &'a mut Events,
    /// Where the reason is kept if it fails, once that is known.
    pub(super) spot: &'a mut Option<Spot>,
}

/// The collection that a scene goes into.
struct Target {
    collection: Collection,
    /// It is there; else it is made once there is something to put into it.
    exists: bool,
}

impl Ingest<'_> {
    /// Ingests a scene, and tells how it ended if it is done.
    pub(super) async fn scene(&mut self, path: &Path) -> Result<(), Halt> {
        let started = self.events.seconds();
        let Told::Opened(scene) = self.ask(&Order::Open(path.into())).await? else {
            return Err(Halt::Lost(Lost::Garbled));
        };
        let target = self.target(&scene).await?;
        *self.spot = Some(Spot {
            collection: target.collection.name.clone(),
            scene: scene.name.clone(),
            source: scene.source.clone(),
            delivered: Some((scene.hash.clone(), scene.bytes)),
        });
        let client = self.owners.conduit();
        let stored = client.ledger(&target.collection.name, &scene.name).await?;
        let done = ledger::is_done(&scene, &target.collection, stored.as_ref());
        if let Some(ledger) = stored
            && !self.args.overwrite
            && done?
        {
            let scene = scene.name;
            return Ok(self.events.tell(&Event::Skipped { scene, ledger })?);
        }
        let plan = Order::Plan(target.collection.clone());
        let Told::Planned(cells) = self.ask(&plan).await? else {
            return Err(Halt::Lost(Lost::Garbled));
        };
        self.events.progress.cells_total += cells;
        let (name, bytes) = (scene.name.clone(), scene.bytes);
        self.events.tell(&Event::SceneStarted {
            scene: name,
            cells,
            bytes,
        })?;
        let ledger = if self.args.dry_run {
            let Told::Estimated(ledger) = self.ask(&Order::Estimate).await? else {
                return Err(Halt::Lost(Lost::Garbled));
            };
            *ledger
        } else {
            self.store(&scene, target, cells).await?
        };
        let seconds = self.events.seconds() - started;
        Ok(self.events.tell(&Event::SceneDone { ledger, seconds })?)
    }

    async fn ask(&mut self, order: &Order) -> Result<Told, Halt> {
        self.process.order(order).await?;
        hear(self.process).await
    }

    /// Finds the collection that a scene belongs to, or plans the one to make for it.
    async fn target(&self, scene: &Facts) -> Result<Target, Fault> {
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

    /// Has cut what is not stored yet, puts it, and writes the ledger.
    async fn store(&mut self, scene: &Facts, target: Target, cells: u64) -> Result<Ledger, Halt> {
        let name = target.collection.name.clone();
        if !self.args.overwrite {
            self.tell_known(scene, &target.collection).await?;
        }
        let put = self.cut(target).await?;
        let sums = Sums {
            cells,
            splits: put.splits + put.kept.splits,
            empty: put.cut.empty,
            bytes: put.bytes + put.kept.bytes,
            counts: put.cut.counts.plus(put.kept.counts),
        };
        let ledger = ledger::of(scene, &name, sums);
        self.owners.put(&ledger.bundle()?, true).await?;
        Ok(ledger)
    }

    /// Asks for the splits of the scene that are stored already, and tells its process.
    async fn tell_known(&mut self, scene: &Facts, collection: &Collection) -> Result<(), Fault> {
        let client = self.owners.conduit();
        let known = client.known_splits(&collection.name, &scene.name).await?;
        let entry = |s: wire::hit::KnownSplit| (s.id.geocode().to_owned(), (s.counts, s.bytes));
        let mut known: Known = known.splits.into_iter().map(entry).collect();
        // Splits of an earlier precision of a collection that was made anew are not this scene's.
        let own = |code: &str| {
            let cell = Geocode::parse(collection.scheme, code);
            cell.is_ok_and(|cell| cell.precision() == collection.precision)
        };
        known.retain(|code, _| own(code));
        self.of_same_bytes(scene, collection, &known).await?;
        while let Some(next) = known.keys().nth(KNOWN_A_LINE).cloned() {
            let rest = known.split_off(&next);
            self.process.order(&Order::Known(known)).await?;
            known = rest;
        }
        self.process.order(&Order::Known(known)).await
    }

    /// Fails if stored splits come from other bytes.
    async fn of_same_bytes(
        &self,
        scene: &Facts,
        collection: &Collection,
        known: &Known,
    ) -> Result<(), Fault> {
        let Some(cell) = known.keys().next() else {
            return Ok(());
        };
        let (collection, name) = (&collection.name, &scene.name);
        let id = SplitId::parse(&format!("{collection}/{name}~{cell}"));
        let id = id.map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
        let meta = self.owners.conduit().split(&id).await?;
        if meta.source_hash == scene.hash {
            return Ok(());
        }
        let what = format!("'{name}' is in '{collection}' already");
        Err(Fault::new(FaultKind::Data, what)
            .because("an interrupted ingest stored splits from files with other content")
            .try_("--overwrite replaces them"))
    }

    /// Has cells cut, puts splits as they are handed on, tells how far it is.
    async fn cut(&mut self, target: Target) -> Result<Put, Halt> {
        let Self {
            args,
            owners,
            process,
            events,
            ..
        } = self;
        let mut collection = (!target.exists).then_some(target.collection);
        process.order(&Order::Cut).await?;
        let spool = process.spool();
        let mut done = Put::default();
        let mut puts = FuturesOrdered::new();
        let mut open = true;
        while open || !puts.is_empty() {
            select! {
                told = hear(process), if open && puts.len() < put::IN_FLIGHT_MAX => match told? {
                    Told::Kept(kept) => {
                        done.kept = kept;
                        events.progress.cells += kept.splits;
                    }
                    Told::Step(step) => tell_step(events, step)?,
                    Told::Split(parcel) => {
                        if let Some(collection) = collection.take() {
                            owners.conduit().create_collection(&collection).await?;
                        }
                        puts.push_back(put::split(owners, (&spool, *parcel), args.overwrite));
                    }
                    Told::Cut(sums) => (open, done.cut) = (false, sums),
                    _ => return Err(Halt::Lost(Lost::Garbled)),
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
        if let Some(collection) = collection {
            owners.conduit().create_collection(&collection).await?;
        }
        Ok(done)
    }
}

/// Listens for what a process tells of its scene.
async fn hear(process: &mut SceneProcess) -> Result<Told, Halt> {
    match process.hear(SILENCE_MAX).await {
        Heard::Line(Told::Failed(fault)) => Err(Halt::Fault(fault)),
        Heard::Line(told) => Ok(told),
        Heard::End => Err(Halt::Lost(Lost::Gone)),
        Heard::Garbled => Err(Halt::Lost(Lost::Garbled)),
        Heard::Silence => Err(Halt::Lost(Lost::Silent)),
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
    kept: Kept,
    cut: CutSums,
    splits: u64,
    bytes: u64,
}
