//! Maps that do not fit in memory: what is held grows with their width, never with their height.

use earth::geocode::{CellIndex, Geocode, Scheme};

use crate::folder::written;
use crate::predict::{map, predict_with, summary};
use crate::world::{CELL, Scene, folder};

/// Cells side by side.
const ACROSS: u32 = 3;
/// Rows of cells of the smaller map and of the larger one.
const ROWS: [u32; 2] = [2, 10];
/// Pixels of a cell.
const PIXELS: u64 = 320 * 480;
/// Bytes of a pixel of the map (two bands of 32 bits), and of the imagery (three).
const MAP_BYTES: u64 = 8;
const LAND_BYTES: u64 = 12;

/// The cell so many columns east and rows south of `CELL`.
pub(crate) fn cell(east: u32, south: u32) -> String {
    let home = Geocode::parse(Scheme::Geohash, CELL).expect("a cell");
    let CellIndex { column, row } = home.index();
    let index = CellIndex {
        column: column + east,
        row: row + south,
    };
    let cell = Geocode::at(Scheme::Geohash, home.precision(), index);
    cell.expect("a cell").to_string()
}

#[test]
fn a_map_of_any_height_is_made_in_the_memory_of_some_of_its_rows() {
    let (_keep, path) = folder();
    let (_, model) = written(&path, 1);
    let mut peaks = Vec::new();
    for rows in ROWS {
        let splits = path.join(format!("rows{rows}"));
        for (east, south) in (0..ACROSS).flat_map(|x| (0..rows).map(move |y| (x, y))) {
            let scene = Scene {
                cell: cell(east, south),
                ..Scene::new("later", 9)
            };
            scene.write(&splits);
        }
        let out = path.join(format!("rows{rows}.tif"));
        // Steps of a whole chip, of twice the default: a quarter as much is computed, and rows for
        // eight of them, twice as many, are held.
        let words = ["--stride", "16"];
        let told = summary(&predict_with(&[&model], (&splits, &out), &words));
        assert_eq!(told["pixels"], u64::from(ACROSS * rows) * PIXELS, "{told}");
        assert_eq!(map(&out).width, 320 * ACROSS as usize);
        peaks.push(told["peak_bytes"].as_u64().expect("a peak"));
    }
    let more_pixels = u64::from(ACROSS * (ROWS[1] - ROWS[0])) * PIXELS;
    let (map, land) = (more_pixels * MAP_BYTES, more_pixels * LAND_BYTES);
    let grown = peaks[1].saturating_sub(peaks[0]);
    let mib = |bytes: u64| bytes >> 20;
    eprintln!(
        "peak {} and {} MiB: {} more for a map of {} MiB more over imagery of {} MiB more",
        mib(peaks[0]),
        mib(peaks[1]),
        mib(grown),
        mib(map),
        mib(land)
    );
    assert!(grown < map / 2, "{grown} of {map}: the map is held");
}
