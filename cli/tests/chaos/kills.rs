//! Nodes drawn by a seed are killed with -9 while scenes are ingested and queries asked.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Node, cluster, glebe, scratch, until, world};
use crate::users::{
    answers, at_rest, images_alone, images_of, put, put_saying, told, unlike, verified,
};

/// Nodes of which one at a time is killed.
const NODES: usize = 4;
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
    /// Queries that nobody answered, each at a node that was away at that moment.
    pub(crate) away: AtomicU64,
    pub(crate) over: AtomicBool,
    /// Ingests by their exit codes.
    ingests: Mutex<BTreeMap<Option<i32>, u64>>,
    /// How often each node went and came back: odd while it is away.
    turns: [AtomicU64; NODES],
}

impl Seen {
    /// Notes that a node is about to go, or is back.
    pub(crate) fn turn(&self, node: usize) {
        self.turns[node].fetch_add(1, Ordering::SeqCst);
    }

    /// How often a node went and came back so far.
    fn turns(&self, node: usize) -> u64 {
        self.turns[node].load(Ordering::SeqCst)
    }

    /// Tells whether a node was away at any moment since it had gone and come back so often.
    fn was_away(&self, node: usize, turns: u64) -> bool {
        turns % 2 == 1 || self.turns(node) != turns
    }
}

/// Sends the users home, however that ends for which they are there.
struct Closing<'a>(&'a Seen);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Ingests again and again, each time into a collection of its own; notes what is acknowledged. No
/// node that lives refuses.
fn ingest(folder: &Path, https: &[String], scenes: &Path, seen: &Seen) {
    for turn in 0_usize.. {
        if seen.over.load(Ordering::Relaxed) {
            return;
        }
        let at = turn % https.len();
        let turns = seen.turns(at);
        let note = |id| {
            seen.acked.lock().unwrap().insert(id);
        };
        let mut named = glebe(folder);
        named.args(["--cluster", &https[at]]);
        let (code, said) = put_saying(&mut named, scenes, &format!("c{turn}"), note);
        // What it said before its node was killed counts.
        let may_end = code == Some(0) || (code == Some(3) && seen.was_away(at, turns));
        assert!(may_end, "an ingest through node {at}, {code:?}: {said}");
        *seen.ingests.lock().unwrap().entry(code).or_default() += 1;
    }
}

/// Asks for everything again and again; a complete answer holds all acknowledged before, and only
/// who is away answers nothing.
pub(crate) fn ask(folder: &Path, https: &[String], seen: &Seen) {
    for turn in 0_usize.. {
        if seen.over.load(Ordering::Relaxed) {
            return;
        }
        let at = turn % https.len();
        let turns = seen.turns(at);
        let before = seen.acked.lock().unwrap().clone();
        match told(glebe(folder).args(["--cluster", &https[at]])) {
            Some((found, true)) => {
                seen.complete.fetch_add(1, Ordering::Relaxed);
                let lost: Vec<_> = before.difference(&found).collect();
                assert!(lost.is_empty(), "a complete answer without {lost:?}");
            }
            Some(_) => drop(seen.partial.fetch_add(1, Ordering::Relaxed)),
            None => {
                assert!(seen.was_away(at, turns), "node {at} lives and is silent");
                seen.away.fetch_add(1, Ordering::Relaxed);
            }
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
fn kill_one(folder: &Path, nodes: &mut [Node], at: usize, seen: &Seen) -> Delays {
    let (id, p2p, http) = {
        let node = &nodes[at];
        (node.id.clone(), node.p2p.clone(), node.http.clone())
    };
    seen.turn(at);
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
    seen.turn(at);
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

/// The seed that `GLEBE_SEED` gives, or one that nobody has foreseen.
fn seed() -> u64 {
    let given = std::env::var("GLEBE_SEED").ok();
    given.map_or_else(|| RandomState::new().hash_one(0), |s| s.parse().unwrap())
}

/// Draws one of the nodes (`SplitMix64`).
fn draw(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut drawn = *state;
    drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((drawn ^ (drawn >> 31)) % NODES as u64).unwrap()
}

/// Kills so many nodes, one after the other, so long from one to the next; returns the longest
/// delays.
fn kill_many(
    (folder, nodes): (&Path, &mut [Node]),
    (kills, apart): (u64, Duration),
    seen: &Seen,
    goes_on: impl Fn() -> bool,
) -> Delays {
    let mut drawn = seed();
    eprintln!("GLEBE_SEED={drawn} draws who is killed");
    let (mut slowest, mut killed) = (Delays::default(), Vec::new());
    for _ in 0..kills {
        assert!(goes_on(), "a user met what must not be");
        let began = Instant::now();
        let at = draw(&mut drawn);
        killed.push(at);
        let took = kill_one(folder, nodes, at, seen);
        slowest.complete = slowest.complete.max(took.complete);
        slowest.noticed = slowest.noticed.max(took.noticed);
        std::thread::sleep(apart.saturating_sub(began.elapsed()));
    }
    eprintln!("killed {killed:?}");
    slowest
}

#[test]
fn nothing_acknowledged_is_lost_while_one_node_after_the_other_is_killed() {
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let (usual, apart) = if nightly {
        (KILLS_NIGHTLY, BETWEEN_NIGHTLY)
    } else {
        (KILLS, Duration::ZERO)
    };
    let asked = std::env::var("GLEBE_KILLS").ok();
    let kills = asked.map_or(usual, |asked| asked.parse().unwrap());
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 1, 600);
    let mut nodes = cluster(folder, NODES, 2);
    let https: Vec<String> = nodes.iter().map(|n| n.http.clone()).collect();
    let seen = Seen::default();
    let asked_of_none = asking(folder, &nodes);
    let slowest = std::thread::scope(|scope| {
        let _closing = Closing(&seen);
        let users = [
            scope.spawn(|| ingest(folder, &https, &scenes, &seen)),
            scope.spawn(|| ask(folder, &https, &seen)),
        ];
        let goes_on = || users.iter().all(|user| !user.is_finished());
        kill_many((folder, &mut nodes), (kills, apart), &seen, goes_on)
    });
    tell_of(kills, &seen, slowest);
    let acked = seen.acked.into_inner().unwrap();
    assert!(acked.len() > 50, "too little was put: {}", acked.len());
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
    same_bytes(folder, &scenes, &nodes, &acked);
    assert!(slowest.noticed <= SEEN_WITHIN, "{slowest:?}");
    assert!(slowest.complete <= COMPLETE_WITHIN, "{slowest:?}");
}

/// Says what users saw, and asserts that nine of ten queries at living nodes were answered
/// completely: `ask` has made sure that the rest were marked partial.
fn tell_of(kills: u64, seen: &Seen, slowest: Delays) {
    let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let (complete, partial) = (count(&seen.complete), count(&seen.partial));
    let (away, acked) = (count(&seen.away), seen.acked.lock().unwrap().len());
    eprintln!(
        "{kills} kills: {acked} acknowledged; queries {complete} complete, {partial} partial, \
         {away} at a dead node; ingests by exit code {:?}; slowest {slowest:?}",
        seen.ingests.lock().unwrap()
    );
    assert!(
        complete * 10 >= (complete + partial) * 9,
        "{complete} of {}",
        complete + partial
    );
}

/// Holds the images of all that was acknowledged, each collection read through a node that did not
/// put it, to those that a store makes of the same scenes where nobody is killed.
fn same_bytes(folder: &Path, scenes: &Path, nodes: &[Node], acked: &BTreeSet<String>) {
    let mut collections: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for id in acked {
        let (collection, _) = id.split_once('/').unwrap();
        let ids = collections.entry(collection).or_default();
        ids.insert(id.clone());
    }
    for (collection, ids) in collections {
        let turn: usize = collection.trim_start_matches('c').parse().unwrap();
        let other = &nodes[(turn + 1) % nodes.len()];
        let out = folder.join(format!("read-{collection}"));
        let found = images_of(|| other.ask(folder), &ids, &out.join("found"));
        let wanted = images_alone(folder, (scenes, collection), &ids, &out);
        assert_eq!(unlike(&wanted, &found), BTreeSet::new(), "{}", other.id);
        std::fs::remove_dir_all(&out).unwrap();
    }
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
