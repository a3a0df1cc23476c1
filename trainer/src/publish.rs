//! The model folder: what a job leaves behind.
//!
//! *Invariants*: `model.safetensors` depends on seed, chips, hyper-parameters and donor alone, so
//! that its hash is the same wherever it was trained, and is all that an heir needs; only
//! `config.json` and the card tell seconds.
//!
//! *Not here*: sending it (`work`), reading it (`model`). Format: docs/FORMATS.md, "Model folder".

pub mod card;
pub mod item;

use std::collections::BTreeMap;

use bytes::Bytes;
use earth::geocode::GeocodeError;

use crate::job::Learned;
use crate::log::chain;
use crate::module;
use crate::network::Weights;
use crate::program;
use crate::program::handed::Made;
use crate::recipe::describe::Description;
use crate::recipe::{self, Recipe};
use crate::torchscript::{self, TorchScriptError};
use crate::weights;

/// The weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// All but the weights.
pub const CONFIG_FILE: &str = "config.json";
/// The card for people.
pub const CARD_FILE: &str = "README.md";
/// One line an epoch.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// The STAC Item.
pub const ITEM_FILE: &str = "item.json";
/// The network with its weights, for PyTorch.
pub const TORCHSCRIPT_FILE: &str = "model.pt";

/// Weights of the rival that the network learned against, of recipes with one: for learning on.
pub const RIVAL_FILE: &str = "discriminator.safetensors";
/// Names the recipe beside the weights.
pub const RECIPE_FACT: &str = "recipe";
/// Says beside the weights, as JSON, what numbers they were learned by.
pub const NORMALISATION_FACT: &str = "normalisation";

/// Why a model has no folder.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A text cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The cell has no place on the Earth.
    #[error(transparent)]
    Cell(#[from] GeocodeError),
    /// There is no TorchScript of the network.
    #[error(transparent)]
    TorchScript(#[from] TorchScriptError),
}

/// Returns the files of a model folder, whoever learned; in words why there are none.
pub fn files(learned: &Learned) -> Result<Vec<(String, Bytes)>, String> {
    let name = &learned.config.recipe;
    let chip_px = i64::from(learned.config.network.chip_px);
    let files = match (&learned.made, name.strip_prefix(program::PREFIX)) {
        (Some(made), Some(name)) => {
            let program = program::find(name).map_err(|e| chain(&e))?;
            made_folder(learned, made, &program.describe(chip_px))
        }
        _ => match &learned.config.module {
            Some(wish) => folder(learned, module::known(name, wish)),
            None => folder(learned, recipe::parse(name).map_err(|e| e.to_string())?),
        },
    };
    files.map_err(|e| chain(&e))
}

/// Returns the files of a model folder.
pub fn folder(
    learned: &Learned,
    recipe: &dyn Recipe,
) -> Result<Vec<(String, Bytes)>, PublishError> {
    let config = serde_json::to_string_pretty(&learned.config)? + "\n";
    let mut metrics = String::new();
    for epoch in &learned.epochs {
        metrics.push_str(&serde_json::to_string(epoch)?);
        metrics.push('\n');
    }
    let weights = weights::encode(&learned.weights, &facts(learned, &learned.weights));
    let chip_px = learned.config.network.chip_px;
    let described = recipe.describe(i64::from(chip_px));
    let card = card::card(&learned.config, &described);
    let item = item::item(&learned.config, &described, None)?;
    let item = serde_json::to_string_pretty(&item)? + "\n";
    let script = torchscript::encode(recipe, &learned.weights, chip_px)?;
    let rival = learned.rival.as_ref();
    let rival = rival.map(|rival| weights::encode(rival, &facts(learned, rival)));
    let mut files: Vec<(String, Bytes)> = vec![
        (CARD_FILE.to_owned(), card.into()),
        (CONFIG_FILE.to_owned(), config.into()),
        (ITEM_FILE.to_owned(), item.into()),
        (METRICS_FILE.to_owned(), metrics.into()),
        (TORCHSCRIPT_FILE.to_owned(), script.into()),
        (WEIGHTS_FILE.to_owned(), weights.into()),
    ];
    files.extend(rival.map(|rival| (RIVAL_FILE.to_owned(), rival.into())));
    Ok(files)
}

/// Returns the files of a model folder that a program made.
pub fn made_folder(
    learned: &Learned,
    made: &Made,
    described: &Description,
) -> Result<Vec<(String, Bytes)>, PublishError> {
    let config = serde_json::to_string_pretty(&learned.config)? + "\n";
    let card = card::card(&learned.config, described);
    let item = item::item(&learned.config, described, Some(&made.name))?;
    let item = serde_json::to_string_pretty(&item)? + "\n";
    Ok(vec![
        (CARD_FILE.to_owned(), card.into()),
        (CONFIG_FILE.to_owned(), config.into()),
        (ITEM_FILE.to_owned(), item.into()),
        (METRICS_FILE.to_owned(), made.said.clone().into()),
        (made.name.clone(), made.bytes.clone()),
    ])
}

/// Returns what stands beside the weights as text, for readers that see nothing else.
fn facts(learned: &Learned, weights: &Weights) -> BTreeMap<String, String> {
    let config = &learned.config;
    // Numbers and names alone: they are always JSON.
    let normalisation = serde_json::to_string(&config.normalisation).unwrap_or_default();
    let facts = [
        ("format", "pt".to_owned()),
        ("geocode", config.geocode.clone()),
        ("scheme", config.scheme.to_string()),
        ("dataset", config.data.datasets.join(",")),
        (RECIPE_FACT, config.recipe.clone()),
        ("run", config.run.clone()),
        ("inputs", config.network.inputs.join(",")),
        ("chip_px", config.network.chip_px.to_string()),
        ("seed", config.seed.to_string()),
        (NORMALISATION_FACT, normalisation),
        ("weights_blake3", weights::hash(weights)),
    ];
    let named = facts.map(|(name, fact)| (name.to_owned(), fact));
    BTreeMap::from(named)
}
