//! A damaged folder that no record names is set aside once nobody needs it, and never before.
//!
//! A copy had rotted and lost its record where its slot had moved away, another after all others
//! had buried what deleted it: nobody healed either, and `verify` named them for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use node::store::{Object, ObjectKey, PutMode, Store};
use node::upkeep::Pace;
use tempfile::TempDir;

use crate::bench::{Node, UPKEEP, open_paced, paced, until};
use crate::repair::model;

const HOUR: Duration = Duration::from_hours(1);
/// Replicas are compared when they are told to be, and not before.
const STILL: Pace = Pace {
    first: HOUR,
    every: HOUR,
    ..UPKEEP
};

/// A model with other weights.
fn changed(n: u64) -> Object {
    let mut object = model(n);
    object.files[1].bytes = b"other weights".to_vec().into();
    object
}

/// Returns what a node keeps of an object that it alone has overwritten, on its disk.
fn second_revision(n: u64) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put(&model(n), PutMode::Keep).unwrap();
    store.put(&changed(n), PutMode::Overwrite).unwrap();
    let folder = store.folder(&store.known(&model(n).key).unwrap().unwrap());
    (dir, folder)
}

/// Puts the folder of an object on a node's disk, with its weights damaged.
fn damaged(node: &Node, from: &Path, object: &Object) -> PathBuf {
    let slot = format!("{:04x}", object.slot().number());
    let below = node.dir.path().join("objects/model").join(slot);
    let folder = below.join(object.key.id.replace('/', "+"));
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    fs::write(folder.join("model.safetensors"), "damaged").unwrap();
    node.store.reconcile().unwrap();
    assert_eq!(node.store.left_out()[0].key, object.key);
    // What is said of the other replicas of its slots is told by other tests.
    assert!(node.store.trust(node.store.doubt().unwrap()).unwrap());
    folder
}

/// Has a node look at everything once.
async fn repair(node: &Node) {
    node.cluster.repair(&node.id()).await.unwrap().unwrap();
}

/// Waits until a folder is gone, and tells whether it was kept aside.
async fn is_set_aside(node: &Node, folder: &Path) -> bool {
    until("it is set aside", async || {
        repair(node).await;
        !folder.exists()
    })
    .await;
    let aside = fs::read_dir(node.dir.path().join("quarantine")).unwrap();
    let names = aside.map(|e| e.unwrap().file_name().into_string().unwrap());
    let name = folder.file_name().unwrap().to_str().unwrap();
    names.into_iter().any(|n| n.ends_with(name)) && node.store.left_out().is_empty()
}

/// Waits until a node takes all others for alive and everything for confirmed.
async fn calm(node: &Node) {
    until("all are up and verify", async || {
        node.cluster.verify().await.complete
            && node
                .cluster
                .repair(&node.id())
                .await
                .unwrap()
                .unwrap()
                .complete
    })
    .await;
}

/// Three nodes; the first two own what is returned, the last does not.
async fn owned_by_others(nodes: &[Node]) -> u64 {
    let stranger = nodes[2].id();
    let owns = |n: &u64| {
        nodes[2]
            .cluster
            .owners(model(*n).slot())
            .contains(&stranger)
    };
    let n = (0..200).find(|n| !owns(n)).unwrap();
    nodes[0].put(&model(n)).await.unwrap();
    n
}

async fn names(nodes: &[Node], key: &ObjectKey) -> bool {
    let report = nodes[0].cluster.verify().await;
    report.problems.iter().any(|p| p.contains(&key.id))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_copy_goes_once_all_owners_have_read_theirs_and_not_while_one_is_away() {
    let mut nodes = paced(3, 2, HOUR).await;
    let n = owned_by_others(&nodes).await;
    let (_dir, second) = second_revision(n);
    fs::remove_file(second.join("object.json")).unwrap();
    let stranger = nodes.pop().unwrap();
    let away = nodes.pop().unwrap().kill().await;
    until("it is known to be away", async || {
        !stranger.cluster.verify().await.complete
    })
    .await;
    let folder = damaged(&stranger, &second, &model(n));
    repair(&stranger).await;
    assert!(folder.is_dir());
    let any = "127.0.0.1:0".parse().unwrap();
    let back = open_paced(Arc::clone(&away), any, (None, None), STILL).await;
    nodes.push(back.unwrap());
    nodes.push(stranger);
    assert!(is_set_aside(&nodes[2], &folder).await);
    assert!(!names(&nodes, &model(n).key).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_copy_stays_while_an_owner_lacks_the_object() {
    let nodes = paced(3, 2, HOUR).await;
    let n = owned_by_others(&nodes).await;
    let (_dir, second) = second_revision(n);
    fs::remove_file(second.join("object.json")).unwrap();
    calm(&nodes[2]).await;
    assert!(nodes[1].store.delete(&model(n).key).unwrap());
    let folder = damaged(&nodes[2], &second, &model(n));
    repair(&nodes[2]).await;
    assert!(folder.is_dir());
    repair(&nodes[1]).await;
    nodes[1].store.verify(&model(n).key).unwrap();
    assert!(is_set_aside(&nodes[2], &folder).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_revision_than_owners_hold_is_kept_until_they_hold_it() {
    let nodes = paced(3, 2, HOUR).await;
    let n = owned_by_others(&nodes).await;
    let (_dir, second) = second_revision(n);
    calm(&nodes[2]).await;
    let folder = damaged(&nodes[2], &second, &model(n));
    repair(&nodes[2]).await;
    assert!(folder.is_dir());
    assert!(names(&nodes, &model(n).key).await);
    let cluster = &nodes[0].cluster;
    cluster.put(changed(n), PutMode::Overwrite).await.unwrap();
    assert!(is_set_aside(&nodes[2], &folder).await);
    assert!(!names(&nodes, &model(n).key).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_node_knows_goes_unless_another_damaged_copy_is_left() {
    let nodes = paced(3, 2, HOUR).await;
    nodes[0].put(&model(1)).await.unwrap();
    calm(&nodes[2]).await;
    let (_dir, second) = second_revision(7);
    let one = damaged(&nodes[1], &second, &model(7));
    let two = damaged(&nodes[2], &second, &model(7));
    for node in &nodes[1..] {
        repair(node).await;
    }
    assert!(one.is_dir() && two.is_dir());
    fs::remove_dir_all(&two).unwrap();
    repair(&nodes[2]).await;
    assert!(nodes[2].store.left_out().is_empty(), "it is gone");
    assert!(is_set_aside(&nodes[1], &one).await);
    assert!(!names(&nodes, &model(7).key).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_one_replica_what_nobody_knows_stays() {
    let nodes = paced(1, 1, HOUR).await;
    let (_dir, second) = second_revision(7);
    let folder = damaged(&nodes[0], &second, &model(7));
    repair(&nodes[0]).await;
    assert!(folder.is_dir() && names(&nodes, &model(7).key).await);
}
