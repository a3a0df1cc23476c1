//! Nodes die, and come back.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::join_all;
use tempfile::TempDir;
use wire::cluster::NodeState;
use wire::fault::FaultKind;

use crate::bench::{Node, cluster, collection, fill, open, open_at, set, splits, until};

fn state(node: &Node, of: &str) -> NodeState {
    let view = node.cluster.view();
    view.nodes.iter().find(|n| n.id == of).unwrap().state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_of_three_gone_answers_are_complete_and_with_two_gone_they_say_what_is_missing() {
    let mut nodes = cluster(3, 2).await;
    let ids = fill(&nodes, 40).await;
    let view = nodes[0].cluster.view();
    let first = nodes.pop().unwrap();
    let first_id = first.id();
    first.kill().await;
    // At once: nobody has noticed yet, so the question meets the dead node.
    for node in &nodes {
        let (found, end) = node.all().await;
        assert!(end.complete, "{end:?}");
        assert_eq!(set(found), ids);
    }
    for node in &nodes {
        until("the dead node is down", async || {
            state(node, &first_id) == NodeState::Down
        })
        .await;
        let (found, end) = node.all().await;
        assert!(end.complete && !end.asked.iter().any(|a| a.node == first_id));
        assert_eq!(set(found), ids);
    }
    let second = nodes.pop().unwrap();
    let second_id = second.id();
    second.kill().await;
    let (found, end) = nodes[0].all().await;
    assert!(!end.complete);
    let dead = [first_id, second_id];
    let lost = |owners: &Vec<u16>| {
        let mut owners = owners.iter().map(|i| &view.nodes[usize::from(*i)].id);
        owners.all(|o| dead.contains(o))
    };
    let missing: Vec<u16> = (0..16_384_u16)
        .filter(|s| lost(&view.slots[usize::from(*s)]))
        .collect();
    // One of three cannot know what the two others took together.
    assert_eq!(end.missing_slots.len(), 16_384);
    let there = splits(40)
        .into_iter()
        .filter(|o| !missing.contains(&o.slot().number()));
    assert_eq!(set(found), there.map(|o| o.key.id).collect::<BTreeSet<_>>());
    let gone = splits(40)
        .into_iter()
        .find(|o| missing.contains(&o.slot().number()));
    let fault = nodes[0]
        .cluster
        .fetch(&gone.unwrap().key, "r60.tif")
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Partial, "{fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standin_keeps_what_a_dead_owner_should_and_hands_it_over_when_that_is_back() {
    let mut nodes = cluster(3, 2).await;
    nodes[0].put(&collection()).await.unwrap();
    let away = nodes.pop().unwrap();
    let away_id = away.id();
    let dir = away.kill().await;
    let objects = splits(12);
    let mut stood_in = 0;
    for object in &objects {
        let owners = nodes[0].cluster.owners(object.slot());
        let ack = nodes[0].put(object).await.unwrap();
        assert_eq!(ack.acked_by.len(), 2);
        assert!(!ack.acked_by.contains(&away_id));
        assert_eq!(ack.standins.is_empty(), !owners.contains(&away_id));
        stood_in += ack.standins.len();
    }
    assert!(stood_in > 0);
    for node in &nodes {
        let (found, end) = node.all().await;
        assert!(end.complete);
        assert_eq!(found.len(), 12);
    }
    let back = open(dir, None, None).await.unwrap();
    assert_eq!(back.id(), away_id);
    let (found, end) = back.all().await;
    assert!(end.complete, "{end:?}");
    assert_eq!(found.len(), 12);
    nodes.push(back);
    until("everything is on its owners", async || {
        let report = nodes[0].cluster.verify().await;
        report.complete && report.problems.is_empty()
    })
    .await;
    for object in &objects {
        let query = query::Query {
            ids: vec![object.key.id.clone()],
            ..query::Query::default()
        };
        until("only an owner is asked", async || {
            let (found, end) = nodes[1].ask(query.clone()).await;
            assert_eq!(found, std::slice::from_ref(&object.key.id));
            end.asked.len() == 1
        })
        .await;
    }
}

/// Kills a node; returns where it was.
async fn stopped(node: Node) -> (SocketAddr, Arc<TempDir>) {
    let address = node.cluster.p2p().parse().unwrap();
    (address, node.kill().await)
}

/// Starts nodes where they were, all at once.
async fn started(nodes: Vec<(SocketAddr, Arc<TempDir>)>) -> Vec<Node> {
    let open = |(address, dir)| async move { open_at(dir, address, None, None).await.unwrap() };
    join_all(nodes.into_iter().map(open)).await
}

/// An owner is away while a split is put, and a fifth node, too: of the three that know who holds
/// it, two stay away after all have died.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_of_a_standin_still_knows_it_after_all_have_died() {
    let mut nodes = cluster(5, 2).await;
    nodes[0].put(&collection()).await.unwrap();
    let object = splits(1).remove(0);
    let owners = nodes[0].cluster.owners(object.slot());
    let is_owner = |node: &Node| owners.contains(&node.id());
    let at = nodes.iter().position(is_owner).unwrap();
    let owner = nodes.remove(at);
    let at = nodes.iter().position(|node| !is_owner(node)).unwrap();
    let fifth = nodes.remove(at);
    let mut back = vec![stopped(owner).await, stopped(fifth).await];
    let ack = nodes[0].put(&object).await.unwrap();
    let holders: BTreeSet<String> = ack.acked_by.into_iter().collect();
    assert_eq!((holders.len(), ack.standins.len()), (2, 1));
    let mut away = Vec::new();
    for node in nodes {
        let holds = holders.contains(&node.id());
        let stopped = stopped(node).await;
        if holds { &mut away } else { &mut back }.push(stopped);
    }
    let mut alive = started(back).await;
    for node in &alive {
        let (found, end) = node.all().await;
        let missing = end.missing_slots.contains(&object.slot().number());
        assert!(found.is_empty() && missing, "{end:?}");
    }
    alive.extend(started(away).await);
    until("all answer completely again", async || {
        let (found, end) = alive[0].all().await;
        end.complete && found == [object.key.id.clone()]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn below_the_write_quorum_nothing_is_acknowledged() {
    let mut nodes = cluster(2, 2).await;
    nodes[0].put(&collection()).await.unwrap();
    nodes.pop().unwrap().kill().await;
    let fault = nodes[0].put(&splits(1)[0]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(fault.what.contains("1 of the 2 nodes"), "{fault:?}");
    assert!(!fault.because.is_empty() && fault.try_.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_was_switched_off_comes_back_with_everything() {
    let nodes = cluster(3, 2).await;
    let ids = fill(&nodes, 10).await;
    let version = nodes[0].cluster.view().version;
    let mut stopped = Vec::new();
    for node in nodes {
        let address = node.cluster.p2p().parse().unwrap();
        stopped.push((node.kill().await, address));
    }
    let opened = stopped
        .into_iter()
        .map(|(dir, address)| open_at(dir, address, None, None));
    let back: Vec<Node> = futures::future::join_all(opened)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for node in &back {
        until("the others are up", async || {
            node.cluster
                .view()
                .nodes
                .iter()
                .all(|n| n.state == NodeState::Up)
        })
        .await;
        let (found, end) = node.all().await;
        assert!(end.complete);
        assert_eq!(set(found), ids);
        assert_eq!(node.cluster.view().version, version);
    }
}
