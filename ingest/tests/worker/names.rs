//! What a scene is called before it is opened: a scene that fails is kept under that name.
//!
//! *Invariants*: every scene that opens is called as its names alone told.
//!
//! *Not here*: ledgers (`node`, and the whole system's tests).

use ingest::limits;
use ingest::source::{self, Given, find};

use crate::place::real;

#[test]
fn every_real_scene_has_the_name_and_dataset_that_its_names_told() {
    let Some(data) = real("") else {
        return;
    };
    limits::set_gdal().unwrap();
    let folders = [
        ("landsat_c2", true),
        ("landsat_l8ny18", true),
        ("modis_cog", true),
        ("modis_hdf4", true),
        ("modis_series_lecco", true),
        ("naip", true),
        ("nlcd_zion", true),
        ("s2_safe", true),
        // Names of files that BEAM wrote tell no type.
        ("sentinel3_olci", false),
    ];
    for (folder, tells) in folders {
        let given = Given::default();
        let mut opened = 0;
        for path in find::scenes(&[data.join(folder)], &given) {
            let path = path.unwrap();
            let named = source::named(&path);
            let Ok(scene) = source::open(&path, &given) else {
                continue;
            };
            opened += 1;
            assert_eq!(named.scene, scene.name, "{}", path.display());
            let dataset = tells.then_some(scene.dataset.name);
            assert_eq!(named.dataset, dataset, "{}", path.display());
        }
        assert!(opened > 0, "nothing of {folder} opens");
    }
}

#[test]
fn folders_without_pixels_are_named_too() {
    let Some(data) = real("sentinel3_metadata_only") else {
        return;
    };
    let mut datasets: Vec<_> = std::fs::read_dir(data)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let named = source::named(&path);
            assert_eq!(named.scene, name);
            // Renamed, the manifest tells.
            let folder = tempfile::tempdir().unwrap();
            let renamed = folder.path().join("renamed.SEN3");
            crate::place::copy(&path, &renamed);
            assert_eq!(source::named(&renamed), named);
            named.dataset.unwrap()
        })
        .collect();
    datasets.sort_unstable();
    assert_eq!(datasets, ["sentinel-3-olci-l1", "sentinel-3-slstr"]);
}
