//! Pictures that others place: by bounds, side-car or world file.
//!
//! *Invariants*: pictures are written here by GDAL, but for a real one that came with a raster of
//! the same place.
//!
//! *Not here*: rasters that place themselves.

use std::fs;
use std::path::{Path, PathBuf};

use earth::geocode::{Geocode, Scheme};
use earth::split::collection::Collection;
use earth::split::placement::PlacementRule;
use gdal::DriverManager;
use gdal::raster::Buffer;
use ingest::source::{self, Given, Scene, find};
use ingest::{cutting, limits, plan};

use crate::place::real;
use crate::real_products::cut_some;
use crate::warped::{self, Totals, georef};

/// Writes a square picture; each band's pixels follow from column and row.
fn write(file: &Path, side: usize, bands: &[fn(usize, usize) -> u8]) {
    limits::set_gdal().unwrap();
    let memory = DriverManager::get_driver_by_name("MEM").unwrap();
    let dataset = memory
        .create_with_band_type::<u8, _>("", side, side, bands.len())
        .unwrap();
    for (number, law) in bands.iter().enumerate() {
        let pixels = (0..side * side).map(|i| law(i % side, i / side)).collect();
        let mut buffer = Buffer::new((side, side), pixels);
        let mut band = dataset.rasterband(number + 1).unwrap();
        band.write((0, 0), (side, side), &mut buffer).unwrap();
    }
    let name = if file.extension().unwrap() == "png" {
        "PNG"
    } else {
        "JPEG"
    };
    let driver = DriverManager::get_driver_by_name(name).unwrap();
    let options = gdal::cpl::CslStringList::new();
    dataset
        .create_copy(&driver, file, &options)
        .unwrap()
        .close()
        .unwrap();
}

fn red(column: usize, _row: usize) -> u8 {
    u8::try_from(column % 200).unwrap() + 20
}

fn green(_column: usize, row: usize) -> u8 {
    u8::try_from(row % 200).unwrap() + 20
}

fn western_half(column: usize, _row: usize) -> u8 {
    if column < 64 { 255 } else { 0 }
}

fn given(bounds: Option<&str>, crs: Option<&str>) -> Given {
    Given {
        dataset: Some("generic".to_owned()),
        acquired: Some("2020-06-01T00:00:00Z".parse().unwrap()),
        bounds: bounds.map(|b| b.parse().unwrap()),
        crs: crs.map(|c| c.parse().unwrap()),
        ..Given::default()
    }
}

#[test]
fn a_picture_of_2048_pixels_over_a_quad_tile_makes_64_full_splits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.png");
    write(&file, 2048, &[red, green, red]);
    let cell = Geocode::parse(Scheme::QuadTile, "0231010111").unwrap();
    let grid = plan::grid(&cell, 30.0).unwrap();
    let [west, width, _, north, _, height] = grid.transform().to_gdal();
    let (east, south) = (
        west + width * f64::from(grid.width()),
        north + height * f64::from(grid.height()),
    );
    let bounds = format!("{west},{south},{east},{north}");
    let scene = source::open(&file, &given(Some(&bounds), Some("EPSG:3857"))).unwrap();
    let collection = Collection {
        name: "generic".to_owned(),
        dataset: "generic".to_owned(),
        scheme: Scheme::QuadTile,
        precision: 13,
        placement: PlacementRule::Whole,
    };
    let plan = plan::plan(&scene, Scheme::QuadTile, 13).unwrap();
    let done = cutting::cut(&scene, &plan, (&collection, &plan.cells), &mut |_| {}).unwrap();
    let full = done
        .splits
        .iter()
        .filter(|s| s.meta.counts.coverage() > 0.999);
    assert_eq!(full.count(), 64, "{} splits", done.splits.len());
}

/// A picture of 128 pixels with the place that one of the three ways gives it.
fn placed(folder: &Path, way: &str) -> Scene {
    let file = folder.join(format!("{way}.png"));
    write(&file, 128, &[red, green, red]);
    let beside = |ending: &str, text: &str| fs::write(file.with_extension(ending), text).unwrap();
    let flags = match way {
        "flag" => given(Some("-105.5,40,-105.244,40.256"), None),
        "sidecar" => {
            beside(
                "json",
                r#"{"bounds": [-105.5, 40, -105.244, 40.256], "crs": "EPSG:4326"}"#,
            );
            given(None, None)
        }
        _ => {
            beside("pgw", "0.002\n0\n0\n-0.002\n-105.499\n40.255\n");
            given(None, None)
        }
    };
    source::open(&file, &flags).unwrap()
}

#[test]
fn flag_side_car_and_world_file_place_a_picture_alike() {
    let folder = tempfile::tempdir().unwrap();
    for way in ["flag", "sidecar", "world"] {
        let scene = placed(folder.path(), way);
        let found = georef(&scene.layers[0]).affine.to_gdal();
        let told = [-105.5, 0.002, 0.0, 40.256, 0.0, -0.002];
        let near = found
            .iter()
            .zip(told)
            .all(|(a, b): (&f64, f64)| (a - b).abs() < 1e-9);
        assert!(near, "{way}: {found:?}");
    }
    let scene = placed(folder.path(), "world");
    if warped::is_here() {
        Totals::of(&scene, &cut_some(&scene, 5, |_| 5)).check(3_000);
    }
}

#[test]
fn transparent_pixels_are_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("half.png");
    write(&file, 128, &[red, green, red, western_half]);
    let scene = source::open(&file, &given(Some("10,50,10.1,50.1"), None)).unwrap();
    assert_eq!(scene.layers.len(), 3, "opacity is no band");
    let done = cut_some(&scene, 5, |_| 1);
    let share = done.counts.valid as f64 / done.counts.in_footprint as f64;
    assert!((share - 0.5).abs() < 0.02, "{share}");
}

#[test]
fn a_real_picture_lies_where_its_raster_does() {
    let (Some(raster), Some(picture)) = (eurosat("tif"), eurosat("jpg")) else {
        return;
    };
    limits::set_gdal().unwrap();
    let raster = source::open(&raster, &given(None, None)).unwrap();
    let place = georef(&raster.layers[0]);
    let (width, height) = (f64::from(place.width), f64::from(place.height));
    let (west, north) = place.affine.to_ground(0.0, 0.0);
    let (east, south) = place.affine.to_ground(width, height);
    let bounds = format!("{west},{south},{east},{north}");
    let crs = place.crs.to_string();
    let scene = source::open(&picture, &given(Some(&bounds), Some(&crs))).unwrap();
    assert_eq!(georef(&scene.layers[0]).width, 64);
    let near = |a: [f64; 6], b: [f64; 6]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near(
        georef(&scene.layers[0]).affine.to_gdal(),
        place.affine.to_gdal()
    ));
    assert_eq!(scene.layers.len(), 3);
}

/// Returns the first real patch of EuroSAT with that ending.
fn eurosat(ending: &str) -> Option<PathBuf> {
    let mut waiting = vec![real("eurosat")?];
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.into_iter().next()
}

#[test]
fn a_picture_that_nobody_places_fails_and_is_not_offered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quicklook.png");
    write(&file, 16, &[red, green, red]);
    let fault = source::open(&file, &given(None, None)).unwrap_err();
    assert!(fault.try_.unwrap().contains("--bounds"));
    let found = find::scenes(&[folder.path().to_owned()], &given(None, None));
    assert!(
        found.iter().all(Result::is_err),
        "a folder's quick-looks are no scenes"
    );
    let wrong = given(Some("5,40,4,41"), Some("EPSG:3857"));
    let fault = source::open(&file, &wrong).unwrap_err();
    assert!(fault.because[0].contains("west"), "{fault:?}");
}
