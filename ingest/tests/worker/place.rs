//! Where tests find imagery and how they start the worker.
//!
//! *Invariants*: none of these writes into the imagery's folder.
//!
//! *Not here*: assertions.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ingest::source::{self, Given, Scene};
use ingest::synth::world::{Baseline, Level, Request};
use ingest::{limits, synth};

/// Returns a file or folder of the real imagery; says loudly that the test is skipped without it.
pub(crate) fn real(path: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("GLEBE_REAL_DATA").map_or_else(beside, PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("SKIPPED: real imagery {} is absent", found.display());
    None
}

/// Returns the folder of the real full-size product.
pub(crate) fn t29unu() -> Option<PathBuf> {
    real("s2_safe/S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE")
}

/// Makes a small world.
pub(crate) fn world(out: &Path, (regions, dates): (u32, u32), baseline: Baseline) {
    world_at(out, (regions, dates), (baseline, Level::L2A));
}

/// Makes a small world of a level.
pub(crate) fn world_at(
    out: &Path,
    (regions, dates): (u32, u32),
    (baseline, level): (Baseline, Level),
) {
    limits::set_gdal().unwrap();
    let request = Request {
        seed: 11,
        regions,
        kinds: None,
        dates,
        size: 300,
        baseline,
        level,
    };
    synth::run(&request, out, &mut |_| {}).unwrap();
}

/// Returns the product folders below a folder, sorted.
pub(crate) fn products(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "SAFE"))
        .collect();
    found.sort();
    found
}

/// Opens a scene that says everything itself.
pub(crate) fn open(path: &Path) -> Scene {
    limits::set_gdal().unwrap();
    source::open(path, &Given::default()).unwrap()
}

/// Runs the worker to its end.
pub(crate) fn worker<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glebe-ingest"))
        .args(args)
        .output()
        .unwrap()
}

/// Runs the supervisor to its end.
pub(crate) fn supervise<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glebe-supervise"))
        .args(args)
        .output()
        .unwrap()
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            // Bytes only: the source may be read-only, and the copy is changed.
            std::fs::write(&target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Packs a folder into a zip archive, under its own name.
pub(crate) fn pack(folder: &Path, to: &Path) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(to).unwrap());
    let root = folder.parent().unwrap();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        add(&mut zip, name, &std::fs::read(&path).unwrap());
    }
    zip.finish().unwrap();
}

/// Packs single files into a zip archive, under their own names.
pub(crate) fn pack_files(to: &Path, files: &[PathBuf]) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(to).unwrap());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        add(&mut zip, name, &std::fs::read(file).unwrap());
    }
    zip.finish().unwrap();
}

/// Adds a file to an archive.
pub(crate) fn add(zip: &mut zip::ZipWriter<std::fs::File>, name: &str, bytes: &[u8]) {
    use std::io::Write;
    zip.start_file(name, zip::write::SimpleFileOptions::default())
        .unwrap();
    zip.write_all(bytes).unwrap();
}
