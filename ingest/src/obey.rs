//! What a scene's process does: what its supervisor orders, one line after another.
//!
//! The first one started lists all scenes, too, for the sources that know what is a scene call into
//! GDAL. All of them start before their turn, so that no scene waits until GDAL is linked.
//!
//! *Invariants*: one scene is ingested at most; a process whose supervisor is gone ends.
//!
//! *Not here*: the ingest of the scene (`run`), who gives the orders (`supervise`).

use std::io::{BufWriter, Write, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use crate::args::RunArgs;
use crate::events::Events;
use crate::orders::{Listed, Order};
use crate::process::drive;
use crate::run::{given, run};
use crate::source::find;
use crate::{failure, line};

/// Obeys until the scene is ingested or no order comes any more.
pub fn obey(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let mut orders = stdin().lock();
    while let Some(order) = line::read(&mut orders)? {
        match serde_json::from_str(&order).context("no order")? {
            Order::List => list(args)?,
            Order::Name(path) => tell(&failure::spot(args, Path::new(&path)))?,
            Order::Ingest { node, scene } => {
                let mut events = Events::new(Box::new(stdout()));
                return drive(run(args, (&node, Path::new(&scene)), &mut events));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &RunArgs) -> anyhow::Result<()> {
    let found = find::scenes(&args.paths, &given(args));
    let mut out = BufWriter::new(stdout().lock());
    for listed in found.into_iter().map(Listed::from) {
        write(&mut out, &listed)?;
    }
    write(&mut out, &Listed::End)?;
    Ok(out.flush()?)
}

fn tell(answer: &impl Serialize) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    write(&mut out, answer)?;
    Ok(out.flush()?)
}

fn write(out: &mut impl Write, answer: &impl Serialize) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string(answer)?)?)
}
