//! Start-up: `glebe --version`, a search of an embedded store, a node that was killed.
//!
//! *Invariants*: warm file cache, whole processes.
//!
//! *Not here*: queries on larger stores (`query`).

use std::path::Path;

use anyhow::Result;
use node::store::{PutMode, Store};
use rayon::prelude::*;

use crate::objects;
use crate::process::{Bench, seconds, took};
use crate::row::Row;

/// Runs of each: enough for a steady median of a few milliseconds.
const RUNS: usize = 30;
/// Times that a node is killed and started again.
const KILLS: usize = 5;
/// Splits that it holds.
const SPLITS: u64 = 2_000;
/// The same of a whole measurement.
const SPLITS_WHOLE: u64 = 100_000;
/// Puts under way at once while it is filled: they share commits.
const AT_ONCE: usize = 32;

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
        killed(bench)?,
    ])
}

/// Seconds until a node that was killed is ready again, beside one that holds nothing.
fn killed(bench: &Bench) -> Result<Row> {
    let whole = std::env::var_os("GLEBE_BENCH_FULL").is_some();
    let splits = if whole { SPLITS_WHOLE } else { SPLITS };
    fill(&bench.scratch.path().join("full"), splits)?;
    let (mut full, mut empty) = (Vec::new(), Vec::new());
    // The first start makes keys and a cluster; dropping a node kills it.
    for name in ["full", "empty"] {
        drop(bench.up(name)?);
    }
    for _ in 0..KILLS {
        full.push(took(|| bench.up("full"))?.1);
        empty.push(took(|| bench.up("empty"))?.1);
    }
    let what = format!("node of {splits} splits killed: until ready");
    Ok(Row::new(&what, "s", full).beside("of none", empty))
}

/// Fills a store.
fn fill(dir: &Path, splits: u64) -> Result<()> {
    let store = Store::open(dir)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(AT_ONCE)
        .build()?;
    pool.install(|| {
        (0..splits).into_par_iter().try_for_each(|n| {
            store.put(&objects::small_split(n)?, PutMode::Keep)?;
            anyhow::Ok(())
        })
    })
}
