//! When a scene is read while it is cut, and that it makes no difference to the splits.
//!
//! *Invariants*: the scene has several rows of blocks, so that strips of cells meet inside them.
//!
//! *Not here*: scenes that cannot be read (`bad_input`).

use std::ops::ControlFlow;
use std::path::Path;

use earth::geocode::Scheme;
use earth::split::collection::Collection;
use earth::split::placement::PlacementRule;
use ingest::cutting::{self, Sink, Told};
use ingest::pieces::PIECES_BYTES_MAX;
use ingest::plan;
use ingest::source::Scene;
use ingest::spool::Spool;
use ingest::synth::jp2::{Place, write_tiff};

use crate::place::open;

/// Side in pixels: four rows of 256 × 256 blocks.
const SIDE: usize = 1024;

/// A raster of one band whose values tell their place.
fn scene(folder: &Path) -> Scene {
    let place = Place {
        epsg: 32_633,
        west: 400_000.0,
        north: 5_400_000.0,
        pixel: 10.0,
    };
    let value = |i: usize| u8::try_from(1 + (i % SIDE + 3 * (i / SIDE)) % 250).unwrap();
    let path = folder.join("scene.tif");
    write_tiff(&path, place, (0..SIDE * SIDE).map(value).collect(), 0).unwrap();
    let said = r#"{"dataset": "generic", "datetime": "2020-01-01T00:00:00Z"}"#;
    std::fs::write(folder.join("scene.json"), said).unwrap();
    open(&path)
}

/// What was told, in order: the number of a strip, or a split's geocode and files.
#[derive(Debug, PartialEq)]
enum Heard {
    Strip,
    Split(String, Vec<(String, bytes::Bytes)>),
}

fn cut(scene: &Scene, ahead_max: u64) -> Vec<Heard> {
    let plan = plan::plan(scene, Scheme::Geohash, 6).unwrap();
    let collection = Collection {
        name: "generic".to_owned(),
        dataset: "generic".to_owned(),
        scheme: Scheme::Geohash,
        precision: 6,
        placement: PlacementRule::Whole,
    };
    let (spool, mut heard) = (Spool::new().unwrap(), Vec::new());
    let mut tell = |told| {
        heard.push(match told {
            Told::Step(_) => Heard::Strip,
            Told::Split(split) => {
                let files = spool.read(&split.files).unwrap();
                Heard::Split(split.meta.geocode.to_string(), files)
            }
        });
        ControlFlow::Continue(())
    };
    let sink = Sink {
        spool: &spool,
        tell: &mut tell,
        ahead_max,
    };
    cutting::stream(scene, &plan, (&collection, &plan.cells), sink).unwrap();
    heard
}

fn strips_before_the_first_split(heard: &[Heard]) -> (usize, usize) {
    let first = heard.iter().position(|h| *h != Heard::Strip).unwrap();
    let strips = heard.iter().filter(|h| **h == Heard::Strip).count();
    (first, strips)
}

#[test]
fn no_split_is_told_before_the_last_piece_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    // With nothing read ahead the last row of blocks is read one strip before the last quarter.
    let (first, strips) = strips_before_the_first_split(&cut(&scene, 0));
    assert!(
        first * 10 >= strips * 6 && first < strips,
        "{first} of {strips}"
    );
    // A scene that fits into memory is read first: its splits are told from the first strip on.
    let (first, _) = strips_before_the_first_split(&cut(&scene, PIECES_BYTES_MAX));
    assert_eq!(first, 1);
}

#[test]
fn splits_do_not_depend_on_how_far_ahead_a_scene_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let splits = |ahead_max| {
        let heard = cut(&scene, ahead_max).into_iter();
        heard.filter(|h| *h != Heard::Strip).collect::<Vec<_>>()
    };
    let (none, all) = (splits(0), splits(PIECES_BYTES_MAX));
    assert!(all.len() > 50, "{}", all.len());
    assert!(none == all, "splits differ");
}
