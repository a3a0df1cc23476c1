//! Training: a recipe's samples a second and its reading of chips beside PyTorch and rasterio; many
//! small models at once.
//!
//! *Invariants*: samples are chips × walks over them over seconds of the whole job, chips read
//! included, on either side; both learn from as many chips of the same files, in as many epochs;
//! packed and sequential runs are whole commands, interleaved, on the same cells.
//!
//! *Not here*: the peer (`peers/train.py`).

mod beside;

use std::process::Command;

use anyhow::Result;

use crate::process::{Bench, output, runs, seconds};
use crate::row::Row;

/// How often each mode is run.
const PACKED_RUNS: usize = 3;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = beside::rows(bench)?;
    rows.push(packed(bench)?);
    Ok(rows)
}

/// Trains a model for each of many small cells, in both modes.
fn packed(bench: &Bench) -> Result<Row> {
    let world = bench.world(1, 2, 600)?;
    let ingest = ["ingest", &world, "--data", "small", "--precision", "6"];
    seconds(&mut bench.glebe(&ingest))?;
    // The first run decodes; its chips stay pinned for those that are measured.
    seconds(&mut small_models(bench, "first", "packed"))?;
    let mut times = [Vec::new(), Vec::new()];
    for run in 0..runs(PACKED_RUNS) {
        for (mode, times) in ["packed", "sequential"].iter().zip(&mut times) {
            let name = format!("{mode}-{run}");
            times.push(seconds(&mut small_models(bench, &name, mode))?);
        }
    }
    let list = [
        "model", "list", "--run", "first", "-o", "json", "--data", "small",
    ];
    let list: serde_json::Value = serde_json::from_str(&output(&mut bench.glebe(&list))?)?;
    let models = list["models"].as_array().map_or(0, Vec::len);
    let [packed, sequential] = times;
    let what = format!("{models} small models of ndvi-cnn, packed");
    Ok(Row::new(&what, "s", packed).quicker_than("sequential", sequential))
}

fn small_models(bench: &Bench, name: &str, mode: &str) -> Command {
    bench.glebe(&[
        "train", "ndvi-cnn", "--data", "small", "--chip", "8", "--epochs", "12", "--name", name,
        "--mode", mode,
    ])
}
