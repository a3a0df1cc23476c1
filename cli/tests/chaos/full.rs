//! A disk that is full to the last byte while models are learned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::disks::Bay;
use crate::harness::{Node, expect, scratch, stderr, stdout, until, world};
use crate::power::disk;
use crate::users::verified;

/// Learns from some dozen small cells.
const TRAIN: [&str; 10] = [
    "train",
    "ndvi-cnn",
    "--chip",
    "8",
    "--min-coverage",
    "95",
    "--epochs",
    "12",
    "--patience",
    "12",
];

/// Jobs of a run, as the node tells them.
fn jobs(node: &Node, folder: &Path, run: &str) -> Vec<Value> {
    let show = ["job", "show", run, "-o", "json"];
    let view = expect(node.ask(folder).args(show), 0);
    let view: Value = serde_json::from_slice(&view.stdout).unwrap();
    view["jobs"].as_array().unwrap().clone()
}

fn done(jobs: &[Value]) -> usize {
    jobs.iter().filter(|job| job["state"] == "done").count()
}

/// What the models of a run scored, by cell: the same weights score the same.
fn scores(node: &Node, folder: &Path, run: &str) -> BTreeMap<String, Value> {
    let list = ["model", "list", "--run", run, "-o", "json"];
    let list = expect(node.ask(folder).args(list), 0);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let models = list["models"].as_array().unwrap().iter();
    let cell = |model: &Value| model["geocode"].as_str().unwrap().to_owned();
    models.map(|m| (cell(m), m["metrics"].clone())).collect()
}

#[test]
fn what_is_learned_while_the_disk_is_full_is_published_once_there_is_room() {
    let folder = scratch();
    let folder = folder.path();
    let Some(bay) = Bay::new(folder) else { return };
    let disk = disk(&bay, folder, 0);
    let scenes = world(folder, 1, 2, 300);
    // A checkpoint after each batch: they meet the full disk, too.
    let mut node = Node::start_with(folder, "node0", &[], &[("GLEBE_CHECKPOINT_S", "0")]);
    let ingest = ["ingest", "--precision", "6"];
    expect(node.ask(folder).args(ingest).arg(&scenes), 0);
    expect(
        node.ask(folder)
            .args(TRAIN)
            .args(["--name", "whole", "--wait"]),
        0,
    );
    expect(node.ask(folder).args(TRAIN).args(["--name", "full"]), 0);
    until("a model is published", || {
        done(&jobs(&node, folder, "full")) > 0
    });
    disk.fill();
    until("a model is refused", || {
        let log = std::fs::read_to_string(folder.join("node0.log")).unwrap();
        let refused = |line: &str| line.contains("no space left") && line.contains("model full/");
        log.lines().any(refused)
    });
    let before = done(&jobs(&node, folder, "full"));
    // The node goes on answering, and says why it takes nothing.
    expect(node.ask(folder).args(["search", "-o", "id"]), 0);
    let more = ["ingest", "--precision", "6", "--collection", "more"];
    let refused = node.ask(folder).args(more).arg(&scenes).output().unwrap();
    assert!(!refused.status.success());
    let why = stderr(&refused);
    assert!(why.contains("no space left"), "{why}");
    let now = jobs(&node, folder, "full");
    assert_eq!(done(&now), before, "{now:?}");
    disk.ease();
    expect(node.ask(folder).args(["job", "wait", "full"]), 0);
    assert_eq!(
        scores(&node, folder, "full"),
        scores(&node, folder, "whole")
    );
    assert!(node.lives() && verified(folder, &node));
    // What was said while nothing could be written was not lost either.
    let logs = ["job", "logs", "full"];
    let logs = stdout(&expect(node.ask(folder).args(logs), 0));
    assert!(logs.contains("it is kept and published later"), "{logs}");
    let once: BTreeSet<&str> = logs.lines().collect();
    assert_eq!(once.len(), logs.lines().count(), "said twice:\n{logs}");
}
