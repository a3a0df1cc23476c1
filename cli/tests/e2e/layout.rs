//! Draining, removing, rebalancing and forecasting, as a user does it, on four processes.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Node, cluster, expect, json, ndjson, scratch, stderr, stdout, until, world};

/// What collections and the ledgers of a few scenes take beside their splits.
const BESIDE_SPLITS_BYTES_MAX: u64 = 16 << 10;

fn ids(node: &Node, folder: &Path) -> Vec<String> {
    let output = expect(node.ask(folder).args(["search", "-o", "id"]), 0);
    let mut ids: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    ids.sort();
    ids
}

#[test]
fn a_node_is_drained_under_ingest_and_removed_and_every_split_is_where_it_should_be() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 2, 600);
    let mut nodes = cluster(folder, 4, 2);
    let leaver = nodes[3].id.clone();
    let mut ingest = nodes[0].ask(folder);
    ingest
        .args(["ingest", "--precision", "6", "-o", "ndjson"])
        .arg(&scenes);
    let ingest = ingest
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("something is stored", || {
        json(&nodes[1], folder, &["status"])["splits"].as_u64() > Some(2)
    });
    let dry = json(
        &nodes[1],
        folder,
        &["node", "drain", &leaver[40..], "--dry-run"],
    );
    assert!(dry["slots"].as_u64() > Some(1_000), "{dry}");
    assert!(dry["minutes"].as_f64() > Some(0.0), "{dry}");
    let before = json(&nodes[1], folder, &["cluster", "show"])["newest"].clone();
    assert_eq!(dry["version"], before, "a dry run changes nothing");
    let drained = expect(nodes[1].ask(folder).args(["node", "drain", &leaver]), 0);
    assert!(
        stdout(&drained).contains("MB/s a node"),
        "{}",
        stdout(&drained)
    );
    assert!(stderr(&drained).contains("every node reads from layout"));
    let ingested = ingest.wait_with_output().unwrap();
    assert!(ingested.status.success());
    let list = stdout(&expect(nodes[2].ask(folder).args(["node", "list"]), 0));
    let row = list.lines().find(|l| l.starts_with(&leaver)).unwrap();
    assert!(row.contains("up, drained"), "{list}");

    let refused = expect(nodes[0].ask(folder).args(["node", "remove", &leaver]), 2);
    assert!(stderr(&refused).contains("--yes"), "{}", stderr(&refused));
    assert!(nodes[3].stop());
    expect(
        nodes[0]
            .ask(folder)
            .args(["node", "remove", &leaver, "--yes"]),
        0,
    );
    let list = stdout(&expect(nodes[2].ask(folder).args(["node", "list"]), 0));
    assert!(!list.contains(&leaver), "{list}");
    expect(nodes[1].ask(folder).args(["cluster", "verify"]), 0);
    let mut acked: Vec<String> = ndjson(&ingested)
        .iter()
        .map(|s| s["id"].as_str().unwrap().to_owned())
        .collect();
    acked.sort();
    for node in &nodes[..3] {
        assert_eq!(ids(node, folder), acked);
    }
    what_one_that_leaves_would_move_is_told_to_the_byte(&nodes[..3], folder);
    rebalance_evens_out(&nodes, folder);
    a_new_collection_comes_with_a_forecast(&nodes[0], folder);
}

/// Of three nodes with two replicas, whatever one gives up goes to the one that lacks it.
fn what_one_that_leaves_would_move_is_told_to_the_byte(nodes: &[Node], folder: &Path) {
    let leaver = &nodes[2].id;
    let hits = ndjson(&expect(
        nodes[0].ask(folder).args(["search", "-o", "ndjson"]),
        0,
    ));
    let own = |hit: &&Value| {
        let owners = hit["owners"].as_array().unwrap();
        owners.contains(&Value::from(leaver.as_str()))
    };
    let held: Vec<&Value> = hits.iter().filter(own).collect();
    let bytes: u64 = held.iter().map(|hit| hit["bytes"].as_u64().unwrap()).sum();
    assert!(held.len() > 5 && held.len() < hits.len(), "{}", held.len());
    let before = json(&nodes[0], folder, &["cluster", "show"]);
    for verb in ["drain", "remove"] {
        let words = ["node", verb, leaver, "--dry-run"];
        let dry = json(&nodes[0], folder, &words);
        let told = |key: &str| dry[key].as_u64().unwrap();
        let sum = |key: &str| -> u64 {
            let moves = dry["moves"].as_array().unwrap().iter();
            moves.map(|moved| moved[key].as_u64().unwrap()).sum()
        };
        for key in ["slots", "splits", "bytes"] {
            assert_eq!(told(key), sum(key), "{verb}: {dry}");
        }
        assert_eq!(told("splits"), held.len() as u64, "{verb}: {dry}");
        let more = told("bytes").checked_sub(bytes);
        let told_right = more.is_some_and(|more| more < BESIDE_SPLITS_BYTES_MAX);
        assert!(told_right, "{verb}: {bytes} bytes of splits, {dry}");
        assert!(told("slots") > 10_000, "{verb}: {dry}");
        let busiest = told("bytes_busiest");
        assert!(busiest > 0 && busiest <= told("bytes"), "{verb}: {dry}");
        let minutes = busiest as f64 / 50e6 / 60.0;
        assert!((dry["minutes"].as_f64().unwrap() - minutes).abs() < 1e-9);
        let shown = stdout(&expect(nodes[0].ask(folder).args(words), 0));
        let splits = format!(" {} splits, ", held.len());
        assert!(
            shown.contains(&splits) && shown.contains(" move; "),
            "{shown}"
        );
    }
    let after = json(&nodes[0], folder, &["cluster", "show"]);
    for key in ["newest", "slots"] {
        assert_eq!(before[key], after[key], "a dry run changes nothing");
    }
    assert_eq!(after["nodes"].as_array().unwrap().len(), nodes.len());
}

fn rebalance_evens_out(nodes: &[Node], folder: &Path) {
    let dry = json(&nodes[0], folder, &["cluster", "rebalance", "--dry-run"]);
    let done = json(&nodes[1], folder, &["cluster", "rebalance"]);
    assert_eq!(dry["moves"], done["moves"]);
    let cv = |plan: &Value, when: &str| plan[when]["cv"].as_f64().unwrap();
    assert!(cv(&done, "after") <= cv(&done, "before"), "{done}");
    expect(nodes[2].ask(folder).args(["cluster", "verify"]), 0);
}

fn a_new_collection_comes_with_a_forecast(node: &Node, folder: &Path) {
    let create = [
        "collection",
        "create",
        "short",
        "--dataset",
        "naip",
        "--first",
        "3",
    ];
    // So does one that an ingest makes, and once it is there it comes with none.
    let ingest = [
        "ingest",
        "--collection",
        "other",
        "--precision",
        "5",
        "world",
    ];
    for (made, args) in [
        (true, &create[..]),
        (true, &ingest[..]),
        (false, &ingest[..]),
    ] {
        let said = stderr(&expect(node.ask(folder).args(args), 0));
        let forecast = said.contains("forecast over the contiguous US: CV");
        assert_eq!(forecast && said.contains("max/mean"), made, "{said}");
    }
}

#[test]
fn an_empty_cluster_is_evened_out_for_a_collection_that_it_is_about_to_get() {
    let folder = scratch();
    let folder = folder.path();
    let nodes = cluster(folder, 3, 2);
    let create = "collection create short --dataset naip --first 3";
    expect(nodes[0].ask(folder).args(create.split(' ')), 0);
    let rebalance = ["cluster", "rebalance", "--expect", "short"];
    let with = |more: &[&'static str]| [&rebalance[..], more].concat();
    let newest = |node: &Node| json(node, folder, &["cluster", "show"])["newest"].clone();
    let cv = |plan: &Value, when: &str| plan[when]["cv"].as_f64().unwrap();
    let before = newest(&nodes[0]);
    let dry = json(&nodes[0], folder, &with(&["--dry-run"]));
    assert!(dry["slots"].as_u64() > Some(0), "{dry}");
    assert_eq!((&dry["splits"], &dry["bytes"]), (&0.into(), &0.into()));
    assert!(cv(&dry, "after") < cv(&dry, "before"), "{dry}");
    assert_eq!(newest(&nodes[0]), before, "a dry run changes nothing");
    // Fewer cells: another plan.
    let over = with(&["--dry-run", "--over", "-105,39,-102,41"]);
    let over = json(&nodes[0], folder, &over);
    assert_ne!(over["before"], dry["before"]);
    let done = json(&nodes[1], folder, &with(&[]));
    assert_eq!(done["moves"], dry["moves"]);
    assert_eq!(done["after"], dry["after"]);
    assert_eq!(newest(&nodes[2]), dry["next"]);
    assert_ne!(dry["next"], before);
    expect(nodes[2].ask(folder).args(["cluster", "verify"]), 0);
    let nobody = ["cluster", "rebalance", "--expect", "nobody"];
    let nobody = stderr(&expect(nodes[0].ask(folder).args(nobody), 1));
    assert!(nobody.contains("no collection 'nobody'"), "{nobody}");
    assert!(nobody.contains("glebe collection list"), "{nobody}");
    let alone = ["cluster", "rebalance", "--over", "-105,39,-102,41"];
    let alone = stderr(&expect(nodes[0].ask(folder).args(alone), 2));
    assert!(alone.contains("--expect"), "{alone}");
}

#[test]
fn nodes_are_named_clearly_or_not_at_all() {
    let folder = scratch();
    let folder = folder.path();
    let nodes = cluster(folder, 2, 1);
    let none = expect(nodes[0].ask(folder).args(["node", "drain", "nobody"]), 1);
    assert!(stderr(&none).contains("glebe node list"));
    // All ids begin alike.
    let both = expect(nodes[0].ask(folder).args(["node", "drain", "12D3"]), 2);
    assert!(stderr(&both).contains("more than one node"));
    let own = ["node", "remove", &nodes[0].id, "--yes"];
    let itself = expect(nodes[0].ask(folder).args(own), 5);
    assert!(stderr(&itself).contains("cannot remove itself"));
    let rate = expect(
        nodes[0]
            .ask(folder)
            .args(["cluster", "rebalance", "--rate", "0"]),
        2,
    );
    assert!(stderr(&rate).contains("is no rate"));
}

#[test]
fn that_fewer_copies_are_left_is_said_and_the_dead_alone_are_given_nothing() {
    let folder = scratch();
    let folder = folder.path();
    let mut nodes = cluster(folder, 3, 3);
    let ids: Vec<String> = nodes.iter().map(|n| n.id.clone()).collect();
    let drain = ["node", "drain", &ids[2]];
    for (words, told) in [
        (
            &["--dry-run"][..],
            Some("only 2 copies of everything will be left, where 3 are asked"),
        ),
        (
            &[],
            Some("only 2 copies of everything will be left, where 3 are asked"),
        ),
        (&["--undo"], None),
    ] {
        let said = expect(nodes[0].ask(folder).args(drain).args(words), 0);
        let warned = stderr(&said).contains("copies of everything");
        assert_eq!(warned, told.is_some(), "{words:?}: {}", stderr(&said));
        assert!(
            stderr(&said).contains(told.unwrap_or_default()),
            "{}",
            stderr(&said)
        );
    }
    for node in &mut nodes[1..] {
        node.kill();
    }
    until("both are taken for dead", || {
        let states = nodes[0].states(folder);
        ids[1..].iter().all(|id| states[id] == "down")
    });
    let alone = expect(nodes[0].ask(folder).args(["node", "drain", &ids[0]]), 5);
    assert!(
        stderr(&alone).contains("nodes that do not answer"),
        "{}",
        stderr(&alone)
    );
    let remove = ["node", "remove", &ids[2], "--yes", "--no-wait"];
    let refused = expect(nodes[0].ask(folder).args(remove), 5);
    assert!(stderr(&refused).contains("--forsake"));
    for lost in &ids[1..] {
        let forsake = ["node", "remove", lost, "--yes", "--forsake", "--no-wait"];
        nodes[0].ask(folder).args(forsake).output().unwrap();
    }
    until("both moves end", || {
        let list = stdout(&expect(nodes[0].ask(folder).args(["node", "list"]), 0));
        ids[1..].iter().all(|id| !list.contains(id))
    });
}

#[test]
fn who_removes_one_of_two_dead_nodes_is_told_that_the_other_is_waited_for() {
    let folder = scratch();
    let folder = folder.path();
    let mut nodes = cluster(folder, 5, 3);
    let ids: Vec<String> = nodes.iter().map(|n| n.id.clone()).collect();
    let dead = [&ids[3], &ids[4]];
    for node in &mut nodes[3..] {
        node.kill();
    }
    until("both are taken for dead", || {
        let states = nodes[0].states(folder);
        dead.iter().all(|id| states[*id] == "down")
    });
    // What the other one holds nobody could say: the plan is partial.
    let remove = ["node", "remove", dead[1], "--yes", "--no-wait"];
    let removed = expect(nodes[0].ask(folder).args(remove), 4);
    let waits = format!(
        "the move ends when {} has what it owns, but does not answer",
        dead[0]
    );
    assert!(stderr(&removed).contains(&waits), "{}", stderr(&removed));
    let list = stdout(&expect(nodes[0].ask(folder).args(["node", "list"]), 0));
    let row = list.lines().find(|l| l.starts_with(dead[1])).unwrap();
    assert!(row.contains("down, removed"), "{list}");
    // As was said: with the other one removed, both moves end.
    let remove = ["node", "remove", dead[0], "--yes"];
    expect(nodes[0].ask(folder).args(remove), 0);
    let list = stdout(&expect(nodes[0].ask(folder).args(["node", "list"]), 0));
    assert!(dead.iter().all(|id| !list.contains(*id)), "{list}");
}
