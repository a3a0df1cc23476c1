//! `item.json` of every kind of recipe, as pystac's machine-learning-model extension reads it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tch::{Device, Tensor};
use trainer::job::Learned;
use trainer::model::open;
use trainer::publish;
use wire::module::{Answer, Loss, Module};
use wire::run::{Hyper, Lease};

use crate::folder::{asked, published, python};
use crate::modules::{self, Change};
use crate::programs::{allowed, example, file};
use crate::world::{CELL, Scene, folder, lease_of, quick};

/// What an item is to say.
struct Told<'a> {
    name: &'a str,
    task: &'a str,
    classes: &'a [&'a str],
    after: &'a str,
}

fn check(python: &Path, item: &Path, wanted: &Told<'_>) {
    let told = asked(python, "mlm.py", &[item]);
    assert_eq!(told["name"], format!("{} {CELL}", wanted.name));
    assert_eq!(told["tasks"], json!([wanted.task]), "{told}");
    assert_eq!(told["classes"], json!(wanted.classes), "{told}");
    let after = told["after"].as_str().expect("an expression");
    assert!(after.starts_with(wanted.after), "{told}");
}

fn lease(recipe: &str, scenes: &[Scene], path: &Path) -> Lease {
    let splits = scenes.iter().map(|scene| scene.write(&path.join("splits")));
    let hyper = Hyper {
        epochs: 1,
        ..quick()
    };
    lease_of(recipe, splits.collect(), hyper)
}

fn written(learned: &Learned, place: &Path) -> PathBuf {
    std::fs::create_dir_all(place).expect("a folder");
    for (name, bytes) in publish::files(learned).expect("files") {
        std::fs::write(place.join(name), bytes).expect("a file");
    }
    place.join("item.json")
}

#[test]
fn items_of_networks_of_ours_say_whether_they_measure_or_make_up() {
    let Some(python) = python() else { return };
    for (recipe, task, scenes) in [
        ("ndvi-cnn", "regression", vec![Scene::new("a", 1)]),
        ("ndmi-unet", "regression", vec![Scene::moist("a", 1)]),
        ("spagan", "generative", Scene::pair().to_vec()),
    ] {
        let (_keep, path) = folder();
        let (_, place) = published(&lease(recipe, &scenes, &path), &path);
        let wanted = Told {
            name: recipe,
            task,
            classes: &[],
            after: "A*",
        };
        check(&python, &place.join("item.json"), &wanted);
    }
}

#[test]
fn items_of_modules_say_regression_classification_or_segmentation_by_what_was_made_small() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    if modules::made(&path).is_none() {
        return;
    }
    let wishes: [(&str, Change, Told<'_>); 3] = [
        (
            "map.pt",
            |_| (),
            Told {
                name: "torchscript-map.pt",
                task: "regression",
                classes: &[],
                after: "A*",
            },
        ),
        (
            "map.pt",
            |m| m.loss = Loss::Bce,
            Told {
                name: "torchscript-map.pt",
                task: "semantic-segmentation",
                classes: &["not-nir", "nir"],
                after: "torch:sigmoid",
            },
        ),
        (
            "number.pt",
            |m| (m.answer, m.loss) = (Answer::Number, Loss::Bce),
            Told {
                name: "torchscript-number.pt",
                task: "classification",
                classes: &["not-nir", "nir"],
                after: "torch:sigmoid",
            },
        ),
    ];
    for (number, (file, change, wanted)) in wishes.into_iter().enumerate() {
        let (mut lease, file) = modules::job(&path, file, change);
        lease.run.hyper.epochs = 1;
        let learned = modules::learned(&(lease, file)).expect("a model");
        let item = written(&learned, &path.join(format!("model{number}")));
        check(&python, &item, &wanted);
    }
}

/// Wishes for four classes of land cover.
fn of_cover(module: &mut Module) {
    module.inputs = ["red", "green", "nir"].map(str::to_owned).to_vec();
    "COVER".clone_into(&mut module.label);
    (module.loss, module.classes) = (Loss::CrossEntropy, Some(4));
}

/// Has PyTorch answer for a chip with a model's file and do with the answer as the item says;
/// checks that the chances are those that glebe has.
fn chances_are_ours(torch: &Path, place: &Path) {
    let pixels: Vec<f32> = (0..3_u16 * 256)
        .map(|i| (f32::from(i) * 0.37).sin())
        .collect();
    let chip = place.with_extension("chip");
    let raw: Vec<u8> = pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(&chip, raw).expect("a chip");
    let told = modules::oracle(torch, &["read".as_ref(), place, &chip, "16".as_ref()]);
    let told: Value = serde_json::from_slice(&told).expect("JSON");
    let theirs: Vec<f32> = serde_json::from_value(told["chances"].clone()).expect("numbers");
    let model = open(place, Device::Cpu).expect("a model");
    let chip = Tensor::from_slice(&pixels).reshape([1, 3, 16, 16]);
    let ours = model.network.answer(&chip);
    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().zip(&theirs).all(near), "other chances");
}

#[test]
fn an_item_of_classes_names_them_and_what_makes_chances_of_the_files_answers() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let Some(torch) = modules::made(&path) else {
        return;
    };
    let covered = Scene {
        cover: true,
        ..Scene::new("a", 1)
    };
    let (mut lease, file) = modules::job(&path, "cover.pt", of_cover);
    lease.splits = vec![covered.write(&path.join("covered"))];
    lease.run.hyper.epochs = 1;
    let learned = modules::learned(&(lease, file)).expect("a model");
    let place = path.join("model");
    let item = written(&learned, &place);
    let wanted = Told {
        name: "torchscript-cover.pt",
        task: "semantic-segmentation",
        classes: &["class-0", "class-1", "class-2", "class-3"],
        after: "torch.nn.functional:softmax",
    };
    check(&python, &item, &wanted);
    chances_are_ours(&torch, &place);

    let (mut lease, file) = modules::job(&path, "map.pt", |m| m.loss = Loss::Bce);
    lease.run.hyper.epochs = 1;
    let learned = modules::learned(&(lease, file)).expect("a model");
    let place = path.join("chance");
    written(&learned, &place);
    chances_are_ours(&torch, &place);
}

#[test]
fn the_item_of_a_program_is_read_too() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let bundle = allowed(&example(&path, "exec_numpy.py", &python), &[]).expect("a model");
    let item = path.join("item.json");
    std::fs::write(&item, file(&bundle, "item.json")).expect("an item");
    let wanted = Told {
        name: "exec-learn",
        task: "regression",
        classes: &[],
        after: "A*",
    };
    check(&python, &item, &wanted);
}
