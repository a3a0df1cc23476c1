//! Texture: 18 GLCM values an image, beside scikit-image on the same bytes and one core.
//!
//! *Invariants*: rounds take turns; times are the processor's, which other work on the machine does
//! not stretch; the peer's imports and reading are not counted; values that differ by more than
//! `TOLERANCE` fail the benchmark.
//!
//! *Not here*: how grey levels come from bands (`earth::split::measure`).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use earth::raster::pixel::Pixel as _;
use earth::raster::texture::{Grey, texture};

use crate::process::{Bench, output};
use crate::row::Row;

/// Rounds, each of them once ours and once the peer.
const ROUNDS: usize = 5;
/// Ours is so much quicker that it is timed over so many repetitions.
const REPEATS: u32 = 100;
/// Greatest difference, relative to 1 + the value.
const TOLERANCE: f64 = 1e-6;
/// Geohash-5 cells in the middle latitudes, about: Landsat at 30 m, Sentinel-2 at 10 m.
const SIDES_PX: [usize; 2] = [163, 490];

/// What the peer prints of one image.
#[derive(Debug, serde::Deserialize)]
struct Told {
    seconds: f64,
    values: Vec<f64>,
}

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for side in SIDES_PX {
        for (name, knot, grain) in [("land", 64, 9), ("flat land", 16, 3), ("noise", 1, 256)] {
            let what = format!("texture, {name}, {side} x {side}");
            rows.push(beside_the_peer(
                bench,
                &what,
                (side, &land(side, knot, grain)),
            )?);
        }
    }
    Ok(rows)
}

fn beside_the_peer(bench: &Bench, what: &str, (side, pixels): (usize, &[u8])) -> Result<Row> {
    let file = bench.scratch.path().join("grey.raw");
    std::fs::write(&file, pixels)?;
    let grey = Grey::new(side, pixels.iter().copied().map(Some));
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (seconds, values) = timed(&grey)?;
        let told = ask(&file, side)?;
        for (a, b) in values.iter().zip(&told.values) {
            let near = (a - b).abs() <= TOLERANCE * (1.0 + b.abs());
            ensure!(near, "{what}: {a} is not {b}");
        }
        ours.push(1.0 / seconds);
        peer.push(1.0 / told.seconds);
    }
    Ok(Row::new(what, "images/s", ours).beside("scikit-image, 1 core", peer))
}

fn timed(grey: &Grey) -> Result<(f64, Vec<f64>)> {
    let start = processor_seconds()?;
    let mut values = None;
    for _ in 0..REPEATS {
        values = texture(std::hint::black_box(grey));
    }
    let seconds = (processor_seconds()? - start) / f64::from(REPEATS);
    Ok((seconds, values.context("no pairs")?.to_vec()))
}

/// Returns the time that this thread had a processor.
fn processor_seconds() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().context("no processor time")?;
    Ok(nanoseconds.parse::<f64>()? / 1e9)
}

fn ask(file: &Path, side: usize) -> Result<Told> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(root.join("../.deps/python/bin/python"));
    python
        .arg(root.join("peers/texture.py"))
        .arg(side.to_string())
        .arg(file)
        .env("OMP_NUM_THREADS", "1");
    Ok(serde_json::from_str(&output(&mut python)?)?)
}

/// A landscape of bytes: value noise of some pixels a knot around levels of visible reflectance,
/// and grain of so many levels.
fn land(side: usize, knot: usize, grain: u32) -> Vec<u8> {
    let mut state = 2_463_534_242_u32;
    let mut random = move |below: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) % below
    };
    let knots = side / knot + 2;
    let heights: Vec<f64> = (0..knots * knots).map(|_| f64::from(random(70))).collect();
    let mut pixels = Vec::with_capacity(side * side);
    for row in 0..side {
        for column in 0..side {
            let (x, y) = (column as f64 / knot as f64, row as f64 / knot as f64);
            let (left, up) = (column / knot, row / knot);
            let (across, down) = (x.fract(), y.fract());
            let at = |r: usize, c: usize| heights[r * knots + c];
            let upper = at(up, left) * (1.0 - across) + at(up, left + 1) * across;
            let lower = at(up + 1, left) * (1.0 - across) + at(up + 1, left + 1) * across;
            let ground = 20.0 + upper * (1.0 - down) + lower * down;
            let level = u32::from(u8::nearest(ground)) + random(grain);
            pixels.push(u8::try_from(level % 256).unwrap_or(u8::MAX));
        }
    }
    pixels
}
