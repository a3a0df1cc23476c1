//! Who is taken for dead, and who must not be.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Node, cluster, expect, scratch, until, world};

/// Longest that a node that does not answer may pass for one that lives.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
/// A pause that is none.
const PAUSE: Duration = Duration::from_secs(2);
/// How long the machine is starved in a usual run, and in a nightly one.
const STARVED: Duration = Duration::from_secs(10);
const STARVED_NIGHTLY: Duration = Duration::from_mins(10);
/// Threads that want a core all the time: some for each core of this machine.
const HUNGRY: usize = 4;

/// Sends a node a signal.
pub(crate) fn signal(node: &Node, name: &str) {
    let pid = node.pid().to_string();
    assert!(
        Command::new("kill")
            .args([name, &pid])
            .status()
            .unwrap()
            .success()
    );
}

/// Returns whom the nodes take for dead now.
pub(crate) fn dead(folder: &Path, nodes: &[&Node]) -> BTreeSet<String> {
    let states = nodes.iter().flat_map(|node| node.states(folder));
    states
        .filter(|(_, state)| state == "down")
        .map(|(id, _)| id)
        .collect()
}

#[test]
fn a_pause_of_two_seconds_is_no_death_and_a_longer_one_is_seen_within_five() {
    let folder = scratch();
    let folder = folder.path();
    let nodes = cluster(folder, 3, 2);
    let others = [&nodes[0], &nodes[1]];
    signal(&nodes[2], "-STOP");
    let paused = Instant::now();
    while paused.elapsed() < PAUSE {
        assert_eq!(
            dead(folder, &others),
            BTreeSet::new(),
            "{:?}",
            paused.elapsed()
        );
    }
    signal(&nodes[2], "-CONT");
    until("it answers again", || {
        assert_eq!(dead(folder, &others), BTreeSet::new());
        others
            .iter()
            .all(|node| node.states(folder)[&nodes[2].id] == "up")
    });
    signal(&nodes[2], "-STOP");
    let stopped = Instant::now();
    until("it is taken for dead", || {
        others
            .iter()
            .all(|node| node.states(folder)[&nodes[2].id] == "down")
    });
    let took = stopped.elapsed();
    signal(&nodes[2], "-CONT");
    until("it lives again", || {
        dead(folder, &nodes.iter().collect::<Vec<_>>()).is_empty()
    });
    eprintln!("a stopped node was taken for dead after {took:?}");
    assert!(took <= SEEN_WITHIN, "{took:?}");
}

#[test]
fn nobody_is_taken_for_dead_while_everybody_waits_for_a_core() {
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let starved = if nightly { STARVED_NIGHTLY } else { STARVED };
    let folder = scratch();
    let folder = folder.path();
    let nodes = cluster(folder, 4, 2);
    let fed = AtomicBool::new(false);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..HUNGRY * cores {
            scope.spawn(|| {
                while !fed.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let began = Instant::now();
        let mut looks = 0;
        let mut wrong = BTreeSet::new();
        while began.elapsed() < starved && wrong.is_empty() {
            wrong = dead(folder, &nodes.iter().collect::<Vec<_>>());
            looks += 1;
        }
        fed.store(true, Ordering::Relaxed);
        eprintln!(
            "{looks} looks at {} nodes in {:?}",
            nodes.len(),
            began.elapsed()
        );
        assert_eq!(wrong, BTreeSet::new());
    });
}

/// Milliseconds of a query for everything at a node, as that node says.
pub(crate) fn query(folder: &Path, node: &Node) -> f64 {
    let search = ["search", "-o", "json"];
    let answer = expect(node.ask(folder).args(search), 0);
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(answer["end"]["complete"], true, "{answer}");
    answer["end"]["millis"].as_f64().unwrap()
}

/// The slowest of nine queries of ten.
pub(crate) fn slow(mut millis: Vec<f64>) -> f64 {
    millis.sort_by(f64::total_cmp);
    millis[millis.len() * 9 / 10]
}

#[test]
fn a_stopped_node_costs_a_query_less_than_a_second_and_nothing_once_it_is_dead() {
    const QUERIES: usize = 30;
    /// What the machine itself may take from a query of milliseconds.
    const NOISE_MS: f64 = 100.0;
    let folder = scratch();
    let folder = folder.path();
    let nodes = cluster(folder, 3, 2);
    let scenes = world(folder, 1, 1, 300);
    let ingest = ["ingest", "--precision", "6"];
    expect(nodes[0].ask(folder).args(ingest).arg(scenes), 0);
    let many = || (0..QUERIES).map(|_| query(folder, &nodes[0]));
    let usual = slow(many().collect());
    signal(&nodes[2], "-STOP");
    let mut meanwhile = Vec::new();
    until("it is taken for dead", || {
        meanwhile.push(query(folder, &nodes[0]));
        nodes[0].states(folder)[&nodes[2].id] == "down"
    });
    let afterwards = slow(many().collect());
    signal(&nodes[2], "-CONT");
    let longest = meanwhile.iter().copied().fold(0.0, f64::max);
    eprintln!(
        "nine of ten queries within {usual:.0} ms; while a node is stopped and not found dead the \
         longest of {} takes {longest:.0} ms; then nine of ten {afterwards:.0} ms",
        meanwhile.len()
    );
    assert!(longest <= 2.0 * usual + 1_000.0, "{longest} of {usual}");
    assert!(
        afterwards <= 1.5 * usual + NOISE_MS,
        "{afterwards} of {usual}"
    );
}
