//! Users' modules learn, are gone on from, are read by PyTorch, and say why they cannot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tch::{Device, Tensor};
use trainer::diary::Diary;
use trainer::job::{JobError, Learned, Setting, learn_from};
use trainer::model::open;
use trainer::publish;
use trainer::stop::Stop;
use wire::module::{Answer, Loss, Module};
use wire::run::{Hyper, Lease};

use crate::folder::python_with_torch;
use crate::predict::{map, summary};
use crate::world::{CELL, Scene, cover, folder, lease_of, quick};

/// How a wish differs from that of the other tests.
pub(crate) type Change = fn(&mut Module);

pub(crate) fn oracle(python: &Path, arguments: &[&Path]) -> Vec<u8> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/modules.py");
    let ended = Command::new(python).arg(script).args(arguments).output();
    let ended = ended.expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    ended.stdout
}

/// Makes all modules of the tests in a folder.
pub(crate) fn made(path: &Path) -> Option<PathBuf> {
    let python = python_with_torch()?;
    oracle(&python, &["make".as_ref(), path]);
    Some(python)
}

/// A lease on a run with a module, and its file.
pub(crate) fn job(path: &Path, name: &str, change: impl Fn(&mut Module)) -> (Lease, Arc<Vec<u8>>) {
    let file = std::fs::read(path.join(name)).expect("a module");
    let mut module = Module {
        blake3: blake3::hash(&file).to_hex().to_string(),
        bytes: file.len() as u64,
        inputs: ["red", "green", "B02"].map(str::to_owned).to_vec(),
        label: "nir".to_owned(),
        answer: Answer::Map,
        loss: Loss::Mse,
        classes: None,
    };
    change(&mut module);
    let splits = vec![Scene::new("a", 1).write(path)];
    let hyper = Hyper {
        epochs: 12,
        ..quick()
    };
    let mut lease = lease_of(&format!("torchscript:{name}"), splits, hyper);
    lease.run.module = Some(module);
    (lease, Arc::new(file))
}

fn setting(file: &Arc<Vec<u8>>, stop: &Stop) -> Setting {
    Setting {
        device: Device::Cpu,
        stop: stop.clone(),
        diary: Diary::default(),
        checkpoint_every: Duration::ZERO,
        pins: None,
        bytes_max: None,
        module: Some(Arc::clone(file)),
    }
}

pub(crate) fn learned((lease, file): &(Lease, Arc<Vec<u8>>)) -> Result<Learned, JobError> {
    learn_from(lease, None, &setting(file, &Stop::default()))
}

#[test]
fn a_module_that_drops_out_and_normalises_is_gone_on_from_to_the_bit() {
    let (_keep, path) = folder();
    if made(&path).is_none() {
        return;
    }
    let (mut lease, file) = job(&path, "map.pt", |_| ());
    let whole = learned(&(lease.clone(), Arc::clone(&file))).expect("a model");
    let scores = whole.config.metrics;
    eprintln!("val MSE {} of a mean's {}", scores.val_mse, scores.mean_mse);
    assert!(scores.val_mse < 0.9 * scores.mean_mse, "{scores:?}");
    let first = &tch::CModule::load_data(&mut file.as_slice()).expect("a module");
    let first = first.named_parameters().expect("parameters");
    let moved = |name: &str| {
        let (_, before) = first.iter().find(|(n, _)| n == name).expect("a parameter");
        trainer::network::floats(before) != whole.weights[name].values
    };
    assert!(moved("0.weight") && moved("1.running_mean"));

    let place = path.join("spring+gcpvj.checkpoint");
    lease.checkpoint = Some(place.clone());
    let stop = Stop::default();
    let stopped = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !place.exists() {
                std::thread::yield_now();
            }
            stop.wish();
        });
        learn_from(&lease, None, &setting(&file, &stop))
    });
    assert!(stopped.is_err(), "it was stopped on its way");
    lease.token += 1;
    let gone_on = learned(&(lease, file)).expect("a model");
    assert_eq!(gone_on.weights, whole.weights);
    assert_eq!(gone_on.epochs, whole.epochs);
}

#[test]
fn pytorch_reads_the_model_of_a_module_and_glebe_predicts_with_it() {
    let (_keep, path) = folder();
    let Some(python) = made(&path) else { return };
    let learned = learned(&job(&path, "map.pt", |_| ())).expect("a model");
    let place = path.join("model");
    std::fs::create_dir_all(&place).expect("a folder");
    for (name, bytes) in publish::files(&learned).expect("files") {
        std::fs::write(place.join(name), bytes).expect("a file");
    }
    let card = std::fs::read_to_string(place.join("README.md")).expect("a card");
    assert!(card.contains("map of nir from red, green, B02"), "{card}");
    let model = open(&place, Device::Cpu).expect("a model");
    let pixels: Vec<f32> = (0..3_u16 * 256)
        .map(|i| (f32::from(i) * 0.37).sin())
        .collect();
    let raw: Vec<u8> = pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path.join("chip"), raw).expect("a chip");
    let told = oracle(
        &python,
        &["read".as_ref(), &place, &path.join("chip"), "16".as_ref()],
    );
    let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
    assert_eq!(told["training"], false);
    let shapes: BTreeMap<String, Vec<i64>> =
        serde_json::from_value(told["shapes"].clone()).expect("shapes");
    let ours = learned
        .weights
        .iter()
        .map(|(n, w)| (n.clone(), w.shape.clone()));
    assert_eq!(
        shapes,
        ours.collect(),
        "model.safetensors has its named parameters"
    );
    let theirs: Vec<f32> = serde_json::from_value(told["answers"].clone()).expect("numbers");
    let ours = model
        .network
        .answer(&Tensor::from_slice(&pixels).reshape([1, 3, 16, 16]));
    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
    assert!(ours.len() == 256 && ours.iter().zip(&theirs).all(near));

    Scene::new("later", 9).write(&path.join("scene"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_glebe-trainer"));
    command.arg("predict").arg("--model").arg(&place);
    command.arg("--splits").arg(path.join("scene"));
    command.arg("-O").arg(path.join("map.tif"));
    command.env_remove("GLEBE_MODULES");
    let refused = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("try: GLEBE_MODULES=any"), "{said}");
    command.env("GLEBE_MODULES", "any");
    let told = summary(&command.output().expect("it runs"));
    assert_eq!(told["pixels"], 153_600);
    let band = &map(&path.join("map.tif")).bands[0];
    // Near infrared of this world lies between 0.12 and 0.52.
    let inside = band.iter().filter(|v| (0.0..0.7).contains(*v)).count();
    assert!(inside * 10 > band.len() * 9, "{inside} of {}", band.len());
}

#[test]
fn numbers_chances_and_absolute_errors_are_learned_too() {
    let (_keep, path) = folder();
    if made(&path).is_none() {
        return;
    }
    let wishes: [(&str, Change); 3] = [
        ("number.pt", |m| {
            (m.answer, m.loss) = (Answer::Number, Loss::Mae);
        }),
        ("map.pt", |m| m.loss = Loss::Mae),
        ("map.pt", |m| m.loss = Loss::Bce),
    ];
    for (name, change) in wishes {
        let learned = learned(&job(&path, name, change)).expect("a model");
        let scores = learned.config.metrics;
        assert!(scores.val_mse < scores.mean_mse, "{name}: {scores:?}");
        let wish = learned.config.module.expect("its wish is kept");
        let of_chances = wish.loss == Loss::Bce;
        let std = learned.config.normalisation.label.std;
        assert_eq!(
            (std - 1.0).abs() < 1e-9,
            of_chances,
            "chances stay as they are"
        );
    }
}

#[test]
fn classes_are_learned_published_and_mapped_as_chances_that_sum_to_one() {
    let (_keep, path) = folder();
    if made(&path).is_none() {
        return;
    }
    let (mut lease, file) = job(&path, "cover.pt", |m| {
        m.inputs = ["red", "green", "nir"].map(str::to_owned).to_vec();
        m.label = "COVER".to_owned();
        (m.loss, m.classes) = (Loss::CrossEntropy, Some(4));
    });
    let covered = |name: &str, seed| Scene {
        cover: true,
        ..Scene::new(name, seed)
    };
    lease.splits = vec![covered("a", 1).write(&path)];
    lease.run.hyper.epochs = 6;
    let learned = learned(&(lease, file)).expect("a model");
    let scores = learned.config.metrics;
    let errors: Vec<f64> = learned.epochs.iter().map(|e| e.train_mse).collect();
    assert!(errors[errors.len() - 1] < 0.5 * errors[0], "{errors:?}");
    // What it is to beat: how often each class is.
    assert!(scores.val_mse < 0.5 * scores.mean_mse, "{scores:?}");
    assert!(scores.val_mse < scores.linear_mse, "{scores:?}");

    let place = path.join("model");
    std::fs::create_dir_all(&place).expect("a folder");
    for (name, bytes) in publish::files(&learned).expect("files") {
        std::fs::write(place.join(name), bytes).expect("a file");
    }
    covered("later", 9).write(&path.join("scene"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_glebe-trainer"));
    command.env("GLEBE_MODULES", "any");
    command.arg("predict").arg("--model").arg(&place);
    command.arg("--splits").arg(path.join("scene"));
    command.arg("-O").arg(path.join("map.tif"));
    summary(&command.output().expect("it runs"));
    let map = map(&path.join("map.tif"));
    let (mut right, truth) = (0, cover(CELL));
    for (pixel, class) in truth.iter().enumerate() {
        let chances = [0, 1, 2, 3].map(|band| map.bands[band][pixel]);
        assert!(
            (chances.iter().sum::<f32>() - 1.0).abs() < 1e-4,
            "{chances:?}"
        );
        let most =
            (0..4_u8).max_by(|a, b| chances[usize::from(*a)].total_cmp(&chances[usize::from(*b)]));
        right += usize::from(most == Some(*class));
    }
    eprintln!("{right} of {} pixels are of the right class", truth.len());
    assert!(right * 10 > truth.len() * 8, "{right} of {}", truth.len());
}

#[test]
fn modules_that_cannot_learn_say_why_and_what_to_try() {
    let (_keep, path) = folder();
    if made(&path).is_none() {
        return;
    }
    let same: Change = |_| ();
    let wrong: [(&str, Change, &str); 11] = [
        ("pickled.pt", same, "no TorchScript module"),
        ("torn.pt", same, "no TorchScript module"),
        ("noise.pt", same, "no TorchScript module"),
        ("bare.pt", same, "no parameters that learn"),
        ("frozen.pt", same, "before torch.jit.freeze"),
        ("double.pt", same, "not 32-bit floats"),
        ("batches.pt", same, "remembered(module)"),
        ("four.pt", same, "to have 4 channels, but got 3"),
        ("number.pt", same, "answers [2, 1] for 2 chips"),
        ("classes.pt", same, "wanted [2, 1, 16, 16]"),
        (
            "classes.pt",
            |m| {
                (m.loss, m.classes) = (Loss::CrossEntropy, Some(3));
            },
            "whole numbers below --classes",
        ),
    ];
    for (name, change, told) in wrong {
        let error = learned(&job(&path, name, change))
            .map(|l| l.config)
            .expect_err(name);
        let said = trainer::log::chain(&error);
        assert!(said.contains(told), "{name}: {said}");
        assert!(
            error.hopeless(),
            "{name}: another attempt ends the same way"
        );
    }
    // The world's scene classes: all that is not under cloud is vegetation.
    let (mut lease, file) = job(&path, "many.pt", |m| {
        m.label = "SCL".to_owned();
        (m.loss, m.classes) = (Loss::CrossEntropy, Some(12));
    });
    let clouded = Scene {
        cloud_columns: 80,
        ..Scene::new("a", 1)
    };
    lease.splits = vec![clouded.write(&path)];
    let error = learned(&(lease, file)).map(|l| l.config);
    let error = error.expect_err("one class");
    let said = trainer::log::chain(&error);
    assert!(
        said.contains("is of class 4, so there is nothing"),
        "{said}"
    );
    assert!(error.hopeless());

    let (lease, _) = job(&path, "map.pt", same);
    let other = Arc::new(std::fs::read(path.join("number.pt")).expect("a module"));
    let error = learned(&(lease, other))
        .map(|l| l.config)
        .expect_err("another file");
    assert!(trainer::log::chain(&error).contains("BLAKE3 differs"));
}
