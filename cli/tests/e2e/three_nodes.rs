//! Three nodes, two replicas: the same answer everywhere, owners only, and what a loss means.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Node, cluster, expect, ndjson, scratch, stderr, stdout, until, world};

/// How often a stranger tries to join.
const TRIES: u64 = 5;

/// Ids of all splits, as one node tells.
fn ids(node: &Node, folder: &Path) -> BTreeSet<String> {
    let output = expect(node.ask(folder).args(["search", "-o", "id"]), 0);
    stdout(&output).lines().map(str::to_owned).collect()
}

#[test]
fn three_nodes_answer_alike_and_say_when_they_cannot() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 2, 600);
    let mut nodes = cluster(folder, 3, 2);
    let ingest = ["ingest", "--precision", "6", "-o", "ndjson"];
    let acked = ndjson(&expect(nodes[0].ask(folder).args(ingest).arg(&scenes), 0));
    let acked: BTreeSet<_> = acked
        .iter()
        .map(|s| s["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        acked.len() > 20,
        "too few splits to tell nodes apart: {}",
        acked.len()
    );

    for node in &nodes {
        assert_eq!(
            ids(node, folder),
            acked,
            "node {} answers otherwise",
            node.id
        );
    }
    expect(nodes[2].ask(folder).args(["cluster", "verify"]), 0);
    placement_is_what_sha1_says(&nodes, folder);
    one_geocode_asks_only_its_owners(&nodes, folder);
    every_node_gives_the_same_bytes(&nodes, folder);

    nodes[1].kill();
    until("queries are complete again after one loss", || {
        let output = nodes[0]
            .ask(folder)
            .args(["search", "-o", "id"])
            .output()
            .unwrap();
        output.status.code() == Some(0)
    });
    assert_eq!(ids(&nodes[0], folder), acked);
    assert_eq!(ids(&nodes[2], folder), acked);
    let more = others_hold_what_the_silent_one_owns(&nodes, folder, &scenes);
    let acked: BTreeSet<_> = acked.into_iter().chain(more).collect();

    nodes[2].kill();
    let mut seen = None;
    until("the answer is marked partial after two losses", || {
        let output = nodes[0]
            .ask(folder)
            .args(["search", "-o", "id"])
            .output()
            .unwrap();
        seen = Some(output);
        seen.as_ref().unwrap().status.code() == Some(4)
    });
    let seen = seen.unwrap();
    assert!(
        stderr(&seen).contains("no live owner of"),
        "{}",
        stderr(&seen)
    );
    let some: BTreeSet<_> = stdout(&seen).lines().map(str::to_owned).collect();
    assert!(some.is_subset(&acked) && some.len() < acked.len());
}

/// Ingests while the second node is down: what others hold in its stead is told, and whose stead.
fn others_hold_what_the_silent_one_owns(
    nodes: &[Node],
    folder: &Path,
    scenes: &Path,
) -> Vec<String> {
    let ingest = ["ingest", "--precision", "6", "--collection", "more"];
    let mut ingesting = nodes[0].ask(folder);
    ingesting.args(ingest).args(["-o", "ndjson"]).arg(scenes);
    let done = expect(&mut ingesting, 0);
    let splits = ndjson(&done);
    let stood_in = |split: &&serde_json::Value| split["standins"].is_array();
    let held: Vec<_> = splits.iter().filter(stood_in).collect();
    assert!(!held.is_empty() && held.len() < splits.len());
    for split in &held {
        let absent = split["owners_absent"].as_array().unwrap();
        assert!(*absent == [nodes[1].id.as_str()], "{split}");
    }
    let said = stderr(&done);
    let told = format!("{} of these splits are held by others for", held.len());
    assert!(said.contains(&told), "{said}");
    let ids = splits.iter().map(|split| split["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// The independent script of the placement promise: SHA-1, first 14 bits, layout.
fn placement_is_what_sha1_says(nodes: &[Node], folder: &Path) {
    let show = expect(
        nodes[0].ask(folder).args(["cluster", "show", "-o", "json"]),
        0,
    );
    let hits = expect(nodes[1].ask(folder).args(["search", "-o", "ndjson"]), 0);
    let (layout, found) = (folder.join("layout.json"), folder.join("hits.ndjson"));
    std::fs::write(&layout, &show.stdout).unwrap();
    std::fs::write(&found, &hits.stdout).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/placement.py");
    let mut python = std::process::Command::new("python3");
    python.arg(script).arg(&layout).arg(&found).args(
        nodes
            .iter()
            .map(|n| format!("{}={}", n.id, n.data.display())),
    );
    let said = stdout(&expect(&mut python, 0));
    assert!(said.contains("all on their owners"), "{said}");
}

fn one_geocode_asks_only_its_owners(nodes: &[Node], folder: &Path) {
    let hits = ndjson(&expect(
        nodes[0].ask(folder).args(["search", "-o", "ndjson"]),
        0,
    ));
    let (code, owners) = (
        hits[0]["geocode"].as_str().unwrap(),
        hits[0]["owners"].clone(),
    );
    for node in nodes {
        let args = [
            "search",
            "--geocode",
            code,
            "--exact",
            "-o",
            "json",
            "--explain",
        ];
        let output = expect(node.ask(folder).args(args), 0);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let asked = answer["end"]["asked"].as_array().unwrap();
        assert!(!asked.is_empty());
        for one in asked {
            assert!(
                owners.as_array().unwrap().contains(&one["node"]),
                "{one} is no owner"
            );
        }
        assert!(
            stderr(&output).contains("asked for 1 slots"),
            "{}",
            stderr(&output)
        );
    }
}

fn every_node_gives_the_same_bytes(nodes: &[Node], folder: &Path) {
    let id = ids(&nodes[0], folder).into_iter().next().unwrap();
    let mut seen = BTreeSet::new();
    for (i, node) in nodes.iter().enumerate() {
        let out = folder.join(format!("got{i}"));
        expect(node.ask(folder).args(["get", &id, "-O"]).arg(&out), 0);
        let split = out.join(id.replace('/', "+"));
        let mut files: Vec<_> = std::fs::read_dir(split)
            .unwrap()
            .map(|f| f.unwrap())
            .collect();
        files.sort_by_key(std::fs::DirEntry::file_name);
        let bytes: Vec<_> = files
            .iter()
            .map(|f| std::fs::read(f.path()).unwrap())
            .collect();
        assert!(!bytes.is_empty() && bytes.iter().all(|b| !b.is_empty()));
        seen.insert(bytes);
    }
    assert_eq!(seen.len(), 1, "replicas differ");
}

#[test]
fn a_wrong_token_is_refused_each_time_and_logged_once() {
    let folder = scratch();
    let folder = folder.path();
    let nodes = cluster(folder, 1, 1);
    let token = folder.join("wrong");
    std::fs::write(&token, "glebe1_not-a-token\n").unwrap();
    let mut command = crate::harness::glebe(folder);
    command.arg("up").arg("--data").arg(folder.join("stranger"));
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--join",
        &nodes[0].p2p,
    ]);
    command.arg("--token-file").arg(&token);
    let said = stderr(&expect(&mut command, 5));
    assert!(said.contains("token") && said.contains("try:"), "{said}");

    // A well-formed token of another cluster is refused by the node itself.
    let mut other = Node::start(folder, "other", &[]);
    let mut print = crate::harness::glebe(folder);
    print.args(["cluster", "token", "--data"]).arg(&other.data);
    std::fs::write(&token, stdout(&expect(&mut print, 0))).unwrap();
    for _ in 0..TRIES {
        let said = stderr(&expect(&mut command, 5));
        assert!(said.contains("token") && said.contains("try:"), "{said}");
    }
    assert!(other.stop(), "SIGTERM stops a node cleanly");
    let counted = nodes[0].metric("glebe_refused_total{why=\"join\"}");
    assert!(counted >= TRIES, "{counted} of {TRIES} are counted");
    let log = std::fs::read_to_string(folder.join("node0.log")).unwrap();
    let tells = |line: &&str| line.contains("refused") && line.contains("join");
    assert_eq!(log.lines().filter(tells).count(), 1, "{log}");
}

#[test]
fn each_mistake_about_whom_to_join_has_words_of_its_own() {
    let folder = scratch();
    let folder = folder.path();
    let mut gone = Node::start(folder, "gone", &[]);
    let token = folder.join("token");
    let mut make = crate::harness::glebe(folder);
    make.args(["cluster", "token", "-O"]).arg(&token);
    expect(make.arg("--data").arg(&gone.data), 0);
    assert!(gone.stop());
    let join = |to: &str, code| {
        let mut up = crate::harness::glebe(folder);
        up.args(["up", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        up.arg("--data").arg(folder.join("stranger"));
        up.args(["--join", to, "--token-file"]).arg(&token);
        stderr(&expect(&mut up, code))
    };
    let mistakes = [
        ("127.0.0.1", 2, "'127.0.0.1' has no port"),
        ("127.0.0.1:p2p", 2, "'p2p' is no port"),
        (
            "glebe.invalid:7400",
            3,
            "glebe.invalid:7400 stands for no address",
        ),
        (&gone.p2p, 3, "nobody to join at"),
    ];
    for (to, code, told) in mistakes {
        let said = join(to, code);
        assert!(said.contains(told), "{to}: {said}");
    }
}

#[test]
fn a_port_in_use_is_refused() {
    let folder = scratch();
    let nodes = cluster(folder.path(), 1, 1);
    let taken = nodes[0].http.strip_prefix("http://").unwrap();
    let mut command = crate::harness::glebe(folder.path());
    command
        .arg("up")
        .arg("--data")
        .arg(folder.path().join("second"));
    command.args(["--listen", "127.0.0.1:0", "--http", taken]);
    let said = stderr(&expect(&mut command, 5));
    assert!(said.contains("in use") && said.contains("try:"), "{said}");
}

#[test]
fn an_ingest_goes_on_while_an_owner_is_stopped_and_nothing_is_missing_afterwards() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 600);
    let nodes = cluster(folder, 3, 2);
    let signal = |name: &str| {
        let pid = nodes[1].pid().to_string();
        expect(std::process::Command::new("kill").args([name, &pid]), 0);
    };
    // Its connections stay open and take bytes, so that only its silence tells.
    signal("-STOP");
    let ingest = ["ingest", "--precision", "6", "-o", "ndjson"];
    let ended = nodes[0].ask(folder).args(ingest).arg(&scenes).output();
    signal("-CONT");
    let ended = ended.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    let acked = ndjson(&ended);
    let acked: BTreeSet<_> = acked
        .iter()
        .map(|s| s["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(acked.len() > 10, "{} splits", acked.len());
    for node in &nodes {
        until("all that was acknowledged is found", || {
            let found = node.ask(folder).args(["search", "-o", "id"]).output();
            let found = found.unwrap();
            let ids: BTreeSet<_> = stdout(&found).lines().map(str::to_owned).collect();
            found.status.success() && ids == acked
        });
    }
    until("each split is on its owners", || {
        let verify = nodes[2].ask(folder).args(["cluster", "verify"]).output();
        verify.unwrap().status.success()
    });
}
