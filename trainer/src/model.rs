//! A model folder on disk, read back.
//!
//! *Invariants*: config and weights fit each other, the normalisation too, and a recipe this binary
//! knows, or nothing is returned; sizes are bounded before anything is read.
//!
//! *Not here*: writing one (`publish`), answering with it (`infer`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::Device;

use crate::chips::normal::Normalisation;
use crate::config::{CONFIG_VERSION, ModelConfig};
use crate::module;
use crate::module::open::ModuleError;
use crate::network::{Network, WeightsError};
use crate::program::{self, ProgramError};
use crate::publish::{CONFIG_FILE, NORMALISATION_FACT, TORCHSCRIPT_FILE, WEIGHTS_FILE};
use crate::recipe::{self, Recipe, Task, UnknownRecipe};
use crate::seed::Dice;
use crate::weights::{self, WeightsFileError};

/// Greatest `config.json`: ours are a few kilobytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Greatest `model.safetensors`: a thousand times ours.
const WEIGHTS_BYTES_MAX: u64 = 1 << 30;

/// Greatest `model.pt` of a user's module: what learning adds to the file that the user gave.
const SCRIPT_BYTES_MAX: u64 = 2 * wire::module::BYTES_MAX;

/// A model that can answer.
#[derive(Debug)]
pub struct Model {
    /// All but the weights.
    pub config: ModelConfig,
    /// Its recipe.
    pub recipe: &'static dyn Recipe,
    /// The network with its weights.
    pub network: Network,
}

/// Why a folder holds no usable model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than any model's.
    #[error("{} has {bytes} bytes, more than {max}", path.display())]
    Large {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The config is not ours.
    #[error("{} is no model's config", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The config is of a later version.
    #[error("the model's config has version {0}, this binary reads up to {CONFIG_VERSION}")]
    Version(u32),
    /// It is no network of ours.
    #[error("the model is of {0}, no network of ours")]
    Outside(String),
    /// The program that made it cannot be used.
    #[error("the model was made by a program, which alone can answer with it")]
    Program(#[from] ProgramError),
    /// The program that made it only learns.
    #[error(
        "{0} does not predict: its --describe lacks \"predicts\": true (docs/ADDING_A_RECIPE.md says \
         what it is then asked)"
    )]
    Mute(&'static str),
    /// The user's module that made it cannot be opened.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The recipe is unknown.
    #[error(transparent)]
    Recipe(#[from] UnknownRecipe),
    /// The weights cannot be read.
    #[error(transparent)]
    File(#[from] WeightsFileError),
    /// The weights are not the recipe's.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The weights are not those that were trained.
    #[error("the weights' hash is {found}, config.json says {told}")]
    Hash {
        /// Hash of the file's weights.
        found: String,
        /// Hash in the config.
        told: String,
    },
    /// The config tells another normalisation than the weights were learned by.
    #[error(
        "config.json tells another normalisation than the one that {WEIGHTS_FILE} was learned by"
    )]
    Normalisation,
    /// The config's numbers contradict the recipe's.
    #[error("config.json contradicts its recipe: {0}")]
    Contradiction(&'static str),
}

/// Reads what is known of the model in `folder`, without its weights.
pub fn config(folder: &Path) -> Result<ModelConfig, ModelError> {
    let path = folder.join(CONFIG_FILE);
    let bytes = read(&path, CONFIG_BYTES_MAX)?;
    let config: ModelConfig =
        serde_json::from_slice(&bytes).map_err(|source| ModelError::Config { path, source })?;
    if config.version > CONFIG_VERSION {
        return Err(ModelError::Version(config.version));
    }
    check(&config, task(&config)?)?;
    Ok(config)
}

/// Returns what a model answers; a program is asked what it is for.
pub fn task(config: &ModelConfig) -> Result<&'static dyn Task, ModelError> {
    let Some(name) = config.recipe.strip_prefix(program::PREFIX) else {
        if let Some(wish) = &config.module {
            wish.check()
                .map_err(|e| ModelError::Module(ModuleError::Wish(e.because.join(", "))))?;
            return Ok(module::known(&config.recipe, wish));
        }
        let recipe: &'static dyn Recipe = recipe::parse(&config.recipe)?;
        return Ok(recipe);
    };
    let program = program::find(name)?;
    if program.predicts {
        Ok(program)
    } else {
        Err(ModelError::Mute(program.name()))
    }
}

/// Checks that a program's model file is the one that it left.
pub fn check_file(path: &Path, told: &str) -> Result<(), ModelError> {
    let found = blake3::hash(&read(path, WEIGHTS_BYTES_MAX)?);
    let found = found.to_hex().to_string();
    if found == told {
        return Ok(());
    }
    let told = told.to_owned();
    Err(ModelError::Hash { found, told })
}

/// Reads the model in `folder`.
pub fn open(folder: &Path, device: Device) -> Result<Model, ModelError> {
    with(folder, config(folder)?, device)
}

/// Reads the weights of the model in `folder`, of which all else is known.
pub fn with(folder: &Path, config: ModelConfig, device: Device) -> Result<Model, ModelError> {
    if config.recipe.starts_with(program::PREFIX) {
        return Err(ModelError::Outside(config.recipe));
    }
    let known = { config.module.as_ref() }.map(|wish| module::known(&config.recipe, wish));
    let recipe: &'static dyn Recipe = match known {
        Some(module) => module,
        None => recipe::parse(&config.recipe)?,
    };
    let file = read(&folder.join(WEIGHTS_FILE), WEIGHTS_BYTES_MAX)?;
    let weights = weights::decode(&file)?;
    let found = weights::hash(&weights);
    if found != config.weights_blake3 {
        let told = config.weights_blake3;
        return Err(ModelError::Hash { found, told });
    }
    check_normalisation(&config, &weights::facts(&file)?)?;
    let mut network = match known {
        Some(module) => {
            let script = read(&folder.join(TORCHSCRIPT_FILE), SCRIPT_BYTES_MAX)?;
            Network::of_module(module, &script, device)?
        }
        None => Network::new(recipe, device, &mut Dice::new(0, &[])),
    };
    network.set_weights(&weights)?;
    Ok(Model {
        config,
        recipe,
        network,
    })
}

/// Checks that a config's normalisation is the one that stands beside the weights, if one does: the
/// weights' hash does not cover it, and by another one the answers would be other numbers.
fn check_normalisation(
    config: &ModelConfig,
    facts: &BTreeMap<String, String>,
) -> Result<(), ModelError> {
    let Some(text) = facts.get(NORMALISATION_FACT) else {
        return Ok(());
    };
    let learned_by: Option<Normalisation> = serde_json::from_str(text).ok();
    if learned_by.as_ref() == Some(&config.normalisation) {
        Ok(())
    } else {
        Err(ModelError::Normalisation)
    }
}

/// Checks what the recipe fixes and answering relies on.
fn check(config: &ModelConfig, recipe: &dyn Task) -> Result<(), ModelError> {
    let roles = recipe.inputs().iter().map(|b| b.role);
    let step = recipe.chip_px_step();
    let chip_px = config.network.chip_px;
    let spreads = || {
        config
            .normalisation
            .bands
            .iter()
            .chain([&config.normalisation.label])
    };
    let wrong = if !roles.eq(config.network.inputs.iter().map(String::as_str)) {
        "its input bands"
    } else if config.normalisation.bands.len() != recipe.inputs().len() {
        "the number of normalised bands"
    } else if !spreads().all(|s| s.mean.is_finite() && s.std.is_normal()) {
        "a mean or deviation is no number"
    } else if { config.envelope.as_ref() }.is_some_and(|e| !e.fits(recipe.inputs().len())) {
        "what it has seen"
    } else if chip_px == 0 || chip_px > wire::hyper::CHIP_PX_MAX || !chip_px.is_multiple_of(step) {
        "the side of its chips"
    } else {
        return Ok(());
    };
    Err(ModelError::Contradiction(wrong))
}

/// Reads a file of at most `max` bytes.
fn read(path: &Path, max: u64) -> Result<Vec<u8>, ModelError> {
    let io = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > max {
        let path = path.to_owned();
        return Err(ModelError::Large { path, bytes, max });
    }
    std::fs::read(path).map_err(io)
}
