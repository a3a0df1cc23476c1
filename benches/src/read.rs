//! Reading: stored splits to 32-bit physical values, whole and in random windows, beside rasterio
//! on the same windows of the same files, and beside reading the bytes alone.
//!
//! *Invariants*: both open a file for each window, as a loader of training data does; both give
//! the same values, by their sum; files lie in the page cache.
//!
//! *Not here*: the peer (`peers/read.py`), the network.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use earth::raster::georef::PixelWindow;
use earth::split::codec;
use earth::split::meta::{BandMeta, SplitMeta};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use crate::process::{Bench, output, seconds};
use crate::row::Row;

/// Runs of each, in turn.
const RUNS: usize = 5;
/// Side of the scene in 10 m pixels: some twenty cells of geohash 5.
const SCENE_PX: u32 = 2200;
/// Side of a random window, as in BigEarthNet's smaller relatives.
const WINDOW_PX: u32 = 64;
/// Random windows of a run.
const WINDOWS: u64 = 400;

/// A window of one file, as the peer reads it too.
#[derive(Debug, Clone, Serialize)]
struct Job {
    path: PathBuf,
    bands: Vec<u32>,
    scales: Vec<f64>,
    offsets: Vec<f64>,
    fill: Option<f64>,
    column: u32,
    row: u32,
    width: u32,
    height: u32,
    /// Whether the values are summed, which takes time that is no reading.
    check: bool,
    #[serde(skip)]
    metas: Vec<BandMeta>,
}

/// What the peer says.
#[derive(Debug, Deserialize)]
struct Answer {
    seconds: f64,
    sum: f64,
}

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let whole = splits(bench)?;
    let windows = windows(&whole);
    let mut rows = vec![plain(&whole)?];
    for (what, jobs) in [("whole splits", &whole), ("64 px windows", &windows)] {
        same_values(bench, jobs)?;
        for cores in [1, 2] {
            rows.push(beside_rasterio(bench, (what, jobs), cores)?);
        }
    }
    Ok(rows)
}

/// Ingests a synthetic scene and downloads its splits; returns each file as one window.
fn splits(bench: &Bench) -> Result<Vec<Job>> {
    let world = bench.world(1, 1, SCENE_PX)?;
    seconds(&mut bench.glebe(&["ingest", &world, "--data", "read"]))?;
    let all = [
        "get",
        "--bbox=-180,-90,180,90",
        "-O",
        "files",
        "--data",
        "read",
    ];
    seconds(&mut bench.glebe(&all))?;
    let mut jobs = Vec::new();
    for folder in std::fs::read_dir(bench.scratch.path().join("files"))? {
        for file in std::fs::read_dir(folder?.path())? {
            let path = file?.path();
            let meta = codec::read_meta(&std::fs::read(&path)?)?;
            jobs.extend(job(path, &meta));
        }
    }
    ensure!(!jobs.is_empty(), "no splits to read");
    jobs.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(jobs)
}

/// Returns the whole of a file's measurements as a window; `None` for a file of classes.
fn job(path: PathBuf, meta: &SplitMeta) -> Option<Job> {
    let name = path.file_name()?.to_str()?;
    let asset = meta.assets.iter().find(|a| a.name == name)?;
    let here = |b: &&BandMeta| b.asset == asset.name && !b.categorical;
    let metas: Vec<BandMeta> = meta.bands.iter().filter(here).cloned().collect();
    Some(Job {
        bands: metas.iter().map(|b| b.index).collect(),
        scales: metas.iter().map(|b| b.scale).collect(),
        offsets: metas.iter().map(|b| b.offset).collect(),
        fill: metas.first()?.fill,
        column: 0,
        row: 0,
        width: asset.width,
        height: asset.height,
        check: false,
        metas,
        path,
    })
}

/// Picks random windows of the files at 10 m; the same ones in every run.
fn windows(files: &[Job]) -> Vec<Job> {
    let fits = |j: &&Job| j.width > 2 * WINDOW_PX && j.height > 2 * WINDOW_PX;
    let files: Vec<&Job> = files.iter().filter(fits).collect();
    let mut state = 7_u64;
    let mut random = |below: u32| {
        // Knuth's MMIX generator; its upper bits are good enough to place windows.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((state >> 33) % u64::from(below.max(1))).unwrap_or(0)
    };
    let count = u32::try_from(files.len()).unwrap_or(u32::MAX);
    let mut window = |_| {
        let file = files[random(count) as usize];
        Job {
            column: random(file.width - WINDOW_PX),
            row: random(file.height - WINDOW_PX),
            width: WINDOW_PX,
            height: WINDOW_PX,
            ..file.clone()
        }
    };
    (0..WINDOWS).map(&mut window).collect()
}

/// Reads one window as glebe does; returns the sum of valid values if it is wanted.
fn read(job: &Job) -> Result<f64> {
    let bytes = std::fs::read(&job.path)?;
    let bands: Vec<&BandMeta> = job.metas.iter().collect();
    let window = PixelWindow {
        column: job.column,
        row: job.row,
        width: job.width,
        height: job.height,
    };
    let values = codec::decode_physical(&bytes, &bands, Some(window))?;
    let valid = values.iter().filter(|v| job.check && !v.is_nan());
    Ok(std::hint::black_box(&valid)
        .clone()
        .map(|v| f64::from(*v))
        .sum())
}

/// Reads all jobs on so many cores; returns seconds and the sum.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
fn ours(jobs: &[Job], cores: usize) -> Result<Answer> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build()?;
    pool.install(|| read(&jobs[0]))?;
    let start = Instant::now();
    let sum = pool.install(|| jobs.par_iter().map(read).sum::<Result<f64>>())?;
    Ok(Answer {
        seconds: start.elapsed().as_secs_f64(),
        sum,
    })
}

fn peer(bench: &Bench, jobs: &[Job], cores: usize) -> Result<Answer> {
    let list = bench.scratch.path().join("jobs.json");
    std::fs::write(&list, serde_json::to_vec(jobs)?)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("../.deps/python/bin/python"));
    command.arg(root.join("peers/read.py")).arg(&list);
    let said = output(command.arg(cores.to_string()))?;
    serde_json::from_str(&said).context("the peer said no figures: cargo xtask setup")
}

/// Makes sure that both read the same.
fn same_values(bench: &Bench, jobs: &[Job]) -> Result<()> {
    let some: Vec<Job> = jobs
        .iter()
        .map(|j| Job {
            check: true,
            ..j.clone()
        })
        .collect();
    let (ours, peer) = (ours(&some, 1)?.sum, peer(bench, &some, 1)?.sum);
    let apart = (ours - peer).abs() / peer.abs();
    ensure!(apart < 1e-5, "ours {ours} and the peer's {peer} differ");
    Ok(())
}

fn megapixels(jobs: &[Job]) -> f64 {
    let pixels = |j: &Job| f64::from(j.width) * f64::from(j.height) * j.bands.len() as f64;
    jobs.iter().map(pixels).sum::<f64>() / 1e6
}

fn beside_rasterio(bench: &Bench, (what, jobs): (&str, &[Job]), cores: usize) -> Result<Row> {
    let megapixels = megapixels(jobs);
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        own.push(megapixels / ours(jobs, cores)?.seconds);
        other.push(megapixels / peer(bench, jobs, cores)?.seconds);
    }
    let what = format!(
        "{what} to f32, {cores} core{}",
        if cores == 1 { "" } else { "s" }
    );
    Ok(Row::new(&what, "Mpx/s", own).beside("rasterio", other))
}

/// Reads the bytes of all files and does nothing with them.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
fn plain(jobs: &[Job]) -> Result<Row> {
    let mut values = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut bytes = 0;
        for job in jobs {
            bytes += std::hint::black_box(std::fs::read(&job.path)?).len();
        }
        let seconds = start.elapsed().as_secs_f64();
        // What the pixels would take as 32-bit values in the same time.
        let stored = bytes as f64 / (megapixels(jobs) * 1e6);
        values.push(bytes as f64 / 1e6 / seconds / stored);
    }
    Ok(Row::new(
        "the same files, bytes alone, 1 core",
        "Mpx/s",
        values,
    ))
}
