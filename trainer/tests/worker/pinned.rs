//! Chips that stay for the next job on the same splits.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tch::Device;
use trainer::chips::pins::Pins;
use trainer::diary::Diary;
use trainer::job::{Learned, Setting, learn_from};
use trainer::stop::Stop;
use wire::diary::{Entry, Event};
use wire::module::Answer;
use wire::run::{Hyper, Lease};

use crate::modules::{job, made};
use crate::node::{Node, Temper};
use crate::packed::{configs, work};
use crate::world::{Scene, folder, lease, lease_of, quick};

fn short() -> Hyper {
    Hyper {
        epochs: 1,
        ..quick()
    }
}

pub(crate) fn setting(pins: Option<Pins>) -> Setting {
    Setting {
        device: Device::Cpu,
        stop: Stop::default(),
        diary: Diary::default(),
        checkpoint_every: Duration::ZERO,
        pins,
        bytes_max: None,
        module: None,
    }
}

fn pins(path: &Path, bytes_max: u64) -> Pins {
    Pins {
        folder: path.join("cache/chips"),
        bytes_max,
    }
}

const MIB: u64 = 1 << 20;

/// Learns; returns the model and how many chips were decoded for it.
fn learned(lease: &Lease, pins: Option<&Pins>) -> (Learned, u64) {
    let learned = learn_from(lease, None, &setting(pins.cloned())).expect("a model");
    let decoded = learned.config.data.chips_decoded.expect("a count");
    (learned, decoded)
}

/// Files of the folder by name, with their bytes.
fn files(pins: &Pins) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(&pins.folder).into_iter().flatten();
    let entry = |e: fs::DirEntry| {
        let name = e.file_name().into_string().expect("text");
        (name, e.metadata().expect("a file").len())
    };
    let all = entries.map(|e| entry(e.expect("an entry")));
    all.filter(|(name, _)| name != "lock").collect()
}

#[test]
fn another_seed_of_another_run_on_the_same_bands_decodes_nothing() {
    let (_keep, path) = folder();
    let mut first = lease(vec![Scene::new("a", 1).write(&path)], short());
    first.run.packing = wire::run::Packing::Packed;
    let mut second = first.clone();
    second.run.seed += 1;
    second.run.name = "summer".to_owned();
    let chips = path.join("cache/chips");
    let words = [
        "--chips",
        chips.to_str().expect("text"),
        "--chips-mib",
        "64",
    ];
    let mut decoded = Vec::new();
    for lease in [first, second] {
        let node = Node::lending(vec![lease], Temper::Kind);
        work(&node.url, &words);
        decoded.push(configs(&node)["gcpvj"]["data"]["chips_decoded"].as_u64());
        node.heard(|heard| {
            let said = |e: &Entry| match &e.event {
                Event::Said(text) => text.contains("chips decoded"),
                Event::Epoch(_) => false,
            };
            assert_eq!(heard.said.iter().filter(|e| said(e)).count(), 1);
        });
    }
    // 20 x 30 chips of 16 pixels.
    assert_eq!(decoded, [Some(600), Some(0)]);
}

#[test]
fn another_recipe_on_the_same_bands_decodes_nothing_and_one_on_others_decodes_all() {
    let (_keep, path) = folder();
    if made(&path).is_none() {
        return;
    }
    let pins = pins(&path, 256 * MIB);
    let decoded = |lease: &Lease, file: Option<Arc<Vec<u8>>>| {
        let setting = Setting {
            module: file,
            ..setting(Some(pins.clone()))
        };
        let learned = learn_from(lease, None, &setting).expect("a model");
        learned.config.data.chips_decoded
    };
    let of_module = |name: &str, answer| {
        let (mut lease, file) = job(&path, name, |m| m.answer = answer);
        lease.run.hyper = short();
        decoded(&lease, Some(file))
    };
    assert_eq!(of_module("map.pt", Answer::Map), Some(600));
    assert_eq!(of_module("number.pt", Answer::Number), Some(0));
    // The same inputs, but red beside near infrared for the label: what is pinned is of all bands.
    let ndvi = lease(vec![Scene::new("a", 1).write(&path)], short());
    assert_eq!(
        [decoded(&ndvi, None), decoded(&ndvi, None)],
        [Some(600), Some(0)]
    );
    assert_eq!(files(&pins).len(), 2);
}

#[test]
fn pinned_chips_give_the_weights_of_decoded_ones_for_every_recipe() {
    for (recipe, scenes) in [
        ("ndvi-cnn", vec![Scene::new("a", 1)]),
        ("ndmi-unet", vec![Scene::moist("a", 1)]),
        ("spagan", Scene::pair().to_vec()),
    ] {
        let (_keep, path) = folder();
        let clouded = |scene: &Scene| Scene {
            fill_columns: 20,
            ..scene.clone()
        };
        let splits = scenes.iter().map(|scene| clouded(scene).write(&path));
        let lease = lease_of(recipe, splits.collect(), short());
        let pins = pins(&path, 256 * MIB);
        let (plain, all) = learned(&lease, None);
        let (pinning, decoded) = learned(&lease, Some(&pins));
        let (pinned, none) = learned(&lease, Some(&pins));
        assert!(all > 100, "{recipe}: {all}");
        assert_eq!((decoded, none), (all, 0), "{recipe}");
        let hash = |l: &Learned| l.config.weights_blake3.clone();
        assert_eq!(hash(&pinning), hash(&plain), "{recipe}");
        assert_eq!(hash(&pinned), hash(&plain), "{recipe}");
        let told = |l: &Learned| {
            let data = &l.config.data;
            (l.config.metrics, data.chips_left_out, data.blocks.clone())
        };
        assert_eq!(told(&pinned), told(&plain), "{recipe}");
    }
}

#[test]
fn other_splits_other_bands_and_other_sides_are_decoded_and_damage_is_made_anew() {
    let (_keep, path) = folder();
    let pins = pins(&path, 256 * MIB);
    let scene = Scene::moist("a", 1).write(&path);
    let first = lease_of("ndmi-unet", vec![scene.clone()], short());
    let (whole, chips) = learned(&first, Some(&pins));
    let mut more = first.clone();
    more.splits.push(Scene::moist("b", 2).write(&path));
    assert_eq!(learned(&more, Some(&pins)).1, 2 * chips);
    let mut larger = first.clone();
    larger.run.hyper.chip_px = 32;
    assert!(learned(&larger, Some(&pins)).1 > 0);
    assert_eq!(files(&pins).len(), 3, "{:?}", files(&pins));
    // The same id, but other pixels.
    let again = Scene::moist("a", 9).write(&path);
    assert_eq!(again, scene);
    assert_eq!(learned(&first, Some(&pins)).1, chips);
    Scene::moist("a", 1).write(&path);
    assert_eq!(learned(&first, Some(&pins)).1, 0);
    for damage in [0, 9, 70, 100_000] {
        for name in files(&pins).keys() {
            let file = pins.folder.join(name);
            let mut bytes = fs::read(&file).expect("a file");
            bytes[damage] ^= 1;
            // What is mapped is never written over: another takes its name.
            fs::remove_file(&file).expect("removed");
            fs::write(&file, &bytes[..bytes.len() - damage % 2]).expect("a file");
        }
        let (model, decoded) = learned(&first, Some(&pins));
        assert_eq!(decoded, chips, "byte {damage}");
        assert_eq!(model.config.weights_blake3, whole.config.weights_blake3);
    }
}

#[test]
fn all_files_stay_below_the_bound_and_the_one_unused_longest_goes_first() {
    let (_keep, path) = folder();
    let wide = pins(&path.join("wide"), 256 * MIB);
    let job = |name: &str| lease(vec![Scene::new(name, 1).write(&path)], short());
    let jobs = ["a", "b", "c"].map(job);
    learned(&jobs[0], Some(&wide));
    let one: u64 = files(&wide).values().sum();
    let pins = pins(&path, one * 5 / 2);
    let bytes = || files(&pins).values().sum::<u64>();
    for job in &jobs[..2] {
        assert!(learned(job, Some(&pins)).1 > 0);
    }
    assert_eq!(files(&pins).len(), 2);
    assert_eq!(learned(&jobs[0], Some(&pins)).1, 0, "used again");
    assert!(learned(&jobs[2], Some(&pins)).1 > 0);
    assert!(files(&pins).len() == 2 && bytes() <= pins.bytes_max);
    assert_eq!(learned(&jobs[0], Some(&pins)).1, 0, "b was unused longest");
    assert!(learned(&jobs[1], Some(&pins)).1 > 0);
    assert!(bytes() <= pins.bytes_max);
    let less = Pins {
        bytes_max: one * 3 / 2,
        ..pins.clone()
    };
    less.trim().expect("a folder");
    assert_eq!(files(&pins).len(), 1, "a bound that was lowered");
    assert_eq!(learned(&jobs[1], Some(&pins)).1, 0, "the one used last");
    // No room at all: the model is learned, and nothing stays.
    let none = Pins {
        bytes_max: 1_000,
        folder: path.join("none"),
    };
    assert!(learned(&jobs[0], Some(&none)).1 > 0);
    assert!(files(&none).is_empty());
}

#[test]
fn what_a_killed_writer_left_counts_for_nothing_and_what_one_writes_does() {
    let (_keep, path) = folder();
    let job = lease(vec![Scene::new("a", 1).write(&path)], short());
    let pins = pins(&path, 64 * MIB);
    fs::create_dir_all(&pins.folder).expect("a folder");
    let part = |name: &str| {
        let file = File::create(pins.folder.join(format!("{name}.part"))).expect("a file");
        file.set_len(63 * MIB).expect("as long");
        file
    };
    drop(part("left"));
    let (_, decoded) = learned(&job, Some(&pins));
    assert!(decoded > 0 && files(&pins).len() == 1, "{:?}", files(&pins));
    let held = part("held");
    held.lock().expect("ours");
    let other = lease(vec![Scene::new("b", 1).write(&path)], short());
    assert!(learned(&other, Some(&pins)).1 > 0);
    let names: Vec<String> = files(&pins).into_keys().collect();
    assert!(
        names.len() == 2 && names.contains(&"held.part".to_owned()),
        "{names:?}"
    );
}
