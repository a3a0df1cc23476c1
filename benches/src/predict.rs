//! Prediction: pixels a second of a run's models over a scene, the whole command, with and without
//! blended borders, and what the worker held.
//!
//! *Invariants*: seconds are of `glebe predict` from the scene's files to the written map.
//!
//! *Not here*: errors along borders and what is marked (trainer's tests).

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::{Bench, seconds, timed};
use crate::row::Row;

/// Runs of each, in turn.
const RUNS: usize = 3;
/// Side of the scene in 10 m pixels: nine cells of geohash 5, or parts of them.
const SCENE_PX: u32 = 1_100;
/// Recipes, with the epochs that they are trained for: answers cost the same however good.
const RECIPES: [(&str, &str); 2] = [("ndvi-cnn", "4"), ("ndmi-unet", "1")];
/// Margins in pixels: none, and the default of chips of 32 pixels.
const MARGINS: [&str; 2] = ["0", "32"];
const DATA: &str = "predict-data";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let world = bench.world(1, 2, SCENE_PX)?;
    seconds(&mut bench.glebe(&["ingest", &world, "--data", DATA]))?;
    let scene = scene(&bench.scratch.path().join(&world))?;
    let mut rows = Vec::new();
    for (recipe, epochs) in RECIPES {
        let train = ["train", recipe, "--name", recipe, "--epochs", epochs];
        seconds(bench.glebe(&train).args(["--data", DATA]))?;
        for margin in MARGINS {
            rows.extend(measured(bench, recipe, (margin, &scene))?);
        }
    }
    Ok(rows)
}

/// Returns the first scene of a world.
fn scene(world: &Path) -> Result<String> {
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(world)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "SAFE") {
            found.push(path.display().to_string());
        }
    }
    found.sort();
    found.into_iter().next().context("the world has no scene")
}

/// Measures one recipe with one margin.
fn measured(bench: &Bench, recipe: &str, (margin, scene): (&str, &str)) -> Result<[Row; 2]> {
    let (mut rates, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let predict = ["predict", recipe, scene, "--margin", margin, "--data", DATA];
        let written = ["-O", "map.tif", "--overwrite", "-o", "json"];
        let (said, taken) = timed(bench.glebe(&predict).args(written))?;
        let said: Value = serde_json::from_str(&said)?;
        let pixels = said["pixels"].as_f64().context("no pixels")?;
        ensure!(pixels > 0.0, "nothing was answered: {said}");
        rates.push(pixels / 1e6 / taken);
        let peak = said["peak_bytes"].as_f64().context("no peak")?;
        peaks.push(peak / f64::from(1 << 20));
    }
    let what = format!("{recipe}, whole command, borders blended over {margin} pixels");
    let held = format!("{recipe}, {margin} pixels: held by the worker");
    Ok([
        Row::new(&what, "Mpx/s", rates),
        Row::new(&held, "MiB", peaks),
    ])
}
