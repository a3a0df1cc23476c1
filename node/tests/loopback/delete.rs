//! What is deleted stays deleted, whoever was away meanwhile.

use std::time::Duration;

use node::store::{ObjectKey, PutMode};
use query::Query;
use wire::bundle::Kind;
use wire::object::PutOutcome;

use crate::bench::{Node, cluster, fill, open, splits, until};

/// Tombstones on the disks of all nodes: folders with nothing but `object.json`.
fn tombstones(nodes: &[Node]) -> usize {
    let mut found = 0;
    for node in nodes {
        let mut folders = vec![node.dir.path().join("objects")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            let entries: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
            found += usize::from(entries.len() == 1 && entries[0].ends_with("object.json"));
            folders.extend(entries.into_iter().filter(|e| e.is_dir()));
        }
    }
    found
}

async fn is_gone(node: &Node, keys: &[ObjectKey]) {
    let (found, end) = node.all().await;
    assert!(end.complete, "{end:?}");
    for key in keys {
        assert!(!found.contains(&key.id), "{key} is back in a query");
        assert_eq!(node.cluster.record(key).await, Ok(None), "{key} is back");
        let read = node.cluster.fetch(key, "r60.tif").await;
        assert!(read.is_err(), "{key} can be read again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_while_a_replica_is_down_stays_deleted_when_it_is_back() {
    let mut nodes = cluster(3, 2).await;
    fill(&nodes, 24).await;
    let away = nodes.pop().unwrap();
    let dir = away.kill().await;
    let keys: Vec<ObjectKey> = splits(12).into_iter().map(|o| o.key).collect();
    assert_eq!(nodes[0].cluster.delete(&keys).await, Ok(12));
    for node in &nodes {
        is_gone(node, &keys).await;
    }
    let back = open(dir, None, None).await.unwrap();
    nodes.push(back);
    // At once, before anything was handed over to it, and again once all of it was.
    for node in &nodes {
        is_gone(node, &keys).await;
    }
    until("every replica is alike", async || {
        let report = nodes[0].cluster.verify().await;
        report.complete && report.problems.is_empty()
    })
    .await;
    for node in &nodes {
        is_gone(node, &keys).await;
        assert_eq!(node.all().await.0.len(), 12);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_under_way_is_done_to_its_end_though_whoever_asked_goes_away() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, 8).await;
    let keys: Vec<ObjectKey> = splits(8).into_iter().map(|o| o.key).collect();
    for key in &keys {
        let deletion = nodes[0].cluster.delete(std::slice::from_ref(key));
        let given_up = tokio::time::timeout(Duration::ZERO, deletion).await;
        assert!(given_up.is_err(), "{key} was deleted at once");
    }
    until("every owner has every tombstone", async || {
        let report = nodes[1].cluster.verify().await;
        let (found, end) = nodes[1].all().await;
        found.is_empty() && end.complete && report.complete && report.problems.is_empty()
    })
    .await;
    is_gone(&nodes[2], &keys).await;
}

/// As one is put that another user was told is kept, and that a third deletes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_replica_of_a_revision_does_not_bring_back_what_was_deleted_after_it() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, 2).await;
    let object = splits(1).remove(0);
    let keys = [object.key.clone()];
    assert_eq!(nodes[0].cluster.delete(&keys).await, Ok(1));
    let late = nodes[1].cluster.put(object, PutMode::Replica(1)).await;
    assert_eq!(late.unwrap().outcome, PutOutcome::Kept);
    for node in &nodes {
        is_gone(node, &keys).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tombstones_are_collected_only_once_every_node_knows_them() {
    let mut nodes = cluster(3, 2).await;
    fill(&nodes, 8).await;
    let away = nodes.pop().unwrap();
    let dir = away.kill().await;
    let keys: Vec<ObjectKey> = splits(8).into_iter().map(|o| o.key).collect();
    assert_eq!(nodes[0].cluster.delete(&keys).await, Ok(8));
    assert!(tombstones(&nodes) >= 8);
    for _ in 0..3 {
        // Rounds of upkeep end, and none of them collects.
        let name = nodes[1].id();
        assert!(nodes[0].cluster.repair(&name).await.unwrap().is_some());
        assert!(tombstones(&nodes) >= 8);
    }
    nodes.push(open(dir, None, None).await.unwrap());
    until("no tombstone is left", async || tombstones(&nodes) == 0).await;
    for node in &nodes {
        is_gone(node, &keys).await;
    }
    let report = nodes[2].cluster.verify().await;
    assert!(report.complete && report.problems.is_empty(), "{report:?}");
    assert_eq!(report.objects, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_can_be_put_again_and_deleted_again() {
    let nodes = cluster(3, 3).await;
    fill(&nodes, 2).await;
    let object = splits(1).remove(0);
    let keys = [object.key.clone()];
    for (round, node) in nodes.iter().enumerate() {
        assert_eq!(node.cluster.delete(&keys).await, Ok(1));
        assert_eq!(nodes[0].cluster.delete(&keys).await, Ok(0));
        is_gone(&nodes[(round + 1) % 3], &keys).await;
        let ack = nodes[(round + 2) % 3].put(&object).await.unwrap();
        assert_eq!((ack.outcome, ack.acked_by.len()), (PutOutcome::New, 3));
        for node in &nodes {
            let query = Query {
                ids: vec![object.key.id.clone()],
                ..Query::default()
            };
            assert_eq!(node.ask(query).await.0.len(), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_collection_is_gone_from_every_list() {
    let mut nodes = cluster(3, 2).await;
    fill(&nodes, 1).await;
    nodes.pop().unwrap().kill().await;
    let key = ObjectKey::new(Kind::Collection, crate::fixture::COLLECTION);
    assert_eq!(nodes[0].cluster.delete(&[key]).await, Ok(1));
    for node in &nodes {
        let listed = node.cluster.records(Kind::Collection).await;
        assert!(listed.complete && listed.records.is_empty(), "{listed:?}");
    }
}
