//! Workers that are killed in the middle of a job.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Node, expect, ndjson, scratch, stderr, stdout, until, world};

/// Long enough to be killed in the middle, with checkpoints after each batch.
pub(crate) const TRAIN: [&str; 12] = [
    "train",
    "ndvi-cnn",
    "--chip",
    "8",
    "--min-coverage",
    "95",
    "--max-cloud",
    "10",
    "--epochs",
    "24",
    "--patience",
    "24",
];

/// Epochs of one cell that take longer than it takes to kill a node.
const EPOCHS: u64 = 150;

fn node(folder: &Path) -> Node {
    Node::start_with(folder, "n", &[], &[("GLEBE_CHECKPOINT_S", "0")])
}

pub(crate) fn jobs(node: &Node, folder: &Path, run: &str) -> Vec<Value> {
    let show = ["job", "show", run, "-o", "json"];
    let view = expect(node.ask(folder).args(show), 0);
    let view: Value = serde_json::from_slice(&view.stdout).unwrap();
    view["jobs"].as_array().unwrap().clone()
}

/// Fills a node with some dozen small cells.
pub(crate) fn ingest(node: &Node, folder: &Path) {
    let scenes = world(folder, 1, 2, 300);
    expect(
        node.ask(folder)
            .args(["ingest", "--precision", "6"])
            .arg(scenes),
        0,
    );
}

/// The worker that a node runs now, if it runs one.
fn worker(node: &Node) -> Option<String> {
    let parent = format!("PPid:\t{}", node.pid());
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .map(|e| e.unwrap().path());
    let is_ours = |status: &String| {
        status.starts_with("Name:\tglebe-trainer") && status.lines().any(|line| line == parent)
    };
    let mut found = processes.filter(|process| {
        let status = std::fs::read_to_string(process.join("status"));
        status.is_ok_and(|status| is_ours(&status))
    });
    let pid = found.next()?;
    Some(pid.file_name()?.to_str()?.to_owned())
}

fn kill(node: &Node) {
    let pid = worker(node).expect("a worker runs");
    expect(Command::new("kill").args(["-9", &pid]), 0);
}

/// Hashes of a run's weights by cell.
pub(crate) fn weights(node: &Node, folder: &Path, run: &str) -> BTreeMap<String, String> {
    let done = jobs(node, folder, run);
    let done = done.iter().filter(|job| job["state"] == "done");
    let hash = |job: &Value| {
        let cell = job["geocode"].as_str().unwrap().to_owned();
        let model = format!("{run}/{cell}");
        let out = scratch();
        let pull = ["model", "pull", &model, "-O"];
        expect(node.ask(folder).args(pull).arg(out.path().join("m")), 0);
        let config = std::fs::read(out.path().join("m/config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        (cell, config["weights_blake3"].as_str().unwrap().to_owned())
    };
    done.map(hash).collect()
}

pub(crate) fn kept(node: &Node) -> usize {
    let files = std::fs::read_dir(node.data.join("checkpoints"));
    let names = files.into_iter().flatten().map(|e| e.unwrap().path());
    // What is being written is none yet.
    names.filter(|path| path.extension().is_none()).count()
}

/// Checks that the log tells how the job went.
fn said_so(node: &Node, folder: &Path) {
    let told = stdout(&expect(node.ask(folder).args(["job", "logs", "killed"]), 0));
    for text in [
        ", attempt 1",
        "splits to learn from, ",
        "epoch 1: loss ",
        "is tried again: the worker ended with signal: 9",
        "goes on from its checkpoint in epoch",
        "its model is published",
    ] {
        assert!(told.contains(text), "no '{text}':\n{told}");
    }
}

#[test]
fn a_killed_workers_job_goes_on_in_the_middle_and_ends_with_the_same_weights() {
    let folder = scratch();
    let folder = folder.path();
    let node = node(folder);
    ingest(&node, folder);
    expect(node.ask(folder).args(TRAIN).args(["--name", "killed"]), 0);
    until("a checkpoint is written", || kept(&node) > 0);
    kill(&node);
    let wait = node
        .ask(folder)
        .args(["job", "wait", "killed"])
        .output()
        .unwrap();
    assert!(
        matches!(wait.status.code(), Some(0 | 4)),
        "{}",
        stderr(&wait)
    );
    let done = jobs(&node, folder, "killed");
    let again = done
        .iter()
        .filter(|job| job["attempts"] == 2 && job["state"] == "done");
    assert_eq!(again.count(), 1, "{done:?}");
    let said = std::fs::read_to_string(node.data.join("workers.log")).unwrap();
    assert!(
        said.contains("goes on from its checkpoint in epoch"),
        "{said}"
    );
    assert_eq!(
        kept(&node),
        0,
        "checkpoints of jobs that are over take no space"
    );
    said_so(&node, folder);

    let whole = node
        .ask(folder)
        .args(TRAIN)
        .args(["--name", "whole", "--wait"])
        .output();
    let whole = whole.unwrap();
    assert!(
        matches!(whole.status.code(), Some(0 | 4)),
        "{}",
        stderr(&whole)
    );
    let [killed, whole] = ["killed", "whole"].map(|run| weights(&node, folder, run));
    assert!(killed.len() > 1, "{killed:?}");
    assert_eq!(killed, whole);
}

#[test]
fn a_cell_whose_worker_dies_each_time_is_quarantined_and_stops_no_other() {
    let folder = scratch();
    let folder = folder.path();
    let node = node(folder);
    ingest(&node, folder);
    expect(node.ask(folder).args(TRAIN).args(["--name", "r"]), 0);
    let first = || jobs(&node, folder, "r")[0].clone();
    for attempt in 1..=3 {
        until("the first cell is tried", || {
            let job = first();
            job["state"] == "running" && job["attempts"] == attempt
        });
        kill(&node);
    }
    let wait = node
        .ask(folder)
        .args(["job", "wait", "r"])
        .output()
        .unwrap();
    assert_eq!(wait.status.code(), Some(4), "{}", stderr(&wait));
    let told = format!(
        "1 of {} jobs failed; why: glebe job show r",
        jobs(&node, folder, "r").len()
    );
    assert!(stderr(&wait).contains(&told), "{}", stderr(&wait));
    assert_eq!(first()["state"], "quarantined");
    let reason = first()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("signal: 9"), "{reason}");
    let all = jobs(&node, folder, "r");
    let done = |all: &[Value]| all.iter().filter(|job| job["state"] == "done").count();
    assert_eq!(done(&all), all.len() - 1, "{all:?}");

    // What failed is tried again at a word, and what is done is kept.
    let kept = weights(&node, folder, "r");
    expect(node.ask(folder).args(["job", "resume", "r"]), 0);
    expect(node.ask(folder).args(["job", "wait", "r"]), 0);
    let again = jobs(&node, folder, "r");
    assert_eq!(done(&again), all.len(), "{again:?}");
    assert_eq!(again[1..], all[1..]);
    let cell = again[0]["geocode"].as_str().unwrap();
    assert!(!kept.contains_key(cell) && weights(&node, folder, "r").contains_key(cell));
}

/// Epochs of a run's log, in the order in which they were told, and what else was said.
fn told(node: &Node, folder: &Path, run: &str) -> (Vec<u64>, String) {
    // What nobody has said anything of yet is told with an exit code.
    let logs = node
        .ask(folder)
        .args(["job", "logs", run, "-o", "json"])
        .output();
    let logs: Value = serde_json::from_slice(&logs.unwrap().stdout).unwrap();
    let lines = logs["lines"].as_array().unwrap();
    let epochs = lines
        .iter()
        .filter_map(|line| line["epoch"]["epoch"].as_u64());
    let said = lines.iter().filter_map(|line| line["said"].as_str());
    (epochs.collect(), said.collect::<Vec<_>>().join("\n"))
}

/// The epoch in which a job went on, by what was said of it.
fn went_on_in(said: &str) -> u64 {
    let epoch = said.split_once("goes on from its checkpoint in epoch ");
    let epoch = epoch.and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
    epoch.unwrap_or_else(|| panic!("it did not go on:\n{said}"))
}

#[test]
fn a_node_killed_with_its_worker_goes_on_from_the_checkpoint_and_does_no_epoch_again() {
    let folder = scratch();
    let folder = folder.path();
    let mut first = node(folder);
    ingest(&first, folder);
    let hits = ndjson(&expect(
        first
            .ask(folder)
            .args(["search", "-o", "ndjson", "--sort", "-coverage"]),
        0,
    ));
    let cell = hits[0]["geocode"].as_str().unwrap().to_owned();
    let train = |node: &Node, words: &[&str]| {
        let mut command = node.ask(folder);
        let epochs = EPOCHS.to_string();
        command.args(["train", "ndvi-cnn", "--chip", "8", "--geocode", &cell]);
        command
            .args(["--epochs", &epochs, "--patience", &epochs])
            .args(words);
        expect(&mut command, 0);
    };
    train(&first, &["--name", "killed"]);
    let mut seen = 0;
    until("some epochs are over", || {
        let (epochs, _) = told(&first, folder, "killed");
        seen = epochs.last().copied().unwrap_or(0);
        seen >= 3
    });
    let orphan = worker(&first).expect("a worker runs");
    first.kill();
    expect(Command::new("kill").args(["-9", &orphan]), 0);
    assert!(kept(&first) > 0, "a checkpoint lies there");
    drop(first);

    let again = node(folder);
    expect(again.ask(folder).args(["job", "wait", "killed"]), 0);
    let (epochs, said) = told(&again, folder, "killed");
    let gone_on = went_on_in(&said);
    eprintln!("epoch {seen} was told before the kill, {gone_on} was gone on in");
    assert!(
        gone_on >= seen && gone_on > 1,
        "{gone_on} after {seen}:\n{said}"
    );
    assert!(gone_on < EPOCHS, "it was over before it was killed");
    let mut once = epochs.clone();
    once.sort_unstable();
    once.dedup();
    assert!(epochs.len() <= once.len() + 1, "done again: {epochs:?}");
    let wanted = (gone_on..=EPOCHS).collect::<Vec<_>>();
    let rest = &epochs[epochs.len().saturating_sub(wanted.len())..];
    assert_eq!(rest, wanted, "all that were left");
    assert_eq!(jobs(&again, folder, "killed").len(), 1);
    assert_eq!(kept(&again), 0, "its checkpoint is of no more use");

    train(&again, &["--name", "whole", "--wait"]);
    let [killed, whole] = ["killed", "whole"].map(|run| weights(&again, folder, run));
    assert_eq!(killed.len(), 1);
    assert_eq!(killed, whole);
}
