//! Training: samples a second of each recipe, as its models report; many small models at once.
//!
//! *Invariants*: samples are chips × epochs over seconds of fitting, chips read included; packed
//! and sequential runs are whole commands, interleaved, on the same cells.
//!
//! *Not here*: PyTorch beside it (a later benchmark).

use anyhow::{Context as _, Result};

use crate::process::{Bench, output, runs, seconds};
use crate::row::Row;

/// How often each mode is run.
const PACKED_RUNS: usize = 3;

/// Recipes, with epochs enough that reading the chips does not count for much.
const RECIPES: [(&str, &str); 2] = [("ndvi-cnn", "20"), ("ndmi-unet", "4")];

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let world = bench.world(2, 3, 1100)?;
    seconds(&mut bench.glebe(&["ingest", &world, "--data", "train"]))?;
    let recipes = RECIPES.iter();
    let rows = recipes.map(|(recipe, epochs)| measured(bench, recipe, epochs));
    let mut rows: Vec<Row> = rows.collect::<Result<_>>()?;
    rows.push(packed(bench)?);
    Ok(rows)
}

/// Trains a model for each of many small cells, in both modes.
fn packed(bench: &Bench) -> Result<Row> {
    let world = bench.world(1, 2, 600)?;
    let ingest = ["ingest", &world, "--data", "small", "--precision", "6"];
    seconds(&mut bench.glebe(&ingest))?;
    let mut times = [Vec::new(), Vec::new()];
    for run in 0..runs(PACKED_RUNS) {
        for (mode, times) in ["packed", "sequential"].iter().zip(&mut times) {
            let name = format!("{mode}-{run}");
            let args = [
                "train", "ndvi-cnn", "--data", "small", "--chip", "8", "--epochs", "12", "--name",
                &name, "--mode", mode,
            ];
            times.push(seconds(&mut bench.glebe(&args))?);
        }
    }
    let list = [
        "model", "list", "--run", "packed-0", "-o", "json", "--data", "small",
    ];
    let list: serde_json::Value = serde_json::from_str(&output(&mut bench.glebe(&list))?)?;
    let models = list["models"].as_array().map_or(0, Vec::len);
    let [packed, sequential] = times;
    let what = format!("{models} small models of ndvi-cnn, packed");
    Ok(Row::new(&what, "s", packed).quicker_than("sequential", sequential))
}

fn measured(bench: &Bench, recipe: &str, epochs: &str) -> Result<Row> {
    let args = [
        "train", recipe, "--name", recipe, "--epochs", epochs, "--data", "train",
    ];
    seconds(&mut bench.glebe(&args))?;
    let list = [
        "model", "list", "--run", recipe, "-o", "json", "--data", "train",
    ];
    let list = output(&mut bench.glebe(&list))?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let models = list["models"].as_array().context("no models")?;
    let rate = |m: &serde_json::Value| {
        let metrics = &m["metrics"];
        let chips = metrics["chips_train"].as_f64()?;
        Some(chips * metrics["epochs"].as_f64()? / m["seconds"].as_f64()?)
    };
    let rates: Vec<_> = models.iter().filter_map(rate).collect();
    let what = format!("{recipe}, one thread a job");
    Ok(Row::new(&what, "samples/s", rates))
}
