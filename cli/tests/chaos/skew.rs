//! One node's clock is an hour ahead and runs half again as fast as the others'.
//!
//! The clock of that node's process is faked (`faketime`), that of the day alone: Linux never steps
//! the other one, by which waits are measured, and what is faked of it the kernel does not know
//! (a wait on a futex would take the hour).
//!
//! *Invariants*: no test passes unless the skewed node's own log shows the skew.
//!
//! *Not here*: jumps of both clocks by seeds (the simulation in node).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};

use crate::harness::{Node, cluster_of, expect, glebe, scratch, stdout, until, world};
use crate::partitions::all_is_there;
use crate::suspicion::dead;
use crate::users::{Bytes, at_rest, images, put, unlike};

/// An hour ahead at the node's start, and 90 seconds a minute.
const SKEW: &str = "+3600s x1.5";
/// Part of that, which no slow start can pass for.
const SURELY: SignedDuration = SignedDuration::from_mins(50);
/// Which node's clock is wrong.
const SKEWED: usize = 2;

/// The library that fakes clocks, as the system's loader finds it; `None`, with a loud word,
/// where there is none.
fn library() -> Option<String> {
    let mut command = Command::new("faketime");
    command.args(["-m", "-f", "+0s", "printenv", "LD_PRELOAD"]);
    let printed = command.output().ok().filter(|o| o.status.success());
    let library = printed.map(|output| stdout(&output).trim().to_owned());
    if library.is_none() {
        eprintln!("SKIPPED: no faketime here (cargo xtask setup installs it)");
    }
    library
}

/// Three nodes with two replicas; one of them has the wrong time.
fn cluster(folder: &Path, library: &str) -> Vec<Node> {
    let wrong = [
        ("LD_PRELOAD", library),
        ("FAKETIME", SKEW),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("GLEBE_LOG", "debug"),
        ("NO_COLOR", "1"),
    ];
    let nodes = cluster_of(folder, 3, 2, |name, more| {
        if name == format!("node{SKEWED}") {
            Node::start_with(folder, name, more, &wrong)
        } else {
            Node::start(folder, name, more)
        }
    });
    let log = std::fs::read_to_string(folder.join(format!("node{SKEWED}.log"))).unwrap();
    let at = |line: &str| line.split_whitespace().next()?.parse::<Timestamp>().ok();
    let latest = log.lines().filter_map(at).max();
    let ahead = latest.map(|latest| latest.duration_since(Timestamp::now()));
    assert!(ahead > Some(SURELY), "{ahead:?} ahead; log: {log}");
    nodes
}

/// Copies scenes; in the copy the red band holds what the green one does.
fn changed(scenes: &Path, to: &Path) -> PathBuf {
    let mut waiting = vec![scenes.to_owned()];
    let mut changed = 0;
    while let Some(from) = waiting.pop() {
        let copy = to.join(from.strip_prefix(scenes).unwrap());
        if from.is_dir() {
            std::fs::create_dir_all(&copy).unwrap();
            waiting.extend(std::fs::read_dir(&from).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let other = from.to_str().unwrap().replace("_B04_10m.", "_B03_10m.");
        changed += usize::from(Path::new(&other) != from);
        std::fs::write(&copy, std::fs::read(other).unwrap()).unwrap();
    }
    assert!(changed > 0, "no red band below {}", scenes.display());
    to.to_owned()
}

/// What stands where no clock is wrong and nothing was replaced or deleted.
fn expected(folder: &Path, scenes: &Path) -> Bytes {
    let alone = folder.join("alone");
    std::fs::create_dir(&alone).unwrap();
    for collection in ["early", "late", "again"] {
        let (_, code) = put(&mut glebe(&alone), scenes, collection);
        assert_eq!(code, Some(0));
    }
    images(|| glebe(&alone), &folder.join("expected"))
}

/// Puts scenes again, over what is there.
fn replace(node: &Node, folder: &Path, scenes: &Path, collection: &str) {
    let ingest = ["ingest", "--precision", "6", "--overwrite"];
    let mut command = node.ask(folder);
    command.args(ingest).args(["--collection", collection]);
    expect(command.arg(scenes), 0);
}

fn delete(node: &Node, folder: &Path, collection: &str) {
    let delete = ["collection", "delete", "--yes", collection];
    expect(node.ask(folder).args(delete), 0);
}

/// Puts, replaces and deletes; whoever decided by the time of day would end up with something else.
fn use_all(folder: &Path, nodes: &[Node], (first, second): (&Path, &Path)) {
    let (right, wrong) = (&nodes[0], &nodes[SKEWED]);
    let puts = |node: &Node, collection: &str| {
        let (acked, code) = put(&mut node.ask(folder), first, collection);
        assert!(code == Some(0) && !acked.is_empty(), "{code:?}");
    };
    // Put by the later clock and replaced by the earlier one, and the other way round.
    puts(wrong, "early");
    replace(right, folder, second, "early");
    puts(right, "late");
    replace(wrong, folder, second, "late");
    // Deleted by the earlier clock.
    puts(wrong, "gone");
    delete(right, folder, "gone");
    // Deleted by the later clock and put again by the earlier one.
    puts(right, "again");
    delete(wrong, folder, "again");
    let (acked, code) = put(&mut right.ask(folder), second, "again");
    assert!(code == Some(0) && !acked.is_empty(), "{code:?}");
}

#[test]
fn a_clock_that_is_wrong_at_one_node_changes_no_answer_and_kills_nobody() {
    let Some(library) = library() else { return };
    let folder = scratch();
    let folder = folder.path();
    let first = world(folder, 1, 1, 300);
    let second = changed(&first, &folder.join("changed"));
    let expected = expected(folder, &second);
    let nodes = cluster(folder, &library);
    let (over, died) = (AtomicBool::new(false), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let all: Vec<&Node> = nodes.iter().collect();
            while !over.load(Ordering::Relaxed) {
                died.lock().unwrap().extend(dead(folder, &all));
            }
        });
        let uses = || use_all(folder, &nodes, (&first, &second));
        let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(uses));
        over.store(true, Ordering::Relaxed);
        used.unwrap();
    });
    assert_eq!(
        died.into_inner().unwrap(),
        BTreeSet::new(),
        "taken for dead"
    );
    let ids: BTreeSet<String> = expected.keys().map(|(id, _)| id.clone()).collect();
    until("nothing is on its way", || {
        nodes.iter().all(|node| at_rest(folder, node))
    });
    all_is_there(folder, &nodes, &ids);
    for (i, node) in nodes.iter().enumerate() {
        let found = images(|| node.ask(folder), &folder.join(format!("found{i}")));
        let differ = unlike(&found, &expected);
        assert!(differ.is_empty(), "node {i} has other bytes of {differ:?}");
    }
}
