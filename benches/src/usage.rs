//! Cores and memory over time while many small models come to be (S001, Figs. 10 and 11).
//!
//! *Invariants*: whole commands in an embedded store: `glebe` is the node, `glebe-trainer` the
//! worker; what is flat is said by the middle of the last fifth over that of the second fifth.
//!
//! *Not here*: how it is sampled (`watch`), how quick it is (`train`), drawing (`peers/lines.py`).

use anyhow::{Context as _, Result};

use crate::process::{Bench, output, seconds};
use crate::row::Row;
use crate::watch::{Taken, watched};

/// Training modes.
const MODES: [&str; 2] = ["sequential", "packed"];
/// Side of the scene in 10 m pixels whose cells are watched one mode after the other.
const FEW_PX: u32 = 600;
/// Side of a scene with more than a thousand cells of geohash 6 that a model comes of.
const MANY_PX: u32 = 2_300;
/// The node's program and the worker's.
const PROGRAMS: [&str; 2] = ["glebe", "glebe-trainer"];

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let few = Store::of(bench, FEW_PX, 2)?;
    // The first run decodes; its chips stay pinned for those that are watched.
    few.train("first", "packed")?;
    for mode in MODES {
        let (models, taken) = few.train(mode, mode)?;
        for (program, taken) in taken {
            let what = |of: &str| format!("{models} small models, {mode}: {program}, {of}");
            let (cores, mib) = (numbers(&taken.cores), numbers(&taken.mib));
            rows.push(Row::new(&what("cores busy"), "cores", cores).over(taken.cores));
            rows.push(Row::new(&what("memory"), "MiB", mib).over(taken.mib));
        }
    }
    let many = Store::of(bench, MANY_PX, 1)?;
    let (models, taken) = many.train("many", "packed")?;
    for (program, taken) in taken {
        let what = format!("{models} small models: {program}, memory");
        rows.push(Row::new(&what, "MiB", numbers(&taken.mib)).over(taken.mib.clone()));
        let what = format!("{models} small models: {program}, memory at the end");
        let [early, late] = ends(&taken.mib);
        rows.push(Row::new(&what, "MiB", late).beside("early on", early));
    }
    Ok(rows)
}

/// A store of small cells.
struct Store<'a> {
    bench: &'a Bench,
    data: String,
}

impl<'a> Store<'a> {
    fn of(bench: &'a Bench, side_px: u32, dates: u32) -> Result<Self> {
        let world = bench.world(1, dates, side_px)?;
        let data = format!("usage-{side_px}");
        let ingest = ["ingest", &world, "--data", &data, "--precision", "6"];
        seconds(&mut bench.glebe(&ingest))?;
        Ok(Self { bench, data })
    }

    /// Trains a model for each cell; returns how many, and what node and worker took.
    fn train(&self, name: &str, mode: &str) -> Result<(usize, Vec<(&'static str, Taken)>)> {
        let words = ["train", "ndvi-cnn", "--chip", "8", "--epochs", "12"];
        let named = ["--name", name, "--mode", mode, "--data", &self.data];
        let mut taken = watched(self.bench.glebe(&words).args(named))?;
        let list = ["model", "list", "--run", name, "-o", "json"];
        let list = output(self.bench.glebe(&list).args(["--data", &self.data]))?;
        let list: serde_json::Value = serde_json::from_str(&list)?;
        let models = list["models"].as_array().context("no models")?.len();
        let of = |program| Some((program, taken.remove(program)?));
        Ok((models, PROGRAMS.into_iter().filter_map(of).collect()))
    }
}

fn numbers(points: &[[f64; 2]]) -> Vec<f64> {
    points.iter().map(|point| point[1]).collect()
}

/// Returns what was measured in the second fifth and in the last one.
fn ends(points: &[[f64; 2]]) -> [Vec<f64>; 2] {
    let fifth = points.len() / 5;
    let part = |from: usize| numbers(points.get(from..from + fifth).unwrap_or_default());
    [part(fifth), part(points.len() - fifth)]
}
