//! What answers windows: a network of ours, or the program that made the model.
//!
//! *Invariants*: both get the same normalised windows and give standardised answers; a program runs
//! within the limits that it learned in.
//!
//! *Not here*: which windows (`strip`), running programs (`program::confine`).

use std::path::{Path, PathBuf};

use tch::Device;

use crate::config::ModelConfig;
use crate::job::lesson::tensor;
use crate::model::{self, Model, ModelError};
use crate::program::applied::{Applied, applied};
use crate::program::handed::MadeError;
use crate::program::{self, PREFIX, Program};
use crate::recipe::Task as _;

/// Windows that a network answers at once: bounds memory to a few MiB for chips of 32 pixels.
const WINDOWS_BATCH: usize = 256;
/// Bytes of windows that a program is handed at once: it starts anew for each, seconds with some
/// frameworks.
const PROGRAM_BYTES: usize = 64 << 20;

/// A model that can answer.
#[derive(Debug)]
pub enum Mind {
    /// A network of ours.
    Network(Box<Model>),
    /// A program with the file that it left.
    Program(Box<Outside>),
}

/// A program's model.
#[derive(Debug)]
pub struct Outside {
    program: &'static Program,
    config: ModelConfig,
    file: PathBuf,
}

impl Mind {
    /// Opens a model folder whose config was read.
    ///
    /// # Errors
    /// A folder without usable weights, a program that is not allowed or does not predict.
    pub fn open(folder: &Path, config: ModelConfig, device: Device) -> Result<Self, ModelError> {
        let Some(name) = config.recipe.strip_prefix(PREFIX) else {
            let model = model::with(folder, config, device)?;
            return Ok(Self::Network(Box::new(model)));
        };
        let program = program::find(name)?;
        let file = folder.join(program.file);
        model::check_file(&file, &config.weights_blake3)?;
        Ok(Self::Program(Box::new(Outside {
            program,
            config,
            file,
        })))
    }

    /// Returns what is known of the model.
    pub fn config(&self) -> &ModelConfig {
        match self {
            Self::Network(model) => &model.config,
            Self::Program(outside) => &outside.config,
        }
    }

    /// Returns how many windows of so many numbers it answers at once.
    pub fn batch(&self, numbers: usize) -> usize {
        match self {
            Self::Network(_) => WINDOWS_BATCH,
            Self::Program(_) => (PROGRAM_BYTES / size_of::<f32>() / numbers.max(1)).max(1),
        }
    }

    /// Answers normalised windows (window, band, row, column): standardised labels, in order.
    ///
    /// # Errors
    /// A program that fails or leaves no usable answers.
    pub fn answer(&self, pixels: &[f32], bands: usize, side: usize) -> Result<Vec<f32>, MadeError> {
        match self {
            Self::Network(model) => Ok(model.network.answer(&tensor(pixels, bands, side))),
            Self::Program(outside) => applied(&Applied {
                program: outside.program,
                config: &outside.config,
                file: &outside.file,
                windows: pixels,
                answers: outside.program.answer().len(side),
            }),
        }
    }
}
