//! Offsets and levels of Sentinel-2: one synthetic scene in every baseline and at both levels has
//! the same reflectances, as delivered and in its splits.
//!
//! *Invariants*: reflectances are compared exactly: 0 digital numbers apart.
//!
//! *Not here*: real products (`real_products`), pixels against GDAL (`conformance`).

use std::path::{Path, PathBuf};

use earth::split::codec;
use ingest::source::Scene;
use ingest::synth::world::{Baseline, Level};

use crate::place::{open, pack, products, world, world_at};
use crate::real_products::cut_some;
use crate::synthetic::physical;

const OLD: [Baseline; 2] = [Baseline::N0214, Baseline::N0301];
const NEW: [Baseline; 2] = [Baseline::N0400, Baseline::N0500];

/// Writes the one scene of a world in a baseline.
fn product(out: &Path, baseline: Baseline) -> PathBuf {
    let out = out.join(format!("{baseline:?}"));
    world(&out, (1, 1), baseline);
    products(&out).remove(0)
}

/// Says of every band what offset it has, and fails unless its numbers tell the same reflectance.
fn same_reflectance(old: &Scene, new: &Scene) {
    assert_eq!(old.acquired, new.acquired);
    assert_eq!(old.layers.len(), new.layers.len());
    for (a, b) in old.layers.iter().zip(&new.layers) {
        assert_eq!(a.name, b.name);
        let offset = if a.categorical { 0.0 } else { -0.1 };
        assert!(a.offset.abs() < 1e-12 && (b.offset - offset).abs() < 1e-12);
        let pairs = physical(a).into_iter().zip(physical(b));
        let apart = pairs.filter(|(x, y)| !same(*x, *y)).count();
        assert_eq!(
            apart, 0,
            "{} of {:?} and {:?}",
            a.name, old.source, new.source
        );
    }
}

/// Tells whether two reflectances are one, but for the rounding of a product and a sum.
fn same(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-9
}

/// Physical values of every band of every split, by split and band.
fn cut(scene: &Scene) -> Vec<(String, Vec<f64>)> {
    let done = cut_some(scene, 5, |_| 1);
    let mut all = Vec::new();
    for waiting in &done.splits {
        let files = done.spool.read(&waiting.files).unwrap();
        for band in &waiting.meta.bands {
            let (_, bytes) = files.iter().find(|(name, _)| *name == band.asset).unwrap();
            let raster = codec::decode(bytes, &[band.index as usize])
                .unwrap()
                .remove(0);
            let value = |v: f64| {
                let nothing = band.fill.is_some_and(|f| f.to_bits() == v.to_bits());
                if nothing {
                    f64::NAN
                } else {
                    v * band.scale + band.offset
                }
            };
            let values = raster.samples().to_f64().into_iter().map(value);
            all.push((
                format!("{} {}", waiting.meta.geocode, band.name),
                values.collect(),
            ));
        }
    }
    all
}

#[test]
fn every_baseline_tells_the_same_reflectance_as_delivered_and_in_splits() {
    let out = tempfile::tempdir().unwrap();
    let first = open(&product(out.path(), OLD[0]));
    let splits = cut(&first);
    assert!(splits.len() >= 13, "{}", splits.len());
    for baseline in NEW {
        let scene = open(&product(out.path(), baseline));
        same_reflectance(&first, &scene);
        for ((name, a), (other, b)) in splits.iter().zip(cut(&scene)) {
            assert_eq!(*name, other);
            let apart = a.iter().zip(&b).filter(|(x, y)| !same(**x, **y)).count();
            assert_eq!(apart, 0, "{name} in {baseline:?}");
        }
    }
    let last = open(&product(out.path(), OLD[1]));
    for (a, b) in first.layers.iter().zip(&last.layers) {
        assert!(a.offset.abs() < 1e-12 && b.offset.abs() < 1e-12);
        let pairs = physical(a).into_iter().zip(physical(b));
        assert_eq!(
            pairs.filter(|(x, y)| !same(*x, *y)).count(),
            0,
            "{}",
            a.name
        );
    }
}

/// Rewrites a product's metadata.
fn edit(product: &Path, name: &str, change: impl Fn(String) -> String) {
    let path = product.join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
}

/// Writes the one scene of a world of level 1C in a baseline.
fn level_1c(out: &Path, baseline: Baseline) -> PathBuf {
    let out = out.join(format!("1C-{baseline:?}"));
    world_at(&out, (1, 1), (baseline, Level::L1C));
    products(&out).remove(0)
}

#[test]
fn level_1c_applies_its_own_offsets_from_a_folder_and_from_its_zip() {
    let out = tempfile::tempdir().unwrap();
    let old = open(&level_1c(out.path(), Baseline::N0301));
    let product = level_1c(out.path(), Baseline::N0400);
    let new = open(&product);
    assert_eq!(new.dataset.name, "sentinel-2-l1c");
    assert_eq!((new.layers.len(), new.missing.len()), (13, 0));
    same_reflectance(&old, &new);
    let zip = out.path().join("product.zip");
    pack(&product, &zip);
    let packed = open(&zip);
    assert_eq!(
        (&packed.name, &packed.delivered.hash),
        (&new.name, &new.delivered.hash)
    );
    same_reflectance(&old, &packed);
    let splits = cut(&old);
    assert!(splits.len() >= 13, "{}", splits.len());
    for ((name, a), (other, b)) in splits.iter().zip(cut(&new)) {
        assert_eq!(*name, other);
        let apart = a.iter().zip(&b).filter(|(x, y)| !same(**x, **y)).count();
        assert_eq!(apart, 0, "{name}");
    }
}

#[test]
fn level_1c_has_no_mask_and_reflectance_judges_its_clouds_in_every_baseline() {
    let out = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    for baseline in [Baseline::N0214, Baseline::N0500] {
        let out = out.path().join(format!("{baseline:?}"));
        world_at(&out, (1, 5), (baseline, Level::L1C));
        let world = std::fs::read_to_string(out.join("world.json")).unwrap();
        let world: serde_json::Value = serde_json::from_str(&world).unwrap();
        let clouds = world["scenes"].as_array().unwrap().iter().map(|made| {
            let product = format!("{}.SAFE", made["product"].as_str().unwrap());
            let scene = open(&out.join(product));
            assert!(scene.mask.is_none(), "nothing was delivered");
            let mask = cut_some(&scene, 5, |_| 1).counts.mask.unwrap();
            let share = mask.cloudy as f64 / mask.valid as f64;
            let truth = made["cloud_true"].as_f64().unwrap();
            assert!(
                (share - truth).abs() < 0.12,
                "{share} is seen, {truth} is true"
            );
            (mask.cloudy, mask.valid)
        });
        told.push(clouds.collect::<Vec<_>>());
    }
    assert_eq!(told[0], told[1]);
    assert!(
        told[0].iter().any(|(cloudy, valid)| cloudy * 5 > *valid),
        "{told:?}"
    );
}

#[test]
fn each_band_has_the_offset_that_its_own_number_names() {
    let out = tempfile::tempdir().unwrap();
    let product = product(out.path(), Baseline::N0400);
    edit(&product, "MTD_MSIL2A.xml", |text| {
        text.replace("band_id=\"3\">-1000", "band_id=\"3\">-500")
            .replace("<BOA_ADD_OFFSET band_id=\"8\">-1000</BOA_ADD_OFFSET>", "")
    });
    let scene = open(&product);
    let offset = |name: &str| scene.layers.iter().find(|l| l.name == name).unwrap().offset;
    // 3 is B04, 8 is B8A: numbers count B8A between B08 and B09.
    for (name, wanted) in [("B04", -0.05), ("B8A", 0.0), ("B03", -0.1), ("B12", -0.1)] {
        assert!(
            (offset(name) - wanted).abs() < 1e-12,
            "{name}: {}",
            offset(name)
        );
    }
}

#[test]
fn bands_that_are_not_there_are_said_and_the_rest_is_read() {
    let out = tempfile::tempdir().unwrap();
    let product = product(out.path(), Baseline::N0400);
    let mut open_folders = vec![product.clone()];
    while let Some(folder) = open_folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_str().unwrap();
            if path.is_dir() {
                open_folders.push(path);
            } else if name.ends_with("_B03_10m.jp2") || name.ends_with("_B11_20m.jp2") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    let scene = open(&product);
    assert_eq!(scene.missing, ["B03", "B11"]);
    let done = cut_some(&scene, 5, |_| 1);
    assert!(!done.splits.is_empty());
    for split in &done.splits {
        assert!(
            split
                .meta
                .bands
                .iter()
                .all(|b| b.name != "B03" && b.name != "B11")
        );
    }
}
