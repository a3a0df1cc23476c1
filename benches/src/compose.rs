//! Composing: the median of twelve dates of one cell, beside odc-stac, and beside rasterio and
//! xarray alone, on the same files.
//!
//! *Invariants*: ours is a whole command, from opening the store to a written file; the peer's
//! imports and start-up are not counted; both read the same twelve files.
//!
//! *Not here*: whether the pixels are right (earth's tests).

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::{Bench, output, seconds};
use crate::row::Row;

/// Runs of each, in turn.
const RUNS: usize = 5;
/// Dates of the cell.
const DATES: u32 = 12;
/// Side of the scenes in 10 m pixels: a geohash-5 cell fits in.
const SCENE_PX: u32 = 1_100;
/// Bands of 10 m that are composed.
const BANDS: &str = "blue,green,red,nir";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let world = bench.world(1, DATES, SCENE_PX)?;
    let data = "compose-data";
    seconds(&mut bench.glebe(&["ingest", &world, "--data", data]))?;
    let (cell, megapixels) = fullest(bench, data)?;
    let files = files(bench, data, &cell)?;
    let mut peer = Peer::start(bench, &files)?;
    let (mut ours, mut bare, mut odc) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let asked = ["compose", "--data", data, "--geocode", &cell, "--exact"];
        let how = ["--rule", "median", "--bands", BANDS, "--min-coverage", "0"];
        let mut command = bench.glebe(&asked);
        command.args(how).args(["-O", "median.tif", "--overwrite"]);
        ours.push(megapixels / seconds(&mut command)?);
        let best = peer.seconds("numpy")?.min(peer.seconds("dask")?);
        bare.push(megapixels / best);
        odc.push(megapixels / peer.seconds("odc")?);
    }
    let what = format!("median of {DATES} dates, whole command");
    let row = || Row::new(&what, "Mpx/s", ours.clone());
    let name = "rasterio + xarray, the faster of numpy and dask, imports not counted";
    Ok(vec![
        row().beside("odc-stac + xarray, imports not counted", odc),
        row().beside(name, bare),
    ])
}

/// Returns the cell with most dates, then pixels, and the megapixels that are read of it.
fn fullest(bench: &Bench, data: &str) -> Result<(String, f64)> {
    let search = [
        "search",
        "--data",
        data,
        "-o",
        "ndjson",
        "--sort",
        "-coverage",
    ];
    let text = output(&mut bench.glebe(&search))?;
    let hits: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let dates = |cell: &str| hits.iter().filter(|h| h["geocode"] == cell).count();
    let whole = |h: &&Value| {
        let cell = h["geocode"].as_str().unwrap_or_default();
        dates(cell) == DATES as usize
    };
    let hit = hits.iter().find(whole).context("no cell has all dates")?;
    let asset = &hit["assets"]["r10.tif"];
    let side = |name: &str| asset[name].as_f64().context("no size");
    let pixels = side("width")? * side("height")? * f64::from(DATES) * 4.0;
    let cell = hit["geocode"].as_str().context("no geocode")?;
    Ok((cell.to_owned(), pixels / 1e6))
}

/// Returns the file of 10 m bands of each date.
fn files(bench: &Bench, data: &str, cell: &str) -> Result<Vec<PathBuf>> {
    let get = [
        "get",
        "--data",
        data,
        "--geocode",
        cell,
        "--exact",
        "-O",
        "got",
    ];
    seconds(&mut bench.glebe(&get))?;
    let folders = std::fs::read_dir(bench.scratch.path().join("got"))?;
    let file = |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.path().join("r10.tif"));
    let mut files: Vec<PathBuf> = folders.map(file).collect::<Result<_>>()?;
    files.sort();
    ensure!(files.len() == DATES as usize, "{} files", files.len());
    Ok(files)
}

/// The peer's process, which waits for the word to begin.
struct Peer {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Peer {
    fn start(bench: &Bench, files: &[PathBuf]) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(root.join("../.deps/python/bin/python"));
        command.arg(root.join("peers/compose.py"));
        command
            .arg(bench.scratch.path().join("peer.tif"))
            .args(files);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("no Python: cargo xtask setup")?;
        let out = child.stdout.take().context("no stdout")?;
        Ok(Self {
            child,
            lines: BufReader::new(out).lines(),
        })
    }

    /// Has one run made.
    fn seconds(&mut self, way: &str) -> Result<f64> {
        let input = self.child.stdin.as_mut().context("no stdin")?;
        writeln!(input, "{way}")?;
        let line = self.lines.next().context("the peer failed")??;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}
