//! `predict`: the splits of a scene in, one georeferenced map of answers out.
//!
//! *Invariants*: each cell is answered by its own region's model where there is one; a scene whose
//! bands are not the model's is refused, never guessed at; the map appears whole or not at all.
//!
//! *Not here*: cutting the scene (ingest), the command line (`main`).

pub mod mosaic;
pub mod pick;
pub mod slide;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use earth::geocode::Geocode;
use earth::grid::Grid;
use earth::split::meta::SplitMeta;
use serde::Serialize;
use tch::Device;
use wire::fault::{Fault, FaultKind};

use crate::chips::planes;
use crate::files::{read_meta, write_map};
use crate::infer::mosaic::{Mosaic, Placed, mosaic};
use crate::infer::pick::{Kinship, bands, name, pick};
use crate::infer::slide::slide;
use crate::log::chain;
use crate::model::{self, Model};

/// Most splits of one prediction: a Sentinel-2 scene has 900 cells of geohash precision 5.
const SPLITS_MAX: usize = 100_000;

/// What `predict` is told.
#[derive(Debug, Clone)]
pub struct PredictOptions {
    /// Model folders.
    pub models: Vec<PathBuf>,
    /// Folder of split folders.
    pub splits: PathBuf,
    /// The map to write.
    pub out: PathBuf,
    /// Step between windows in pixels; half a chip unless given.
    pub stride: Option<u32>,
    /// Where to compute.
    pub device: Device,
}

/// What was predicted; printed as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The map.
    pub out: PathBuf,
    /// Its coordinate system.
    pub crs: String,
    /// Its columns.
    pub width: u32,
    /// Its rows.
    pub height: u32,
    /// Names of its bands.
    pub bands: &'static [&'static str],
    /// Pixels with an answer.
    pub pixels: u64,
    /// Pixels with valid bands that no window without fill covers.
    pub pixels_unanswered: u64,
    /// Least answer.
    pub min: Option<f32>,
    /// Mean answer.
    pub mean: Option<f64>,
    /// Greatest answer.
    pub max: Option<f32>,
    /// Cells, each with its model.
    pub cells: Vec<CellSummary>,
    /// Cells that no given model answers for.
    pub cells_without_model: u64,
    /// Cells whose pixels were sampled onto the map's grid (nearest), not copied.
    pub cells_sampled: u64,
    /// What a reader should know.
    pub warnings: Vec<String>,
}

/// One cell of a prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellSummary {
    /// The cell.
    pub geocode: String,
    /// Its split.
    pub split: String,
    /// The model that answered, `RUN/GEOCODE`.
    pub model: String,
    /// How that model relates to the cell.
    pub kinship: Kinship,
    /// Pixels with an answer.
    pub pixels: u64,
    /// Mean answer.
    pub mean: Option<f64>,
}

/// Predicts and writes the map.
pub fn predict(options: &PredictOptions) -> Result<Summary, Fault> {
    let models = open_models(options)?;
    let splits = list(&options.splits)?;
    let mut run = Prediction {
        options,
        models: &models,
        maps: Vec::new(),
        cells: Vec::new(),
        unanswered: 0,
        without_model: 0,
        warnings: BTreeSet::new(),
    };
    let mut seen = BTreeSet::new();
    for (folder, meta) in &splits {
        if !seen.insert(meta.geocode) {
            let what = format!("there are two splits of cell {}", meta.geocode);
            return Err(Fault::new(FaultKind::Usage, what).try_("predict one scene at a time"));
        }
        run.cell(folder, meta)?;
    }
    run.finish()
}

/// Opens the models with their cells.
fn open_models(options: &PredictOptions) -> Result<Vec<(Geocode, Model)>, Fault> {
    let open = |folder: &PathBuf| {
        let broken = |reason: String| {
            let what = format!("{} holds no usable model", folder.display());
            let fault = Fault::new(FaultKind::Data, what).because(reason);
            fault.try_("glebe model pull RUN/GEOCODE -O DIR")
        };
        let model = model::open(folder, options.device).map_err(|e| broken(chain(&e)))?;
        let code = Geocode::parse(model.config.scheme, &model.config.geocode);
        Ok((code.map_err(|e| broken(e.to_string()))?, model))
    };
    options.models.iter().map(open).collect()
}

/// Lists the split folders with their metadata, in order of their names.
fn list(splits: &Path) -> Result<Vec<(PathBuf, SplitMeta)>, Fault> {
    let unreadable = |reason: String| {
        let what = format!("the splits in {} cannot be read", splits.display());
        Fault::new(FaultKind::Data, what).because(reason)
    };
    let entries = std::fs::read_dir(splits).map_err(|e| unreadable(e.to_string()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| unreadable(e.to_string()))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    if folders.is_empty() || folders.len() > SPLITS_MAX {
        let reason = format!("it holds {} folders, not 1..={SPLITS_MAX}", folders.len());
        return Err(unreadable(reason).try_("glebe-ingest cut SCENE -O DIR"));
    }
    let read = |folder: PathBuf| {
        let meta = read_meta(&folder).map_err(|e| unreadable(chain(&e)))?;
        Ok((folder, meta))
    };
    folders.into_iter().map(read).collect()
}

/// A prediction under way.
struct Prediction<'a> {
    options: &'a PredictOptions,
    models: &'a [(Geocode, Model)],
    maps: Vec<Placed>,
    cells: Vec<CellSummary>,
    unanswered: u64,
    without_model: u64,
    warnings: BTreeSet<String>,
}

impl Prediction<'_> {
    /// Predicts one cell.
    fn cell(&mut self, folder: &Path, meta: &SplitMeta) -> Result<(), Fault> {
        let Some((model, kinship)) = pick(self.models, &meta.geocode) else {
            self.without_model += 1;
            return Ok(());
        };
        let refused = |reason: String| {
            let what = format!("model {} cannot answer for this scene", name(&model.config));
            let inputs = model.config.network.inputs.join(", ");
            let wanted = format!(
                "it takes {inputs} at {} m",
                model.config.network.resolution_m
            );
            let fault = Fault::new(FaultKind::Data, what)
                .because(reason)
                .because(wanted);
            fault.try_("a scene of the same dataset, or train a model on this one")
        };
        let choice = bands(model, meta).map_err(|e| refused(e.to_string()))?;
        let planes = planes::read(folder, meta, &choice, model.recipe.inputs().len())
            .map_err(|e| refused(chain(&e)))?;
        let chip_px = model.config.network.chip_px;
        let stride = self.options.stride.unwrap_or(chip_px / 2).clamp(1, chip_px);
        let map = slide(model, &planes, usize::try_from(stride).unwrap_or(1));
        let grid =
            Grid::of(&meta.geocode, choice.resolution_m).map_err(|e| refused(e.to_string()))?;
        if map
            .bands
            .iter()
            .any(|band| grid.pixels() != band.len() as u64)
        {
            return Err(refused(format!(
                "{} is not on its cell's fixed grid",
                meta.id
            )));
        }
        self.warn(model, meta, kinship);
        let scores = Scores::of(&map.bands);
        self.unanswered += map.valid.saturating_sub(scores.count);
        self.cells.push(CellSummary {
            geocode: meta.geocode.to_string(),
            split: meta.id.to_string(),
            model: name(&model.config),
            kinship,
            pixels: scores.count,
            mean: scores.mean(),
        });
        let bands = map.bands;
        self.maps.push(Placed { grid, bands });
        Ok(())
    }

    /// Notes what a reader should know of this pairing.
    fn warn(&mut self, model: &Model, meta: &SplitMeta, kinship: Kinship) {
        let name = name(&model.config);
        if !model.config.data.datasets.contains(&meta.dataset) {
            let learned = model.config.data.datasets.join(", ");
            let (id, dataset) = (meta.id.scene(), &meta.dataset);
            self.warnings.insert(format!(
                "model {name} learned from {learned}; {id} is {dataset}"
            ));
        }
        if kinship == Kinship::Foreign {
            self.warnings.insert(format!(
                "model {name} answers for cells it has never seen: their answers are guesses"
            ));
        }
    }

    /// Writes the map and tells what is in it.
    fn finish(mut self) -> Result<Summary, Fault> {
        if self.maps.is_empty() {
            let what = "none of the models answers for a cell of this scene";
            let fault = Fault::new(FaultKind::Nothing, what)
                .because(format!("{} cells without a model", self.without_model));
            return Err(fault.try_("glebe model list, then --model with one of these cells"));
        }
        let refuse =
            |reason: String| Fault::new(FaultKind::Data, "the map cannot be made").because(reason);
        let crs = self.maps[0].grid.crs().clone();
        let mosaic = mosaic(&self.maps).map_err(|e| refuse(e.to_string()))?;
        self.maps.clear();
        let names = self.models.first().map(|(_, m)| m.recipe.answer().bands());
        let names = names.unwrap_or_default();
        let summary = self.summary(&mosaic, (crs.to_string(), names));
        write_map(&summary.out, mosaic, (&crs, names)).map_err(|e| refuse(chain(&e)))?;
        Ok(summary)
    }

    fn summary(self, mosaic: &Mosaic, (crs, names): (String, &'static [&'static str])) -> Summary {
        let scores = Scores::of(&mosaic.bands);
        let any = scores.count > 0;
        Summary {
            out: self.options.out.clone(),
            crs,
            width: mosaic.width,
            height: mosaic.height,
            bands: names,
            pixels: scores.count,
            pixels_unanswered: self.unanswered,
            min: any.then_some(scores.min),
            mean: scores.mean(),
            max: any.then_some(scores.max),
            cells: self.cells,
            cells_without_model: self.without_model,
            cells_sampled: mosaic.sampled,
            warnings: self.warnings.into_iter().collect(),
        }
    }
}

/// Sum and range of the values that are numbers, over all bands, and count of a band's.
struct Scores {
    count: u64,
    bands: usize,
    sum: f64,
    min: f32,
    max: f32,
}

impl Scores {
    fn of(bands: &[Vec<f32>]) -> Self {
        let mut scores = Self {
            count: 0,
            bands: bands.len(),
            sum: 0.0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        };
        if let Some(band) = bands.first() {
            scores.count = band.iter().filter(|v| !v.is_nan()).count() as u64;
        }
        for value in bands.iter().flatten().filter(|v| !v.is_nan()) {
            scores.sum += f64::from(*value);
            scores.min = scores.min.min(*value);
            scores.max = scores.max.max(*value);
        }
        scores
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / (self.count as f64 * self.bands as f64))
    }
}
