//! The scenes of the ingest benchmark, the cells that glebe cuts from each, and the peers' plan.
//!
//! *Invariants*: the cells are those of a glebe ingest of the same files, which is not timed.
//!
//! *Not here*: timing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use serde::Serialize;

use super::JOBS;
use crate::process::{Bench, output, seconds};

/// Side of the Sentinel-2 scene in 10 m pixels; `GLEBE_BENCH_FULL=1` takes a whole tile, 10,980.
const SENTINEL2_PX: u32 = 4392;
/// A whole tile.
const SENTINEL2_PX_FULL: u32 = 10_980;

/// GeoTIFF cases: scene, side in pixels, precision.
///
/// Precisions keep cells at a few hundred pixels a side or more, as 5 does for Sentinel-2.
const GEOTIFFS: &[(Scene, u32, u8)] = &[
    (Scene::Tiff("landsat", 30.0), 4000, 4),
    (Scene::Tiff("naip", 1.0), 6000, 5),
    (Scene::Tiff("modis", 500.0), 2400, 3),
];

/// What a scene looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scene {
    /// A synthetic Level-2A product.
    Sentinel2,
    /// A GeoTIFF with the looks of a sensor, and its nominal resolution in metres.
    Tiff(&'static str, f64),
}

/// ZSTD level and tile side of both sides (`earth::geotiff`).
const LEVEL: u32 = 3;
const TILE: u32 = 512;

/// One scene, ready to be ingested by both.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What glebe is given, relative to the scratch folder.
    pub(crate) path: String,
    pub(crate) flags: Vec<String>,
    pub(crate) jpeg2000: bool,
    pub(crate) cells: usize,
    /// Pixels of all bands, each at the resolution it is stored.
    pub(crate) megapixels: f64,
    /// Stored bytes / delivered bytes.
    pub(crate) amplification: f64,
    /// The peers' plan.
    pub(crate) plan: PathBuf,
}

/// Bands of one resolution.
#[derive(Debug, Serialize)]
struct Group {
    name: String,
    resampling: &'static str,
    fill: Option<f64>,
    crs: &'static str,
    bands: Vec<Band>,
    cells: Vec<Cell>,
    #[serde(skip)]
    resolution_m: f64,
}

#[derive(Debug, Serialize)]
struct Band {
    path: PathBuf,
    index: usize,
}

#[derive(Debug, Serialize)]
struct Cell {
    geocode: String,
    transform: [f64; 6],
    width: u32,
    height: u32,
}

impl Case {
    pub(crate) fn all(bench: &Bench) -> Result<Vec<Self>> {
        let full = std::env::var_os("GLEBE_BENCH_FULL").is_some();
        let size = if full {
            SENTINEL2_PX_FULL
        } else {
            SENTINEL2_PX
        };
        let mut cases = vec![Self::of(bench, Scene::Sentinel2, (size, 5))?];
        for (scene, size, precision) in GEOTIFFS {
            cases.push(Self::of(bench, *scene, (*size, *precision))?);
        }
        Ok(cases)
    }

    /// Makes a scene of a size in pixels, to be cut at a precision.
    pub(crate) fn of(bench: &Bench, scene: Scene, (size, precision): (u32, u8)) -> Result<Self> {
        let (path, groups, look) = match scene {
            Scene::Sentinel2 => {
                let world = bench.world(1, 1, size)?;
                let groups = sentinel2_groups(&bench.scratch.path().join(&world))?;
                (world, groups, "Sentinel-2 L2A JP2".to_owned())
            }
            Scene::Tiff(look, metres) => {
                let file = tiff(bench, look, size)?;
                let group = tiff_group(&bench.scratch.path().join(&file), look, metres)?;
                (file, vec![group], format!("{look}-like GeoTIFF"))
            }
        };
        let name = format!("{look}, {size} px, geohash {precision}");
        Self::new(bench, (name, path), (groups, precision))
    }

    /// Ingests once to learn the cells, and writes the peers' plan.
    fn new(
        bench: &Bench,
        (name, path): (String, String),
        (mut groups, precision): (Vec<Group>, u8),
    ) -> Result<Self> {
        let flags = vec!["--precision".to_owned(), precision.to_string()];
        let mut command = bench.glebe(&["ingest", &path, "--data", "cells", "-o", "ndjson"]);
        let lines = output(command.args(&flags))?;
        let (mut cells, mut stored) = (Vec::new(), 0.0);
        for line in lines.lines() {
            let split: serde_json::Value = serde_json::from_str(line)?;
            let geocode = split["geocode"].as_str().context("no geocode")?;
            cells.push(Geocode::parse(Scheme::Geohash, geocode)?);
            stored += split["bytes"].as_f64().context("no bytes")?;
        }
        std::fs::remove_dir_all(bench.scratch.path().join("cells"))?;
        let (mut megapixels, mut delivered) = (0.0, BTreeMap::new());
        for group in &mut groups {
            group.cells = cells.iter().map(|c| group.cell(c)).collect::<Result<_>>()?;
            for band in &group.bands {
                let size = &info(&band.path)?["size"];
                let side = |i: usize| size[i].as_f64().context("no size");
                megapixels += side(0)? * side(1)? / 1e6;
                delivered.insert(band.path.clone(), std::fs::metadata(&band.path)?.len());
            }
        }
        let plan = bench.scratch.path().join("plan.json");
        let plan = plan.with_file_name(format!("plan-{}.json", path.replace('/', "-")));
        let text = serde_json::json!({
            "processes": JOBS, "level": LEVEL, "tile": TILE,
            "out": bench.scratch.path().join("peer"), "groups": groups,
        });
        std::fs::write(&plan, serde_json::to_vec(&text)?)?;
        Ok(Self {
            name,
            path: path.clone(),
            flags,
            jpeg2000: Path::new(&path).extension().is_none(),
            cells: cells.len(),
            megapixels,
            amplification: stored / delivered.values().sum::<u64>() as f64,
            plan,
        })
    }
}

impl Group {
    fn cell(&self, geocode: &Geocode) -> Result<Cell> {
        let grid = Grid::of(geocode, self.resolution_m)?;
        Ok(Cell {
            geocode: geocode.to_string(),
            transform: grid.transform().to_gdal(),
            width: grid.width(),
            height: grid.height(),
        })
    }
}

/// Makes a synthetic GeoTIFF and returns its name in the scratch folder.
fn tiff(bench: &Bench, look: &str, size: u32) -> Result<String> {
    let file = format!("{look}-{size}.tif");
    let path = bench.scratch.path().join(&file);
    if !path.exists() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/scenes.py");
        let mut command = bench.python();
        command
            .arg(script)
            .arg(look)
            .arg(size.to_string())
            .arg(&path);
        seconds(&mut command)?;
    }
    Ok(file)
}

/// Returns the one group of a GeoTIFF.
fn tiff_group(path: &Path, look: &str, metres: f64) -> Result<Group> {
    let info = info(path)?;
    let count = info["bands"].as_array().map_or(0, Vec::len);
    let band = |index| Band {
        path: path.to_owned(),
        index,
    };
    Ok(Group {
        name: format!("r{metres}.tif"),
        resampling: if look == "nlcd" {
            "nearest"
        } else {
            "bilinear"
        },
        fill: info["bands"][0]["noDataValue"].as_f64(),
        crs: "EPSG:4326",
        bands: (1..=count).map(band).collect(),
        cells: Vec::new(),
        resolution_m: metres,
    })
}

/// Returns the groups of a Sentinel-2 product: each band at its finest resolution.
fn sentinel2_groups(world: &Path) -> Result<Vec<Group>> {
    let mut groups: BTreeMap<(u32, bool), Vec<Band>> = BTreeMap::new();
    for (name, (metres, path)) in finest_bands(world)? {
        let classes = name.ends_with("SCL");
        let bands = groups.entry((metres, classes)).or_default();
        bands.push(Band { path, index: 1 });
    }
    let group = |((metres, classes), bands): ((u32, bool), Vec<Band>)| Group {
        name: format!("r{metres}{}.tif", if classes { "-classes" } else { "" }),
        resampling: if classes { "nearest" } else { "bilinear" },
        fill: Some(0.0),
        crs: "EPSG:4326",
        bands,
        cells: Vec::new(),
        resolution_m: f64::from(metres),
    };
    Ok(groups.into_iter().map(group).collect())
}

/// Returns each band's file at its finest resolution, by the name without it.
fn finest_bands(world: &Path) -> Result<BTreeMap<String, (u32, PathBuf)>> {
    let mut open = vec![world.to_path_buf()];
    let mut best: BTreeMap<String, (u32, PathBuf)> = BTreeMap::new();
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let ends = [("_10m.jp2", 10), ("_20m.jp2", 20), ("_60m.jp2", 60)];
            let end = ends.iter().find(|(end, _)| name.ends_with(end));
            if path.is_dir() {
                open.push(path);
            } else if let Some((end, metres)) = end.filter(|_| !name.contains("CLDPRB")) {
                let band = name.trim_end_matches(end).to_owned();
                let known = best.get(&band).map_or(u32::MAX, |(m, _)| *m);
                if *metres < known {
                    best.insert(band, (*metres, path));
                }
            }
        }
    }
    Ok(best)
}

fn info(file: &Path) -> Result<serde_json::Value> {
    let text = output(Command::new("gdalinfo").arg("-json").arg(file))?;
    Ok(serde_json::from_str(&text)?)
}
