//! The same splits are the same data to learn from, and give the same weights: however many nodes
//! hold them, and in whatever order they came.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Node, cluster, expect, glebe, scratch, stderr, stdout, until, world};

const TRAIN: [&str; 10] = [
    "train",
    "ndvi-cnn",
    "--epochs",
    "3",
    "--chip",
    "8",
    "--min-coverage",
    "95",
    "--max-cloud",
    "10",
];

/// What was learned of a cell.
#[derive(Debug, PartialEq, Eq)]
struct Learned {
    /// Which splits it was learned from.
    snapshot: String,
    /// The weights, as the model tells them.
    weights: String,
    /// The weights, as they lie in the file behind its header, which names the run.
    tensors: blake3::Hash,
}

/// The scenes of a world, in order.
fn products(scenes: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scenes)
        .unwrap()
        .map(|e| e.unwrap().path());
    let is_product = |path: &PathBuf| path.extension().is_some_and(|e| e == "SAFE");
    let mut found: Vec<PathBuf> = entries.filter(is_product).collect();
    found.sort();
    found
}

/// Ingests scenes one after the other.
fn ingest<'a>(ask: impl Fn() -> Command, scenes: impl Iterator<Item = &'a PathBuf>) {
    for scene in scenes {
        expect(ask().args(["ingest", "--precision", "6"]).arg(scene), 0);
    }
}

fn json(mut command: Command) -> Value {
    let output = expect(command.args(["-o", "json"]), 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Trains a run to its end; returns what was learned, by cell.
fn learned(ask: impl Fn() -> Command, run: &str) -> BTreeMap<String, Learned> {
    let trained = ask().args(TRAIN).args(["--name", run, "--wait"]).output();
    let trained = trained.unwrap();
    assert_eq!(trained.status.code(), Some(0), "{}", stderr(&trained));
    let mut list = ask();
    list.args(["model", "list", "--run", run]);
    let models = json(list)["models"].as_array().unwrap().clone();
    let of = |model: &Value| {
        let cell = model["geocode"].as_str().unwrap().to_owned();
        let out = scratch();
        let pull = ["model", "pull", &format!("{run}/{cell}"), "-O"];
        expect(ask().args(pull).arg(out.path().join("m")), 0);
        let read = |name: &str| std::fs::read(out.path().join("m").join(name)).unwrap();
        let config: Value = serde_json::from_slice(&read("config.json")).unwrap();
        let file = read("model.safetensors");
        let header = u64::from_le_bytes(file[..8].try_into().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let learned = Learned {
            snapshot: text(&config["data"]["split_ids_blake3"]),
            weights: text(&config["weights_blake3"]),
            tensors: blake3::hash(&file[8 + usize::try_from(header).unwrap()..]),
        };
        (cell, learned)
    };
    models.iter().map(of).collect()
}

/// At which nodes jobs of a run were planned.
fn homes(node: &Node, folder: &Path, run: &str) -> Vec<String> {
    let mut show = node.ask(folder);
    show.args(["job", "show", run]);
    let jobs = json(show)["jobs"].as_array().unwrap().clone();
    let home = |job: &Value| job["node"].as_str().unwrap().to_owned();
    jobs.iter().map(home).collect()
}

/// Has two more nodes join, and waits until all lies where it belongs.
fn grow(nodes: &mut Vec<Node>, folder: &Path) {
    let token = folder.join("grow.token");
    let mut print = glebe(folder);
    print
        .args(["cluster", "token", "--data"])
        .arg(&nodes[0].data);
    std::fs::write(&token, stdout(&expect(&mut print, 0))).unwrap();
    for name in ["node2", "node3"] {
        let (to, token) = (nodes[0].p2p.clone(), token.to_str().unwrap());
        let join = ["--join", &to, "--token-file", token];
        nodes.push(Node::start(folder, name, &join));
    }
    until("all nodes see each other up", || {
        nodes.iter().all(|node| {
            let states = node.states(folder);
            states.len() == nodes.len() && states.values().all(|state| state == "up")
        })
    });
    // It is refused while slots are still on their way to the new nodes.
    until("loads are even", || {
        let rebalance = nodes[0].ask(folder).args(["cluster", "rebalance"]).output();
        rebalance.unwrap().status.success()
    });
    until("everything is on its owners", || {
        nodes.iter().all(|node| {
            let verify = node.ask(folder).args(["cluster", "verify"]).output();
            verify.unwrap().status.success()
        })
    });
}

#[test]
fn the_same_splits_give_the_same_weights_after_a_cluster_has_grown() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = products(&world(folder, 1, 3, 300));
    let mut nodes = cluster(folder, 2, 2);
    ingest(|| nodes[0].ask(folder), scenes.iter());
    let before = learned(|| nodes[1].ask(folder), "before");
    assert!(before.len() > 3, "{before:?}");
    grow(&mut nodes, folder);
    let after = learned(|| nodes[3].ask(folder), "after");
    let at = homes(&nodes[3], folder, "after");
    let is_new = |home: &String| nodes[2..].iter().any(|node| node.id == *home);
    assert!(at.iter().any(is_new), "nothing moved to a new node: {at:?}");
    assert_eq!(after, before);
}

#[test]
fn the_same_splits_give_the_same_weights_in_whatever_order_their_scenes_came() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = products(&world(folder, 1, 3, 300));
    assert_eq!(scenes.len(), 3, "{scenes:?}");
    let [forth, back] = ["forth", "back"].map(|name| folder.join(name));
    std::fs::create_dir(&forth).unwrap();
    std::fs::create_dir(&back).unwrap();
    ingest(|| glebe(&forth), scenes.iter());
    ingest(|| glebe(&back), scenes.iter().rev());
    let of_forth = learned(|| glebe(&forth), "run");
    assert!(of_forth.len() > 3, "{of_forth:?}");
    assert_eq!(learned(|| glebe(&back), "run"), of_forth);
}
