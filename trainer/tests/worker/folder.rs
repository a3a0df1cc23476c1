//! The model folder: what it holds, that it is the same again, and that Python reads it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tch::{Device, Tensor};
use trainer::job::{Learned, learn};
use trainer::model::{ModelError, open};
use trainer::publish;
use trainer::recipe;
use trainer::recipe::Recipe as _;
use trainer::recipe::ndvi_cnn::NdviCnn;
use trainer::stop::Stop;
use wire::model::Metrics;
use wire::run::{Hyper, Lease};

use crate::world::{Scene, folder, lease, quick};

/// Greatest difference between libtorch's and numpy's answer: both compute in 32-bit floats.
const TOLERANCE: f64 = 1e-5;

/// Learns a little and writes the folder below `path`.
pub(crate) fn written(path: &Path, epochs: u32) -> (Learned, PathBuf) {
    let split = Scene::new("a", 1).write(&path.join("splits"));
    let hyper = Hyper { epochs, ..quick() };
    published(&lease(vec![split], hyper), path)
}

/// Learns what a lease says and writes the folder below `path`.
pub(crate) fn published(lease: &Lease, path: &Path) -> (Learned, PathBuf) {
    let learned = learn(lease, Device::Cpu, &Stop::default()).expect("a model");
    let place = path.join("model");
    std::fs::create_dir_all(&place).expect("a folder");
    let recipe = recipe::parse(&lease.run.recipe).expect("a recipe");
    for (name, bytes) in publish::folder(&learned, recipe).expect("files") {
        std::fs::write(place.join(name), bytes).expect("a file");
    }
    (learned, place)
}

#[test]
fn the_folder_has_six_files_and_what_the_ring_reads_stands_at_the_top() {
    let (_keep, path) = folder();
    let split = Scene::new("a", 1).write(&path.join("splits"));
    let hyper = Hyper {
        epochs: 2,
        ..quick()
    };
    let mut lease = lease(vec![split], hyper);
    lease.run.query.collections = vec!["fields".to_owned()];
    let (learned, place) = published(&lease, &path);
    let mut names: Vec<String> = std::fs::read_dir(&place)
        .expect("a folder")
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "README.md",
            "config.json",
            "item.json",
            "metrics.jsonl",
            "model.pt",
            "model.safetensors"
        ]
    );
    let text = |name: &str| std::fs::read_to_string(place.join(name)).expect("a text");
    let config: serde_json::Value = serde_json::from_str(&text("config.json")).expect("JSON");
    assert_eq!(config["run"], "spring");
    assert_eq!(config["geocode"], "gcpvj");
    assert_eq!(config["scheme"], "geohash");
    assert_eq!(config["recipe"], "ndvi-cnn");
    assert_eq!(config["splits"], 1);
    assert!(config["seconds"].as_f64().is_some_and(|s| s > 0.0));
    let metrics: Metrics = serde_json::from_value(config["metrics"].clone()).expect("metrics");
    assert_eq!(metrics, learned.config.metrics);
    assert_eq!(text("metrics.jsonl").lines().count(), 2);
    card_tells(&text("README.md"), &config);
}

/// Checks that a card says what a reader needs, with the config's numbers.
fn card_tells(card: &str, config: &serde_json::Value) {
    assert!(card.starts_with("---\nlibrary_name: glebe\n"), "{card}");
    let told = |value: &serde_json::Value| format!("{:.6}", value.as_f64().expect("a number"));
    let row = |name: &str, spread: &serde_json::Value| {
        format!(
            "| {name} | {} | {} |",
            told(&spread["mean"]),
            told(&spread["std"])
        )
    };
    let normalisation = &config["normalisation"];
    let seconds = config["seconds"].as_f64().expect("a number");
    let snapshot = config["data"]["split_ids_blake3"].as_str().expect("text");
    let wanted = [
        "red = B04",
        "nir = B08",
        "linear regression",
        "## Limits",
        "glebe predict",
        &format!("Snapshot of the data: BLAKE3 `{snapshot}`"),
        "The query that chose them:\n\n```json\n{\"collections\":[\"fields\"],",
        &row("blue", &normalisation["bands"][2]),
        &row("label", &normalisation["label"]),
        &format!("in {seconds:.1} seconds from the first split"),
    ];
    let is_missing = |said: &&&str| !card.contains(**said);
    let missing: Vec<&&str> = wanted.iter().filter(is_missing).collect();
    assert!(
        missing.is_empty(),
        "the card does not say {missing:?}:\n{card}"
    );
}

#[test]
fn the_weights_file_is_the_same_to_the_byte_when_learned_again() {
    let bytes = || {
        let (_keep, path) = folder();
        let (_, place) = written(&path, 2);
        std::fs::read(place.join("model.safetensors")).expect("weights")
    };
    assert_eq!(blake3::hash(&bytes()), blake3::hash(&bytes()));
}

#[test]
fn a_model_read_back_answers_as_it_did_and_a_damaged_one_is_refused() {
    let (_keep, path) = folder();
    let (learned, place) = written(&path, 1);
    let model = open(&place, Device::Cpu).expect("a model");
    assert_eq!(model.network.weights(), learned.weights);
    let file = place.join("model.safetensors");
    let mut bytes = std::fs::read(&file).expect("weights");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("weights");
    let refused = open(&place, Device::Cpu).expect_err("damaged");
    assert!(matches!(refused, ModelError::Hash { .. }), "{refused:?}");
}

#[test]
fn python_reads_the_weights_and_numpy_computes_the_same_answer() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let (_, place) = written(&path, 2);
    let model = open(&place, Device::Cpu).expect("a model");
    let pixels: Vec<f32> = (0..3_u16 * 16 * 16)
        .map(|i| (f32::from(i) * 0.37).sin())
        .collect();
    let chip = Tensor::from_slice(&pixels).reshape([1, 3, 16, 16]);
    let ours = f64::from(model.network.answer(&chip)[0]);
    let raw: Vec<u8> = pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path.join("chip.f32"), raw).expect("a chip");
    let told = asked(
        &python,
        "ndvi_cnn.py",
        &[&place.join("model.safetensors"), &path.join("chip.f32")],
    );
    let shapes: std::collections::BTreeMap<String, Vec<i64>> =
        serde_json::from_value(told["shapes"].clone()).expect("shapes");
    let layers = NdviCnn.describe(16).layers;
    let documented = layers.into_iter().flat_map(|l| l.tensors).collect();
    assert_eq!(shapes, documented);
    assert_eq!(told["metadata"]["format"], "pt");
    assert_eq!(told["metadata"]["geocode"], "gcpvj");
    let theirs = told["answer"].as_f64().expect("a number");
    assert!(
        (ours - theirs).abs() < TOLERANCE,
        "libtorch {ours}, numpy {theirs}"
    );
}

/// Runs a program of `tests/oracles`; returns the JSON that it prints.
pub(crate) fn asked(python: &Path, program: &str, arguments: &[&Path]) -> serde_json::Value {
    let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles");
    let output = Command::new(python)
        .arg(oracles.join(program))
        .args(arguments)
        .output()
        .expect("python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The interpreter that `cargo xtask setup` made, with numpy and safetensors, or that of
/// `GLEBE_TEST_PYTHON`, which may have PyTorch too.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn python() -> Option<PathBuf> {
    let named = std::env::var_os("GLEBE_TEST_PYTHON").map(PathBuf::from);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/python/bin/python");
    let python = named.unwrap_or(own);
    if python.is_file() {
        return Some(python);
    }
    eprintln!(
        "SKIPPED: {} is missing; cargo xtask setup makes it",
        python.display()
    );
    None
}

/// Debian's interpreter, which has PyTorch once `cargo xtask setup` has installed it.
const SYSTEM: &str = "/usr/bin/python3";

/// The first interpreter that has PyTorch: that of `GLEBE_TEST_PYTHON`, setup's own, the system's.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn python_with_torch() -> Option<PathBuf> {
    let has_torch = |python: &PathBuf| {
        let asked = Command::new(python).args(["-c", "import torch"]).output();
        asked.is_ok_and(|ended| ended.status.success())
    };
    let known = python().into_iter().chain([PathBuf::from(SYSTEM)]);
    let found = known.into_iter().find(has_torch);
    if found.is_none() {
        eprintln!("SKIPPED: no interpreter here has PyTorch; cargo xtask setup installs it");
    }
    found
}

#[test]
fn pystac_reads_the_item_with_its_machine_learning_extension() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let (learned, place) = written(&path, 1);
    let told = asked(&python, "mlm.py", &[&place.join("item.json")]);
    assert_eq!(told["name"], "ndvi-cnn gcpvj");
    assert_eq!(told["bands"], serde_json::json!(["red", "green", "blue"]));
    assert_eq!(told["input_shape"], serde_json::json!([-1, 3, 16, 16]));
    assert_eq!(told["output_shape"], serde_json::json!([-1, 1, 1, 1]));
    assert_eq!(told["parameters"], 25_697);
    assert_eq!(told["framework_version"], "2.11.0");
    assert_eq!(told["artifact_type"], "torch.jit.save");
    assert_eq!(told["chip_px"], 16);
    let means: Vec<f64> = serde_json::from_value(told["means"].clone()).expect("numbers");
    let ours = learned.config.normalisation.bands.iter().map(|b| b.mean);
    assert!(
        ours.zip(&means).all(|(a, b)| (a - b).abs() < 1e-12),
        "{told}"
    );
    for asset in told["hrefs"].as_array().expect("assets") {
        let name = asset.as_str().expect("a name");
        assert!(place.join(name).is_file(), "{name} is named, not there");
    }
}
