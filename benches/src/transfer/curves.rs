//! How models learned, read from the folders that a node keeps them in.
//!
//! *Invariants*: every model of a run is read, or none.
//!
//! *Not here*: what is made of them (`transfer`).

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use wire::transfer::Descent;

/// One model's epochs.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) geocode: String,
    pub(super) descent: Option<Descent>,
    validation: Vec<f64>,
}

#[derive(Deserialize)]
struct Config {
    geocode: String,
    descent: Option<Descent>,
}

#[derive(Deserialize)]
struct Epoch {
    validation_mse: f64,
}

impl Curve {
    /// Returns the least validation error.
    pub(super) fn best(&self) -> f64 {
        self.validation
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min)
    }

    /// Returns the validation error that it ended with.
    pub(super) fn last(&self) -> f64 {
        self.validation.last().copied().unwrap_or(f64::INFINITY)
    }

    /// Returns the first epoch whose validation error is no greater than the mark.
    pub(super) fn epochs_to(&self, mark: f64) -> Option<u32> {
        let at = self.validation.iter().position(|error| *error <= mark)?;
        u32::try_from(at + 1).ok()
    }
}

/// Reads the models of a run below a node's data folder.
pub(super) fn curves(data: &Path, run: &str) -> Result<Vec<Curve>> {
    let head = format!("{run}+");
    let mut found = Vec::new();
    for slot in std::fs::read_dir(data.join("objects/model"))? {
        for model in std::fs::read_dir(slot?.path())? {
            let model = model?;
            if !model.file_name().to_string_lossy().starts_with(&head) {
                continue;
            }
            let text = |name: &str| std::fs::read_to_string(model.path().join(name));
            let config: Config = serde_json::from_str(&text("config.json")?)?;
            let epochs = text("metrics.jsonl")?;
            let epoch = |line| serde_json::from_str::<Epoch>(line).map(|e| e.validation_mse);
            let validation = epochs.lines().map(epoch).collect::<Result<_, _>>();
            found.push(Curve {
                geocode: config.geocode,
                descent: config.descent,
                validation: validation.context("a line an epoch")?,
            });
        }
    }
    ensure!(!found.is_empty(), "run {run} has no models");
    Ok(found)
}
