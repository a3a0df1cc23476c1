//! Synthetic worlds: what is written is what is read, and it obeys its law.
//!
//! *Invariants*: worlds are small; each test makes its own.
//!
//! *Not here*: real products.

use std::path::Path;

use earth::raster::Raster;
use ingest::source::{Layer, Scene};
use ingest::synth::world::Baseline;

use crate::place::{open, pack, products, world};

fn read(layer: &Layer) -> Raster {
    layer
        .image
        .read(layer.band, layer.image.georef().whole())
        .unwrap()
}

/// Physical values of a band; fill is NaN.
pub(crate) fn physical(layer: &Layer) -> Vec<f64> {
    let values = read(layer).samples().to_f64();
    let fill = layer.fill.unwrap_or(f64::NAN);
    let value = |v: f64| {
        if v.to_bits() == fill.to_bits() {
            f64::NAN
        } else {
            v * layer.scale + layer.offset
        }
    };
    values.into_iter().map(value).collect()
}

fn band<'a>(scene: &'a Scene, name: &str) -> &'a Layer {
    scene.layers.iter().find(|l| l.name == name).unwrap()
}

#[test]
fn clear_ground_obeys_the_law_of_its_region() {
    let out = tempfile::tempdir().unwrap();
    world(out.path(), (2, 1), Baseline::N0400);
    let text = std::fs::read(out.path().join("world.json")).unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(listed["synthetic"], true);
    for made in listed["scenes"].as_array().unwrap() {
        let region = &listed["regions"][usize::try_from(made["region"].as_u64().unwrap()).unwrap()];
        let law = |key: &str| region["law"][key].as_f64().unwrap();
        let product = made["product"].as_str().unwrap();
        let scene = open(&out.path().join(format!("{product}.SAFE")));
        let [r, g, b, n] = ["B04", "B03", "B02", "B08"].map(|name| physical(band(&scene, name)));
        let classes = read(band(&scene, "SCL"));
        let (mut error, mut count) = (0.0, 0.0);
        for i in (0..r.len()).step_by(7) {
            let class = classes
                .samples()
                .get(i / 300 / 2 * 150 + i % 300 / 2)
                .unwrap();
            if !(4.0..=5.0).contains(&class) {
                continue;
            }
            let green = (2.0 * g[i] - r[i] - b[i]) / (r[i] + g[i] + b[i]);
            let share = 1.0 / (1.0 + (-law("gain") * (green - law("middle"))).exp());
            let told = law("low") + (law("high") - law("low")) * share;
            error += ((n[i] - r[i]) / (n[i] + r[i]) - told).abs();
            count += 1.0;
        }
        assert!(count > 1000.0, "{product}: only {count} clear pixels");
        // What remains is the sensor's noise on dark red, 0.002 of about 0.04.
        assert!(error / count < 0.04, "{product}: {}", error / count);
    }
}

#[test]
fn truth_masks_are_what_scene_classes_call_cloud() {
    use ingest::source::raster_file::user_mask;
    let out = tempfile::tempdir().unwrap();
    world(out.path(), (1, 3), Baseline::N0400);
    for product in products(out.path()) {
        let scene = open(&product);
        let truth = out
            .path()
            .join("TRUTH")
            .join(format!("{}_cloud.tif", scene.name));
        let truth = read(&user_mask(&truth).unwrap().layer).samples().to_f64();
        let classes = read(band(&scene, "SCL")).samples().to_f64();
        for (truth, class) in truth.iter().zip(classes) {
            let told = if class < 1.0 {
                255.0
            } else {
                f64::from((8.0..=10.0).contains(&class))
            };
            assert_eq!(truth.to_bits(), told.to_bits());
        }
    }
}

#[test]
fn a_seed_fixes_every_byte() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for out in [a.path(), b.path()] {
        world(out, (1, 1), Baseline::N0400);
    }
    let hash = |out: &Path| open(&products(out)[0]).delivered.hash;
    assert_eq!(hash(a.path()), hash(b.path()));
}

#[test]
fn a_folder_and_its_zip_are_the_same_scene() {
    let out = tempfile::tempdir().unwrap();
    world(out.path(), (1, 1), Baseline::N0400);
    let folder = products(out.path()).remove(0);
    let archive = out.path().join("any.zip");
    pack(&folder, &archive);
    let (folder, zipped) = (open(&folder), open(&archive));
    assert_eq!(folder.name, zipped.name);
    assert_eq!(folder.delivered, zipped.delivered);
    assert_eq!(folder.platform.as_deref(), Some("synthetic"));
    for (a, b) in folder.layers.iter().zip(&zipped.layers) {
        assert_eq!(read(a), read(b), "{}", a.name);
    }
}

#[test]
fn every_metadata_file_says_synthetic() {
    let out = tempfile::tempdir().unwrap();
    world(out.path(), (1, 1), Baseline::N0214);
    let product = products(out.path()).remove(0);
    let granule = std::fs::read_dir(product.join("GRANULE"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    for file in [
        product.join("MTD_MSIL2A.xml"),
        product.join("manifest.safe"),
        granule.path().join("MTD_TL.xml"),
    ] {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("SYNTHETIC"), "{}", file.display());
        assert!(
            !text.contains('{'),
            "an unfilled place in {}",
            file.display()
        );
    }
}
