//! What jobs compute with: threads as the run says, and where the node's workers are told to.

use serde_json::Value;

use crate::harness::{Node, expect, glebe, json, ndjson, scratch, stderr, world};

/// One epoch of whole cells.
const TRAIN: [&str; 9] = [
    "train",
    "ndvi-cnn",
    "--epochs",
    "1",
    "--chip",
    "16",
    "--min-coverage",
    "95",
    "--wait",
];

#[test]
fn a_node_tells_its_workers_where_to_compute_whatever_its_environment_says() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 300);
    let elsewhere = [("GLEBE_DEVICE", "cuda")];
    let node = Node::start_with(folder, "flag", &["--device", "cpu"], &elsewhere);
    let ingest = ["ingest", "--precision", "6"];
    expect(node.ask(folder).args(ingest).arg(&scenes), 0);
    let trained = expect(node.ask(folder).args(TRAIN).args(["--name", "one"]), 0);
    let log = std::fs::read_to_string(node.data.join("workers.log")).unwrap_or_default();
    assert!(!log.contains("no CUDA device"), "{log}");
    assert!(
        !stderr(&trained).contains("quarantined"),
        "{}",
        stderr(&trained)
    );
    let list = json(&node, folder, &["model", "list", "--run", "one"]);
    let cell = list["models"][0]["geocode"].as_str().unwrap();
    // So are the workers that answer.
    let stored = ["predict", &format!("one/{cell}"), "--geocode", cell];
    expect(node.ask(folder).args(stored).args(["-O", "map.tif"]), 0);
}

#[test]
fn a_run_computes_with_as_many_threads_as_it_says_and_gives_the_same_weights_again() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 300);
    let ingest = ["ingest", "--precision", "6"];
    expect(glebe(folder).args(ingest).arg(&scenes), 0);
    let whole = ["search", "--min-coverage", "95", "-o", "ndjson"];
    let hits = ndjson(&expect(glebe(folder).args(whole), 0));
    let cell = hits[0]["geocode"].as_str().unwrap();
    let weights = ["one", "other"].map(|name| {
        let named = ["--threads", "2", "--geocode", cell, "--name", name];
        expect(glebe(folder).args(TRAIN).args(named), 0);
        let show = expect(glebe(folder).args(["job", "show", name, "-o", "json"]), 0);
        let show: Value = serde_json::from_slice(&show.stdout).unwrap();
        assert_eq!(show["run"]["hyper"]["threads"], 2, "{show}");
        let out = folder.join(name);
        let pull = ["model", "pull", &format!("{name}/{cell}"), "-O"];
        expect(glebe(folder).args(pull).arg(&out), 0);
        let config = std::fs::read(out.join("config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        config["weights_blake3"].as_str().unwrap().to_owned()
    });
    assert_eq!(weights[0], weights[1]);
    let many = ["--threads", "65", "--name", "many"];
    let said = stderr(&expect(glebe(folder).args(TRAIN).args(many), 2));
    for told in ["--threads is out of range", "outside 1..=64", "try:"] {
        assert!(said.contains(told), "no '{told}': {said}");
    }
}
