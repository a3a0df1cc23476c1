//! A worker that is killed in the middle of an epoch, and the one after it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tch::Device;
use trainer::diary::Diary;
use trainer::job::{Setting, learn, learn_from};
use trainer::stop::Stop;
use wire::diary::{Entry, Event};
use wire::run::{Hyper, Lease, Schedule};

use crate::node::{Node, Temper};
use crate::world::{Scene, folder, lease_of, quick};

fn job(recipe: &str, path: &Path, epochs: u32) -> Lease {
    let scenes = match recipe {
        "ndmi-unet" => vec![Scene::moist("a", 1)],
        "spagan" => Scene::pair().to_vec(),
        _ => vec![Scene::new("a", 1)],
    };
    let splits = scenes.iter().map(|scene| scene.write(path)).collect();
    // The rate of each batch is part of the path.
    let hyper = Hyper {
        epochs,
        warm_up: u32::from(epochs > 1),
        schedule: Schedule::Cosine,
        ..quick()
    };
    Lease {
        expires_millis: 150,
        checkpoint: Some(path.join("spring+gcpvj.checkpoint")),
        ..lease_of(recipe, splits, hyper)
    }
}

/// Starts a worker that writes a checkpoint after each batch, with what it says in a file.
fn start(url: &str, said: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_glebe-trainer"))
        .args(["work", "--checkpoint-s", "0", "--node", url])
        .stderr(std::fs::File::create(said).expect("a file"))
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// Returns the weights' hash that a node was given.
fn published(node: &Node) -> String {
    node.heard(|heard| {
        let (bundle, _) = heard.models.first().expect("a model");
        let names = bundle.header.files.iter().map(|f| f.name.as_str());
        let (_, config) = { names.zip(&bundle.files) }
            .find(|(name, _)| *name == "config.json")
            .expect("a config");
        let config: serde_json::Value = serde_json::from_slice(config).expect("JSON");
        config["weights_blake3"]
            .as_str()
            .expect("a hash")
            .to_owned()
    })
}

fn place(lease: &Lease) -> PathBuf {
    lease.checkpoint.clone().expect("a place")
}

/// Kills a worker once it has kept something, and has another end the job.
fn killed_and_gone_on(recipe: &str, epochs: u32) {
    let (_keep, path) = folder();
    let mut lease = job(recipe, &path, epochs);
    let file = place(&lease);
    let node = Node::lending(vec![lease.clone()], Temper::Kind);
    let mut worker = start(&node.url, &path.join("first"));
    node.wait(|heard| heard.renewals > 0 && file.exists());
    worker.kill().expect("it lives");
    let ended = worker.wait().expect("it ends");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&ended),
        Some(9)
    );
    node.heard(|heard| assert!(heard.models.is_empty(), "it was too quick to be killed"));

    lease.token += 1;
    let node = Node::lending(vec![lease.clone()], Temper::Kind);
    let said = path.join("second");
    assert!(crate::leases::end(start(&node.url, &said)).success());
    let said = std::fs::read_to_string(said).expect("words");
    assert!(
        said.contains("goes on from its checkpoint in epoch"),
        "{said}"
    );
    lease.checkpoint = None;
    let whole = learn(&lease, Device::Cpu, &Stop::default()).expect("a model");
    assert_eq!(published(&node), whole.config.weights_blake3);
}

#[test]
fn a_killed_worker_is_gone_on_from_to_the_bit() {
    killed_and_gone_on("ndvi-cnn", 12);
}

#[test]
fn a_killed_worker_is_gone_on_from_with_what_batch_normalisation_remembers() {
    killed_and_gone_on("ndmi-unet", 1);
}

#[test]
fn a_killed_worker_is_gone_on_from_with_the_rival_of_its_network() {
    killed_and_gone_on("spagan", 1);
}

#[test]
fn a_checkpoint_that_is_torn_or_of_another_job_is_not_gone_on_from() {
    let (_keep, path) = folder();
    let mut lease = job("ndvi-cnn", &path, 2);
    let setting = Setting {
        device: Device::Cpu,
        stop: Stop::default(),
        diary: Diary::default(),
        checkpoint_every: Duration::ZERO,
        pins: None,
        bytes_max: None,
        module: None,
    };
    let learned = |lease: &Lease| {
        let learned = learn_from(lease, None, &setting).expect("a model");
        learned.config.weights_blake3
    };
    let goes_on = || {
        let mut said = setting.diary.take().into_iter();
        let goes_on = |e: Entry| matches!(e.event, Event::Said(s) if s.starts_with("goes on from"));
        said.any(goes_on)
    };
    let whole = learned(&lease);
    assert!(!goes_on());
    let kept = std::fs::read(place(&lease)).expect("a checkpoint");
    assert_eq!(
        learned(&lease),
        whole,
        "the last checkpoint is gone on from"
    );
    assert!(goes_on());
    for damaged in [&kept[..kept.len() / 2], &[], b"something else"] {
        std::fs::write(place(&lease), damaged).expect("a file");
        assert_eq!(learned(&lease), whole);
        assert!(!goes_on());
    }
    // A checkpoint of one seed is of no use to another.
    lease.run.seed += 1;
    let other = learned(&lease);
    std::fs::write(place(&lease), &kept).expect("a file");
    assert_eq!(learned(&lease), other);
    let node = Node::lending(vec![lease], Temper::Kind);
    let said = path.join("said");
    std::fs::write(path.join("spring+gcpvj.checkpoint"), &kept[..99]).expect("a file");
    assert!(crate::leases::end(start(&node.url, &said)).success());
    assert_eq!(published(&node), other);
    let said = std::fs::read_to_string(said).expect("words");
    let told = "starts from the beginning: its checkpoint is of no use: it is damaged";
    assert!(said.contains(told), "{said}");
}

#[test]
fn a_place_that_cannot_be_written_to_costs_the_checkpoint_and_not_the_model() {
    let (_keep, path) = folder();
    let mut lease = job("ndvi-cnn", &path, 1);
    lease.checkpoint = Some(path.join("nowhere/spring+gcpvj.checkpoint"));
    let node = Node::lending(vec![lease], Temper::Kind);
    let said = path.join("said");
    assert!(crate::leases::end(start(&node.url, &said)).success());
    node.heard(|heard| assert_eq!(heard.models.len(), 1));
    let said = std::fs::read_to_string(said).expect("words");
    assert_eq!(
        said.matches("no checkpoint can be written").count(),
        1,
        "{said}"
    );
}
