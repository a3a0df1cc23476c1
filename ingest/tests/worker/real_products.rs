//! Facts of real products, against what GDAL and numpy say of them.
//!
//! *Invariants*: expected numbers come from the products' own metadata or the oracle files.
//!
//! *Not here*: pixel-by-pixel comparison (`conformance`).

use std::path::Path;

use earth::geocode::Scheme;
use earth::split::collection::Collection;
use earth::split::placement::PlacementRule;
use ingest::cutting::{self, CutScene};
use ingest::source::{self, Given, Scene};
use ingest::{limits, plan};
use serde_json::Value;

use crate::place::{open, products, real, t29unu};

/// Cuts a whole scene along geohash cells.
fn cut(scene: &Scene, precision: u8) -> CutScene {
    cut_some(scene, precision, |_| 1)
}

/// Cuts every n-th cell; n is computed from the number of cells.
pub(crate) fn cut_some(scene: &Scene, precision: u8, n: impl Fn(usize) -> usize) -> CutScene {
    let collection = Collection {
        name: scene.dataset.name.to_owned(),
        dataset: scene.dataset.name.to_owned(),
        scheme: Scheme::Geohash,
        precision,
        placement: PlacementRule::Whole,
    };
    let plan = plan::plan(scene, Scheme::Geohash, precision).unwrap();
    let every = n(plan.cells.len());
    let cells: Vec<_> = plan.cells.iter().step_by(every).copied().collect();
    cutting::cut(scene, &plan, (&collection, &cells), &mut |_| {}).unwrap()
}

pub(crate) fn oracles() -> Option<Value> {
    let text = std::fs::read(real("ORACLES_DEV.json")?).unwrap();
    Some(serde_json::from_slice(&text).unwrap())
}

#[test]
fn every_real_product_opens_with_its_own_time_and_baseline() {
    let (Some(folder), Some(oracles)) = (real("s2_safe"), oracles()) else {
        return;
    };
    for product in products(&folder) {
        let name = product.file_name().unwrap().to_str().unwrap();
        let scene = open(&product);
        let facts = &oracles[format!("s2_safe/{name}")];
        assert_eq!(scene.acquired.to_string(), facts["start"].as_str().unwrap());
        let offset = if facts["baseline"].as_str().unwrap() < "04.00" {
            0.0
        } else {
            -0.1
        };
        for layer in scene.measured() {
            assert!((layer.scale - 1e-4).abs() < 1e-12 && (layer.offset - offset).abs() < 1e-12);
        }
        let span = |key: &str| {
            let pair = facts[key].as_array().unwrap();
            (pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap())
        };
        let outline = source::footprint::outline(scene.layers.iter()).unwrap();
        let ring = &outline.coordinates()[0][0];
        let (west, east) = span("lonspan");
        let inside = |low: f64, high: f64, axis: usize| {
            let least = ring.iter().map(|p| p[axis]).fold(f64::INFINITY, f64::min);
            let most = ring
                .iter()
                .map(|p| p[axis])
                .fold(f64::NEG_INFINITY, f64::max);
            low >= least - 0.02 && high <= most + 0.02
        };
        let (south, north) = span("latspan");
        assert!(inside(west, east, 0) && inside(south, north, 1), "{name}");
    }
}

#[test]
fn missing_bands_are_tolerated_and_named() {
    let Some(product) = t29unu() else {
        return;
    };
    let scene = open(&product);
    assert_eq!(scene.missing, ["B06", "B07", "B08"]);
    let has: Vec<_> = scene.layers.iter().map(|l| l.name.as_str()).collect();
    let all = [
        "B01", "B02", "B03", "B04", "B05", "B8A", "B09", "B11", "B12", "SCL",
    ];
    assert_eq!(has, all);
    let metres: Vec<_> = scene
        .layers
        .iter()
        .map(|l| l.resolution_m.to_string())
        .collect();
    assert_eq!(
        metres,
        ["60", "60", "60", "60", "60", "60", "60", "60", "60", "20"]
    );
    assert_eq!(scene.mask.as_ref().map(|m| m.meaning.name), Some("scl"));
    assert_eq!(scene.platform.as_deref(), Some("sentinel-2a"));
}

#[test]
fn a_decimated_product_takes_the_resolution_of_its_pixels() {
    let Some(folder) = real("s2_safe") else {
        return;
    };
    for product in products(&folder)
        .iter()
        .filter(|p| !p.to_str().unwrap().contains("T29UNU"))
    {
        let scene = open(product);
        let resolutions: Vec<_> = scene
            .layers
            .iter()
            .map(|l| l.resolution_m.to_string())
            .collect();
        assert_eq!(
            resolutions,
            vec!["1100"; resolutions.len()],
            "{}",
            scene.name
        );
        let cut = cut(&scene, 3);
        assert!(!cut.splits.is_empty());
    }
}

#[test]
fn cloud_and_coverage_of_a_real_scene_are_its_own() {
    let Some(product) = t29unu() else {
        return;
    };
    let scene = open(&product);
    let cut = cut(&scene, 5);
    let (mut cloudy, mut weight) = (0.0, 0.0);
    for split in &cut.splits {
        let counts = split.meta.counts;
        // A split may hold pixels of which no class is known; its cover is unknown.
        let Some(cloud) = counts.cloud() else {
            continue;
        };
        cloudy += cloud * 100.0 * counts.valid as f64;
        weight += counts.valid as f64;
    }
    let cover = cloudy / weight;
    assert!((cover - 59.769_726).abs() < 1.0, "cloud cover {cover}");
    let missing = 100.0 * (1.0 - cut.counts.valid as f64 / cut.counts.in_footprint as f64);
    assert!((missing - 40.419_397).abs() < 1.0, "no-data {missing}");
    eprintln!("T29UNU: cloud {cover:.2} % (59.77), no-data {missing:.2} % (40.42)");
    let bands = cut.splits[0].meta.bands.iter().map(|b| b.name.as_str());
    assert!(bands.eq(scene.layers.iter().map(|l| l.name.as_str())));
}

fn slovenia(date: &str) -> Option<Scene> {
    limits::set_gdal().unwrap();
    let file = real(&format!("s2_timeseries_slovenia/geotiff/S2_L1C_{date}.tif"))?;
    let mask = real(&format!("s2_timeseries_slovenia/geotiff/CLM_{date}.tif"))?;
    let given = Given {
        dataset: Some("sentinel-2-l1c".to_owned()),
        acquired: Some("2015-07-31T10:00:09Z".parse().unwrap()),
        cloud_mask: Some(mask),
        ..Given::default()
    };
    Some(source::open(&file, &given).unwrap())
}

#[test]
fn a_users_mask_makes_cloud_cover() {
    let (Some(clouded), Some(clear)) = (slovenia("20150731T100009"), slovenia("20150909T100017"))
    else {
        return;
    };
    assert_eq!(clouded.layers.len(), 13);
    assert!(
        clouded
            .layers
            .iter()
            .all(|l| l.resolution_m.to_string() == "10")
    );
    assert!(
        clouded
            .layers
            .iter()
            .all(|l| (l.scale - 1e-4).abs() < 1e-12)
    );
    for split in cut(&clouded, 5).splits {
        assert!(split.meta.counts.cloud().unwrap() > 0.9);
        assert_eq!(split.meta.cloud_source.as_deref(), Some("file"));
    }
    for split in cut(&clear, 5).splits {
        assert!(split.meta.counts.cloud().unwrap() < 0.1);
    }
}

fn naip(name: &str) -> Option<Scene> {
    real(&format!("naip/{name}")).map(|path| open(&path))
}

#[test]
fn naip_is_known_by_name_and_dated_by_name_or_metadata() {
    let dates = ["20090818", "20120731", "20150926"];
    for date in dates {
        let Some(scene) = naip(&format!("m_4709963_se_14_1_{date}.tif")) else {
            return;
        };
        assert_eq!(scene.acquired.strftime("%Y%m%d").to_string(), date);
        assert_eq!(scene.dataset.name, "naip");
        let bands: Vec<_> = scene
            .layers
            .iter()
            .map(|l| l.common.clone().unwrap())
            .collect();
        assert_eq!(bands, ["red", "green", "blue", "nir"]);
        let splits = cut(&scene, 5).splits;
        assert!(!splits.is_empty());
        assert!(
            splits
                .iter()
                .all(|s| s.meta.geocode.to_string().starts_with("cb"))
        );
    }
    let Some(scene) = naip("m_3211605_ne_11_060_20200415.tif") else {
        return;
    };
    assert_eq!(scene.acquired.to_string(), "2020-04-15T00:00:00Z");
    assert_eq!(scene.layers[0].resolution_m.to_string(), "0.6");
}

#[test]
fn ndvi_of_real_naip_is_what_numpy_found() {
    let Some(oracles) = oracles() else {
        return;
    };
    for date in ["20090818", "20120731", "20150926"] {
        let name = format!("m_4709963_se_14_1_{date}.tif");
        let Some(scene) = naip(&name) else {
            return;
        };
        let band = |i: usize| {
            let layer = &scene.layers[i];
            let whole = layer.image.georef().whole();
            layer
                .image
                .read(layer.band, whole)
                .unwrap()
                .samples()
                .to_f64()
        };
        let (red, nir) = (band(0), band(3));
        let pairs = red.iter().zip(&nir).filter(|(r, n)| **r + **n > 0.0);
        let values: Vec<f64> = pairs.map(|(r, n)| (n - r) / (n + r)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let told = oracles[format!("naip/{name}")]["NDVI_DN_mean"]
            .as_f64()
            .unwrap();
        assert!((mean - told).abs() < 0.005, "{name}: {mean} {told}");
    }
}

#[test]
fn a_path_that_leads_to_a_folder_of_scenes_finds_them_all() {
    let Some(folder) = real("s2_safe") else {
        return;
    };
    let found = source::find::scenes(std::slice::from_ref(&folder), &Given::default());
    let names: Vec<_> = found.iter().map(|f| f.as_ref().unwrap().clone()).collect();
    assert_eq!(names, products(&folder));
    let none = source::find::scenes(&[Path::new("/nowhere").to_owned()], &Given::default());
    assert!(none[0].is_err());
}
