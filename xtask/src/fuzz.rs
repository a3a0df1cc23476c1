//! `cargo xtask fuzz [TARGET] [--seconds N]`: feeds readers of foreign bytes what nobody sent yet.
//!
//! libFuzzer runs on the stable compiler: coverage counters are a pass that it already has. Memory
//! errors are not looked for: the readers hold no unsafe code; panics, overflows, endless loops and
//! greed are.
//!
//! *Invariants*: targets and seeds are found, not listed; what a run learnt is kept in
//! `target/fuzz/corpus` for the next; a target that breaks stops no other; the input that broke it
//! is named.
//!
//! *Not here*: the targets (`fuzz/targets`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{self, cargo, command};
use crate::say;
use crate::setup::{self, Depth};
use crate::trouble::{Result, Trouble};
use crate::workspace::Workspace;

/// Seconds a target runs if nothing is said.
pub(crate) const SECONDS: u32 = 600;

/// What makes the compiler count edges and comparisons for libFuzzer.
const COVERAGE: [&str; 7] = [
    "--cfg=fuzzing",
    "-Ccodegen-units=1",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Longest an input may take and most memory a target may use: the readers' own limits lie below.
const LIMITS: [&str; 2] = ["-timeout=20", "-rss_limit_mb=3072"];

/// Greatest seed: libFuzzer mutates short inputs far faster.
const SEED_BYTES_MAX: u64 = 64 << 10;

/// Greatest number of seeds a target takes from real files.
const SEEDS_MAX: usize = 200;

/// Runs one target, or all of them.
pub(crate) fn run(workspace: &Workspace, only: Option<&str>, seconds: u32) -> Result<()> {
    setup::for_building(workspace, Depth::Quick)?;
    let targets = targets(workspace)?;
    let chosen: Vec<&String> = targets
        .iter()
        .filter(|t| only.is_none_or(|o| o == t.as_str()))
        .collect();
    if chosen.is_empty() {
        return Err(Trouble::new(
            format!("there is no fuzz target '{}'", only.unwrap_or_default()),
            format!("there are {}", targets.join(", ")),
            "cargo xtask fuzz",
        ));
    }
    let top = workspace.root().join("target/fuzz");
    let mut build = cargo(workspace, &["build", "--manifest-path", "fuzz/Cargo.toml"]);
    build
        .args(["--locked", "--target", HOST, "--target-dir"])
        .arg(&top)
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
    command::run(
        &mut build,
        "building the fuzz targets",
        "mend what the compiler says",
    )?;
    let real = real_files(workspace);
    let run = |target: &&String| one(workspace, &top, (target, seconds), &real);
    let broken: Vec<Trouble> = chosen.iter().filter_map(|t| run(t).err()).collect();
    let last = broken.len().saturating_sub(1);
    for (number, trouble) in broken.into_iter().enumerate() {
        if number == last {
            return Err(trouble);
        }
        say::note(trouble);
    }
    Ok(())
}

/// Naming the target keeps the flags away from build scripts.
const HOST: &str = "x86_64-unknown-linux-gnu";

fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root().join("fuzz/targets");
    let mut names: Vec<String> = listed(&folder)?
        .iter()
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| unusable(folder, &e))?;
    Ok(entries.filter_map(|e| Some(e.ok()?.path())).collect())
}

fn unusable(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::new(
        format!("{} cannot be used", path.display()),
        error.to_string(),
        "check its permissions and the free space",
    )
}

/// Runs one target for its time.
fn one(
    workspace: &Workspace,
    top: &Path,
    (target, seconds): (&str, u32),
    real: &BTreeMap<String, Vec<PathBuf>>,
) -> Result<()> {
    let corpus = top.join("corpus").join(target);
    let found = top.join("found").join(target);
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder).map_err(|e| unusable(folder, &e))?;
    }
    let own = own_seeds(workspace, target);
    let seeds = own.iter().chain(real_seeds(target, real));
    for (number, seed) in seeds.enumerate() {
        let copy = corpus.join(format!("seed{number}"));
        fs::copy(seed, &copy).map_err(|e| unusable(&copy, &e))?;
    }
    say::note(format!("fuzzing {target} for {seconds} s"));
    let mut fuzz = command(workspace, top.join(HOST).join("debug").join(target));
    fuzz.arg(&corpus)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args(LIMITS)
        .args(["-print_final_stats=1", "-verbosity=0"]);
    let what = format!("fuzzing {target}");
    let remedy = format!("the input lies in {}; mend the reader", found.display());
    command::run(&mut fuzz, &what, &remedy)
}

/// Files of the repository that start a target off: small ones of its own, and those that tests
/// hold as golden.
fn own_seeds(workspace: &Workspace, target: &str) -> Vec<PathBuf> {
    let (folder, begins) = match target {
        "geotiff" | "split_file" => ("earth/tests/golden", "split-"),
        "lines" => ("wire/tests/golden", "search-line"),
        "bundle" => ("wire/tests/golden", "run.bundle"),
        _ => ("fuzz/seeds", "?"),
    };
    let golden = listed(&workspace.root().join(folder)).unwrap_or_default();
    let own = listed(&workspace.root().join("fuzz/seeds").join(target)).unwrap_or_default();
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str());
        name.is_some_and(|n| n.starts_with(begins))
    };
    let mut found: Vec<_> = golden.into_iter().filter(named).chain(own).collect();
    found.sort();
    found
}

/// Which real files start a target off.
fn real_seeds<'a>(
    target: &str,
    real: &'a BTreeMap<String, Vec<PathBuf>>,
) -> impl Iterator<Item = &'a PathBuf> {
    let kinds: &[&str] = match target {
        "archive" => &["zip"],
        "geotiff" | "split_file" => &["tif"],
        "mtl" => &["txt", "json", "xml"],
        "stac_item" | "sidecar" => &["json"],
        "netcdf" => &["nc"],
        name if name.ends_with("xml") || name == "xml_leaves" => &["xml"],
        _ => &[],
    };
    let found = kinds.iter().filter_map(|kind| real.get(*kind)).flatten();
    found.take(SEEDS_MAX)
}

/// Small real files by their extension, where there is real imagery.
fn real_files(workspace: &Workspace) -> BTreeMap<String, Vec<PathBuf>> {
    let beside = workspace.root().join("../shared/data");
    let data = std::env::var_os("GLEBE_REAL_DATA").map_or(beside, PathBuf::from);
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut waiting = vec![data];
    while let Some(path) = waiting.pop() {
        if let Ok(entries) = fs::read_dir(&path) {
            waiting.extend(entries.filter_map(|e| Some(e.ok()?.path())));
            continue;
        }
        let small = fs::metadata(&path).is_ok_and(|m| m.len() <= SEED_BYTES_MAX);
        let kind = path.extension().and_then(|e| e.to_str());
        if let Some(kind) = kind.filter(|_| small) {
            found.entry(kind.to_lowercase()).or_default().push(path);
        }
    }
    for files in found.values_mut() {
        files.sort();
    }
    found
}
