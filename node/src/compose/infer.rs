//! A cell's image answered by models: a worker process beside this node, in a folder of its own.
//!
//! *Invariants*: this process decodes no imagery of others and runs no model; the folder and the
//! worker end with the request; answers lie on the cell's own grid, or they are refused.
//!
//! *Not here*: which models (`predict`), where they lie (`desk`), how they answer (trainer).

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use earth::geotiff::GeoTiff;
use earth::grid::Grid;
use earth::split::codec;
use earth::split::compose::{Composed, PROVENANCE};
use earth::split::cut::AssetRaster;
use earth::split::meta::{BandMeta, SampleType, SplitMeta};
use serde::Deserialize;
use tokio::process::Command;
use wire::compose::{CellReport, Predicted};
use wire::fault::{Fault, FaultKind};

use super::desk::Folder;
use super::predict::Answerers;
use super::work::{Encoded, written};
use crate::answer::working;
use crate::cluster::core::Core;
use crate::runs::workers;

/// Longest that a worker may take for a cell: a model that computes for a second a window.
const LIMIT: Duration = Duration::from_mins(10);
/// File of the answers, and that of the provenance, in the image.
const ANSWERS: &str = "answers.tif";
const ORIGINS: &str = "provenance.tif";

/// What the worker says of its answers.
#[derive(Debug, Deserialize)]
struct Said {
    bands: Vec<String>,
    cells: Vec<SaidOfCell>,
    pixels: u64,
    pixels_outside: u64,
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct SaidOfCell {
    model: String,
    kinship: String,
}

/// Has models answer a composed image; returns the answers as an image.
pub(super) async fn answered(
    core: &Arc<Core>,
    (composed, report): (Composed, CellReport),
    answerers: &Answerers,
) -> Result<Encoded, Fault> {
    let desk = &core.compositions.desk;
    let scratch = desk.folder().map_err(|e| unusable(&e))?;
    let folder = scratch.path().to_owned();
    let composed = working(move || hand(composed, &folder.join("splits"))).await??;
    // What is waited for long holds no models: they are asked for once it is their turn.
    let turn = core.compositions.prediction().await;
    let mut models = Vec::with_capacity(answerers.models.len());
    for geocode in &answerers.models {
        models.push(desk.model(core, (&answerers.run, geocode)).await?);
    }
    let command = workers::command(core.link.is_none(), core.runs.device());
    let said = predict((answerers, &models), scratch.path(), command).await?;
    drop((turn, models));
    working(move || {
        let map = fs::read(scratch.path().join("map.tif")).map_err(|e| unusable(&e))?;
        image((composed, report), &map, said)
    })
    .await?
}

pub(super) fn unusable(error: &io::Error) -> Fault {
    Fault::new(
        FaultKind::Internal,
        "a node cannot write its temporary files",
    )
    .because(error.to_string())
    .try_("room in its folder")
}

/// Writes the composed image as a split that the worker reads.
fn hand(composed: Composed, splits: &Path) -> Result<Composed, Fault> {
    let encoded = codec::encode(composed.meta.clone(), &composed.cut.assets);
    let encoded = encoded.map_err(|e| {
        Fault::new(FaultKind::Data, "the image cannot be written").because(e.to_string())
    })?;
    let folder = splits.join(composed.meta.id.as_str().replace('/', "+"));
    let files = fs::create_dir_all(&folder).and_then(|()| {
        let mut files = encoded.files.iter();
        files.try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
    });
    files.map_err(|e| unusable(&e))?;
    Ok(composed)
}

/// Runs the worker to its end.
async fn predict(
    (answerers, models): (&Answerers, &[Arc<Folder>]),
    folder: &Path,
    command: Result<Command, String>,
) -> Result<Said, Fault> {
    let broken = |reason: String| {
        Fault::new(FaultKind::Internal, "a node's worker gave no answers").because(reason)
    };
    let mut command = command.map_err(broken)?;
    command.current_dir(folder).arg("predict");
    for model in models {
        command.arg("--model").arg(model.path());
    }
    if let Some(margin) = answerers.margin_px {
        command.arg("--margin").arg(margin.to_string());
    }
    // A model that the user named answers for cells of elsewhere, too.
    if !answerers.alone {
        let kin = serde_json::json!({ "donors": answerers.donors });
        let written = tokio::fs::write(folder.join("kin.json"), kin.to_string()).await;
        written.map_err(|e| unusable(&e))?;
        command.args(["--kin", "kin.json"]);
    }
    command.args(["--splits", "splits", "-O", "map.tif"]);
    let ended = tokio::time::timeout(LIMIT, command.output()).await;
    let ended = ended.map_err(|_| broken(format!("it took more than {} s", LIMIT.as_secs())))?;
    let ended = ended.map_err(|e| broken(format!("it does not start: {e}")))?;
    if !ended.status.success() {
        let words = String::from_utf8_lossy(&ended.stderr);
        let told = Fault::read(FaultKind::Data, &words);
        return Err(told.unwrap_or_else(|| broken(format!("it ended with {}", ended.status))));
    }
    serde_json::from_slice(&ended.stdout).map_err(|e| broken(e.to_string()))
}

/// Puts answers in the place of the bands that they were made of; provenance stays.
fn image(
    (composed, mut report): (Composed, CellReport),
    map: &[u8],
    said: Said,
) -> Result<Encoded, Fault> {
    let cell = composed.meta.geocode.to_string();
    let wrong = |reason: String| {
        let what = format!("the answers for {cell} cannot be used");
        Fault::new(FaultKind::Internal, what).because(reason)
    };
    let file = GeoTiff::open(map).map_err(|e| wrong(e.to_string()))?;
    let origins = composed.meta.bands.iter().find(|b| b.name == PROVENANCE);
    let origins = origins.ok_or_else(|| wrong("the image has no provenance".to_owned()))?;
    let resolution_m = origins.resolution_m;
    let grid = Grid::of(&composed.meta.geocode, resolution_m).map_err(|e| wrong(e.to_string()))?;
    if file.size() != (grid.width(), grid.height()) || file.bands() != said.bands.len() {
        return Err(wrong("they lie on another grid".to_owned()));
    }
    let all: Vec<usize> = (0..file.bands()).collect();
    let rasters = file
        .decode(map, &all, 0)
        .map_err(|e| wrong(e.to_string()))?;
    let from = composed.cut.assets.iter().find(|a| a.name == origins.asset);
    let from = from.and_then(|a| a.rasters.get(origins.index as usize));
    let from = from.ok_or_else(|| wrong("the image has no provenance".to_owned()))?;
    let asset = |name: &str, fill, rasters| AssetRaster {
        name: name.to_owned(),
        resolution_m,
        grid: grid.clone(),
        fill,
        rasters,
    };
    let assets = [
        asset(ANSWERS, None, rasters),
        asset(ORIGINS, origins.fill, vec![from.clone()]),
    ];
    let mut bands: Vec<BandMeta> = (0..)
        .zip(&said.bands)
        .map(|(i, name)| band(i, name, resolution_m))
        .collect();
    bands.push(BandMeta {
        asset: ORIGINS.to_owned(),
        index: 0,
        ..origins.clone()
    });
    let meta = SplitMeta {
        bands,
        ..composed.meta
    };
    report.predicted = said.cells.into_iter().next().map(|of| Predicted {
        model: of.model,
        kinship: of.kinship,
        pixels: said.pixels,
        pixels_outside: said.pixels_outside,
        warnings: said.warnings,
    });
    written(meta, &assets, report)
}

/// Describes a band of answers; the last one marks, and is no number to average.
fn band(index: u32, name: &str, resolution_m: f64) -> BandMeta {
    BandMeta {
        name: name.to_owned(),
        common: None,
        centre_nm: None,
        asset: ANSWERS.to_owned(),
        index,
        resolution_m,
        sample: SampleType::F32,
        fill: None,
        scale: 1.0,
        offset: 0.0,
        categorical: name == super::predict::OUTSIDE,
        stats: None,
        classes: None,
        class_names: Vec::new(),
    }
}
