//! One node after the other is killed with -9 while scenes are ingested and queries asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Node, cluster, glebe, scratch, until, world};
use crate::users::{answers, at_rest, images_of, put, put_noting, told, unlike, verified};

/// Kills of a usual run, and of a nightly one; `GLEBE_KILLS=N` kills as often.
const KILLS: u64 = 10;
const KILLS_NIGHTLY: u64 = 100;
/// Longest that a killed node may pass for one that lives.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
/// Longest until answers are complete again.
const COMPLETE_WITHIN: Duration = Duration::from_secs(5);
/// Least time between two kills of a nightly run.
const BETWEEN_NIGHTLY: Duration = Duration::from_secs(10);

/// What users saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) acked: Mutex<BTreeSet<String>>,
    pub(crate) complete: AtomicU64,
    pub(crate) partial: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) over: AtomicBool,
}

/// Ingests again and again, each time into a collection of its own; notes what is acknowledged.
fn ingest(folder: &Path, https: &[String], scenes: &Path, seen: &Seen) {
    for turn in 0_usize.. {
        if seen.over.load(Ordering::Relaxed) {
            return;
        }
        let collection = format!("c{turn}");
        let at = &https[turn % https.len()];
        // It fails when its node was killed; what it said before that counts.
        put_noting(
            glebe(folder).args(["--cluster", at]),
            scenes,
            &collection,
            |id| {
                seen.acked.lock().unwrap().insert(id);
            },
        );
    }
}

/// Asks for everything again and again; a complete answer holds all acknowledged before.
pub(crate) fn ask(folder: &Path, https: &[String], seen: &Seen) {
    for turn in 0_usize.. {
        if seen.over.load(Ordering::Relaxed) {
            return;
        }
        let before = seen.acked.lock().unwrap().clone();
        match told(glebe(folder).args(["--cluster", &https[turn % https.len()]])) {
            Some((found, true)) => {
                seen.complete.fetch_add(1, Ordering::Relaxed);
                let lost: Vec<_> = before.difference(&found).collect();
                assert!(lost.is_empty(), "a complete answer without {lost:?}");
            }
            Some(_) => drop(seen.partial.fetch_add(1, Ordering::Relaxed)),
            None => drop(seen.failed.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

pub(crate) fn state(folder: &Path, at: &Node, of: &str) -> String {
    at.states(folder).remove(of).unwrap_or_default()
}

/// How long after a kill others answered completely again, and knew of it.
#[derive(Debug, Clone, Copy, Default)]
struct Delays {
    complete: Duration,
    noticed: Duration,
}

/// Kills a node, waits until another answers completely and has noticed, brings it back at the same
/// addresses and waits until all see it.
fn kill_one(folder: &Path, nodes: &mut [Node], at: usize) -> Delays {
    let (id, p2p, http) = {
        let node = &nodes[at];
        (node.id.clone(), node.p2p.clone(), node.http.clone())
    };
    nodes[at].kill();
    let killed = Instant::now();
    let other = &nodes[(at + 1) % nodes.len()];
    // Not for all there is: how long that takes grows with what was put before.
    until("an answer is complete", || answers(&mut other.ask(folder)));
    let complete = killed.elapsed();
    until("the death is seen", || state(folder, other, &id) == "down");
    let noticed = killed.elapsed();
    let (name, http) = (format!("node{at}"), http.replace("http://", ""));
    let same = ["--listen", &p2p, "--http", &http];
    nodes[at] = Node::start(folder, &name, &same);
    assert_eq!(nodes[at].id, id, "the same identity");
    until("all see it again", || {
        nodes.iter().all(|n| state(folder, n, &id) == "up")
    });
    Delays { complete, noticed }
}

/// How long the question that tells whether answers are complete takes while nobody is dead.
fn asking(folder: &Path, nodes: &[Node]) -> Duration {
    let began = Instant::now();
    until("a node answers", || answers(&mut nodes[0].ask(folder)));
    began.elapsed()
}

#[test]
fn nothing_acknowledged_is_lost_while_one_node_after_the_other_is_killed() {
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let usual = if nightly { KILLS_NIGHTLY } else { KILLS };
    let asked = std::env::var("GLEBE_KILLS").ok();
    let kills = asked.map_or(usual, |asked| asked.parse().unwrap());
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 1, 600);
    let mut nodes = cluster(folder, 4, 2);
    let https: Vec<String> = nodes.iter().map(|n| n.http.clone()).collect();
    let seen = Seen::default();
    let asked_of_none = asking(folder, &nodes);
    let slowest = std::thread::scope(|scope| {
        scope.spawn(|| ingest(folder, &https, &scenes, &seen));
        scope.spawn(|| ask(folder, &https, &seen));
        let mut slowest = Delays::default();
        for kill in 0..kills {
            let began = Instant::now();
            // Three is odd to four: every node in turn, not in order.
            let at = usize::try_from(kill * 3 + kill / 4).unwrap() % 4;
            let took = kill_one(folder, &mut nodes, at);
            slowest.complete = slowest.complete.max(took.complete);
            slowest.noticed = slowest.noticed.max(took.noticed);
            if nightly {
                std::thread::sleep(BETWEEN_NIGHTLY.saturating_sub(began.elapsed()));
            }
        }
        seen.over.store(true, Ordering::Relaxed);
        slowest
    });
    let acked = seen.acked.into_inner().unwrap();
    let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let (complete, partial) = (count(&seen.complete), count(&seen.partial));
    let failed = count(&seen.failed);
    eprintln!(
        "{kills} kills: {} acknowledged; queries {complete} complete, {partial} partial, {failed} \
         at a dead node; slowest {slowest:?}",
        acked.len()
    );
    assert!(acked.len() > 50, "too little was put: {}", acked.len());
    assert!(
        complete * 10 >= (complete + partial) * 9,
        "{complete} of {}",
        complete + partial
    );
    until("everything is on its owners", || {
        verified(folder, &nodes[0])
    });
    eprintln!(
        "the question that tells took {asked_of_none:?} of nobody's splits, {:?} of all of them",
        asking(folder, &nodes)
    );
    for node in &nodes {
        let (found, all) = told(&mut node.ask(folder)).unwrap();
        let lost: Vec<_> = acked.difference(&found).collect();
        assert!(all && lost.is_empty(), "{} lost {lost:?}", node.id);
    }
    same_bytes(folder, &scenes, &nodes[0], &acked);
    assert!(slowest.noticed <= SEEN_WITHIN, "{slowest:?}");
    assert!(slowest.complete <= COMPLETE_WITHIN, "{slowest:?}");
}

/// Holds the images of the collection of which most was acknowledged to those that a store makes
/// of the same scenes where nobody is killed.
fn same_bytes(folder: &Path, scenes: &Path, at: &Node, acked: &BTreeSet<String>) {
    let mut collections: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for id in acked {
        let (collection, _) = id.split_once('/').unwrap();
        collections
            .entry(collection)
            .or_default()
            .insert(id.clone());
    }
    let (collection, ids) = collections.iter().max_by_key(|(_, ids)| ids.len()).unwrap();
    let alone = || {
        let mut alone = glebe(folder);
        alone.arg("--data").arg(folder.join("alone"));
        alone
    };
    assert_eq!(put(&mut alone(), scenes, collection).1, Some(0));
    let wanted = images_of(alone, ids, &folder.join("wanted"));
    let found = images_of(|| at.ask(folder), ids, &folder.join("found"));
    assert_eq!(unlike(&wanted, &found), BTreeSet::new());
}

#[test]
fn with_three_replicas_the_folders_of_two_nodes_may_burn() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 1, 600);
    let mut nodes = cluster(folder, 5, 3);
    let (acked, code) = put(&mut nodes[0].ask(folder), &scenes, "c");
    assert_eq!(code, Some(0));
    // Nodes that joined a moment ago may still say that they hold what owners lack.
    until("nothing is on its way", || {
        nodes.iter().all(|node| at_rest(folder, node))
    });
    for node in &mut nodes[3..] {
        node.kill();
        std::fs::remove_dir_all(&node.data).unwrap();
    }
    for node in &nodes[..3] {
        let mut found = BTreeSet::new();
        until("the answer is complete again", || {
            match told(&mut node.ask(folder)) {
                Some((all, true)) => found = all,
                _ => return false,
            }
            true
        });
        assert_eq!(found, acked, "a complete answer");
    }
}

/// Neither where they listened nor who answered there is what it was: one address finds all.
#[test]
fn nodes_that_all_come_back_at_other_addresses_find_each_other() {
    let folder = scratch();
    let folder = folder.path();
    let mut nodes = cluster(folder, 3, 2);
    for node in &mut nodes {
        node.kill();
    }
    let ids: Vec<String> = nodes.iter().map(|n| n.id.clone()).collect();
    drop(nodes);
    let mut back = vec![Node::start(folder, "node0", &[])];
    let seed = back[0].p2p.clone();
    for name in ["node1", "node2"] {
        back.push(Node::start(folder, name, &["--join", &seed]));
    }
    until("all see all", || {
        back.iter()
            .all(|node| ids.iter().all(|id| state(folder, node, id) == "up"))
    });
}
