//! Training: samples a second of each recipe, as its models report.
//!
//! *Invariants*: samples are chips × epochs over seconds of fitting, chips read included.
//!
//! *Not here*: PyTorch beside it (a later benchmark).

use anyhow::{Context as _, Result};

use crate::process::{Bench, output, seconds};
use crate::row::Row;

/// Recipes, with epochs enough that reading the chips does not count for much.
const RECIPES: [(&str, &str); 2] = [("ndvi-cnn", "20"), ("ndmi-unet", "4")];

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let world = bench.world(2, 3, 1100)?;
    seconds(&mut bench.glebe(&["ingest", &world, "--data", "train"]))?;
    RECIPES
        .iter()
        .map(|(recipe, epochs)| measured(bench, recipe, epochs))
        .collect()
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
