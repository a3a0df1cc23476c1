//! Real Landsat scenes: cloud, shadow, snow and coverage against what numpy found in their quality
//! bands; times and scales against their metadata; pixels against gdalwarp.
//!
//! *Invariants*: expected numbers come from the oracle file or the products' own metadata.
//!
//! *Not here*: forms of names and metadata (the source's own tests).

use std::path::{Path, PathBuf};

use earth::split::meta::{BandMeta, PixelCounts};
use ingest::source::{self, Given, Layer, find};
use serde_json::Value;

use crate::conformance::equals_gdalwarp;
use crate::place::{open, real};
use crate::real_products::{cut_some, oracles};

/// Points that a share may be off: cells of the decimated scenes weigh their pixels unevenly.
const POINTS: f64 = 0.5;

/// Returns the folder of every scene that the oracles judge, with what they say.
fn judged() -> Vec<(PathBuf, Value)> {
    let Some(oracles) = oracles() else {
        return Vec::new();
    };
    let all = oracles.as_object().unwrap().clone();
    let landsat = all
        .into_iter()
        .filter(|(file, _)| file.starts_with("landsat_"));
    let folder = |(file, said): (String, Value)| {
        let folder = Path::new(&file)
            .parent()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        Some((real(&folder)?, said))
    };
    landsat.filter_map(folder).collect()
}

/// Fails unless two shares are within `POINTS`.
fn near(what: &str, scene: &str, (ours, theirs): (f64, f64)) {
    let off = (ours - theirs).abs() * 100.0;
    let (ours, theirs) = (ours * 100.0, theirs * 100.0);
    eprintln!("{scene}: {what} {ours:.2} % ({theirs:.2})");
    assert!(
        off <= POINTS,
        "{scene}: {what} {ours:.3} % and not {theirs:.3}"
    );
}

fn share(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

fn compare(scene: &str, counts: PixelCounts, said: &Value) {
    let mask = counts.mask.unwrap();
    let number = |key: &str| said.get(key).and_then(Value::as_f64);
    let coverage = share(counts.valid, counts.in_footprint);
    near(
        "coverage",
        scene,
        (coverage, number("valid_fraction").unwrap()),
    );
    let told = [
        (
            "cloud",
            Some(mask.cloudy),
            number("cloud_bit3").or(number("cloud_bit4")),
        ),
        ("shadow", mask.shadow, number("shadow_bit4")),
        ("snow", mask.snow, number("snow_bit5")),
    ];
    for (what, count, theirs) in told {
        if let (Some(count), Some(theirs)) = (count, theirs) {
            near(what, scene, (share(count, mask.valid), theirs));
        }
    }
}

#[test]
fn cloud_shadow_snow_and_coverage_of_every_scene_are_those_of_its_quality_band() {
    // All bands have the same edges; one of them and the quality band are enough. Every third scene
    // of a kind in an ordinary run.
    let step = if std::env::var_os("GLEBE_NIGHTLY").is_some() {
        1
    } else {
        3
    };
    let (level_2, level_1): (Vec<_>, Vec<_>) = judged()
        .into_iter()
        .partition(|(folder, _)| folder.to_str().unwrap().contains("L2SP"));
    for (folder, said) in level_2.into_iter().chain(level_1.into_iter().step_by(step)) {
        let mut scene = open(&folder);
        let red = scene
            .layers
            .iter()
            .position(|l| l.common.as_deref() == Some("red"));
        let red = scene.layers[red.unwrap()].name.clone();
        scene.layers.retain(|l| l.categorical || l.name == red);
        // Cells that hold the whole scene: the grid of pixels of 3 km falls evenly on it then.
        let precision = if scene.layers[0].resolution_m > 1000.0 {
            1
        } else {
            3
        };
        let cut = cut_some(&scene, precision, |_| 1);
        compare(&scene.name, cut.counts, &said);
    }
}

#[test]
fn level_2_has_its_metadatas_time_scale_and_missing_bands() {
    let Some(folder) = real("landsat_c2/LC08_L2SP_005009_20150710_20200908_02_T2") else {
        return;
    };
    let scene = open(&folder);
    assert_eq!(scene.name, "LC08_L2SP_005009_20150710_20200908_02_T2");
    assert_eq!(scene.dataset.name, "landsat-c2-l2");
    assert_eq!(scene.acquired.to_string(), "2015-07-10T14:34:35.978399Z");
    assert_eq!(scene.platform.as_deref(), Some("landsat-8"));
    let bands: Vec<_> = scene
        .layers
        .iter()
        .map(|l| (l.name.as_str(), l.common.as_deref()))
        .collect();
    let wanted = [
        ("SR_B3", Some("green")),
        ("SR_B4", Some("red")),
        ("SR_B5", Some("nir08")),
        ("SR_B6", Some("swir16")),
        ("QA_PIXEL", None),
    ];
    assert_eq!(bands, wanted);
    for layer in scene.measured() {
        assert!((layer.scale - 2.75e-5).abs() < 1e-12 && (layer.offset + 0.2).abs() < 1e-12);
        assert_eq!(layer.fill, Some(0.0));
    }
    assert_eq!(scene.missing, ["SR_B1", "SR_B2", "SR_B7", "ST_B10"]);
    assert!(scene.notes.is_empty(), "{:?}", scene.notes);
    assert_eq!(scene.mask.unwrap().meaning.name, "qa_pixel");
}

#[test]
fn a_folder_without_metadata_is_dated_by_its_name_and_says_so() {
    let Some(folder) = real("landsat_l8ny18/LC08_L1TP_014031_20180106_20180119_01_T1") else {
        return;
    };
    let scene = open(&folder);
    assert_eq!(scene.name, "LC08_L1TP_014031_20180106_20180119_01_T1");
    assert_eq!(scene.dataset.name, "landsat-c1-l1");
    assert_eq!(scene.acquired.to_string(), "2018-01-06T00:00:00Z");
    assert!(
        scene.notes.iter().any(|n| n.contains("only the day")),
        "{:?}",
        scene.notes
    );
    assert_eq!(scene.mask.unwrap().meaning.name, "bqa");
    let given = Given {
        acquired: Some("2018-01-06T15:40:00Z".parse().unwrap()),
        ..Given::default()
    };
    let scene = source::open(&folder, &given).unwrap();
    assert_eq!(scene.acquired.to_string(), "2018-01-06T15:40:00Z");
    let other = Given {
        acquired: Some("2018-01-07T15:40:00Z".parse().unwrap()),
        ..Given::default()
    };
    assert!(source::open(&folder, &other).is_err());
}

#[test]
fn one_file_of_a_scene_finds_the_scene_and_folders_of_several_list_each_once() {
    let Some(folder) = real("landsat_c2/LC08_L2SP_008059_20191201_20200825_02_T1") else {
        return;
    };
    let whole = open(&folder);
    for file in ["SR_B4.TIF", "MTL.txt", "MTL.json", "QA_PIXEL.TIF"] {
        let file = folder.join(format!("{}_{file}", whole.name));
        let scene = open(&file);
        assert_eq!(
            (&scene.name, &scene.delivered.hash),
            (&whole.name, &whole.delivered.hash)
        );
    }
    let Some(other) = real("landsat_c2/LC08_L2SP_005009_20150710_20200908_02_T2") else {
        return;
    };
    let flat = tempfile::tempdir().unwrap();
    for folder in [&folder, &other] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, flat.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let given = Given {
        dataset: Some("landsat-c2-l2".to_owned()),
        ..Given::default()
    };
    let found = find::scenes(&[flat.path().to_owned()], &given);
    let names: Vec<_> = found
        .iter()
        .map(|f| open(f.as_ref().unwrap()).name)
        .collect();
    assert_eq!(
        names,
        [other, folder].map(|f| f.file_name().unwrap().to_str().unwrap().to_owned())
    );
}

#[test]
fn files_of_one_scene_among_others_hide_none_of_them() {
    let Some(folder) = real("landsat_c2/LC08_L2SP_008059_20191201_20200825_02_T1") else {
        return;
    };
    let Some(naip) = real("naip/m_3211605_ne_11_060_20200415.tif") else {
        return;
    };
    let flat = tempfile::tempdir().unwrap();
    let files = std::fs::read_dir(&folder).unwrap();
    for path in files.map(|e| e.unwrap().path()).chain([naip]) {
        std::fs::copy(&path, flat.path().join(path.file_name().unwrap())).unwrap();
    }
    let found = find::scenes(&[flat.path().to_owned()], &Given::default());
    let names: Vec<_> = found
        .iter()
        .map(|f| source::named(f.as_ref().unwrap()).scene)
        .collect();
    assert_eq!(
        names,
        [
            folder.file_name().unwrap().to_str().unwrap(),
            "m_3211605_ne_11_060_20200415"
        ]
    );
}

#[test]
fn what_is_wrong_with_a_scene_is_said() {
    let Some(folder) = real("landsat_c2/LC08_L2SP_008059_20191201_20200825_02_T1") else {
        return;
    };
    let own = tempfile::tempdir().unwrap();
    let name = "LC08_L2SP_008059_20191201_20200825_02_T1";
    let mtl = std::fs::read_to_string(folder.join(format!("{name}_MTL.txt"))).unwrap();
    let target = own.path().join(format!("{name}_MTL.txt"));
    let check = |text: &str, says: &str| {
        std::fs::write(&target, text).unwrap();
        let fault = source::open(own.path(), &Given::default()).unwrap_err();
        let said = format!("{} {}", fault.what, fault.because.join(" "));
        assert!(said.contains(says), "{said}");
        assert!(fault.try_.is_some());
    };
    check(&mtl, "no pixels");
    check(&mtl[..mtl.len() / 2], "cut short");
    check(&mtl.replace("008059", "009059"), "two products");
    check(
        &mtl.replace("DATE_ACQUIRED = 2019-12-01", "DATE_ACQUIRED = 2019-13-01"),
        "2019-13-01",
    );
}

#[test]
fn splits_of_real_scenes_equal_gdalwarp() {
    let scenes = [
        ("landsat_c2/LC08_L2SP_008059_20191201_20200825_02_T1", 3),
        ("landsat_l8ny18/LC08_L1TP_014031_20180106_20180119_01_T1", 3),
    ];
    for (folder, precision) in scenes {
        let Some(folder) = real(folder) else {
            return;
        };
        let scene = open(&folder);
        let file = |layer: &Layer, _: &BandMeta| folder.join(layer.image.label());
        equals_gdalwarp(&scene, precision, &file).check(1000);
    }
}
