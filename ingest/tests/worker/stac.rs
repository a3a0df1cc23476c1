//! Scenes that STAC Items list: real patches of one file a band, in the spelling of 1.0 and 1.1.
//!
//! *Invariants*: one item is one scene, whatever files its bands lie in; nothing is downloaded.
//!
//! *Not here*: the form of items (the source's own tests).

use std::path::{Path, PathBuf};

use ingest::limits;
use ingest::source::{self, Given, Scene, find};
use serde_json::{Value, json};

use crate::place::real;
use crate::real_products::cut_some;

/// An item whose assets are files of a folder, by their absolute paths.
fn item(id: &str, assets: impl Into<Value>) -> Value {
    json!({
        "type": "Feature", "stac_version": "1.0.0", "id": id, "geometry": null, "links": [],
        "properties": {"datetime": "2020-02-23T03:27:39Z", "platform": "sentinel-2b"},
        "assets": assets.into(),
    })
}

fn write(folder: &Path, name: &str, value: &Value) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, value.to_string()).unwrap();
    path
}

fn open(path: &Path, given: &Given) -> Scene {
    limits::set_gdal().unwrap();
    source::open(path, given).unwrap()
}

/// Describes every raster of a folder as an asset, with relative hrefs once it is copied.
fn assets(folder: &Path, wanted: impl Fn(&str) -> Option<Value>) -> Value {
    let mut found = serde_json::Map::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let raster = path.extension().is_some_and(|e| e == "tif" || e == "tiff");
        if let Some(mut asset) = wanted(stem).filter(|_| raster) {
            asset["href"] = json!(path.to_str().unwrap());
            found.insert(stem.to_owned(), asset);
        }
    }
    Value::Object(found)
}

#[test]
fn a_folder_of_single_bands_becomes_one_scene_of_its_dataset() {
    let Some(folder) = real("s2_majortom/T48QUE_20200223") else {
        return;
    };
    let band = |stem: &str| {
        stem.starts_with('B').then(|| {
            json!({"roles": ["data"], "eo:bands": [{"name": stem}],
                "raster:bands": [{"nodata": 0, "scale": 0.0001}]})
        })
    };
    let mut value = item("T48QUE_20200223", assets(&folder, band));
    value["collection"] = json!("sentinel-2-l2a");
    let own = tempfile::tempdir().unwrap();
    let path = write(own.path(), "item.json", &value);
    let scene = open(&path, &Given::default());
    assert_eq!(
        (scene.name.as_str(), scene.dataset.name),
        ("T48QUE_20200223", "sentinel-2-l2a")
    );
    assert_eq!(scene.acquired.to_string(), "2020-02-23T03:27:39Z");
    assert_eq!(scene.platform.as_deref(), Some("sentinel-2b"));
    let bands: Vec<_> = scene
        .layers
        .iter()
        .map(|l| (l.name.as_str(), l.resolution_m))
        .collect();
    let wanted = [
        ("B02", 10.0),
        ("B03", 10.0),
        ("B04", 10.0),
        ("B08", 10.0),
        ("B8A", 20.0),
        ("B11", 20.0),
        ("B12", 20.0),
    ];
    assert_eq!(bands, wanted);
    assert!(
        scene
            .layers
            .iter()
            .all(|l| l.fill == Some(0.0) && l.common.is_some())
    );
    let cut = cut_some(&scene, 5, |cells| cells.div_ceil(2));
    assert!(cut.splits.iter().all(|s| s.meta.bands.len() == 7));
}

#[test]
fn a_quality_band_of_an_item_judges_the_sky_and_classes_are_categorical() {
    let Some(folder) = real("landsat_elkton") else {
        return;
    };
    let named = |stem: &str| {
        let name = stem.split('-').nth(1).unwrap();
        let mut asset = json!({"bands": [{"name": name}]});
        if name == "Labels" {
            asset["classification:classes"] = json!([{"value": 0}, {"value": 1}, {"value": 2}]);
        }
        Some(asset)
    };
    let own = tempfile::tempdir().unwrap();
    let path = write(
        own.path(),
        "elkton.geojson",
        &item("elkton", assets(&folder, named)),
    );
    let given = Given {
        dataset: Some("landsat-c1-l1".to_owned()),
        ..Given::default()
    };
    let scene = open(&path, &given);
    let bands: Vec<_> = scene
        .layers
        .iter()
        .map(|l| (l.name.as_str(), l.categorical))
        .collect();
    let pixels = ["B2", "B3", "B4", "B5", "B6"].map(|b| (b, false));
    assert_eq!(bands[..5], pixels);
    assert!(
        bands[5..].iter().all(|(_, categorical)| *categorical),
        "{bands:?}"
    );
    assert_eq!(scene.mask.as_ref().unwrap().meaning.name, "bqa");
    let cut = cut_some(&scene, 5, |_| 1);
    let cloud = cut.counts.cloud().unwrap();
    assert!(
        cloud < 0.001,
        "the quality band calls all but a few pixels clear: {cloud}"
    );
}

#[test]
fn lists_of_items_are_as_many_scenes_each_found_once() {
    let Some(folder) = real("cbers_clouds") else {
        return;
    };
    let day = |day: &'static str| {
        move |stem: &str| {
            let band = stem.split('_').nth(2).unwrap();
            let role = if band == "CMASK" {
                "cloud-mask"
            } else {
                "data"
            };
            stem.ends_with(day)
                .then(|| json!({"roles": [role], "bands": [{"name": band}]}))
        }
    };
    let both = ["2017-11-01", "2017-11-17"].map(|d| item(d, assets(&folder, day(d))));
    let own = tempfile::tempdir().unwrap();
    let collection = json!({"type": "FeatureCollection", "features": both});
    write(own.path(), "list.json", &collection);
    let lines = both.each_ref().map(Value::to_string).join("\n");
    std::fs::write(own.path().join("lines.ndjson"), lines).unwrap();
    let found = find::scenes(&[own.path().to_owned()], &Given::default());
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    let names: Vec<_> = found
        .iter()
        .map(|p| open(p, &Given::default()).name)
        .collect();
    assert_eq!(
        names,
        ["2017-11-01", "2017-11-17", "2017-11-01", "2017-11-17"]
    );
    let clouds: Vec<_> = found[..2]
        .iter()
        .map(|p| {
            cut_some(&open(p, &Given::default()), 4, |_| 1)
                .counts
                .cloud()
                .unwrap()
        })
        .collect();
    // 0 and 6,940 of 21,594 pixels, fill included.
    assert!(clouds[0].abs() < 1e-9, "{clouds:?}");
    assert!((clouds[1] - 6940.0 / 21_594.0).abs() < 0.02, "{clouds:?}");
}

#[test]
fn rasters_that_an_item_lists_are_no_scenes_of_their_own() {
    let Some(folder) = real("cbers_clouds") else {
        return;
    };
    let own = tempfile::tempdir().unwrap();
    let file = "CBERS-4_AWFI_B16_2017-11-17.tif";
    std::fs::copy(folder.join(file), own.path().join(file)).unwrap();
    let value = item("a", json!({"B16": {"href": format!("./{file}")}}));
    let path = write(own.path(), "item.json", &value);
    let given = Given {
        dataset: Some("generic".to_owned()),
        ..Given::default()
    };
    let found = find::scenes(&[own.path().to_owned()], &given);
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, std::slice::from_ref(&path));
    let scene = open(&path, &given);
    assert_eq!(
        (scene.layers.len(), scene.layers[0].name.as_str()),
        (1, "B16")
    );
    assert_eq!(scene.layers[0].fill, Some(-9999.0));
}

/// The real item of an archive in the cloud names its files there; they were downloaded beside it.
#[test]
fn a_real_item_finds_the_files_that_were_downloaded_beside_it() {
    let Some(folder) = real("s2_l2a_29RKH_20200219") else {
        return;
    };
    let found = find::scenes(std::slice::from_ref(&folder), &Given::default());
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    let item = folder.join("S2A_29RKH_20200219_0_L2A.json");
    assert_eq!(found, [item.as_path()]);
    let scene = open(&item, &Given::default());
    assert_eq!(
        (scene.name.as_str(), scene.dataset.name),
        ("S2A_29RKH_20200219_0_L2A", "sentinel-2-l2a")
    );
    let names: Vec<_> = scene.layers.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["B03", "B04", "B08", "B8A", "B11", "B12", "SCL"]);
    assert_eq!(scene.mask.as_ref().unwrap().meaning.name, "scl");
    assert!(scene.notes[0].starts_with("assets on a network: "));
}

#[test]
fn what_cannot_be_used_is_refused_with_advice() {
    let own = tempfile::tempdir().unwrap();
    let fails = |value: Value, says: &str| {
        let path = write(own.path(), "item.json", &value);
        let fault = source::open(&path, &Given::default()).unwrap_err();
        let said = format!("{} {}", fault.what, fault.because.join(" "));
        assert!(said.contains(says) && fault.try_.is_some(), "{fault:?}");
    };
    let remote = json!({"red": {"href": "https://example.com/B04.tif"}});
    fails(item("a", remote), "network");
    fails(
        item("a", json!({"red": {"href": "/vsicurl/http://x/B04.tif"}})),
        "network",
    );
    fails(item("a", json!({"red": {"href": "B04.tif"}})), "not there");
    fails(
        item(
            "a",
            json!({"preview": {"href": "p.png", "roles": ["thumbnail"]}}),
        ),
        "raster",
    );
    let mut timeless = item("a", json!({"red": {"href": "B04.tif"}}));
    timeless["properties"] = json!({"datetime": null});
    fails(timeless, "datetime");
    fails(json!({"type": "Feature", "assets": {}}), "missing field");
}
