//! What is to be predicted: the frame, each cell's imagery, and who answers where.
//!
//! *Invariants*: a scene whose bands are not the models' is refused, never guessed at; of models of
//! several resolutions those answer that take the scene's, and the others are told; of each cell
//! there is one split.
//!
//! *Not here*: answering (`strip`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use earth::geocode::Geocode;
use earth::grid::Grid;
use earth::split::meta::SplitMeta;
use wire::fault::{Fault, FaultKind};

use crate::chips::choose::{Choice, choose};
use crate::chips::onto::Shape;
use crate::config::ModelConfig;
use crate::files::read_meta;
use crate::infer::PredictOptions;
use crate::infer::frame::{Frame, Place};
use crate::infer::land::{Land, Plot};
use crate::infer::regions::{Kin, Kinship, Known, Region, Regions, beside, pick};
use crate::infer::shelf::Shelf;
use crate::log::chain;
use crate::recipe::{BandWish, Task};

/// Most splits of one prediction: a Sentinel-2 scene has 900 cells of geohash precision 5.
const SPLITS_MAX: usize = 100_000;
/// Greatest relative difference of resolutions that still counts as the same.
const RESOLUTION_TOLERANCE: f64 = 0.01;
/// Models named of those that do not answer; the others are counted.
const NAMED_MAX: usize = 6;

/// The model that answers for a cell, by number, and how it relates to the cell.
pub type Answerer = Option<(usize, Kinship)>;

/// A prediction to make.
#[derive(Debug)]
pub struct Plan {
    /// The lattice of all cells.
    pub frame: Frame,
    /// Imagery, in the order of `cells`.
    pub land: Land,
    /// Who counts how much where.
    pub regions: Regions,
    /// Who answers for each cell, and how that model relates to it.
    pub cells: Vec<Answerer>,
    /// What a reader should know.
    pub warnings: BTreeSet<String>,
}

/// Plans the prediction of a folder of splits.
///
/// # Errors
/// Splits that cannot be read, that are not the models', or that no model answers for.
pub fn plan(options: &PredictOptions, shelf: &mut Shelf, task: &dyn Task) -> Result<Plan, Fault> {
    let splits = list(&options.splits)?;
    let unlike = of_other_pixels(shelf, task, &splits);
    let config = shelf.config(0);
    let known = shelf.known();
    // One that is left of several answers where it may, not everywhere.
    let bare = Kin::default();
    let kin = { options.kin.as_ref() }.or((!unlike.is_empty()).then_some(&bare));
    let (chosen, grids) = chosen(shelf, task, &splits)?;
    let unframed =
        |reason: String| Fault::new(FaultKind::Data, "the map cannot be made").because(reason);
    let frame = Frame::over(&grids).map_err(|e| unframed(e.to_string()))?;
    let side = config.network.chip_px as usize;
    if frame.width < side || frame.height < side {
        let (width, height) = (frame.width, frame.height);
        let reason = format!("{width} x {height} pixels hold no window of {side}");
        return Err(unframed(reason).try_("more cells, or glebe train with a smaller --chip"));
    }
    let places: Vec<Place> = grids.iter().map(|grid| frame.place(grid)).collect();
    let cells: Vec<_> = { splits.iter() }
        .map(|(_, meta)| pick(&known, &meta.geocode, kin))
        .collect();
    if cells.iter().all(Option::is_none) {
        let what = "none of the models answers for a cell of this scene";
        let fault = Fault::new(FaultKind::Nothing, what)
            .because(format!("{} cells without a model", cells.len()));
        let next = "glebe model list, then glebe predict with a run that has models of these cells";
        return Err(fault.try_(next));
    }
    let metas: Vec<&SplitMeta> = splits.iter().map(|(_, meta)| meta).collect();
    let margin_px = options.margin.unwrap_or(config.network.chip_px);
    let regions = regions(
        &Ground {
            frame: &frame,
            places: &places,
            config,
            margin_px,
            kin,
        },
        (&metas, &cells),
        &known,
    );
    let mut warnings = warnings(shelf, (&metas, &cells));
    warnings.extend(unlike);
    let plots = splits.into_iter().zip(chosen).zip(places);
    let plots = plots.map(|((split, choice), place)| Plot::new(split, choice, place));
    Ok(Plan {
        land: Land {
            plots: plots.collect(),
            width: frame.width,
            channels: task.inputs().len(),
        },
        frame,
        regions: Regions {
            all: regions,
            margin_px,
        },
        cells,
        warnings,
    })
}

/// Takes away the models that do not take the scene's pixels, where others do, and tells them.
fn of_other_pixels(
    shelf: &mut Shelf,
    task: &dyn Task,
    splits: &[(PathBuf, SplitMeta)],
) -> Vec<String> {
    let found = splits
        .first()
        .map(|(_, meta)| choose(meta, task.inputs(), &[]));
    let Some(Ok(Choice { resolution_m, .. })) = found else {
        return Vec::new();
    };
    let mut by_resolution: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (wanted, name) in shelf.retain(|wanted| is_same(resolution_m, wanted)) {
        by_resolution
            .entry(wanted.to_string())
            .or_default()
            .push(name);
    }
    let tell = |(wanted, mut names): (String, Vec<String>)| {
        let more = names.split_off(names.len().min(NAMED_MAX)).len();
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = names.join(", ");
        format!(
            "models of pixels of {wanted} m do not answer a scene of {resolution_m} m: \
             {names}{more}"
        )
    };
    by_resolution.into_iter().map(tell).collect()
}

/// Chooses each split's bands for the models, one split a cell.
fn chosen(
    shelf: &Shelf,
    task: &dyn Task,
    splits: &[(PathBuf, SplitMeta)],
) -> Result<(Vec<Choice>, Vec<Grid>), Fault> {
    let mut seen = BTreeSet::new();
    let mut choose = |meta: &SplitMeta| {
        if !seen.insert(meta.geocode) {
            let what = format!("there are two splits of cell {}", meta.geocode);
            return Err(Fault::new(FaultKind::Usage, what).try_("predict one scene at a time"));
        }
        bands(shelf, task.inputs(), meta).map_err(|reason| refused(shelf, 0, reason))
    };
    splits.iter().map(|(_, meta)| choose(meta)).collect()
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
        let next = if folders.is_empty() {
            "glebe predict RUN SCENE -O FILE.tif, which cuts the scene itself"
        } else {
            "a part of the scene, or models of larger cells"
        };
        return Err(unreadable(reason).try_(next));
    }
    let read = |folder: PathBuf| {
        let mut meta = read_meta(&folder).map_err(|e| unreadable(chain(&e)))?;
        // Histograms of thousands of cells would be most of what is held.
        for band in &mut meta.bands {
            (band.stats, band.classes) = (None, None);
        }
        Ok((folder, meta))
    };
    folders.into_iter().map(read).collect()
}

/// Says that a model cannot answer for the scene.
pub fn refused(shelf: &Shelf, model: usize, reason: String) -> Fault {
    let network = &shelf.config(model).network;
    let what = format!("model {} cannot answer for this scene", shelf.name(model));
    let (inputs, resolution_m) = (network.inputs.join(", "), network.resolution_m);
    let fault = Fault::new(FaultKind::Data, what)
        .because(reason)
        .because(format!("it takes {inputs} at {resolution_m} m"));
    fault
        .try_("a scene with these bands of that resolution, or glebe train on scenes like this one")
}

/// Returns a split's bands for models, with its grid; or why they are not theirs.
fn bands(shelf: &Shelf, inputs: &[BandWish], meta: &SplitMeta) -> Result<(Choice, Grid), String> {
    let choice = choose(meta, inputs, &[]).map_err(|e| e.to_string())?;
    let (config, found) = (shelf.config(0), choice.resolution_m);
    if !is_same(found, config.network.resolution_m) {
        let (id, run) = (&meta.id, &config.run);
        let wanted = shelf.resolutions_m();
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let wanted = wanted.join(" and ");
        return Err(format!(
            "the bands of {id} have {found} m, the models of {run} were trained at {wanted} m"
        ));
    }
    let grid = Grid::of(&meta.geocode, found).map_err(|e| e.to_string())?;
    let fixed = Shape {
        width: grid.width() as usize,
        height: grid.height() as usize,
    };
    if choice.shape != fixed {
        return Err(format!("{} is not on its cell's fixed grid", meta.id));
    }
    Ok((choice, grid))
}

/// Tells whether pixels of two resolutions, in metres, are of one size.
fn is_same(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= wanted * RESOLUTION_TOLERANCE
}

/// Where regions lie.
struct Ground<'a> {
    frame: &'a Frame,
    places: &'a [Place],
    config: &'a ModelConfig,
    margin_px: u32,
    kin: Option<&'a Kin>,
}

/// Every cell of the scene is a region, and so is each cell beside them that a model answers for:
/// it has a say across the border even where the scene ends.
fn regions(
    ground: &Ground<'_>,
    (metas, cells): (&[&SplitMeta], &[Answerer]),
    known: &[Known],
) -> Vec<Region> {
    let own = ground.places.iter().zip(cells).map(|(place, cell)| Region {
        place: place.clone(),
        model: cell.map(|(model, _)| model),
    });
    let there: BTreeSet<Geocode> = metas.iter().map(|meta| meta.geocode).collect();
    let beside = beside(known, &there, ground.kin).into_iter();
    let beyond = beside.filter_map(|(code, number)| {
        let grid = Grid::of(&code, ground.config.network.resolution_m).ok()?;
        let region = Region {
            place: ground.frame.place(&grid),
            model: Some(number),
        };
        let frame = (ground.frame.width, ground.frame.height);
        region.reaches(frame, ground.margin_px).then_some(region)
    });
    own.chain(beyond).collect()
}

/// Notes what a reader should know of models and cells.
fn warnings(shelf: &Shelf, (metas, cells): (&[&SplitMeta], &[Answerer])) -> BTreeSet<String> {
    let mut warnings = BTreeSet::new();
    for (meta, cell) in metas.iter().zip(cells) {
        let Some((model, kinship)) = cell else {
            continue;
        };
        let (name, learned) = (shelf.name(*model), &shelf.config(*model).data.datasets);
        if shelf.config(*model).envelope.is_none() {
            warnings.insert(format!(
                "model {name} does not say what it has seen: its pixels are not judged"
            ));
        }
        if !learned.contains(&meta.dataset) {
            let (id, dataset) = (meta.id.scene(), &meta.dataset);
            let learned = learned.join(", ");
            warnings.insert(format!(
                "model {name} learned from {learned}; {id} is {dataset}"
            ));
        }
        if *kinship == Kinship::Foreign {
            warnings.insert(format!(
                "model {name} answers for cells it has never seen: their answers are guesses"
            ));
        }
    }
    warnings
}
