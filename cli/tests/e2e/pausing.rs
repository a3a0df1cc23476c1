//! Runs that are paused, cancelled, gone on with and read about, from any node.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Node, expect, json, ndjson, scratch, stderr, stdout, until};
use crate::killed::{TRAIN, ingest, jobs, kept, weights};

fn states(jobs: &[Value]) -> Vec<&str> {
    let mut states: Vec<&str> = jobs.iter().map(|j| j["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    states.dedup();
    states
}

/// Runs a command that waits for a run's end, however that is.
fn ends(command: &mut Command) {
    let ended = command.output().unwrap();
    let code = ended.status.code();
    assert!(matches!(code, Some(0 | 4)), "{}", stderr(&ended));
}

/// Two nodes that write a checkpoint after each batch, with scenes ingested.
fn two(folder: &std::path::Path) -> [Node; 2] {
    let often = [("GLEBE_CHECKPOINT_S", "0")];
    let first = Node::start_with(folder, "n0", &["--replicas", "1"], &often);
    let token = folder.join("token");
    let mut command = crate::harness::glebe(folder);
    command
        .args(["cluster", "token", "--data"])
        .arg(&first.data);
    std::fs::write(&token, stdout(&expect(&mut command, 0))).unwrap();
    let token = token.to_str().unwrap();
    let join = ["--join", &first.p2p, "--token-file", token];
    let second = Node::start_with(folder, "n1", &join, &often);
    let nodes = [first, second];
    until("both nodes are up", || {
        nodes
            .iter()
            .all(|n| n.states(folder).values().filter(|s| *s == "up").count() == 2)
    });
    ingest(&nodes[0], folder);
    nodes
}

/// Checks what was said of a run that was gone on with, of so many cells on both nodes.
fn all_was_said(lines: &[Value], cells: usize) {
    let said = |text: &str| {
        let is = |line: &&Value| line["said"].as_str().is_some_and(|s| s.contains(text));
        lines.iter().filter(is).count()
    };
    assert!(said("goes on from its checkpoint") > 0, "{lines:?}");
    assert_eq!(said("its model is published"), cells);
    let of: std::collections::BTreeSet<_> = lines.iter().map(|l| l["node"].as_str()).collect();
    assert_eq!(of.len(), 2, "both nodes tell of their jobs");
}

/// Asks what a verb would do of a run under way; there is something, and it is told.
fn would(node: &Node, folder: &std::path::Path, verb: &str) {
    let dry = ["job", verb, "r", "--dry-run"];
    let said = stderr(&expect(node.ask(folder).args(dry), 0));
    assert!(said.contains("jobs of r would"), "{said}");
    assert!(json(node, folder, &dry)["jobs"].as_u64().unwrap() > 0);
}

#[test]
fn a_paused_run_begins_nothing_and_goes_on_to_the_same_weights() {
    let folder = scratch();
    let folder = folder.path();
    let nodes = two(folder);
    let verb =
        |node: &Node, verb: &str, run: &str| expect(node.ask(folder).args(["job", verb, run]), 0);
    expect(nodes[0].ask(folder).args(TRAIN).args(["--name", "r"]), 0);
    until("a checkpoint is written", || {
        nodes.iter().any(|n| kept(n) > 0)
    });
    would(&nodes[1], folder, "pause");
    verb(&nodes[1], "pause", "r");
    let paused = jobs(&nodes[0], folder, "r");
    assert!(
        states(&paused)
            .iter()
            .all(|s| ["paused", "done"].contains(s)),
        "{paused:?}"
    );
    assert!(states(&paused).contains(&"paused"), "{paused:?}");
    assert!(
        nodes.iter().any(|n| kept(n) > 0),
        "what was under way is kept"
    );
    let list = stdout(&expect(nodes[0].ask(folder).args(["job", "list"]), 0));
    assert!(list.contains("PAUSED"), "{list}");

    // Another run is done meanwhile, so that workers were there and took nothing of this one.
    let mut whole = nodes[0].ask(folder);
    ends(whole.args(TRAIN).args(["--name", "whole", "--wait"]));
    would(&nodes[0], folder, "resume");
    let still = jobs(&nodes[0], folder, "r");
    assert_eq!(states(&still), states(&paused));

    let mut following = nodes[1].ask(folder);
    following.args(["job", "logs", "r", "-f", "-o", "ndjson"]);
    let following = following.stdout(Stdio::piped()).spawn().unwrap();
    verb(&nodes[0], "resume", "r");
    ends(nodes[1].ask(folder).args(["job", "wait", "r"]));
    let [run, whole] = ["r", "whole"].map(|run| weights(&nodes[0], folder, run));
    assert!(run.len() > 1);
    assert_eq!(run, whole);
    all_was_said(&ndjson(&following.wait_with_output().unwrap()), run.len());
    let cell = run.keys().next().unwrap();
    let one = format!("r/{cell}");
    let one = expect(
        nodes[0]
            .ask(folder)
            .args(["job", "logs", &one, "-o", "ndjson"]),
        0,
    );
    let one = ndjson(&one);
    assert!(
        one.iter().all(|l| l["geocode"] == **cell) && one.len() > 3,
        "{one:?}"
    );
    let logs = ["job", "logs", &format!("r/{cell}")];
    let document = json(&nodes[0], folder, &logs);
    assert_eq!(document["lines"].as_array(), Some(&one));
    assert_eq!(document["complete"], true);
    let mut follow = nodes[0].ask(folder);
    let follow = expect(follow.args(logs).args(["-f", "-o", "json"]), 2);
    assert!(stderr(&follow).contains("-o ndjson"), "{}", stderr(&follow));
}

#[test]
fn a_cancelled_run_is_tried_again_at_a_word_and_what_is_done_is_kept() {
    let folder = scratch();
    let folder = folder.path();
    let nodes = two(folder);
    let verb = |verb: &str, code| expect(nodes[1].ask(folder).args(["job", verb, "r"]), code);
    expect(nodes[0].ask(folder).args(TRAIN).args(["--name", "r"]), 0);
    let done = |jobs: &[Value]| -> Vec<Value> {
        jobs.iter()
            .filter(|j| j["state"] == "done")
            .cloned()
            .collect()
    };
    until("a model is published", || {
        !done(&jobs(&nodes[0], folder, "r")).is_empty()
    });
    would(&nodes[1], folder, "cancel");
    let none = jobs(&nodes[0], folder, "r");
    assert!(!states(&none).contains(&"cancelled"), "{none:?}");
    verb("cancel", 0);
    let cancelled = jobs(&nodes[0], folder, "r");
    assert_eq!(states(&cancelled), ["cancelled", "done"]);
    until("what is cancelled takes no space", || {
        nodes.iter().all(|n| kept(n) == 0)
    });
    verb("resume", 0);
    ends(nodes[1].ask(folder).args(["job", "wait", "r"]));
    let all = jobs(&nodes[0], folder, "r");
    for job in done(&cancelled) {
        assert!(all.contains(&job), "it was done and is done again: {job}");
    }
    assert!(!states(&all).contains(&"cancelled"), "{all:?}");
    let none = expect(nodes[0].ask(folder).args(["job", "logs", "nothing"]), 1);
    assert!(stderr(&none).contains("there is no run named 'nothing'"));
    expect(nodes[0].ask(folder).args(["job", "pause", "nothing"]), 1);
}
