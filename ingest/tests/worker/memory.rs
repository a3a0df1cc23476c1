//! Memory that a scene takes while it is cut, as the kernel counts it.
//!
//! *Invariants*: the test's process cuts and does nothing else of size: scenes are made in another
//! one, and each test has a process of its own (nextest).
//!
//! *Not here*: the limits that the worker sets itself (`ingest::limits`).

use std::process::Command;

use crate::place::{open, products};
use crate::real_products::cut_some;

/// Pixels a side and level of a product, and the peak that may not be passed.
struct Bound {
    size: u32,
    level: &'static str,
    bytes: u64,
}

/// A scene whose pieces fit into memory all at once: some 80 MB of pixels, read ahead, beside the
/// cells in work and GDAL's cache.
const SMALL: Bound = Bound {
    size: 2196,
    level: "2A",
    bytes: 400 << 20,
};

/// A whole tile, all twelve bands and classes: 1.4 GB of pixels.
const SURFACE: Bound = Bound {
    size: 10_980,
    level: "2A",
    bytes: 1 << 30,
};

/// A whole tile of thirteen bands, whose clouds are judged by reflectance.
const TOP_OF_ATMOSPHERE: Bound = Bound {
    level: "1C",
    ..SURFACE
};

/// Returns the most memory that this process has held.
pub(crate) fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|l| l.split_whitespace().next()).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

fn check(bound: &Bound) {
    let folder = tempfile::tempdir().unwrap();
    let size = bound.size.to_string();
    let made = Command::new(env!("CARGO_BIN_EXE_glebe-ingest"))
        .args(["synth", "--seed", "3", "--regions", "1", "--dates", "1"])
        .args(["--size", &size, "--level", bound.level, "-O"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let scene = open(&products(folder.path())[0]);
    let splits = cut_some(&scene, 5, |_| 1).splits.len();
    let (peak, most) = (peak() >> 20, bound.bytes >> 20);
    let level = bound.level;
    eprintln!("{splits} splits of {size} pixels a side, {level}: {peak} MiB of {most}");
    assert!(splits > 0 && peak <= most, "{peak} MiB, at most {most}");
}

#[test]
fn a_small_scene_is_cut_in_bounded_memory() {
    check(&SMALL);
}

/// Checks what takes minutes, at night.
fn nightly(bound: &Bound) {
    if std::env::var_os("GLEBE_NIGHTLY").is_some() {
        check(bound);
    } else {
        eprintln!("SKIPPED: takes minutes; GLEBE_NIGHTLY=1 runs it");
    }
}

#[test]
fn a_whole_tile_is_cut_in_one_gibibyte() {
    nightly(&SURFACE);
}

#[test]
fn a_whole_tile_of_thirteen_bands_is_cut_in_one_gibibyte() {
    nightly(&TOP_OF_ATMOSPHERE);
}
