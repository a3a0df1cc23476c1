//! What a scene's process does: what its supervisor orders, one line after another.
//!
//! The first one started lists all scenes, too, for the sources that know what is a scene call into
//! GDAL. All of them start before their turn, so that no scene waits until GDAL is linked.
//!
//! *Invariants*: pixels leave it through the spool that it was lent, all else in lines; it asks no
//! node and knows none; a process whose supervisor is gone ends.
//!
//! *Not here*: where splits go (`supervise`, which gives the orders), cutting (`cutting`).

use std::io::{BufWriter, StdoutLock, Write, stdin, stdout};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use earth::geocode::Geocode;
use earth::split::collection::Collection;
use serde::Serialize;
use wire::fault::{Fault, FaultKind};

use crate::args::RunArgs;
use crate::cutting::{self, CutSums, Known, Sink};
use crate::facts::Facts;
use crate::orders::{Kept, Listed, Order, Told};
use crate::pieces::PIECES_BYTES_MAX;
use crate::plan::{self, Plan};
use crate::source::{self, Given, Scene, find};
use crate::spool::{Parcel, Spool};
use crate::{failure, line, target};

/// Obeys until no order comes any more.
pub fn obey(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let given = Given::from(&args.given);
    let mut orders = stdin().lock();
    let mut desk = Desk::default();
    while let Some(order) = line::read(&mut orders)? {
        match serde_json::from_str(&order).context("no order")? {
            Order::List => list(args, &given)?,
            Order::Name(path) => tell(&failure::spot(args, Path::new(&path)))?,
            Order::Known(known) => desk.known.extend(known),
            Order::Open(path) => answer(desk.open(Path::new(&path), &given))?,
            Order::Plan(collection) => answer(desk.plan(collection))?,
            Order::Estimate => answer(desk.estimate())?,
            Order::Cut => answer(desk.cut().map(Told::Cut))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &RunArgs, given: &Given) -> anyhow::Result<()> {
    let found = find::scenes(&args.paths, given);
    let mut out = BufWriter::new(stdout().lock());
    for listed in found.into_iter().map(Listed::from) {
        write(&mut out, &listed)?;
    }
    write(&mut out, &Listed::End)?;
    Ok(out.flush()?)
}

/// The scene that was opened, and what it is to be cut into.
#[derive(Debug, Default)]
struct Desk {
    scene: Option<Scene>,
    planned: Option<(Collection, Plan)>,
    known: Known,
}

impl Desk {
    fn open(&mut self, path: &Path, given: &Given) -> Result<Told, Fault> {
        let scene = self.scene.insert(source::open(path, given)?);
        Ok(Told::Opened(Facts::from(&*scene)))
    }

    fn plan(&mut self, collection: Collection) -> Result<Told, Fault> {
        let scene = self.scene.as_ref().ok_or_else(untimely)?;
        let plan = plan::plan(scene, collection.scheme, collection.precision)?;
        if plan.cells.is_empty() {
            return Err(plan::no_cells(scene));
        }
        let cells = plan.cells.len() as u64;
        self.planned = Some((collection, plan));
        Ok(Told::Planned(cells))
    }

    /// Returns what `plan` left.
    fn planned(&self) -> Result<(&Scene, &Plan, &Collection), Fault> {
        let planned = self.scene.as_ref().zip(self.planned.as_ref());
        let (scene, (collection, plan)) = planned.ok_or_else(untimely)?;
        Ok((scene, plan, collection))
    }

    fn estimate(&self) -> Result<Told, Fault> {
        let (scene, plan, collection) = self.planned()?;
        let ledger = target::estimate(scene, plan, collection)?;
        Ok(Told::Estimated(Box::new(ledger)))
    }

    /// Cuts what is not stored yet; tells of what is, of strips, and of splits that may be put.
    fn cut(&self) -> Result<CutSums, Fault> {
        let (scene, plan, collection) = self.planned()?;
        let (mut cells, mut kept) = (Vec::<Geocode>::new(), Kept::default());
        for cell in &plan.cells {
            match self.known.get(&cell.to_string()) {
                None => cells.push(*cell),
                Some((counts, bytes)) => {
                    kept.splits += 1;
                    kept.bytes += bytes;
                    kept.counts = kept.counts.plus(*counts);
                }
            }
        }
        let spool = Spool::lent()?;
        let mut out = stdout().lock();
        let mut tell = |told: Told| match write_now(&mut out, &told) {
            Ok(()) => ControlFlow::Continue(()),
            // Whoever ordered it is gone.
            Err(_) => ControlFlow::Break(()),
        };
        let told = |told| match told {
            cutting::Told::Step(step) => Told::Step(step),
            cutting::Told::Split(split) => Told::Split(Box::new(Parcel::of(*split))),
        };
        if tell(Told::Kept(kept)).is_break() {
            return Err(untimely());
        }
        let sink = Sink {
            spool: &spool,
            tell: &mut |cut| tell(told(cut)),
            ahead_max: PIECES_BYTES_MAX,
        };
        cutting::stream(scene, plan, (collection, &cells), sink)
    }
}

fn untimely() -> Fault {
    Fault::new(FaultKind::Internal, "an order came out of turn")
}

fn answer(told: Result<Told, Fault>) -> anyhow::Result<()> {
    tell(&told.unwrap_or_else(Told::Failed))
}

fn tell(answer: &impl Serialize) -> anyhow::Result<()> {
    write_now(&mut stdout().lock(), answer)
}

fn write_now(out: &mut StdoutLock<'_>, answer: &impl Serialize) -> anyhow::Result<()> {
    write(out, answer)?;
    Ok(out.flush()?)
}

fn write(out: &mut impl Write, answer: &impl Serialize) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string(answer)?)?)
}
