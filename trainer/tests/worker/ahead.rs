//! Chips of the next job, decoded while one learns.

use std::process::{Command, Stdio};

use tch::Device;
use trainer::chips::pins::Pins;
use trainer::job::{learn, learn_from};
use trainer::stop::Stop;
use wire::diary::{Entry, Event};
use wire::run::{Hyper, Lease};

use crate::node::{Heard, Node, Temper};
use crate::packed::{configs, work};
use crate::pinned::setting;
use crate::world::{Scene, folder, lease, quick};

/// What is said once the next job's chips are there.
const READY: &str = "the next job's chips are ready: 600 were decoded ahead";

fn says(heard: &Heard, text: &str) -> bool {
    let is = |entry: &Entry| matches!(&entry.event, Event::Said(said) if said.contains(text));
    heard.said.iter().any(is)
}

/// Two jobs of two cells' worth of chips, the first of which tells what the second learns from.
fn jobs(path: &std::path::Path, epochs: u32) -> [Lease; 2] {
    let hyper = Hyper {
        epochs,
        patience: epochs,
        ..quick()
    };
    let job = |name: &str, seed| {
        let splits = vec![Scene::new(name, seed).write(path)];
        lease(splits, hyper.clone())
    };
    let (mut first, second) = (job("a", 1), job("b", 2));
    first.next.clone_from(&second.splits);
    [first, second]
}

/// The device idled while the next job's chips were decoded, for only its own lease began that.
#[test]
fn the_next_jobs_chips_are_there_while_a_job_learns_that_does_not_end() {
    let (_keep, path) = folder();
    let [endless, second] = jobs(&path, 10_000);
    let folder = path.join("cache/chips");
    let node = Node::lending(vec![endless], Temper::Kind);
    let worker = Command::new(env!("CARGO_BIN_EXE_glebe-trainer"))
        .args(["work", "--node", &node.url, "--chips-mib", "64", "--chips"])
        .arg(&folder)
        .stderr(Stdio::null())
        .spawn();
    let mut worker = worker.expect("it starts");
    node.wait(|heard| says(heard, READY));
    node.heard(|heard| assert!(heard.models.is_empty() && heard.lent == 1));
    worker.kill().expect("it is there");
    worker.wait().expect("it ends");
    let pins = Pins {
        folder,
        bytes_max: 64 << 20,
    };
    let mut short = second;
    (short.run.hyper.epochs, short.run.hyper.patience) = (1, 1);
    let learned = learn_from(&short, None, &setting(Some(pins))).expect("a model");
    assert_eq!(learned.config.data.chips_decoded, Some(0));
}

#[test]
fn a_job_whose_chips_were_decoded_ahead_gives_the_weights_of_one_by_itself() {
    let (_keep, path) = folder();
    let jobs = jobs(&path, 1);
    let chips = path.join("cache/chips");
    let chips = chips.to_str().expect("text");
    let words = ["--chips", chips, "--chips-mib", "64"];
    let mut decoded = Vec::new();
    for job in &jobs {
        let node = Node::lending(vec![job.clone()], Temper::Kind);
        work(&node.url, &words);
        let config = configs(&node).remove("gcpvj").expect("its model");
        let alone = learn(job, Device::Cpu, &Stop::default()).expect("a model");
        assert_eq!(config["weights_blake3"], alone.config.weights_blake3);
        decoded.push(config["data"]["chips_decoded"].as_u64());
    }
    assert_eq!(decoded, [Some(600), Some(0)]);
}

#[test]
fn a_next_job_that_cannot_be_prepared_costs_nobody_a_model() {
    let (_keep, path) = folder();
    let [mut first, _] = jobs(&path, 1);
    first.next[0].folder = path.join("nowhere");
    let pins = Pins {
        folder: path.join("cache/chips"),
        bytes_max: 64 << 20,
    };
    let setting = setting(Some(pins));
    let alone = learn(&first, Device::Cpu, &Stop::default()).expect("a model");
    let learned = learn_from(&first, None, &setting).expect("a model");
    assert_eq!(learned.config.weights_blake3, alone.config.weights_blake3);
    let not = "the next job's chips are not decoded ahead: ";
    let said = setting.diary.take();
    let is = |entry: &Entry| matches!(&entry.event, Event::Said(text) if text.starts_with(not));
    assert_eq!(said.iter().filter(|entry| is(entry)).count(), 1);
}
