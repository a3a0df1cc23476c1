//! Start-up: `glebe --version` and a search of an embedded store.
//!
//! *Invariants*: warm file cache, whole processes.
//!
//! *Not here*: queries on larger stores (`query`).

use anyhow::Result;

use crate::process::{Bench, seconds};
use crate::row::Row;

/// Runs of each: enough for a steady median of a few milliseconds.
const RUNS: usize = 30;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let world = bench.world(1, 2, 500)?;
    seconds(&mut bench.glebe(&["ingest", &world, "--precision", "6", "--data", "startup"]))?;
    let (mut version, mut search, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        version.push(1e3 * seconds(&mut bench.glebe(&["--version"]))?);
        nothing.push(1e3 * seconds(&mut std::process::Command::new("true"))?);
        search.push(1e3 * seconds(&mut bench.glebe(&["search", "--data", "startup"]))?);
    }
    Ok(vec![
        Row::new("glebe --version", "ms", version).beside("true", nothing.clone()),
        Row::new("embedded search", "ms", search).beside("true", nothing),
    ])
}
