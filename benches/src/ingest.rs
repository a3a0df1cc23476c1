//! Ingest: from Sentinel-2 JPEG 2000 to acknowledged splits, beside decoding the same files once.
//!
//! *Invariants*: pixels are the source's, each band once at the resolution it is stored.
//!
//! *Not here*: peers that also cut (a later benchmark).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{Bench, output, seconds};
use crate::row::Row;

/// Runs of each, in turn.
const RUNS: usize = 5;
/// Side of the scene in 10 m pixels.
const SCENE_PX: u32 = 2200;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let world = bench.world(1, 1, SCENE_PX)?;
    let files = decoded_once(&bench.scratch.path().join(&world))?;
    let megapixels: f64 = files.iter().map(|f| megapixels(f)).sum::<Result<f64>>()?;
    let (mut ours, mut decode) = (Vec::new(), Vec::new());
    for i in 0..RUNS {
        let data = format!("ingest{i}");
        let taken = seconds(&mut bench.glebe(&["ingest", &world, "--data", &data]))?;
        ours.push(megapixels / taken);
        let mut peer = 0.0;
        for file in &files {
            peer += seconds(Command::new("gdalinfo").arg("-checksum").arg(file))?;
        }
        decode.push(megapixels / peer);
    }
    let name = "gdalinfo -checksum, one process a file";
    Ok(vec![
        Row::new("ingest, geohash 5, embedded", "Mpx/s", ours).beside(name, decode),
    ])
}

/// Returns each band's file at its finest resolution.
fn decoded_once(world: &Path) -> Result<Vec<PathBuf>> {
    let mut open = vec![world.to_path_buf()];
    let mut best = std::collections::BTreeMap::new();
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let resolution = [("_10m.jp2", 10), ("_20m.jp2", 20), ("_60m.jp2", 60)];
            let end = resolution.iter().find(|(end, _)| name.ends_with(end));
            if path.is_dir() {
                open.push(path);
            } else if let Some((end, metres)) = end {
                let band = name.trim_end_matches(end).to_owned();
                let entry = best.entry(band).or_insert((*metres, path.clone()));
                if *metres < entry.0 {
                    *entry = (*metres, path);
                }
            }
        }
    }
    Ok(best.into_values().map(|(_, path)| path).collect())
}

fn megapixels(file: &Path) -> Result<f64> {
    let text = output(Command::new("gdalinfo").arg("-json").arg(file))?;
    let info: serde_json::Value = serde_json::from_str(&text)?;
    let side = |i: usize| info["size"][i].as_f64().context("no size");
    Ok(side(0)? * side(1)? / 1e6)
}
