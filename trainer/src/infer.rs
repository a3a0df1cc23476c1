//! `predict`: the splits of a scene in, one georeferenced map of answers out.
//!
//! The map is made from the top down: imagery of some rows, answers of the windows in them, rows
//! to disk. Memory holds some rows of the map, never the map.
//!
//! A map's last band marks answers about what the models have not seen (`chips::envelope`).
//!
//! *Invariants*: each cell is answered by its own region's model where there is one, blended with
//! its neighbours' along borders; a cell that no model answers for stays fill; the map appears
//! whole or not at all.
//!
//! *Not here*: cutting the scene (ingest), the command line (`main`).

pub mod chart;
pub mod frame;
pub mod land;
pub mod mind;
pub mod plan;
pub mod regions;
pub mod shelf;
pub mod strip;
pub mod tally;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use earth::geotiff::SheetBand;
use earth::raster::reproject::Kernel;
use serde::Serialize;
use tch::Device;
use wire::fault::{Fault, FaultKind};

use crate::infer::chart::{Chart, ChartError};
use crate::infer::land::Rows;
use crate::infer::plan::{Plan, plan, refused};
use crate::infer::regions::{Kin, Kinship};
use crate::infer::shelf::Shelf;
use crate::infer::strip::{Strip, Windows};
use crate::infer::tally::Tally;
use crate::log::chain;
use crate::module::permitted;
use crate::program::PREFIX;
use crate::recipe::Task;
use crate::resident;

/// Rows of windows answered at once: so that a model gets full batches of a cell's windows, while
/// sums of 144 rows, for chips of 32 pixels, are all that is held.
const WINDOW_ROWS: usize = 8;
/// The same where programs answer, which start anew for each batch.
const WINDOW_ROWS_OF_PROGRAMS: usize = 32;
/// Name of the band that marks answers about what the model has not seen: 1, else 0.
pub const OUTSIDE: &str = "outside";

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
    /// Pixels on either side of a border over which models are blended; a chip's side unless
    /// given.
    pub margin: Option<u32>,
    /// What is known of the run that the models are of; `None` if they were named one by one.
    pub kin: Option<Kin>,
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
    pub width: usize,
    /// Its rows.
    pub height: usize,
    /// Names of its bands.
    pub bands: Vec<String>,
    /// Pixels with an answer.
    pub pixels: u64,
    /// Pixels with valid bands, of cells with a model, that no window without fill covers.
    pub pixels_unanswered: u64,
    /// Least answer.
    pub min: Option<f32>,
    /// Mean answer.
    pub mean: Option<f64>,
    /// Greatest answer.
    pub max: Option<f32>,
    /// Pixels with an answer that lie outside of what their models have seen.
    pub pixels_outside: u64,
    /// Pixels on either side of a border over which models were blended; of the least cell.
    pub margin_px: u32,
    /// Cells, each with its model.
    pub cells: Vec<CellSummary>,
    /// Cells that no given model answers for.
    pub cells_without_model: Vec<String>,
    /// Cells whose pixels were sampled onto the map's grid (nearest), not copied.
    pub cells_sampled: u64,
    /// Most bytes that this process held; none where the system does not tell.
    pub peak_bytes: Option<u64>,
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
///
/// # Errors
/// Models or splits that cannot be used or do not belong together, a map that cannot be written.
pub fn predict(options: &PredictOptions) -> Result<Summary, Fault> {
    let mut shelf = Shelf::new(&options.models, options.device)?;
    if shelf.config(0).module.is_some() {
        permitted()?;
    }
    let task = shelf.task();
    let plan = plan(options, &mut shelf, task)?;
    let chip_px = shelf.config(0).network.chip_px;
    let stride = options.stride.unwrap_or(chip_px / 2).clamp(1, chip_px);
    let sides = (chip_px as usize, stride as usize);
    let windows = Windows::over(&plan, sides, task.answer().bands().len());
    let bands = bands(task);
    let names = bands.iter().map(|band| band.name.clone()).collect();
    let at_once = if shelf.config(0).recipe.starts_with(PREFIX) {
        WINDOW_ROWS_OF_PROGRAMS
    } else {
        WINDOW_ROWS
    };
    let chart = Chart::new(&options.out, &plan.frame, bands).map_err(|e| unwritten(&e))?;
    let mut making = Making {
        strip: Strip::new(windows.clone(), plan.frame.width),
        tallies: vec![Tally::default(); plan.cells.len()],
        unanswered: 0,
        outside: 0,
        plan,
        shelf,
        chart,
    };
    making.run(&windows, at_once)?;
    making.finish(options, names)
}

/// Returns the bands of a map: the answers, and what marks those that are out of sight.
fn bands(task: &dyn Task) -> Vec<SheetBand> {
    let band = |(name, overview): (&str, Kernel)| SheetBand {
        name: name.to_owned(),
        scale: 1.0,
        offset: 0.0,
        overview,
    };
    let answers = task.answer().bands().iter();
    let answers = answers.map(|name| (*name, Kernel::Bilinear));
    answers
        .chain([(OUTSIDE, Kernel::Nearest)])
        .map(band)
        .collect()
}

/// Turns how unlike what was learned a pixel's windows are into a mark: 1 outside, 0 inside.
fn mark(unlike: &mut f32) {
    if !unlike.is_nan() {
        *unlike = f32::from(u8::from(*unlike > 1.0));
    }
}

fn unwritten(error: &ChartError) -> Fault {
    Fault::new(FaultKind::Data, "the map cannot be made").because(chain(error))
}

/// A prediction under way.
struct Making {
    plan: Plan,
    shelf: Shelf,
    strip: Strip,
    chart: Chart,
    /// What each cell's pixels hold.
    tallies: Vec<Tally>,
    unanswered: u64,
    outside: u64,
}

impl Making {
    /// Goes through the frame from the top down.
    fn run(&mut self, windows: &Windows, at_once: usize) -> Result<(), Fault> {
        let height = self.plan.frame.height;
        let mut parts = windows.tops.chunks(at_once).peekable();
        while let Some(part) = parts.next() {
            let (first, last) = (part[0], part[part.len() - 1]);
            let next = parts.peek().map_or(height, |later| later[0]);
            let land = self.land(first..last + windows.side)?;
            self.shelf.keep(&self.wanted(&land.rows));
            let (shelf, regions) = (&mut self.shelf, &self.plan.regions);
            self.strip.answer((&land, part), regions, shelf)?;
            self.emit(&land, next)?;
        }
        Ok(())
    }

    /// Reads imagery; says which model could not answer if it cannot be read.
    fn land(&mut self, rows: Range<usize>) -> Result<Rows, Fault> {
        self.plan.land.read(rows).map_err(|(cell, error)| {
            let model = self.plan.cells[cell].map_or(0, |(model, _)| model);
            refused(&self.shelf, model, chain(&error))
        })
    }

    /// Returns the models that have a say in some rows.
    fn wanted(&self, rows: &Range<usize>) -> BTreeSet<usize> {
        let near = self.plan.regions.near(rows);
        near.iter().filter_map(|region| region.model).collect()
    }

    /// Writes the rows before `end`, which no later window reaches.
    fn emit(&mut self, land: &Rows, end: usize) -> Result<(), Fault> {
        let rows = land.rows.start..end;
        let width = self.plan.frame.width;
        let mut planes = self.strip.take(end);
        let answers = planes.len() - 1;
        for unlike in &mut planes[answers] {
            mark(unlike);
        }
        for (at, cell) in self.plan.cells.iter().enumerate() {
            let place = &self.plan.land.plots[at].place;
            let first = rows.start.max(place.rows.start);
            for row in first..rows.end.min(place.rows.end) {
                let start = (row - rows.start) * width;
                let line = start + place.columns.start..start + place.columns.end;
                if cell.is_none() {
                    // Neighbours reach over the border: not into what is nobody's.
                    for plane in &mut planes {
                        plane[line.clone()].fill(f32::NAN);
                    }
                    continue;
                }
                let lines = planes.iter().map(|plane| &plane[line.clone()]);
                self.tallies[at].add(lines.take(answers));
                let outside = planes[answers][line.clone()].iter().filter(|v| **v > 0.0);
                self.outside += outside.count() as u64;
                let missing = |i: &usize| planes[0][*i].is_nan() && land.is_valid(*i);
                self.unanswered += line.clone().filter(missing).count() as u64;
            }
        }
        self.chart.push(&planes).map_err(|e| unwritten(&e))
    }

    /// Puts the map in its place and tells what is in it.
    fn finish(self, options: &PredictOptions, bands: Vec<String>) -> Result<Summary, Fault> {
        self.chart.finish().map_err(|e| unwritten(&e))?;
        let mut all = Tally::default();
        self.tallies.iter().for_each(|tally| all.merge(tally));
        let (min, max) = all.range();
        let plots = &self.plan.land.plots;
        let (mut cells, mut without) = (Vec::new(), Vec::new());
        for ((cell, plot), tally) in self.plan.cells.iter().zip(plots).zip(&self.tallies) {
            let geocode = plot.meta.geocode.to_string();
            match cell {
                Some((model, kinship)) => cells.push(CellSummary {
                    geocode,
                    split: plot.meta.id.to_string(),
                    model: self.shelf.name(*model),
                    kinship: *kinship,
                    pixels: tally.count,
                    mean: tally.mean(),
                }),
                None => without.push(geocode),
            }
        }
        let wanted_px = self.plan.regions.margin_px;
        let margin_px = plots.iter().map(|plot| plot.place.margin_px(wanted_px));
        Ok(Summary {
            out: options.out.clone(),
            crs: self.plan.frame.crs.to_string(),
            width: self.plan.frame.width,
            height: self.plan.frame.height,
            bands,
            pixels: all.count,
            pixels_unanswered: self.unanswered,
            min,
            mean: all.mean(),
            max,
            pixels_outside: self.outside,
            margin_px: margin_px.min().unwrap_or(0),
            cells,
            cells_without_model: without,
            cells_sampled: plots.iter().filter(|p| p.place.sampled).count() as u64,
            peak_bytes: resident::peak_bytes(),
            warnings: self.plan.warnings.into_iter().collect(),
        })
    }
}
