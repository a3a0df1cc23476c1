//! Which model answers for a cell, and whether the cell's bands are the model's.
//!
//! *Invariants*: a cell's own model first, then its nearest ancestor's; a model of elsewhere only
//! when it is the only one given, and then it is told.
//!
//! *Not here*: answering (`slide`).

use earth::geocode::Geocode;
use earth::split::meta::SplitMeta;
use serde::Serialize;

use crate::chips::choose::{Choice, ChooseError, choose};
use crate::config::ModelConfig;
use crate::model::Model;

/// Greatest relative difference of resolutions that still counts as the same.
const RESOLUTION_TOLERANCE: f64 = 0.01;

/// How a model relates to the cell it answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kinship {
    /// Trained on the cell.
    Own,
    /// Trained on a cell that contains it.
    Ancestor,
    /// Trained elsewhere; the only one given.
    Foreign,
}

/// Why a model cannot answer for a split.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// A band is missing.
    #[error(transparent)]
    Bands(#[from] ChooseError),
    /// The bands have another resolution.
    #[error("the bands of {id} have {found} m, the model {model} was trained at {wanted} m")]
    Resolution {
        /// The split.
        id: String,
        /// Its resolution in metres.
        found: f64,
        /// The model, `RUN/GEOCODE`.
        model: String,
        /// The model's resolution in metres.
        wanted: f64,
    },
    /// Not even one chip fits.
    #[error("the grid of {id} ({width} x {height} pixels) is smaller than one chip of {chip_px}")]
    Small {
        /// The split.
        id: String,
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Side of a chip in pixels.
        chip_px: u32,
    },
}

/// Returns the model for a cell.
pub fn pick<'a>(models: &'a [(Geocode, Model)], cell: &Geocode) -> Option<(&'a Model, Kinship)> {
    let kin = models.iter().filter(|(code, _)| code.contains(cell));
    let nearest = kin.max_by_key(|(code, _)| code.precision());
    match (nearest, models) {
        (Some((code, model)), _) if code == cell => Some((model, Kinship::Own)),
        (Some((_, model)), _) => Some((model, Kinship::Ancestor)),
        (None, [(_, model)]) => Some((model, Kinship::Foreign)),
        (None, _) => None,
    }
}

/// Returns the split's bands for a model, or why they are not the model's.
pub fn bands(model: &Model, meta: &SplitMeta) -> Result<Choice, FitError> {
    let choice = choose(meta, model.recipe.inputs(), &[])?;
    let wanted = model.config.network.resolution_m;
    if (choice.resolution_m - wanted).abs() > wanted * RESOLUTION_TOLERANCE {
        return Err(FitError::Resolution {
            id: meta.id.to_string(),
            found: choice.resolution_m,
            model: name(&model.config),
            wanted,
        });
    }
    let chip_px = model.config.network.chip_px;
    let side = usize::try_from(chip_px).unwrap_or(usize::MAX);
    if choice.shape.width < side || choice.shape.height < side {
        return Err(FitError::Small {
            id: meta.id.to_string(),
            width: choice.shape.width,
            height: choice.shape.height,
            chip_px,
        });
    }
    Ok(choice)
}

/// Returns a model's name, `RUN/GEOCODE`.
pub fn name(config: &ModelConfig) -> String {
    format!("{}/{}", config.run, config.geocode)
}
