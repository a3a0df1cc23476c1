//! NLCD over Zion, in all the forms it comes in, against the oracle's counts and gdalwarp.
//!
//! *Invariants*: the `.img` and `.tif` are the delivered files; Albers rasters are made of them
//! with gdalwarp, nearest, and nothing else.
//!
//! *Not here*: other rasters of classes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use earth::raster::reproject::Kernel;
use ingest::cutting::CutScene;
use ingest::plan;
use ingest::source::{self, Given, Scene, find};
use serde_json::Value;

use crate::bad_input::check;
use crate::place::{open, pack_files, real};
use crate::real_products::cut_some;
use crate::warped::{self, Totals, georef};

const FILES: [&str; 2] = ["nlcd_zion/nlcd2011.tif", "nlcd_zion/nlcd2011_zion.img"];

/// Class → pixels, as the oracle counted them.
fn told() -> Option<BTreeMap<i64, u64>> {
    let text = fs::read(real("ORACLES_DEV.json")?).unwrap();
    let oracles: Value = serde_json::from_slice(&text).unwrap();
    let counts = oracles["nlcd_zion"]["nlcd_counts"].as_object().unwrap();
    let pair =
        |(class, count): (&String, &Value)| (class.parse().unwrap(), count.as_u64().unwrap());
    Some(counts.iter().map(pair).collect())
}

/// Class → pixels, summed over the metadata of splits.
fn found(done: &CutScene) -> BTreeMap<i64, u64> {
    let mut sums = BTreeMap::new();
    for split in &done.splits {
        for class in split.meta.bands[0].classes.as_ref().unwrap() {
            *sums.entry(class.value).or_default() += class.count;
        }
    }
    sums
}

#[test]
fn histograms_of_splits_sum_to_that_of_the_source() {
    let Some(told) = told() else {
        return;
    };
    for file in FILES {
        let Some(path) = real(file) else {
            return;
        };
        let scene = open(&path);
        for precision in [4, 5] {
            let done = cut_some(&scene, precision, |_| 1);
            let found = found(&done);
            let sum: u64 = found.values().sum();
            assert_eq!(sum, done.counts.valid, "every valid pixel has a class");
            let all: u64 = told.values().sum();
            assert!(found.keys().eq(told.keys()), "{found:?}");
            for (class, count) in &told {
                let (a, b) = (found[class] as f64 / sum as f64, *count as f64 / all as f64);
                assert!((a - b).abs() < 0.005, "{file} class {class}: {a:.4} {b:.4}");
            }
            // The area, too: a pixel of the source measures 31.530 × 31.525 m, one of the grid
            // what its cell's grid says at the latitude of the scene.
            let grid = plan::grid(&done.splits[0].meta.geocode, 30.0).unwrap();
            let [_, width, _, _, _, height] = grid.transform().to_gdal();
            let ground = (width * 88_730.0) * (-height * 110_985.0);
            let (ours, theirs) = (sum as f64 * ground, all as f64 * 31.530_298 * 31.524_659);
            assert!((ours / theirs - 1.0).abs() < 0.005, "{ours} {theirs}");
        }
    }
}

#[test]
fn land_cover_is_cut_as_classes_with_names() {
    for file in FILES {
        let Some(path) = real(file) else {
            return;
        };
        let scene = open(&path);
        assert_eq!(scene.dataset.name, "nlcd");
        assert_eq!(scene.acquired.to_string(), "2011-01-01T00:00:00Z");
        let layer = &scene.layers[0];
        assert!(layer.categorical && layer.resolution_m.to_string() == "30");
        assert_eq!(
            (layer.name.as_str(), layer.fill),
            ("land_cover", Some(255.0))
        );
        let plan = plan::plan(&scene, earth::geocode::Scheme::Geohash, 5).unwrap();
        assert!(plan.groups.iter().all(|g| g.kernel == Kernel::Nearest));
        let done = cut_some(&scene, 4, |_| 1);
        let band = &done.splits[0].meta.bands[0];
        let name = |value| band.class_names.iter().find(|c| c.value == value);
        assert_eq!(name(42).map(|c| c.name.as_str()), Some("evergreen forest"));
        assert!(done.splits.iter().all(|s| s.meta.cloud_source.is_none()));
    }
}

#[test]
fn a_system_without_a_code_and_albers_equal_gdalwarp() {
    if !warped::is_here() {
        return;
    }
    for file in FILES {
        let Some(path) = real(file) else {
            return;
        };
        compare(&open(&path));
    }
    let Some(path) = real(FILES[1]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // The two systems NLCD comes in: EPSG:5070, and Esri's form of it without a code.
    let esri = "+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +x_0=0 +y_0=0 \
                +datum=WGS84 +units=m +no_defs";
    for (srs, driver, name) in [
        ("EPSG:5070", "HFA", "nlcd_2011_a.img"),
        (esri, "HFA", "nlcd_2011_b.img"),
        (esri, "GTiff", "nlcd_2011_c.tif"),
    ] {
        let target = folder.path().join(name);
        albers(&path, (srs, driver), &target);
        let scene = open(&target);
        let system = georef(&scene.layers[0]).crs.to_string();
        assert!(
            system.contains("+proj=aea") || system == "EPSG:5070",
            "{system}"
        );
        compare(&scene);
    }
}

fn compare(scene: &Scene) {
    let done = cut_some(scene, 5, |cells| cells.div_ceil(4));
    Totals::of(scene, &done).check(1_000);
}

fn albers(file: &Path, (srs, driver): (&str, &str), target: &Path) {
    let mut command = Command::new("gdalwarp");
    command.args([
        "-q", "-r", "near", "-tr", "30", "30", "-t_srs", srs, "-of", driver,
    ]);
    assert!(command.arg(file).arg(target).status().unwrap().success());
}

#[test]
fn a_file_of_another_name_is_land_cover_if_the_user_says_so() {
    let Some(path) = real(FILES[0]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zion.tif");
    fs::write(&file, fs::read(path).unwrap()).unwrap();
    let given = Given {
        dataset: Some("nlcd".to_owned()),
        acquired: Some("2011-01-01T00:00:00Z".parse().unwrap()),
        ..Given::default()
    };
    let scene = source::open(&file, &given).unwrap();
    assert!(scene.layers[0].categorical && scene.layers[0].name == "land_cover");
    let unnamed = Given {
        acquired: None,
        ..given
    };
    let fault = source::open(&file, &unnamed).unwrap_err();
    assert!(fault.to_string().contains("sensing time"), "{fault}");
}

#[test]
fn a_folder_offers_its_land_cover_and_granules() {
    let (Some(zion), Some(granules)) = (real("nlcd_zion"), real("modis_hdf4")) else {
        return;
    };
    let found = find::scenes(&[zion, granules], &Given::default());
    let names: Vec<_> = found
        .iter()
        .map(|f| f.as_ref().unwrap().file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(&names[..2], ["nlcd2011.tif", "nlcd2011_zion.img"]);
    assert_eq!(names.len(), 7, "four granules and one archive: {names:?}");
}

#[test]
fn the_zip_that_land_cover_comes_in_is_the_scene_of_its_raster() {
    let folder = tempfile::tempdir().unwrap();
    for (file, inside) in FILES.iter().zip([
        "Annual_NLCD_LndCov_2011_CU_C1V0.tif",
        "nlcd_2011_land_cover_l48.img",
    ]) {
        let Some(path) = real(file) else {
            return;
        };
        let raster = folder.path().join(inside);
        fs::write(&raster, fs::read(path).unwrap()).unwrap();
        let notes = folder.path().join("readme.xml");
        fs::write(&notes, "<readme/>").unwrap();
        let zip = raster.with_extension("zip");
        pack_files(&zip, &[raster.clone(), notes]);
        let (plain, packed) = (open(&raster), open(&zip));
        assert_eq!(packed.name, plain.name);
        assert_eq!(packed.acquired, plain.acquired);
        assert_eq!(packed.delivered.hash, plain.delivered.hash);
        let cut = |scene: &Scene| found(&cut_some(scene, 4, |_| 1));
        assert_eq!(cut(&packed), cut(&plain));
        let named = source::named(&zip);
        assert_eq!(
            (named.scene.as_str(), named.dataset),
            (plain.name.as_str(), Some("nlcd"))
        );
        fs::remove_file(raster).unwrap();
    }
    // One archive of several years, under a name that says nothing.
    let years = folder.path().join("years.zip");
    let [tif, img] = FILES.map(|file| real(file).unwrap());
    pack_files(&years, &[tif, img]);
    let found = find::scenes(std::slice::from_ref(&years), &Given::default());
    let names = found.into_iter().map(|f| open(&f.unwrap()).name);
    assert_eq!(names.collect::<Vec<_>>(), ["nlcd2011", "nlcd2011_zion"]);
}

/// Beyond 2 GB, an `.img` keeps its pixels in a file beside it.
#[test]
fn pixels_that_lie_beside_an_img_belong_to_what_was_delivered() {
    let Some(path) = real(FILES[1]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let raster = folder.path().join("nlcd_2011.img");
    let mut command = Command::new("gdal_translate");
    command.args(["-q", "-of", "HFA", "-co", "USE_SPILL=YES"]);
    assert!(command.arg(&path).arg(&raster).status().unwrap().success());
    let spilled = raster.with_extension("ige");
    let whole = open(&raster);
    assert!(fs::metadata(&spilled).unwrap().len() > 1_000_000);
    assert!(
        whole.delivered.bytes > 1_000_000,
        "{}",
        whole.delivered.bytes
    );
    assert_eq!(
        found(&cut_some(&whole, 4, |_| 1)),
        found(&cut_some(&open(&path), 4, |_| 1))
    );
    let zip = raster.with_extension("zip");
    pack_files(&zip, &[raster.clone(), spilled.clone()]);
    assert_eq!(open(&zip).delivered.hash, whole.delivered.hash);
    fs::remove_file(spilled).unwrap();
    check(&raster, &["--precision", "4"], "nlcd_2011");
}
