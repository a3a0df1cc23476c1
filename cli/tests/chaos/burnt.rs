//! Two nodes of five are lost with all that they held, and put out of the cluster.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use crate::harness::{Node, cluster, expect, ndjson, scratch, stderr, until, world};
use crate::partitions::all_is_there;
use crate::users::{at_rest, images, put, unlike};

/// Replicas, and so nodes that are left.
const REPLICAS: u8 = 3;

/// Removes a node that is lost; what it held is brought from others while this goes on.
pub(crate) fn remove(at: &Node, folder: &Path, lost: &str) {
    until("it is taken for dead", || at.states(folder)[lost] == "down");
    let words = ["node", "remove", lost, "--yes", "--no-wait"];
    let removed = at.ask(folder).args(words).output().unwrap();
    // Others are lost, too: not every node can say what would move.
    let code = removed.status.code();
    assert!(
        matches!(code, Some(0 | 4)),
        "{code:?}: {}",
        stderr(&removed)
    );
}

/// Names of the folders below one in which something is kept.
fn kept(below: &Path) -> BTreeSet<String> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![below.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if let Some(name) = folder.file_name() {
                found.insert(name.to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[test]
fn what_two_of_five_nodes_held_has_three_replicas_again_byte_for_byte() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 1, 600);
    let mut nodes = cluster(folder, 5, REPLICAS);
    let (acked, code) = put(&mut nodes[0].ask(folder), &scenes, "c");
    assert_eq!(code, Some(0));
    until("nothing is on its way", || {
        nodes.iter().all(|node| at_rest(folder, node))
    });
    let before = images(|| nodes[0].ask(folder), &folder.join("before"));
    let mut lost = nodes.split_off(usize::from(REPLICAS));
    let held: BTreeSet<String> = acked.iter().map(|id| id.replace('/', "+")).collect();
    for node in &mut lost {
        assert!(!kept(&node.data).is_disjoint(&held), "it held nothing");
        assert!(node.stop());
        std::fs::remove_dir_all(&node.data).unwrap();
    }
    let began = Instant::now();
    for node in &lost {
        remove(&nodes[0], folder, &node.id);
    }
    until("nobody else is a member", || {
        let members = |node: &Node| node.states(folder).len();
        nodes.iter().all(|node| members(node) == nodes.len())
    });
    until("nothing is on its way", || {
        nodes.iter().all(|node| at_rest(folder, node))
    });
    all_is_there(folder, &nodes, &acked);
    let (took, bytes) = (
        began.elapsed(),
        before.values().map(Vec::len).sum::<usize>(),
    );
    eprintln!(
        "{} splits of {bytes} bytes have {REPLICAS} replicas after {took:?}",
        acked.len()
    );
    for (i, node) in nodes.iter().enumerate() {
        let lacks: Vec<_> = held.difference(&kept(&node.data)).cloned().collect();
        assert!(lacks.is_empty(), "node {i} lacks {lacks:?}");
        let hits = expect(node.ask(folder).args(["search", "-o", "ndjson"]), 0);
        for hit in ndjson(&hits) {
            let owners = hit["owners"].as_array().unwrap();
            assert_eq!(owners.len(), usize::from(REPLICAS), "{hit}");
        }
        let now = images(|| node.ask(folder), &folder.join(format!("now{i}")));
        let differ = unlike(&before, &now);
        assert!(differ.is_empty(), "node {i} has other bytes of {differ:?}");
    }
}
