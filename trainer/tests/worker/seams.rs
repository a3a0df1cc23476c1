//! Borders: where regions meet, both models answer, and no seam is left.

use std::path::{Path, PathBuf};

use tch::Device;
use trainer::job::learn;
use trainer::publish;
use trainer::recipe::ndvi_cnn::NdviCnn;
use trainer::stop::Stop;

use crate::predict::{map, predict_with, summary};
use crate::world::{CELL, Scene, folder, lease_in, ndvi, quick};

/// The cell east of `CELL`.
const EAST: &str = "gcpvn";
/// What near infrared gains over one cell: each cell's model learns the middle of it, and is wrong
/// by half of it at either border.
const DRIFT: f64 = 0.12;
/// Columns of a cell, and those on either side of the border that are looked at: the default
/// margin, the side of a chip.
const COLUMNS: usize = 320;
const BAND: usize = 16;

/// Learns a cell's model of the drifting world and writes its folder.
fn learned(path: &Path, cell: &str) -> PathBuf {
    let scene = Scene {
        cell: cell.to_owned(),
        drift: DRIFT,
        ..Scene::new("a", 1)
    };
    let split = scene.write(&path.join("splits"));
    let lease = lease_in(cell, "ndvi-cnn", (vec![split], quick()));
    let learned = learn(&lease, Device::Cpu, &Stop::default()).expect("a model");
    let place = path.join(cell);
    std::fs::create_dir_all(&place).expect("a folder");
    for (name, bytes) in publish::folder(&learned, &NdviCnn).expect("files") {
        std::fs::write(place.join(name), bytes).expect("a file");
    }
    place
}

/// Errors of a map against the law, near the border and elsewhere, and how far it jumps there.
struct Errors {
    border: f64,
    interior: f64,
    jump: f64,
}

fn errors(path: &Path) -> Errors {
    let map = map(path);
    assert_eq!(map.width, 2 * COLUMNS);
    let truth = [ndvi(CELL, DRIFT), ndvi(EAST, DRIFT)];
    let (mut sums, mut counts, mut jumps) = ([0.0; 2], [0.0; 2], Vec::new());
    for (row, line) in map.bands[0].chunks_exact(map.width).enumerate() {
        for (column, value) in line.iter().enumerate() {
            let truth = truth[column / COLUMNS][row * COLUMNS + column % COLUMNS];
            let is_near = usize::from(column.abs_diff(COLUMNS) <= BAND);
            sums[is_near] += f64::from(value - truth).powi(2);
            counts[is_near] += 1.0;
        }
        jumps.push(f64::from(line[COLUMNS] - line[COLUMNS - 1]));
    }
    let rmse = |i: usize| (sums[i] / counts[i]).sqrt();
    Errors {
        border: rmse(1),
        interior: rmse(0),
        jump: (jumps.iter().sum::<f64>() / jumps.len() as f64).abs(),
    }
}

#[test]
fn a_map_is_no_worse_along_a_border_than_inside_of_regions_and_has_no_seam() {
    let (_keep, path) = folder();
    let models = [CELL, EAST].map(|cell| learned(&path, cell));
    for cell in [CELL, EAST] {
        let scene = Scene {
            cell: cell.to_owned(),
            drift: DRIFT,
            ..Scene::new("later", 9)
        };
        scene.write(&path.join("scene"));
    }
    let made = |words: &[&str]| {
        let (scene, out) = (path.join("scene"), path.join("map.tif"));
        let models = models.each_ref().map(PathBuf::as_path);
        let told = summary(&predict_with(&models, (&scene, &out), words));
        let own = |c: &serde_json::Value| c["kinship"] == "own";
        assert!(told["cells"].as_array().expect("cells").iter().all(own));
        errors(&out)
    };
    let (blended, hard) = (made(&[]), made(&["--margin", "0"]));
    for (name, e) in [("blended", &blended), ("hard", &hard)] {
        let (border, interior, jump) = (e.border, e.interior, e.jump);
        let ratio = border / interior;
        eprintln!("{name}: {border:.4} / {interior:.4} = {ratio:.3}, jump {jump:.4}");
    }
    assert!(blended.border <= 1.1 * blended.interior);
    assert!(hard.border > 1.1 * hard.interior, "nothing to blend");
    assert!(blended.jump < 0.2 * hard.jump, "a seam");
}
