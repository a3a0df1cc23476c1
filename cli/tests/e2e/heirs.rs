//! Models start from those of cells alike, on one node and on three, and when a node is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{
    Node, cluster, expect, glebe, scratch, stderr, stdout, until, workers, world,
};

/// A run over whole and clear cells, small enough for a test.
const TRAIN: [&str; 16] = [
    "train",
    "ndvi-cnn",
    "--name",
    "kin",
    "--epochs",
    "3",
    "--chip",
    "8",
    "--min-coverage",
    "95",
    "--max-cloud",
    "10",
    "--transfer",
    "texture",
    "-k",
    "3",
];

fn read(command: &mut Command) -> Value {
    serde_json::from_slice(&expect(command.args(["-o", "json"]), 0).stdout).unwrap()
}

/// Weights by geocode, as the list of models tells.
fn weights(list: &Value) -> BTreeMap<String, String> {
    let file = |model: &Value| {
        let files = model["files"].as_array().unwrap().iter();
        let mut files = files.filter(|f| f["name"] == "model.safetensors");
        files.next().unwrap()["blake3"].as_str().unwrap().to_owned()
    };
    let models = list["models"].as_array().unwrap().iter();
    let named = models.map(|m| (m["geocode"].as_str().unwrap().to_owned(), file(m)));
    named.collect()
}

/// Checks that all jobs are done, that donors were cold and that heirs tell how they started.
fn all_are_done(view: &Value) -> usize {
    let jobs = view["jobs"].as_array().unwrap();
    let donors: Vec<&Value> = view["run"]["inheritance"]["donors"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert_eq!(donors.len(), 3, "{view}");
    let mut warm = 0;
    for job in jobs {
        assert_eq!(job["state"], "done", "{job}");
        let donor = donors
            .iter()
            .find(|d| d["heirs"].as_array().unwrap().contains(&job["geocode"]));
        match donor {
            Some(donor) => {
                assert_eq!(job["donor"], donor["geocode"]);
                let descent = &job["descent"];
                assert_eq!(descent["donor"], donor["geocode"]);
                assert_eq!(
                    descent["warm"] == true,
                    descent["reason"].is_null(),
                    "{job}"
                );
                warm += usize::from(descent["warm"] == true);
            }
            None => assert!(job["donor"].is_null() && job["descent"].is_null(), "{job}"),
        }
    }
    warm
}

#[test]
fn heirs_start_from_donors_and_three_nodes_give_the_weights_of_one() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 1, 420);
    let ingest = ["ingest", "--precision", "6"];
    expect(glebe(folder).args(ingest).arg(&scenes), 0);
    let alone = expect(glebe(folder).args(TRAIN), 0);
    assert!(
        stderr(&alone).contains("heirs started warm"),
        "{}",
        stderr(&alone)
    );
    let own = weights(&read(glebe(folder).args(["model", "list"])));

    let nodes = cluster(folder, 3, 2);
    expect(nodes[0].ask(folder).args(ingest).arg(&scenes), 0);
    let plan = read(nodes[2].ask(folder).args(TRAIN).arg("--dry-run"));
    let heirs = |donor: &Value| donor["heirs"].as_array().unwrap().len();
    let donors = plan["inheritance"]["donors"].as_array().unwrap();
    let count: usize = donors.iter().map(|d| 1 + heirs(d)).sum();
    assert_eq!(plan["jobs"], count, "every cell is whole and clear: {plan}");
    let shown = expect(nodes[1].ask(folder).args(TRAIN).arg("--dry-run"), 0);
    assert!(stdout(&shown).contains("DONOR"), "{}", stdout(&shown));
    let said = expect(nodes[1].ask(folder).args(TRAIN).arg("--wait"), 0);
    assert!(
        stderr(&said).contains("3 donors first"),
        "{}",
        stderr(&said)
    );
    let view = read(nodes[0].ask(folder).args(["job", "show", "kin"]));
    let warm = all_are_done(&view);
    assert!(warm > count / 2, "{warm} of {count} cells started warm");
    assert_eq!(view["run"]["inheritance"], plan["inheritance"]);
    let table = expect(nodes[0].ask(folder).args(["job", "show", "kin"]), 0);
    assert!(stdout(&table).contains("warm from"), "{}", stdout(&table));
    let alone = "cold: it is a donor itself";
    assert!(stdout(&table).contains(alone), "{}", stdout(&table));

    let list = read(nodes[2].ask(folder).args(["model", "list"]));
    assert_eq!(
        weights(&list),
        own,
        "the same weights on one node and on three"
    );
    let status = read(nodes[0].ask(folder).args(["status"]));
    assert_eq!(status["bytes_by_purpose"]["pixels"], 0);
    // The same words again find the run as it was settled and start nothing.
    expect(nodes[2].ask(folder).args(TRAIN).arg("--wait"), 0);
    strangers_start_from_donors_of_other_groups(&nodes[1], folder, &plan);
}

/// Returns whose heir each cell is in a plan or a run.
fn donor_of(inheritance: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let donors = inheritance["donors"].as_array().unwrap().iter();
    let heirs = donors.flat_map(|donor| {
        let heirs = donor["heirs"].as_array().unwrap().iter();
        heirs.map(|heir| (text(heir), text(&donor["geocode"])))
    });
    heirs.collect()
}

/// Trains the cells of a plan by texture from donors that were drawn.
fn strangers_start_from_donors_of_other_groups(node: &Node, folder: &Path, alike: &Value) {
    let mut train: Vec<&str> = TRAIN.to_vec();
    for (word, other) in [("kin", "drawn"), ("3", "1"), ("texture", "random")] {
        let at = train.iter().position(|known| *known == word).unwrap();
        train[at] = other;
    }
    let plan = read(node.ask(folder).args(&train).arg("--dry-run"));
    let (alike, drawn) = (&alike["inheritance"], &plan["inheritance"]);
    let (alike, heirs) = (donor_of(alike), donor_of(drawn));
    let cells: Vec<&String> = heirs.keys().collect();
    assert_eq!(cells, alike.keys().collect::<Vec<_>>(), "the same groups");
    for (heir, donor) in &heirs {
        assert_ne!(*donor, alike[heir], "{heir} starts from its own group's");
    }
    expect(node.ask(folder).args(&train).arg("--wait"), 0);
    let view = read(node.ask(folder).args(["job", "show", "drawn"]));
    assert_eq!(view["run"]["inheritance"], *drawn);
    for job in view["jobs"].as_array().unwrap() {
        let donor = heirs.get(job["geocode"].as_str().unwrap());
        let told = &job["descent"]["donor"];
        assert_eq!(told.as_str(), donor.map(String::as_str), "{job}");
    }
}

/// Starts a worker for a node.
fn worker(folder: &Path, node: &Node) -> Child {
    let mut command = Command::new(workers().join("glebe-trainer"));
    command.args(["work", "--run", "kin", "--node", &node.http]);
    command
        .current_dir(folder)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_run_ends_with_warm_heirs_though_the_node_of_a_donor_is_killed() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 1, 420);
    let mut nodes = vec![Node::start(
        folder,
        "a",
        &["--replicas", "2", "--workers", "0"],
    )];
    let token = folder.join("token");
    let mut print = glebe(folder);
    print
        .args(["cluster", "token", "--data"])
        .arg(&nodes[0].data);
    std::fs::write(&token, stdout(&expect(&mut print, 0))).unwrap();
    for name in ["b", "c"] {
        let token = token.to_str().unwrap();
        let to = nodes[0].p2p.clone();
        let join = ["--join", &to, "--token-file", token, "--workers", "0"];
        nodes.push(Node::start(folder, name, &join));
    }
    let ingest = ["ingest", "--precision", "6"];
    expect(nodes[0].ask(folder).args(ingest).arg(&scenes), 0);
    expect(nodes[0].ask(folder).args(TRAIN), 0);
    let view = read(nodes[0].ask(folder).args(["job", "show", "kin"]));
    let jobs = view["jobs"].as_array().unwrap();
    let donor = &view["run"]["inheritance"]["donors"][0]["geocode"];
    let job = jobs.iter().find(|j| &j["geocode"] == donor).unwrap();
    let at = nodes.iter().position(|n| job["node"] == n.id.as_str());
    let mut lost = nodes.remove(at.unwrap());
    lost.kill();
    let mut running: Vec<Child> = nodes.iter().map(|node| worker(folder, node)).collect();
    until("the run has ended without its donor's node", || {
        let args = ["job", "show", "kin", "-o", "json"];
        let shown = nodes[1].ask(folder).args(args).output().unwrap();
        let Ok(view) = serde_json::from_slice::<Value>(&shown.stdout) else {
            return false;
        };
        for (worker, node) in running.iter_mut().zip(&nodes) {
            // A worker leaves when its node has no job; the lost node's come a little later.
            if worker.try_wait().unwrap().is_some() {
                *worker = self::worker(folder, node);
            }
        }
        let now = view["jobs"].as_array().unwrap();
        let done = now.iter().filter(|j| j["state"] == "done").count();
        view["complete"] == true && done == jobs.len()
    });
    for mut worker in running {
        drop(worker.kill());
        drop(worker.wait());
    }
    let view = read(nodes[0].ask(folder).args(["job", "show", "kin"]));
    assert!(all_are_done(&view) > jobs.len() / 2);
    let jobs = view["jobs"].as_array().unwrap();
    let again = jobs.iter().find(|j| &j["geocode"] == donor).unwrap();
    assert_ne!(again["node"], lost.id.as_str());
}

#[test]
fn words_that_group_nothing_are_refused_with_a_next_step() {
    let folder = scratch();
    let alone = ["train", "ndvi-cnn", "-k", "3"];
    let said = stderr(&expect(glebe(folder.path()).args(alone), 2));
    assert!(said.contains("without --transfer"), "{said}");
    assert!(said.contains("try: --transfer texture"), "{said}");
}
