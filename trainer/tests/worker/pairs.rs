//! `spagan`: pairs mined from a lease, and a network that sees through clouds.

use std::path::Path;

use tch::{Device, Tensor};
use trainer::files::read_meta;
use trainer::job::{Learned, learn};
use trainer::model::open;
use trainer::stop::Stop;
use wire::run::{HoldOut, Hyper, Lease};

use crate::folder::{asked, published, python};
use crate::world::{Scene, Sky, folder, lease_of, quick};

/// Greatest difference between libtorch's and numpy's answers.
const TOLERANCE: f32 = 1e-5;
/// Pairs a step.
const BATCH: u32 = 4;

fn lease(scenes: &[Scene], path: &Path, epochs: u32) -> Lease {
    let splits = scenes.iter().map(|s| s.write(&path.join("splits")));
    let hyper = Hyper {
        epochs,
        batch: BATCH,
        learning_rate: 1e-3,
        ..quick()
    };
    lease_of("spagan", splits.collect(), hyper)
}

fn refused(scenes: &[Scene]) -> String {
    let (_keep, path) = folder();
    let failed = learn(&lease(scenes, &path, 1), Device::Cpu, &Stop::default());
    let failed = failed.map(|_| ()).expect_err("no model");
    assert!(failed.hopeless(), "the next attempt would end alike");
    failed.to_string()
}

#[test]
fn it_learns_steadily_for_500_steps_and_beats_the_cloudy_input() {
    let (_keep, path) = folder();
    let (learned, place) = published(&lease(&Scene::pair(), &path, 7), &path);
    let m = learned.config.metrics;
    let steps = u64::from(m.epochs) * m.chips_train.div_ceil(u64::from(BATCH));
    assert!(steps >= 500, "{steps} steps: {m:?}");
    let rivalries = learned.epochs.iter().map(|e| e.rivalry.expect("a rival"));
    for rivalry in rivalries.clone() {
        // A side that has lost pays ever more; both stay near what an even match costs.
        assert!(
            rivalry.fooled > 0.01 && rivalry.unmasked < 10.0,
            "{rivalry:?}"
        );
    }
    let [first, last] =
        [rivalries.clone().next(), rivalries.clone().next_back()].map(|r| r.expect("one"));
    assert!(last.l1 < 0.7 * first.l1, "{first:?} {last:?}");
    assert!(last.attention < 0.8 * first.attention, "{first:?} {last:?}");

    let (map, input) = (m.map.expect("a map"), m.input.expect("the input's scores"));
    let [ours, theirs] = [map.val_psnr, input.psnr].map(|v| v.expect("decibels"));
    assert!(ours > theirs + 3.0, "{ours} dB, input {theirs} dB");
    let [ours, theirs] = [map.val_ssim, input.ssim].map(|v| v.expect("a similarity"));
    assert!(ours > theirs, "{ours}, input {theirs}");
    assert!(m.val_mse < input.mse, "{m:?}");

    let card = std::fs::read_to_string(place.join("README.md")).expect("a card");
    for said in [
        "| the cloudy input, unchanged |",
        "The network beats the cloudy input.",
        "1 pairs of a cloudy and a clear split",
        "clear red = B04",
        "discriminator, which it learned to fool and which answers nothing, has 98673 numbers",
        "- `block6`: 3x3 convolution: above 0 for a clear date's image",
    ] {
        assert!(
            card.contains(said),
            "the card does not say '{said}':\n{card}"
        );
    }
}

#[test]
fn each_cloudy_split_is_paired_with_the_nearest_clear_one_and_the_rest_is_counted() {
    let (_keep, path) = folder();
    let scenes = [
        Scene::cloudy("a", "2026-06-01T10:00:00Z"),
        Scene::clear("b", "2026-06-11T10:00:00Z"),
        Scene::cloudy("c", "2026-06-20T10:00:00Z"),
        Scene::clear("d", "2026-08-01T10:00:00Z"),
    ];
    let mut lease = lease(&scenes, &path, 1);
    let learned = |lease: &Lease| -> Learned {
        learn(lease, Device::Cpu, &Stop::default()).expect("a model")
    };
    let data = learned(&lease).config.data;
    let pairs = data.pairs.expect("pairs");
    assert_eq!(
        (pairs.count, pairs.rule.cloudy_min, pairs.rule.clear_max),
        (2, 20.0, 5.0)
    );
    assert_eq!(data.left_out.no_pair, 1, "d is the nearest of none");
    assert_eq!(data.acquired[1], "2026-06-20T10:00:00Z");

    lease.run.query.paired = Some(query::Paired {
        cloudy_min: 20.0,
        clear_max: 5.0,
        within_s: Some(9 * 86_400 + 1),
    });
    let config = learned(&lease).config;
    assert_eq!(
        config.data.pairs.map(|p| p.count),
        Some(1),
        "a is ten days from b"
    );
    assert_eq!((config.splits, config.data.left_out.no_pair), (2, 2));
}

#[test]
fn pairs_that_share_a_clear_day_are_on_one_side() {
    let (_keep, path) = folder();
    // Learned from would be the last cloudy days, if their own counted, and the label with them.
    let scenes = [
        Scene::cloudy("a", "2026-06-01T10:00:00Z"),
        Scene::clear("b", "2026-06-03T10:00:00Z"),
        Scene::cloudy("c", "2026-06-05T10:00:00Z"),
        Scene::clear("d", "2026-06-22T10:00:00Z"),
        Scene::cloudy("e", "2026-06-24T10:00:00Z"),
    ];
    let mut lease = lease(&scenes, &path, 1);
    lease.run.hyper.hold_out = HoldOut::Dates;
    let model = learn(&lease, Device::Cpu, &Stop::default()).expect("a model");
    let blocks = model.config.data.blocks;
    assert_eq!((blocks.train, blocks.validation, blocks.test), (1, 1, 0));
    assert_eq!(blocks.days.expect("days").validation, "2026-06-22");
    let m = model.config.metrics;
    assert_eq!(m.chips_train, 2 * m.chips_val, "two pairs share the first");
}

#[test]
fn the_same_seed_gives_both_networks_again_to_the_bit() {
    let weights = |seed: u64| {
        let (_keep, path) = folder();
        let mut lease = lease(&Scene::pair(), &path, 1);
        lease.run.seed = seed;
        let learned = learn(&lease, Device::Cpu, &Stop::default()).expect("a model");
        let rival = trainer::weights::hash(learned.rival.as_ref().expect("a rival"));
        (learned.config.weights_blake3, rival)
    };
    let once = weights(7);
    assert_eq!(once, weights(7));
    let other = weights(8);
    assert!(once.0 != other.0 && once.1 != other.1);
}

#[test]
fn without_a_clear_date_the_refusal_counts_what_there_is_and_names_the_next_step() {
    let unknown = Scene::new("c", 1);
    let text = refused(&[Scene::cloudy("a", "2026-06-01T10:00:00Z"), unknown]);
    assert!(
        text.starts_with(
            "none of 2 splits makes a pair: 1 are cloudy, 0 clear, 1 of unknown cloud cover"
        ),
        "{text}"
    );
    assert!(text.contains("glebe search --pairs"), "{text}");
}

#[test]
fn a_pair_without_a_chip_left_is_told_with_what_would_help() {
    let filled = Scene::pair().map(|scene| Scene {
        fill_columns: 310,
        ..scene
    });
    let text = refused(&filled);
    assert!(text.starts_with("too few chips of 16 pixels"), "{text}");
    assert!(text.contains("a smaller --chip"), "{text}");
}

#[test]
fn a_learning_rate_that_explodes_is_a_failure_of_the_rivalry_too() {
    let (_keep, path) = folder();
    let mut lease = lease(&Scene::pair(), &path, 2);
    lease.run.hyper.learning_rate = 1e30;
    let failed = learn(&lease, Device::Cpu, &Stop::default())
        .map(|_| ())
        .expect_err("no weights");
    assert!(
        failed.to_string().contains("is not finite; a smaller"),
        "{failed}"
    );
}

#[test]
fn clouds_that_no_band_tells_are_attended_to_all_the_same() {
    let (_keep, path) = folder();
    let silent = Scene::pair().map(|scene| Scene {
        sky: scene.sky.map(|sky| Sky { told: false, ..sky }),
        ..scene
    });
    let learned = learn(&lease(&silent, &path, 2), Device::Cpu, &Stop::default());
    let epochs = learned.expect("a model").epochs;
    let [first, last] = [0, 1].map(|i| epochs[i].rivalry.expect("a rival").attention);
    assert!(first > 0.0 && last < first, "{first} {last}");
}

#[test]
fn the_folder_holds_both_networks_and_python_reads_both_and_the_item() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let (learned, place) = published(&lease(&Scene::pair(), &path, 1), &path);
    let model = open(&place, Device::Cpu).expect("a model");
    assert_eq!(model.network.weights(), learned.weights);
    let pixels: Vec<f32> = (0..3_u16 * 16 * 16)
        .map(|i| (f32::from(i) * 0.37).sin())
        .collect();
    let chip = Tensor::from_slice(&pixels).reshape([1, 3, 16, 16]);
    let ours = model.network.answer(&chip);
    let raw: Vec<u8> = pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path.join("chip.f32"), raw).expect("a chip");
    let files = ["model.safetensors", "discriminator.safetensors"].map(|f| place.join(f));
    let told = asked(
        &python,
        "spagan.py",
        &[&files[0], &path.join("chip.f32"), &files[1]],
    );
    let theirs: Vec<f32> = serde_json::from_value(told["answer"].clone()).expect("a map");
    assert_eq!((ours.len(), theirs.len()), (3 * 16 * 16, 3 * 16 * 16));
    let distances = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
    let worst = distances.fold(0.0, f32::max);
    assert!(worst < TOLERANCE, "{worst}");
    assert_eq!(told["discriminator"], 98_673 + 2 * (32 + 64 + 64 + 64));

    let item = asked(&python, "mlm.py", &[&place.join("item.json")]);
    assert_eq!(item["output_shape"], serde_json::json!([-1, 3, 16, 16]));
    assert_eq!(item["tasks"], serde_json::json!(["generative"]));
}

#[test]
fn a_scene_is_answered_in_three_bands_brighter_nowhere_than_its_clouds() {
    let (_keep, path) = folder();
    let (_, place) = published(&lease(&Scene::pair(), &path, 2), &path);
    Scene::cloudy("later", "2026-07-01T10:00:00Z").write(&path.join("scene"));
    let out = path.join("clear.tif");
    let ran = crate::predict::predict(&place, &path.join("scene"), &out);
    let told = crate::predict::summary(&ran);
    let bands = serde_json::json!(["red", "green", "blue", "outside"]);
    assert_eq!(told["bands"], bands);
    assert_eq!(
        (&told["pixels"], &told["pixels_unanswered"]),
        (&(320 * 480).into(), &0.into())
    );
    assert!(told["max"].as_f64().is_some_and(|max| max < 0.6), "{told}");
    let bytes = std::fs::read(&out).expect("the map");
    let tiff = earth::geotiff::GeoTiff::open(&bytes).expect("a GeoTIFF");
    let bands = tiff.decode(&bytes, &[0, 1, 2], 0).expect("three bands");
    assert!(bands.iter().all(|b| (b.width(), b.height()) == (320, 480)));
    let splits = path.join("scene");
    let folder = std::fs::read_dir(splits)
        .expect("a folder")
        .next()
        .expect("a split");
    assert!(read_meta(&folder.expect("a split").path()).is_ok());
}
