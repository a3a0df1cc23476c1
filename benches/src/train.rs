//! Training: samples a second of the NDVI recipe, as its models report.
//!
//! *Invariants*: samples are chips × epochs over seconds of fitting, chips read included.
//!
//! *Not here*: PyTorch beside it (a later benchmark).

use anyhow::{Context as _, Result};

use crate::process::{Bench, output, seconds};
use crate::row::Row;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let world = bench.world(2, 3, 1100)?;
    seconds(&mut bench.glebe(&["ingest", &world, "--data", "train"]))?;
    let args = [
        "train", "ndvi-cnn", "--name", "bench", "--epochs", "20", "--data", "train",
    ];
    seconds(&mut bench.glebe(&args))?;
    let list = output(&mut bench.glebe(&["model", "list", "-o", "json", "--data", "train"]))?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let models = list["models"].as_array().context("no models")?;
    let rate = |m: &serde_json::Value| {
        let metrics = &m["metrics"];
        let chips = metrics["chips_train"].as_f64()?;
        Some(chips * metrics["epochs"].as_f64()? / m["seconds"].as_f64()?)
    };
    let rates: Vec<_> = models.iter().filter_map(rate).collect();
    Ok(vec![Row::new(
        "ndvi-cnn, one thread a job",
        "samples/s",
        rates,
    )])
}
