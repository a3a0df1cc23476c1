//! A recipe whose answer is a map: learned, published, read by Python, applied.

use std::path::Path;

use tch::{Device, Tensor};
use trainer::chips::choose::choose;
use trainer::chips::planes;
use trainer::files::read_meta;
use trainer::job::learn;
use trainer::metric::r2::r2;
use trainer::model::open;
use trainer::recipe::Task as _;
use trainer::recipe::ndmi_unet::NdmiUnet;
use trainer::stop::Stop;
use wire::run::{Hyper, Lease};

use crate::folder::{asked, published, python, python_with_torch};
use crate::predict::{self, predict, summary};
use crate::world::{Scene, folder, lease_of, quick};

/// Greatest difference between libtorch's and numpy's answers.
const TOLERANCE: f32 = 1e-5;

fn lease(path: &Path, epochs: u32) -> Lease {
    let split = Scene::moist("a", 1).write(&path.join("splits"));
    let hyper = Hyper { epochs, ..quick() };
    lease_of("ndmi-unet", vec![split], hyper)
}

#[test]
fn a_map_learned_here_follows_the_land_on_another_date() {
    let (_keep, path) = folder();
    let (learned, place) = published(&lease(&path, 16), &path);
    let m = learned.config.metrics;
    assert!(
        m.val_mse < 0.5 * m.mean_mse && m.val_mse < 0.5 * m.linear_mse,
        "{m:?}"
    );
    assert!(
        m.linear_mse > 0.8 * m.mean_mse,
        "a line should not learn this world: {m:?}"
    );
    let map = m.map.expect("scores as images");
    assert!(map.val_psnr.is_some_and(|v| v > 15.0), "{m:?}");
    assert!(map.val_ssim.is_some_and(|v| v > 0.1 && v < 1.0), "{m:?}");
    assert_eq!(map.ms_ssim_scales, 1, "chips of 16 pixels");

    let scene = Scene::moist("later", 9).write(&path.join("scene"));
    let meta = read_meta(&scene.folder).expect("a split");
    let choice = choose(&meta, NdmiUnet.inputs(), NdmiUnet.label_bands()).expect("bands");
    let planes = planes::read(&scene.folder, &meta, &choice, 3).expect("planes");
    let out = path.join("map.tif");
    summary(&predict(&place, &path.join("scene"), &out));
    let predicted = predict::map(&out).bands.remove(0);
    let truth = NdmiUnet.label(&planes.others).expect("a map");
    assert_eq!(predicted.len(), truth.len());
    assert!(
        predicted.iter().all(|v| !v.is_nan()),
        "a pixel without an answer"
    );
    let score = r2(&predicted, &truth);
    assert!(score > 0.8, "R2 {score} on a date it never saw");
}

#[test]
fn the_card_says_which_bands_made_the_label_and_how_20_m_came_onto_10_m() {
    let (_keep, path) = folder();
    let (learned, place) = published(&lease(&path, 1), &path);
    assert_eq!(learned.config.network.answer_shape, [1, 16, 16]);
    assert!((learned.config.network.resolution_m - 10.0).abs() < 1e-9);
    let card = std::fs::read_to_string(place.join("README.md")).expect("a card");
    for said in [
        "red = B04 (10 m)",
        "nir = B8A (20 m, nearest pixel on the chips' grid)",
        "swir = B11 (20 m, nearest pixel on the chips' grid)",
        "label is that of the coarser pixel around its centre",
        "SSIM",
        "linear regression on a pixel's bands",
    ] {
        assert!(
            card.contains(said),
            "the card does not say '{said}':\n{card}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_map_network() {
    let hash = |seed: u64| {
        let (_keep, path) = folder();
        let mut lease = lease(&path, 2);
        lease.run.seed = seed;
        let learned = learn(&lease, Device::Cpu, &Stop::default()).expect("a model");
        learned.config.weights_blake3
    };
    let once = hash(7);
    assert_eq!(once, hash(7));
    assert_ne!(once, hash(8));
}

#[test]
fn a_split_without_short_wave_infrared_is_told_by_name_with_a_next_step() {
    let (_keep, path) = folder();
    let splits = vec![Scene::new("a", 1).write(&path)];
    let lease = lease_of("ndmi-unet", splits, quick());
    let failed = learn(&lease, Device::Cpu, &Stop::default()).expect_err("no band");
    let text = failed.to_string();
    assert!(failed.hopeless());
    assert!(
        text.contains("no swir band (it has: B02, B03, B04, B08)"),
        "{text}"
    );
    assert!(
        text.contains("red, green, blue, nir08 or nir, swir16"),
        "{text}"
    );
}

#[test]
fn python_reads_the_map_network_and_numpy_computes_the_same_map() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let (_, place) = published(&lease(&path, 1), &path);
    let model = open(&place, Device::Cpu).expect("a model");
    let pixels: Vec<f32> = (0..3_u16 * 32 * 32)
        .map(|i| (f32::from(i) * 0.37).sin())
        .collect();
    let chip = Tensor::from_slice(&pixels).reshape([1, 3, 32, 32]);
    let ours = model.network.answer(&chip);
    let raw: Vec<u8> = pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path.join("chip.f32"), raw).expect("a chip");
    let files = [place.join("model.safetensors"), path.join("chip.f32")];
    let told = asked(&python, "ndmi_unet.py", &[&files[0], &files[1]]);
    let theirs: Vec<f32> = serde_json::from_value(told["answer"].clone()).expect("a map");
    assert_eq!((ours.len(), theirs.len()), (32 * 32, 32 * 32));
    let worst = ours
        .iter()
        .zip(&theirs)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < TOLERANCE, "{worst}");
}

/// Asks PyTorch, where it is installed, for the answers of an equal module and of `model.pt`.
fn pytorch_answers_the_same(recipe: &str) {
    let Some(python) = python_with_torch() else {
        return;
    };
    let (_keep, path) = folder();
    let mut lease = lease(&path, 1);
    let scenes = match recipe {
        "ndvi-cnn" => vec![Scene::new("b", 1)],
        "spagan" => Scene::pair().to_vec(),
        _ => vec![Scene::moist("b", 1)],
    };
    lease.splits = { scenes.iter() }
        .map(|s| s.write(&path.join("splits")))
        .collect();
    recipe.clone_into(&mut lease.run.recipe);
    let (_, place) = published(&lease, &path);
    let model = open(&place, Device::Cpu).expect("a model");
    let count = 5_u16 * 3 * 16 * 16;
    let pixels: Vec<f32> = (0..count).map(|i| (f32::from(i) * 0.37).sin()).collect();
    let ours = model
        .network
        .answer(&Tensor::from_slice(&pixels).reshape([5, 3, 16, 16]));
    let raw: Vec<u8> = pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path.join("chips.f32"), raw).expect("chips");
    let told = asked(&python, "pytorch.py", &[&place, &path.join("chips.f32")]);
    for who in ["module", "script"] {
        let theirs: Vec<f32> = serde_json::from_value(told[who].clone()).expect("answers");
        assert_eq!(ours.len(), theirs.len());
        let distances = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
        let worst = distances.fold(0.0, f32::max);
        assert!(worst < TOLERANCE, "{recipe}, {who}: {worst}");
    }
}

#[test]
fn pytorch_gives_the_answers_of_ndvi_cnn_from_weights_and_from_torchscript() {
    pytorch_answers_the_same("ndvi-cnn");
}

#[test]
fn pytorch_gives_the_answers_of_spagan_from_weights_and_from_torchscript() {
    pytorch_answers_the_same("spagan");
}

#[test]
fn pytorch_gives_the_answers_of_ndmi_unet_from_weights_and_from_torchscript() {
    pytorch_answers_the_same("ndmi-unet");
}
