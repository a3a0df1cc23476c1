//! A run whose node, conduit or asker is lost while it computes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Node, cluster, expect, glebe, scratch, stderr, until, world};
use crate::killed::{self, TRAIN};

/// Code of a command that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Jobs of a node that are in some state; those that moved count where they went.
fn at<'a>(jobs: &'a [Value], node: &str, state: &str) -> Vec<&'a str> {
    let there = jobs.iter().filter(|job| {
        let done_at = job["moved"]["to"].as_str().or(job["node"].as_str());
        done_at == Some(node) && job["state"] == state
    });
    there.map(|job| job["geocode"].as_str().unwrap()).collect()
}

/// Kills the node that was asked for the run, while it computes itself.
#[test]
fn the_next_replicas_do_the_jobs_of_a_node_that_is_killed_while_it_computes() {
    let folder = scratch();
    let folder = folder.path();
    let mut nodes = cluster(folder, 3, 2);
    // So many cells that some are surely the lost one's.
    let scenes = world(folder, 1, 2, 600);
    let ingest = ["ingest", "--precision", "6"];
    expect(nodes[0].ask(folder).args(ingest).arg(scenes), 0);
    let mut lost = nodes.pop().unwrap();
    expect(lost.ask(folder).args(TRAIN).args(["--name", "go"]), 0);
    let mut left = Vec::new();
    until("it computes, and has more to do", || {
        let jobs = killed::jobs(&nodes[0], folder, "go");
        let computes = !at(&jobs, &lost.id, "running").is_empty();
        left = ["running", "waiting"]
            .iter()
            .flat_map(|state| at(&jobs, &lost.id, state))
            .map(str::to_owned)
            .collect();
        computes && left.len() > 1
    });
    lost.kill();
    let wait = ["job", "wait", "go"];
    let waited = nodes[0].ask(folder).args(wait).output().unwrap();
    assert_eq!(waited.status.code(), Some(0), "{}", stderr(&waited));
    let jobs = killed::jobs(&nodes[0], folder, "go");
    assert!(jobs.iter().all(|job| job["state"] == "done"), "{jobs:?}");
    let elsewhere = |cell: &&String| {
        let others = nodes.iter().map(|node| at(&jobs, &node.id, "done"));
        others.flatten().any(|done| done == **cell)
    };
    let taken = left.iter().filter(elsewhere).count();
    // What it had published before it died stays done by it.
    assert!(taken > 0, "none of {left:?} in {jobs:?}");
    assert_eq!(killed::weights(&nodes[1], folder, "go").len(), jobs.len());
}

/// Starts a run, presses Ctrl-C once it computes; returns what is said.
fn interrupted(mut command: Command, computes: impl Fn() -> bool) -> String {
    let asked = command
        .args(TRAIN)
        .args(["--name", "go", "--wait"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut asked = asked.spawn().unwrap();
    let mut heard = BufReader::new(asked.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("run go: ") {
        assert!(heard.read_line(&mut said).unwrap() > 0, "{said}");
    }
    until("it computes", computes);
    let pid = asked.id().to_string();
    expect(Command::new("kill").args(["-INT", &pid]), 0);
    heard.read_to_string(&mut said).unwrap();
    assert_eq!(asked.wait().unwrap().code(), Some(INTERRUPTED), "{said}");
    said
}

#[test]
fn ctrl_c_leaves_a_run_of_a_cluster_going() {
    let folder = scratch();
    let folder = folder.path();
    let node = Node::start(folder, "n", &[]);
    killed::ingest(&node, folder);
    let computes = || {
        let view = node.ask(folder).args(["job", "show", "go"]).output();
        let known = view.unwrap().status.success();
        known && !at(&killed::jobs(&node, folder, "go"), &node.id, "running").is_empty()
    };
    let said = interrupted(node.ask(folder), computes);
    assert!(said.contains("run go goes on without"), "{said}");
    until("all is done though nobody waits", || {
        let jobs = killed::jobs(&node, folder, "go");
        jobs.iter().all(|job| job["state"] == "done")
    });
}

#[test]
fn ctrl_c_keeps_a_run_of_a_folder_and_waiting_for_it_goes_on() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 2, 300);
    let ingest = ["ingest", "--precision", "6"];
    expect(glebe(folder).args(ingest).arg(scenes), 0);
    let computes = || {
        let show = ["job", "show", "go", "-o", "json"];
        let view = glebe(folder).args(show).output().unwrap();
        let view: Option<Value> = serde_json::from_slice(&view.stdout).ok();
        let jobs = view.and_then(|view| view["jobs"].as_array().cloned());
        jobs.is_some_and(|jobs| jobs.iter().any(|job| job["state"] == "running"))
    };
    let said = interrupted(glebe(folder), computes);
    assert!(said.contains("run go is kept; it goes on with"), "{said}");
    expect(glebe(folder).args(["job", "wait", "go"]), 0);
}
