//! A model tree: parents first, children kept only where they do better.
//!
//! Two parents of geohash 5 with some cells of geohash 6 each. In one of them near infrared grows
//! with green, in all cells alike; in the other it does so in every other cell and falls with green
//! in those between, so that their parent cannot know which. Noise keeps errors from vanishing.

use std::path::Path;

use earth::extent::LonLat;
use earth::geocode::{Geocode, Scheme};
use earth::geotiff::{BandImage, Image, encode_geotiff};
use earth::grid::Grid;
use earth::raster::georef::Georef;
use earth::raster::reproject::Kernel;
use earth::raster::{Raster, Samples};
use serde_json::{Value, json};

use crate::harness::{cluster, expect, glebe, scratch, stderr, stdout};

/// The parent whose cells are alike, and the one whose cells differ.
const ALIKE: &str = "gcpvj";
const DIFFER: &str = "gcpvn";
/// The last digits of those of their cells that are learned from.
const DIGITS: [char; 6] = ['0', '2', '8', 'b', 'h', 'k'];
/// Metres a pixel.
const RESOLUTION_M: f64 = 10.0;
/// Stored number of a reflectance.
const STORED: f64 = 10_000.0;
/// Pixels over which green stays the same.
const PATCH_PX: usize = 8;

/// Numbers of 0..1 that follow from place and purpose alone.
fn chance(words: [usize; 3]) -> f64 {
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    for word in words {
        bits = (bits ^ word as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits ^= bits >> 29;
    }
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "reflectances of 0..1 as stored numbers"
)]
fn stored(reflectance: f64) -> u16 {
    (reflectance * STORED) as u16
}

/// Writes the scene of one parent: red, green, blue and near infrared, and what they are.
fn scene(folder: &Path, parent: &str) {
    let code = Geocode::parse(Scheme::Geohash, parent).unwrap();
    let grid = Grid::of(&code, RESOLUTION_M).unwrap();
    let (width, height) = (grid.width() as usize, grid.height() as usize);
    let falls = |row: usize, column: usize| {
        let (x, y) = grid
            .transform()
            .to_ground(column as f64 + 0.5, row as f64 + 0.5);
        let point = LonLat { lon: x, lat: y };
        let cell = Geocode::encode(Scheme::Geohash, point, 6)
            .unwrap()
            .to_string();
        let digit = cell.chars().next_back().unwrap();
        let at = DIGITS.iter().position(|d| *d == digit);
        parent == DIFFER && at.is_some_and(|at| at % 2 == 1)
    };
    let pixel = |band: usize| {
        let each = (0..width * height).map(move |at| {
            let (row, column) = (at / width, at % width);
            let noise = 0.05 * (chance([at, band, 7]) - 0.5);
            let green = 0.05 + 0.1 * chance([row / PATCH_PX, column / PATCH_PX, 3]);
            let value = match band {
                1 => green,
                3 if falls(row, column) => 0.5 - 2.0 * green,
                3 => 0.1 + 2.0 * green,
                _ => 0.06,
            };
            stored(value + noise)
        });
        each.collect::<Vec<u16>>()
    };
    let rasters: Vec<Raster> = (0..4)
        .map(|band| Raster::new(grid.width(), grid.height(), Samples::U16(pixel(band))).unwrap())
        .collect();
    let names = ["red", "green", "blue", "nir"];
    let bands: Vec<BandImage<'_>> = { rasters.iter().zip(names) }
        .map(|(raster, name)| BandImage {
            name,
            raster,
            scale: 1.0 / STORED,
            offset: 0.0,
            overview: Kernel::Bilinear,
        })
        .collect();
    let image = Image {
        georef: &Georef::from(&grid),
        bands: &bands,
        fill: Some(0.0),
        items: &[],
    };
    std::fs::write(
        folder.join(format!("{parent}.tif")),
        encode_geotiff(&image).unwrap(),
    )
    .unwrap();
    let told = names.map(|name| json!({"name": name, "common": name, "scale": 1.0 / STORED}));
    let told = json!({
        "dataset": "generic", "datetime": "2026-06-01T10:00:00Z", "bands": told,
    });
    std::fs::write(folder.join(format!("{parent}.json")), told.to_string()).unwrap();
}

fn cells() -> String {
    let of = |parent: &str| DIGITS.map(|digit| format!("{parent}{digit}")).join(",");
    [ALIKE, DIFFER].map(of).join(",")
}

fn read(folder: &Path, words: &[&str]) -> Value {
    let output = expect(glebe(folder).args(words).args(["-o", "json"]), 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Checks every job of the tree; returns the cells that were dropped and those that were kept.
fn judged(view: &Value) -> (Vec<String>, Vec<String>) {
    let (mut dropped, mut kept) = (Vec::new(), Vec::new());
    for job in view["jobs"].as_array().unwrap() {
        let cell = job["geocode"].as_str().unwrap().to_owned();
        let beside = &job["descent"]["beside"];
        let number = |key: &str| beside[key].as_f64().unwrap();
        match job["state"].as_str().unwrap() {
            "dropped" => {
                assert_eq!(job["donor"], cell[..5], "{job}");
                assert!(number("p") >= 0.05 && job["metrics"].is_null(), "{job}");
                let reason = job["reason"].as_str().unwrap();
                assert!(reason.starts_with("no better than parent"), "{job}");
                dropped.push(cell);
            }
            "done" if cell.len() == 6 => {
                assert_eq!(job["donor"], cell[..5], "{job}");
                assert!(number("p") < 0.05, "{job}");
                assert!(number("own_mse") < number("parent_mse"), "{job}");
                kept.push(cell);
            }
            "done" => {
                assert_eq!(
                    job["splits"],
                    DIGITS.len(),
                    "it learns from its cells: {job}"
                );
                assert!(job["donor"].is_null(), "{job}");
            }
            other => panic!("{other}: {job}"),
        }
    }
    (dropped, kept)
}

#[test]
fn a_tree_keeps_the_children_that_beat_their_parent_and_parents_answer_for_the_others() {
    let folder = scratch();
    let folder = folder.path();
    for parent in [ALIKE, DIFFER] {
        scene(folder, parent);
        let file = format!("{parent}.tif");
        expect(glebe(folder).args(["ingest", "--precision", "6", &file]), 0);
    }
    let cells = cells();
    let train = ["train", "ndvi-cnn", "--name", "tree", "--transfer", "tree"];
    let how = ["--chip", "8", "--epochs", "40", "--geocode", &cells];
    let plan = expect(glebe(folder).args(train).args(how).arg("--dry-run"), 0);
    let said = stderr(&plan) + &stdout(&plan);
    assert!(said.contains("PARENT"), "{said}");
    assert!(said.contains("2 parents first"), "{said}");
    assert!(said.contains("14 models from 12 splits"), "{said}");
    assert!(said.contains("moves 0 B of imagery"), "{said}");

    let said = stderr(&expect(glebe(folder).args(train).args(how), 0));
    let view = read(folder, &["job", "show", "tree"]);
    let (dropped, kept) = judged(&view);
    eprintln!("{said}\ndropped {dropped:?}, kept {kept:?}");
    let differ = |cell: &&String| cell.starts_with(DIFFER);
    assert_eq!(kept.iter().filter(differ).count(), DIGITS.len(), "{kept:?}");
    assert_eq!(dropped.iter().filter(differ).count(), 0, "{dropped:?}");
    // One of twenty is kept by chance.
    assert!(dropped.len() >= DIGITS.len() - 1, "{dropped:?}");
    let told = format!(
        "tree: {} of 12 cells needed a model of their own",
        kept.len()
    );
    assert!(said.contains(&told), "{said}");
    let table = stdout(&expect(glebe(folder).args(["job", "show", "tree"]), 0));
    assert!(
        table.contains("dropped") && table.contains(", p "),
        "{table}"
    );

    let cell = &dropped[0];
    let place = Geocode::parse(Scheme::Geohash, cell).unwrap().bounds();
    let at = format!("{},{}", place.centre().lon, place.centre().lat);
    let told =
        format!("{cell} has no model of its own; this is that of {ALIKE}, which contains it");
    for (words, out) in [(["--at", &at], "m1"), (["--geocode", cell], "m2")] {
        let pull = expect(
            glebe(folder)
                .args(["model", "pull"])
                .args(words)
                .args(["-O", out]),
            0,
        );
        assert!(stderr(&pull).contains(&told), "{}", stderr(&pull));
        let config = std::fs::read(folder.join(out).join("config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["geocode"], ALIKE);
    }
    let own = ["model", "pull", "--geocode", &kept[0], "-O", "m3"];
    let own = stderr(&expect(glebe(folder).args(own), 0));
    assert!(!own.contains("no model of its own"), "{own}");

    let file = format!("{ALIKE}.tif");
    let scene = ["predict", "tree", &file, "-O", "scene.tif"];
    let said = stderr(&expect(glebe(folder).args(scene), 0));
    let told =
        format!("cells without a model of their own answered by tree/{ALIKE}, a larger cell's");
    assert!(said.contains(&told), "{said}");
    let stored = ["predict", "tree", "--geocode", cell, "-O", "stored.tif"];
    let said = stderr(&expect(glebe(folder).args(stored), 0));
    assert!(said.contains(&told), "{said}");
}

#[test]
fn over_nodes_a_parent_learns_where_most_of_its_cells_lie_and_no_imagery_moves() {
    let folder = scratch();
    let folder = folder.path();
    scene(folder, DIFFER);
    let nodes = cluster(folder, 3, 2);
    let read = |node: usize, words: &[&str]| -> Value {
        let output = expect(nodes[node].ask(folder).args(words).args(["-o", "json"]), 0);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let file = format!("{DIFFER}.tif");
    let ingest = ["ingest", "--precision", "6", &file];
    expect(nodes[0].ask(folder).args(ingest), 0);
    let pixels = || read(0, &["status"])["bytes_by_purpose"]["pixels"].clone();
    let before = pixels();
    let cells = DIGITS.map(|digit| format!("{DIFFER}{digit}")).join(",");
    let train = ["train", "ndvi-cnn", "--name", "tree", "--transfer", "tree"];
    let how = [
        "--chip",
        "8",
        "--epochs",
        "10",
        "--geocode",
        &cells,
        "--wait",
    ];
    expect(nodes[1].ask(folder).args(train).args(how), 0);
    assert_eq!(pixels(), before, "training moved imagery");
    let view = read(2, &["job", "show", "tree"]);
    assert_eq!(view["complete"], true, "{view}");
    let donors = view["run"]["inheritance"]["donors"].as_array().unwrap();
    let jobs = view["jobs"].as_array().unwrap();
    assert_eq!((donors.len(), jobs.len()), (1, 1 + DIGITS.len()), "{view}");
    for job in jobs {
        if job["geocode"] == DIFFER {
            assert_eq!(
                (&job["node"], &job["state"]),
                (&donors[0]["holder"], &json!("done"))
            );
            // Of six cells and three nodes, some node answers for two at least.
            assert!(job["splits"].as_u64().unwrap() >= 2, "{job}");
        } else {
            assert!(
                job["descent"]["beside"]["p"].is_f64(),
                "it was judged: {job}"
            );
        }
    }
}
