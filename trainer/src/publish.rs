//! The model folder: what a job leaves behind.
//!
//! *Invariants*: `model.safetensors` depends on seed, chips and hyper-parameters alone, so that its
//! hash is the same wherever it was trained; only `config.json` and the card tell seconds.
//!
//! *Not here*: sending it (`work`), reading it (`model`). Format: docs/FORMATS.md, "Model folder".

pub mod card;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::job::Learned;
use crate::recipe::Recipe;
use crate::weights;

/// The weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// All but the weights.
pub const CONFIG_FILE: &str = "config.json";
/// The card for people.
pub const CARD_FILE: &str = "README.md";
/// One line an epoch.
pub const METRICS_FILE: &str = "metrics.jsonl";

/// Returns the files of a model folder.
pub fn folder(learned: &Learned, recipe: Recipe) -> serde_json::Result<Vec<(String, Bytes)>> {
    let config = serde_json::to_string_pretty(&learned.config)? + "\n";
    let mut metrics = String::new();
    for epoch in &learned.epochs {
        metrics.push_str(&serde_json::to_string(epoch)?);
        metrics.push('\n');
    }
    let weights = weights::encode(&learned.weights, &facts(learned));
    let card = card::card(
        &learned.config,
        &recipe.describe(i64::from(learned.config.network.chip_px)),
    );
    Ok(vec![
        (CARD_FILE.to_owned(), card.into()),
        (CONFIG_FILE.to_owned(), config.into()),
        (METRICS_FILE.to_owned(), metrics.into()),
        (WEIGHTS_FILE.to_owned(), weights.into()),
    ])
}

/// Returns what stands beside the weights as text, for readers that see nothing else.
fn facts(learned: &Learned) -> BTreeMap<String, String> {
    let config = &learned.config;
    let facts = [
        ("format", "pt".to_owned()),
        ("geocode", config.geocode.clone()),
        ("scheme", config.scheme.to_string()),
        ("dataset", config.data.datasets.join(",")),
        ("recipe", config.recipe.clone()),
        ("run", config.run.clone()),
        ("inputs", config.network.inputs.join(",")),
        ("chip_px", config.network.chip_px.to_string()),
        ("seed", config.seed.to_string()),
        ("weights_blake3", config.weights_blake3.clone()),
    ];
    facts
        .into_iter()
        .map(|(name, fact)| (name.to_owned(), fact))
        .collect()
}
