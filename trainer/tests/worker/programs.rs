//! `exec:PROGRAM`: programs of the node's owner learn, within limits, and nobody else's run.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use trainer::metric::r2::r2;
use trainer::program::confine::namespaces;
use wire::bundle::Bundle;
use wire::run::Failure;

use crate::folder::{python, python_with_torch};
use crate::node::{Node, Temper};
use crate::predict::{map, summary};
use crate::world::{CELL, Scene, folder, lease_of, ndvi, quick};

/// What a program of a test says of itself.
const WISH: &str = r#"{"task": "nothing", "inputs": [["red"]], "label": [["nir"]],
    "answer": "number", "file": "model.bin"}"#;

/// Writes an executable file.
fn executable(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).expect("a file");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("a mode");
    path.to_owned()
}

/// A program that runs an example of the repository with that interpreter.
pub(crate) fn example(folder: &Path, name: &str, python: &Path) -> PathBuf {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/examples");
    let script = examples.join(name).canonicalize().expect("an example");
    let text = format!(
        "#!/bin/sh\nexec '{}' '{}' \"$@\"\n",
        python.display(),
        script.display()
    );
    executable(&folder.join("learn"), &text)
}

/// A program that says what it wants and then does as the shell is told.
fn shell(folder: &Path, does: &str) -> PathBuf {
    let text =
        format!("#!/bin/sh\nif [ \"$1\" = --describe ]; then echo '{WISH}'; exit; fi\n{does}\n");
    executable(&folder.join("learn"), &text)
}

/// Has a worker do one job of `exec:learn`; the variables are the node's environment.
fn job(path: &Path, variables: &[(&str, &str)]) -> Result<Bundle, Failure> {
    let lease = lease_of("exec:learn", vec![Scene::new("a", 1).write(path)], quick());
    let node = Node::lending(vec![lease], Temper::Kind);
    let mut worker = Command::new(env!("CARGO_BIN_EXE_glebe-trainer"));
    worker.args(["work", "--unreachable-s", "1", "--node", &node.url]);
    worker.env_remove("GLEBE_PROGRAMS").stderr(Stdio::null());
    let ended = worker.envs(variables.iter().copied()).status();
    assert!(ended.expect("it starts").success());
    node.heard(|heard| {
        let ends = heard.models.len() + heard.failures.len();
        assert_eq!(ends, 1, "a model or a failure: {heard:?}");
        let published = heard.models.first().map(|(bundle, _)| bundle.clone());
        published.ok_or_else(|| heard.failures[0].clone())
    })
}

/// The same, of a program that is allowed.
pub(crate) fn allowed(program: &Path, more: &[(&str, &str)]) -> Result<Bundle, Failure> {
    let path = program.parent().expect("a folder");
    let listed = program.display().to_string();
    let variables = [&[("GLEBE_PROGRAMS", listed.as_str())], more].concat();
    job(path, &variables)
}

fn refused(program: &Path, more: &[(&str, &str)]) -> String {
    let failure = allowed(program, more)
        .map(|b| b.header)
        .expect_err("no model");
    assert!(failure.hopeless, "{failure:?}");
    failure.reason
}

pub(crate) fn file(bundle: &Bundle, name: &str) -> Vec<u8> {
    let at = bundle.header.files.iter().position(|f| f.name == name);
    bundle.files[at.expect(name)].to_vec()
}

/// Predicts the world on another date with a program's model, and what a node's owner allows.
fn predicted(bundle: &Bundle, path: &Path, listed: Option<&Path>) -> Output {
    let model = path.join("model");
    std::fs::create_dir_all(&model).expect("a folder");
    for (entry, bytes) in bundle.header.files.iter().zip(&bundle.files) {
        std::fs::write(model.join(&entry.name), bytes).expect("a file");
    }
    Scene::new("later", 9).write(&path.join("scene"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_glebe-trainer"));
    command.arg("predict").arg("--model").arg(model);
    command.arg("--splits").arg(path.join("scene"));
    command.arg("-O").arg(path.join("map.tif"));
    command.env_remove("GLEBE_PROGRAMS");
    command.envs(listed.map(|program| ("GLEBE_PROGRAMS", program)));
    command.output().expect("it runs")
}

/// Predicts with an example and returns R² against near infrared of that date.
fn followed(bundle: &Bundle, path: &Path) -> f64 {
    let told = summary(&predicted(bundle, path, Some(&path.join("learn"))));
    assert_eq!(
        (&told["pixels"], &told["warnings"]),
        (&153_600.into(), &Value::from(Vec::<u8>::new()))
    );
    let ndvi = ndvi(CELL, 0.0);
    // Near infrared of NDVI over a red of a tenth.
    let nir: Vec<f32> = ndvi.iter().map(|n| 0.1 * (1.0 + n) / (1.0 - n)).collect();
    r2(&map(&path.join("map.tif")).bands[0], &nir)
}

#[test]
fn programs_answer_with_their_models_when_they_say_so_and_are_allowed() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let bundle = allowed(&example(&path, "exec_numpy.py", &python), &[]).expect("a model");
    let score = followed(&bundle, &path);
    eprintln!("R2 of the NumPy example's map: {score}");
    assert!(score > 0.5, "{score}");
    let stranger = predicted(&bundle, &path, None);
    let said = String::from_utf8_lossy(&stranger.stderr);
    assert_eq!(stranger.status.code(), Some(6), "{said}");
    assert!(
        said.contains("does not allow the program 'learn'"),
        "{said}"
    );
    let mute = predicted(&bundle, &path, Some(&shell(&path, "true")));
    let said = String::from_utf8_lossy(&mute.stderr);
    assert!(said.contains("exec:learn does not predict"), "{said}");
}

#[test]
fn a_program_of_pytorch_predicts_a_map() {
    let Some(python) = python_with_torch() else {
        return;
    };
    let (_keep, path) = folder();
    let bundle = allowed(&example(&path, "exec_pytorch.py", &python), &[]).expect("a model");
    let score = followed(&bundle, &path);
    eprintln!("R2 of the PyTorch example's map: {score}");
    assert!(score > 0.2, "{score}");
}

#[test]
fn a_program_of_numpy_alone_learns_and_its_model_is_published_with_our_scores() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let bundle = allowed(&example(&path, "exec_numpy.py", &python), &[]).expect("a model");
    let names: Vec<&str> = bundle
        .header
        .files
        .iter()
        .map(|f| f.name.as_str())
        .collect();
    let wanted = [
        "README.md",
        "config.json",
        "item.json",
        "metrics.jsonl",
        "model.npz",
    ];
    assert_eq!(names, wanted);
    let config: Value = serde_json::from_slice(&file(&bundle, "config.json")).expect("JSON");
    let score = |name: &str| config["metrics"][name].as_f64().expect("a number");
    assert!(score("val_mse") < 0.2 * score("mean_mse"), "{config}");
    assert!(score("val_mse") < 0.2 * score("linear_mse"), "{config}");
    assert_eq!(config["recipe"], "exec:learn");
    let hash = blake3::hash(&file(&bundle, "model.npz"))
        .to_hex()
        .to_string();
    assert_eq!(config["weights_blake3"], hash.as_str());
    let said = String::from_utf8(file(&bundle, "metrics.jsonl")).expect("text");
    assert!(said.contains("train_mse"), "{said}");
    let card = String::from_utf8(file(&bundle, "README.md")).expect("text");
    assert!(card.contains("the program `exec:learn`"), "{card}");
    let untested = "No further chips are held out for a test: a program is handed";
    assert!(card.contains(untested), "{card}");
    let json: Value = serde_json::from_slice(&file(&bundle, "item.json")).expect("JSON");
    assert_eq!(json["assets"]["model"]["href"], "./model.npz");
    assert_eq!(json["properties"].get("mlm:framework"), None);
}

#[test]
fn a_program_of_pytorch_learns_a_map() {
    let Some(python) = python_with_torch() else {
        return;
    };
    let (_keep, path) = folder();
    let bundle = allowed(&example(&path, "exec_pytorch.py", &python), &[]).expect("a model");
    let config: Value = serde_json::from_slice(&file(&bundle, "config.json")).expect("JSON");
    let score = |name: &str| config["metrics"][name].as_f64().expect("a number");
    assert!(score("val_mse") < 0.8 * score("mean_mse"), "{config}");
    assert_eq!(
        config["network"]["answer_shape"],
        serde_json::json!([1, 16, 16])
    );
    let said = String::from_utf8(file(&bundle, "metrics.jsonl")).expect("text");
    assert_eq!(said.lines().count(), 12, "one line an epoch");
}

#[test]
fn what_the_owner_has_not_allowed_is_never_started() {
    let (_keep, path) = folder();
    let marker = path.join("started");
    let text = format!("#!/bin/sh\ntouch '{}'\n", marker.display());
    let program = executable(&path.join("learn"), &text);
    let elsewhere = executable(&path.join("other"), "#!/bin/sh\n");
    let elsewhere = elsewhere.display().to_string();
    for listed in [None, Some(elsewhere.as_str())] {
        let variables: Vec<_> = listed.map(|l| ("GLEBE_PROGRAMS", l)).into_iter().collect();
        let failure = job(&path, &variables)
            .map(|b| b.header)
            .expect_err("no model");
        assert!(failure.hopeless);
        let reason = &failure.reason;
        assert!(
            reason.contains("does not allow the program 'learn'"),
            "{reason}"
        );
        assert!(
            reason.contains("GLEBE_PROGRAMS=/absolute/path/of/learn"),
            "{reason}"
        );
    }
    let others = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&program, others).expect("a mode");
    assert!(refused(&program, &[]).contains("others may write it (chmod go-w)"));
    assert!(!marker.exists(), "it was started");
}

#[test]
fn a_program_ends_with_its_children_when_its_time_is_over() {
    let (_keep, path) = folder();
    let seen = path.join("alive");
    let does = format!(
        "(while :; do date > '{}'; sleep 0.05; done) &\nwait",
        seen.display()
    );
    let reason = refused(&shell(&path, &does), &[("GLEBE_PROGRAM_SECONDS", "1")]);
    assert!(
        reason.contains("ran past its 1 s (GLEBE_PROGRAM_SECONDS"),
        "{reason}"
    );
    // A child that lived on would write again while a whole other job is done.
    std::fs::remove_file(&seen).expect("the child was there");
    let other = refused(&shell(&path, "sleep 0.3; exit 3"), &[]);
    assert!(other.contains("it said nothing"), "{other}");
    has_next_step(&reason);
    has_next_step(&other);
    assert!(!seen.exists(), "its child lives on");
}

#[test]
fn a_program_that_takes_too_much_memory_is_told_by_its_own_words() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let does = format!("exec '{}' -c 'b = bytearray(2 << 30)'", python.display());
    let limit = (512 << 20).to_string();
    let reason = refused(&shell(&path, &does), &[("GLEBE_PROGRAM_BYTES", &limit)]);
    assert!(
        reason.contains("exec:learn failed: it ended with"),
        "{reason}"
    );
    assert!(reason.contains("MemoryError"), "{reason}");
}

#[test]
fn a_program_has_no_network() {
    if namespaces().is_none() {
        eprintln!("SKIPPED: this kernel allows no network namespaces");
        return;
    }
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let connect = format!("import socket; socket.create_connection((\"127.0.0.1\", {port}), 5)");
    let program = shell(
        &path,
        &format!("exec '{}' -c '{connect}'", python.display()),
    );
    let reason = refused(&program, &[]);
    assert!(reason.contains("Network is unreachable"), "{reason}");
    listener.set_nonblocking(true).expect("a listener");
    assert!(listener.accept().is_err(), "somebody came through");
}

/// Checks that who reads why a program's job failed is told what to do.
fn has_next_step(reason: &str) {
    let next = reason.split_once("; try: ").map(|(_, next)| next);
    assert!(next.is_some_and(|next| !next.is_empty()), "{reason}");
}

#[test]
fn what_is_left_is_checked_before_it_is_published() {
    let Some(python) = python() else { return };
    let (_keep, path) = folder();
    let answers = |value: &str| {
        format!(
            "'{}' -c 'import json, sys, numpy as np; job = json.load(sys.stdin); n = \
             job[\"validation\"][\"count\"]; np.save(job[\"answers\"], \
             np.full((n, *job[\"label_shape\"]), {value}, \"<f4\"))'",
            python.display()
        )
    };
    let no_number = format!("{}; echo > model.bin", answers("np.nan"));
    let no_json = format!("{}; echo > model.bin; echo epoch 1", answers("0"));
    let a_link = format!("{}; ln -s /etc/passwd model.bin", answers("0"));
    for (does, wanted) in [
        ("true", "left no usable answers.npy"),
        ("echo > answers.npy", "it is no npy file of little-endian"),
        (no_number.as_str(), "held-out labels with no number"),
        (answers("0").as_str(), "left no model file 'model.bin'"),
        (a_link.as_str(), "left no model file 'model.bin'"),
        (
            no_json.as_str(),
            "line 1 of the standard output of exec:learn is no JSON",
        ),
    ] {
        let reason = refused(&shell(&path, does), &[]);
        assert!(reason.contains(wanted), "{does}: {reason}");
        has_next_step(&reason);
    }
}

#[test]
fn a_description_that_is_none_is_refused_with_what_is_wrong() {
    let (_keep, path) = folder();
    for (says, wanted) in [
        ("hello", "expected value"),
        (
            &WISH.replace("model.bin", "../model.bin"),
            "file must be 'model.'",
        ),
        (&WISH.replace("[[\"red\"]]", "[]"), "inputs must be"),
        (
            &WISH.replace("[\"nir\"]", "[\"nir\"], [\"red\"]"),
            "label must be one list",
        ),
    ] {
        let text = format!("#!/bin/sh\ncat <<'END'\n{says}\nEND\n");
        let reason = refused(&executable(&path.join("learn"), &text), &[]);
        assert!(reason.contains(wanted), "{reason}");
        assert!(reason.contains("docs/ADDING_A_RECIPE.md"), "{reason}");
        has_next_step(&reason);
    }
}
