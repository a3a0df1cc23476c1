//! A node whose index was damaged does not answer for its slots alone.
//!
//! A power cut had damaged an owner's index, and rot a split's folder: remade from the files, the
//! index lacked the split, and so did complete answers, though the other owner held it.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use node::store::{ObjectKey, Store};
use node::upkeep::Pace;
use tempfile::TempDir;
use wire::bundle::Kind;

use crate::bench::{Node, UPKEEP, fill, open_at, open_paced, paced, set, until};

const HOUR: Duration = Duration::from_hours(1);
/// Replicas are compared when they are told to be, and not before.
const STILL: Pace = Pace {
    first: HOUR,
    every: HOUR,
    ..UPKEEP
};

async fn still(dir: Arc<TempDir>) -> Node {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    open_paced(dir, any, (None, None), STILL).await.unwrap()
}

/// Three nodes that hold splits in two replicas; returns the splits, too. The last has put none, so
/// that nobody hands over to it what it has put when it is back.
async fn three() -> (Vec<Node>, BTreeSet<String>) {
    let nodes = paced(3, 2, HOUR).await;
    let ids = fill(&nodes[..2], 40).await;
    (nodes, ids)
}

/// Kills a node, damages its index and takes the files of a split that it owns with another node;
/// returns which.
async fn damaged(node: Node, other: &str) -> (Arc<TempDir>, ObjectKey) {
    let is_theirs = |key: &ObjectKey| {
        let record = node.store.known(key).unwrap().unwrap();
        let owners = node.cluster.owners(record.slot());
        owners.iter().any(|owner| owner == other)
    };
    let keys = node.store.keys(Kind::Split).unwrap();
    let key = keys.into_iter().find(is_theirs).unwrap();
    let folder = node.store.folder(&node.store.known(&key).unwrap().unwrap());
    let dir = node.kill().await;
    fs::write(dir.path().join("index.redb"), b"no database at all").unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    (dir, key)
}

/// Asks every node for everything: all of them have to know all of it.
async fn all_know(nodes: &[Node], ids: &BTreeSet<String>) {
    for node in nodes {
        let (found, end) = node.all().await;
        assert!(end.complete, "{end:?}");
        assert_eq!(set(found), *ids);
    }
}

/// Counts the slots for which a node is asked because others may lack what it holds.
fn marked(node: &Node) -> u64 {
    let (id, view) = (node.id(), node.cluster.view());
    let found = view.nodes.iter().find(|n| n.id == id);
    found.unwrap().to_hand_over
}

async fn repair(node: &Node) -> bool {
    let report = node.cluster.repair(&node.id()).await.unwrap().unwrap();
    report.complete
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_whose_index_was_damaged_lets_others_answer_until_it_has_compared() {
    let (mut nodes, ids) = three().await;
    let last = nodes.pop().unwrap();
    let (dir, key) = damaged(last, &nodes[0].id()).await;
    nodes.push(still(dir).await);
    assert!(nodes[2].store.record(&key).unwrap().is_none());
    all_know(&nodes, &ids).await;
    assert!(nodes[2].store.is_doubtful());
    // What it cannot read, the others might lack.
    until("all else is confirmed", async || marked(&nodes[2]) == 1).await;
    all_know(&nodes, &ids).await;
    assert_eq!(marked(&nodes[2]), 1);
    until("all others are up", async || repair(&nodes[2]).await).await;
    assert!(!nodes[2].store.is_doubtful());
    nodes[2].store.verify(&key).unwrap();
    until("that is confirmed", async || marked(&nodes[2]) == 0).await;
    all_know(&nodes, &ids).await;
}

/// Flips a byte of each file of an object.
fn rot(node: &Node, key: &ObjectKey) {
    let folder = node.store.folder(&node.store.known(key).unwrap().unwrap());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(&path, bytes).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_that_no_owner_can_read_keeps_no_owner_doubtful() {
    let (mut nodes, ids) = three().await;
    let last = nodes.pop().unwrap();
    let (dir, key) = damaged(last, &nodes[0].id()).await;
    rot(&nodes[0], &key);
    nodes.push(still(dir).await);
    assert!(nodes[2].store.is_doubtful());
    let is_trusted = async || {
        // The split cannot be brought here: that is said.
        !repair(&nodes[2]).await && !nodes[2].store.is_doubtful()
    };
    until("all else was compared", is_trusted).await;
    assert!(nodes[2].store.known(&key).unwrap().is_none());
    assert!(marked(&nodes[0]) > 0);
    all_know(&nodes, &ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_another_owner_dead_answers_are_partial_until_that_one_was_compared_with() {
    let (mut nodes, ids) = three().await;
    let last = nodes.pop().unwrap();
    // Who holds the split, too, lives; another owner of this node's slots does not.
    let (dir, _) = damaged(last, &nodes[0].id()).await;
    let dead = nodes[1].id();
    let away = nodes.pop().unwrap().kill().await;
    nodes.push(still(dir).await);
    for _ in 0..2 {
        assert!(!repair(&nodes[1]).await);
        assert!(nodes[1].store.is_doubtful());
        let (found, end) = nodes[1].all().await;
        assert!(!end.complete && !end.missing_slots.is_empty());
        assert!(set(found).is_subset(&ids));
    }
    until("the dead one alone is waited for", async || {
        repair(&nodes[1]).await;
        let status = nodes[0].cluster.status().await;
        let doubt = |node: &Node| {
            let id = node.id();
            let row = status.nodes.iter().find(|row| row.id == id);
            row.unwrap().doubt.clone()
        };
        assert_eq!(doubt(&nodes[0]), None);
        doubt(&nodes[1]).unwrap().waits_for == [dead.clone()]
    })
    .await;
    nodes.push(still(away).await);
    until("all others are up", async || repair(&nodes[1]).await).await;
    assert!(!nodes[1].store.is_doubtful());
    all_know(&nodes, &ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_whose_indexes_were_all_damaged_compare_and_trust_each_other_again() {
    let (nodes, ids) = three().await;
    let other = nodes[1].id();
    let mut stopped = Vec::new();
    for (i, node) in nodes.into_iter().enumerate() {
        let address: SocketAddr = node.cluster.p2p().parse().unwrap();
        let dir = if i == 0 {
            damaged(node, &other).await.0
        } else {
            let dir = node.kill().await;
            fs::write(dir.path().join("index.redb"), b"no database at all").unwrap();
            dir
        };
        stopped.push((dir, address));
    }
    let open = |(dir, address)| async move { open_at(dir, address, None, None).await.unwrap() };
    let nodes: Vec<Node> = join_all(stopped.into_iter().map(open)).await;
    for node in &nodes {
        until("it is trusted", async || !node.store.is_doubtful()).await;
    }
    all_know(&nodes, &ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_comes_back_with_nothing_lets_others_answer_until_it_is_filled() {
    let (mut nodes, ids) = three().await;
    let dir = nodes.pop().unwrap().kill().await;
    fs::remove_dir_all(dir.path().join("objects")).unwrap();
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    // A first start opens the store and comes no further, for its port is taken, say.
    drop(Store::open(dir.path()).unwrap());
    nodes.push(still(dir).await);
    all_know(&nodes, &ids).await;
    assert!(nodes[2].store.is_doubtful());
    until("all others are up", async || repair(&nodes[2]).await).await;
    assert!(!nodes[2].store.is_doubtful());
    all_know(&nodes, &ids).await;
}
