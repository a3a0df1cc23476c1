//! Models as a node tells of them, to test with.
//!
//! *Invariants*: they differ in run and cell, and in what a module learned.
//!
//! *Not here*: models with files of their own (`room`).

use earth::geocode::Scheme;
use wire::model::{Metrics, ModelView};
use wire::module::{Answer, Loss, Module};

/// A model of a cell.
pub(super) fn model(run: &str, geocode: &str) -> ModelView {
    ModelView {
        run: run.to_owned(),
        geocode: geocode.to_owned(),
        scheme: Scheme::Geohash,
        recipe: "ndvi-cnn".to_owned(),
        module: None,
        metrics: Metrics::default(),
        splits: 1,
        seconds: 1.0,
        bytes: 1,
        hash: String::new(),
        trained: None,
        tags: Vec::new(),
        owners: Vec::new(),
        files: Vec::new(),
    }
}

/// A model that a module of the name `net.pt` learned.
pub(super) fn of_module(run: &str, label: &str) -> ModelView {
    let module = Module {
        blake3: "ab".repeat(32),
        bytes: 9,
        inputs: vec!["green".to_owned()],
        label: label.to_owned(),
        answer: Answer::Map,
        loss: Loss::Mse,
        classes: None,
    };
    ModelView {
        recipe: "torchscript:net.pt".to_owned(),
        module: Some(module),
        ..model(run, "9xj5k")
    }
}
