//! MODIS bands in rasters of their own: real ones of an archive in a cloud and of MODIStsp.
//!
//! *Invariants*: expected numbers are GDAL's of the same files, or the product's own scale.
//!
//! *Not here*: granules (`modis`), forms of names (the source's own tests).

use std::path::{Path, PathBuf};

use ingest::source::{self, Given, Scene, find};

use crate::place::{open, real};
use crate::real_products::cut_some;
use crate::warped::{self, Totals};

const NIR: &str = "modis_cog/MYD13A1.A2020153.h30v10.006.2020170024036_NIRR_B05.TIF";

fn range(scene: &Scene, name: &str) -> (f64, f64) {
    let layer = scene.layers.iter().find(|l| l.name == name).unwrap();
    let raster = layer.image.read(layer.band, layer.image.georef().whole());
    let raster = raster.unwrap();
    let valid = raster.validity(layer.fill);
    let numbers = raster.samples().to_f64().into_iter().zip(valid);
    let numbers = numbers.filter_map(|(n, v)| v.then_some(n * layer.scale + layer.offset));
    numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), n| {
        (low.min(n), high.max(n))
    })
}

#[test]
fn the_bands_of_a_granule_are_one_scene_from_any_of_them() {
    let Some(file) = real(NIR) else {
        return;
    };
    let scene = open(&file);
    assert_eq!(scene.name, "MYD13A1.A2020153.h30v10.006.2020170024036");
    assert_eq!(
        (scene.dataset.name, scene.platform.as_deref()),
        ("modis-mod13a1", Some("aqua"))
    );
    assert_eq!(scene.acquired.to_string(), "2020-06-01T00:00:00Z");
    let names: Vec<_> = scene.layers.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "NDVI",
            "red_reflectance",
            "NIR_reflectance",
            "pixel_reliability"
        ]
    );
    assert_eq!(scene.missing.len(), 5, "{:?}", scene.missing);
    // The file says that its scale divides; FACTS: NDVI -3000 (fill) to 9446, NIR to 5026.
    let (low, high) = range(&scene, "NDVI");
    assert!(low >= -0.2 && (high - 0.9446).abs() < 1e-9, "{low} {high}");
    assert!((range(&scene, "NIR_reflectance").1 - 0.5026).abs() < 1e-9);
    assert_eq!(
        scene.mask.as_ref().unwrap().meaning.band,
        "pixel_reliability"
    );
    let mask = cut_some(&scene, 3, |_| 1).counts.mask.unwrap();
    assert!(mask.valid > 0);
    // A folder lists the scene once, and not the pictures beside it.
    let folder = file.parent().unwrap().to_owned();
    let found = find::scenes(&[folder], &Given::default());
    let found: Vec<PathBuf> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(open(&found[0]).delivered.hash, scene.delivered.hash);
    let named = source::named(&file);
    assert_eq!(
        (named.scene, named.dataset),
        (scene.name, Some("modis-mod13a1"))
    );
}

#[test]
fn a_flag_that_names_another_dataset_takes_one_band_for_what_it_is() {
    let Some(file) = real(NIR) else {
        return;
    };
    let given = Given {
        dataset: Some("generic".to_owned()),
        acquired: Some("2020-06-01T00:00:00Z".parse().unwrap()),
        ..Given::default()
    };
    let scene = source::open(&file, &given).unwrap();
    assert_eq!((scene.dataset.name, scene.layers.len()), ("generic", 1));
}

#[test]
fn an_archive_of_dates_is_a_scene_a_date_with_physical_numbers() {
    let Some(archive) = real("modis_series_lecco/NDVI.zip") else {
        return;
    };
    let found = find::scenes(std::slice::from_ref(&archive), &Given::default());
    let found: Vec<PathBuf> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(found.len(), 23);
    let mut days = Vec::new();
    for path in &found {
        let scene = open(path);
        days.push(scene.acquired.strftime("%Y-%j").to_string());
        assert_eq!(
            scene.name,
            format!("MOD13A1_{}", days[days.len() - 1].replace('-', "_"))
        );
        assert_eq!(source::named(path).scene, scene.name);
        let (low, high) = range(&scene, "NDVI");
        assert!(low > -0.2001 && high < 1.0001, "{low} {high}");
    }
    assert_eq!(
        (days[0].as_str(), days[22].as_str()),
        ("2016-001", "2016-353")
    );
    let scene = open(&found[0]);
    let done = cut_some(&scene, 4, |_| 1);
    assert!(done.counts.valid > 0);
    if warped::is_here() {
        Totals::of(&scene, &done).check(100);
    }
    let fault = source::open(&archive, &Given::default()).unwrap_err();
    assert!(fault.because[0].contains("23"), "{fault:?}");
    assert!(fault.try_.unwrap().contains("NDVI.zip#0 to #22"));
    let beyond = archive.with_file_name("NDVI.zip#23");
    assert!(source::open(&beyond, &Given::default()).is_err());
    assert!(!Path::new(&beyond).exists());
}
