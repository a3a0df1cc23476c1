//! Ingesting into a node: what is told, what is kept, and what an interruption leaves.
//!
//! *Invariants*: the worker is the real process; the node keeps what a node keeps.
//!
//! *Not here*: real nodes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use ingest::synth::world::Baseline;
use serde_json::Value;
use wire::bundle::Kind;
use wire::event::Event;
use wire::ledger::{Ledger, Outcome};

use crate::place::{products, supervise, world};
use crate::shelf::Shelf;

fn run(shelf: &Shelf, paths: &[&Path], flags: &[&str]) -> Output {
    let mut args = vec!["--node", &shelf.http];
    args.extend(flags);
    args.extend(paths.iter().map(|p| p.to_str().unwrap()));
    supervise(&args)
}

fn events(output: &Output) -> Vec<Event> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn splits(events: &[Event]) -> Vec<String> {
    let id = |e: &Event| match e {
        Event::Split(split) => Some(split.id.clone()),
        _ => None,
    };
    events.iter().filter_map(id).collect()
}

fn code(output: &Output) -> Option<i32> {
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.code()
}

/// A world of one region and two dates.
fn two_scenes() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    world(folder.path(), (1, 2), Baseline::N0400);
    folder
}

#[test]
fn every_split_is_told_once_it_is_kept_and_a_ledger_ends_the_scene() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    let output = run(&shelf, &[folder.path()], &[]);
    assert_eq!(code(&output), Some(0));
    let events = events(&output);
    assert!(
        matches!(
            events[0],
            Event::Begin {
                scenes: 2,
                dry_run: false
            }
        ),
        "{:?}",
        events[0]
    );
    let listing = shelf.listing();
    let held: Vec<_> = listing
        .iter()
        .filter(|l| l.0 == Kind::Split)
        .map(|l| &l.1)
        .collect();
    let mut told = splits(&events);
    told.sort();
    assert!(!told.is_empty());
    assert!(told.iter().eq(held));
    let ledgers: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            Event::SceneDone { ledger, .. } => Some(ledger.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(ledgers.len(), 2);
    assert_eq!(
        ledgers.iter().map(|l| l.splits).sum::<u64>(),
        told.len() as u64
    );
    for ledger in &ledgers {
        assert_eq!(ledger.cells, ledger.splits + ledger.cells_empty);
        assert!(ledger.counts.valid <= ledger.counts.in_footprint);
        assert!(ledger.counts.in_footprint <= ledger.counts.pixels);
    }
    assert_eq!(
        shelf.held.lock().unwrap().collections[0].name,
        "sentinel-2-l2a"
    );
}

#[test]
fn ingesting_twice_changes_nothing_and_skips_by_the_ledger() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    run(&shelf, &[folder.path()], &[]);
    let (once, puts) = (shelf.listing(), shelf.held.lock().unwrap().puts);
    let output = run(&shelf, &[folder.path()], &[]);
    assert_eq!(code(&output), Some(0));
    let skipped = events(&output)
        .iter()
        .filter(|e| matches!(e, Event::Skipped { .. }))
        .count();
    assert_eq!(skipped, 2);
    assert_eq!(shelf.listing(), once);
    assert_eq!(shelf.held.lock().unwrap().puts, puts);
    let output = run(&shelf, &[folder.path()], &["--overwrite"]);
    assert_eq!(code(&output), Some(0));
    assert_eq!(shelf.listing(), once);
}

#[test]
fn an_ingest_killed_in_the_middle_and_run_again_equals_a_clean_one() {
    let folder = two_scenes();
    let (clean, broken) = (Shelf::start(), Shelf::start());
    let small_cells = ["--precision", "6"];
    run(&clean, &[folder.path()], &small_cells);
    let clean_puts = clean.held.lock().unwrap().puts;
    for splits in [1, clean_puts / 3, clean_puts / 2] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_glebe-supervise"))
            .args(["--node", &broken.http])
            .args(small_cells)
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        broken.held.lock().unwrap().kill = Some((splits, rustix::process::Pid::from_child(&child)));
        child.wait().unwrap();
    }
    let held = broken.listing().len();
    assert!(held < clean.listing().len(), "nothing was interrupted");
    let output = run(&broken, &[folder.path()], &small_cells);
    assert_eq!(code(&output), Some(0));
    assert_eq!(broken.listing(), clean.listing());
    let told = splits(&events(&output)).len();
    assert!(told < clean_puts, "what was stored has been cut again");
}

#[test]
fn a_corrupt_scene_stops_no_other_and_stores_nothing() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    let products = products(folder.path());
    std::fs::remove_file(products[0].join("MTD_MSIL2A.xml")).unwrap();
    let output = run(&shelf, &[folder.path()], &[]);
    assert_eq!(output.status.code(), Some(6));
    let events = events(&output);
    let failed: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            Event::SceneFailed { source, fault } => Some((source.clone(), fault.try_.is_some())),
            _ => None,
        })
        .collect();
    let name = products[0]
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(failed, [(name, true)]);
    let done = events
        .iter()
        .filter(|e| matches!(e, Event::SceneDone { .. }))
        .count();
    assert_eq!(done, 1);
    let good = products[1].file_stem().unwrap().to_str().unwrap();
    let splits = shelf.listing();
    let mut splits = splits.iter().filter(|(kind, _, _)| *kind == Kind::Split);
    assert!(splits.all(|(_, id, _)| id.contains(good)));
}

/// Returns how the ledger of a scene ended, if there is one.
pub(crate) fn outcome(shelf: &Shelf, id: &str) -> Option<Outcome> {
    let held = shelf.held.lock().unwrap();
    let found = held.objects.get(&(Kind::Ledger, id.to_owned()))?;
    let ledger: Ledger = serde_json::from_slice(&found.files[0]).unwrap();
    Some(ledger.outcome)
}

#[test]
fn a_failed_scene_keeps_its_reason_until_it_is_ingested() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    let product = products(folder.path()).remove(0);
    let scene = product.file_stem().unwrap().to_str().unwrap().to_owned();
    let id = format!("sentinel-2-l2a/{scene}");
    let metadata = product.join("MTD_MSIL2A.xml");
    let whole = std::fs::read(&metadata).unwrap();
    std::fs::write(&metadata, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(run(&shelf, &[folder.path()], &[]).status.code(), Some(6));
    let Some(Outcome::Failed { reason }) = outcome(&shelf, &id) else {
        panic!("no reason was kept: {:?}", shelf.listing())
    };
    assert!(reason.contains("MTD_MSIL2A.xml"), "{reason}");
    std::fs::write(&metadata, &whole).unwrap();
    assert_eq!(code(&run(&shelf, &[folder.path()], &[])), Some(0));
    assert_eq!(outcome(&shelf, &id), Some(Outcome::Done));
    // What is done stays done, whatever happens to the file afterwards.
    std::fs::write(&metadata, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(run(&shelf, &[folder.path()], &[]).status.code(), Some(6));
    assert_eq!(outcome(&shelf, &id), Some(Outcome::Done));
}

/// A scene that failed before its dataset was known had no ledger, and was told to have one.
#[test]
fn a_scene_that_never_told_its_dataset_keeps_its_reason_too() {
    let (folder, shelf) = (tempfile::tempdir().unwrap(), Shelf::start());
    let damaged = folder.path().join("O_L2_0001.nc");
    std::fs::write(&damaged, b"CDF\x01").unwrap();
    let id = "unknown/O_L2_0001";
    assert_eq!(run(&shelf, &[&damaged], &[]).status.code(), Some(6));
    let Some(Outcome::Failed { reason }) = outcome(&shelf, id) else {
        panic!("no reason was kept: {:?}", shelf.listing())
    };
    assert!(reason.contains("cut short"), "{reason}");
    // A folder without a scene is no scene.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert_eq!(run(&shelf, &[&empty], &[]).status.code(), Some(6));
    assert_eq!(shelf.listing().len(), 1, "{:?}", shelf.listing());
}

#[test]
fn a_dry_run_keeps_no_reason() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    let product = products(folder.path()).remove(0);
    std::fs::remove_file(product.join("MTD_MSIL2A.xml")).unwrap();
    let output = run(&shelf, &[folder.path()], &["--dry-run"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(shelf.listing().is_empty());
}

#[test]
fn a_scene_that_fails_while_it_is_read_leaves_not_even_a_collection() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    for product in products(folder.path()) {
        let image = walk(&product, "B08_10m.jp2");
        let mut bytes = std::fs::read(&image).unwrap();
        // The end marker stays; the stream ends too early inside.
        let (from, to) = (bytes.len() / 3, bytes.len() - 2);
        bytes.drain(from..to);
        std::fs::write(&image, bytes).unwrap();
    }
    let output = run(&shelf, &[folder.path()], &[]);
    assert_eq!(output.status.code(), Some(6));
    let kept = shelf.listing();
    assert!(
        kept.iter().all(|(kind, _, _)| *kind == Kind::Ledger),
        "{kept:?}"
    );
    assert!(shelf.held.lock().unwrap().collections.is_empty());
}

/// Returns the file below a folder whose name ends so.
fn walk(folder: &Path, end: &str) -> std::path::PathBuf {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if path.to_str().unwrap().ends_with(end) {
            return path;
        }
    }
    panic!("no {end}")
}

#[test]
fn other_content_under_the_same_name_is_refused_unless_overwritten() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    let product = products(folder.path()).remove(0);
    run(&shelf, &[&product], &[]);
    let file = product.join("manifest.safe");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "<!-- changed -->").unwrap();
    let output = run(&shelf, &[&product], &[]);
    assert_eq!(output.status.code(), Some(6));
    assert_eq!(code(&run(&shelf, &[&product], &["--overwrite"])), Some(0));
}

#[test]
fn a_dry_run_stores_nothing_and_makes_no_collection() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    let output = run(&shelf, &[folder.path()], &["--dry-run"]);
    assert_eq!(code(&output), Some(0));
    assert!(shelf.listing().is_empty());
    assert!(shelf.held.lock().unwrap().collections.is_empty());
    let done = |e: &Event| matches!(e, Event::SceneDone { ledger, .. } if ledger.bytes > 0);
    assert_eq!(events(&output).iter().filter(|e| done(e)).count(), 2);
}

#[test]
fn a_flag_against_an_existing_collection_is_a_usage_error() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    let product = products(folder.path()).remove(0);
    run(&shelf, &[&product], &[]);
    let output = run(&shelf, &[&product], &["--scheme", "quadtile"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_node_that_does_not_answer_is_said_so() {
    let folder = two_scenes();
    let output = supervise(&[
        "--node",
        "http://127.0.0.1:9",
        folder.path().to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn events_are_the_words_that_scripts_read() {
    let (folder, shelf) = (two_scenes(), Shelf::start());
    let output = run(&shelf, &[folder.path()], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|l| l.starts_with("{\"split\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert!(
        line["split"]["id"]
            .as_str()
            .unwrap()
            .starts_with("sentinel-2-l2a/S2A_MSIL2A_")
    );
    assert_eq!(line["split"]["new"], true);
    assert!(line["split"]["geocode"].is_string() && line["split"]["bytes"].is_u64());
}
