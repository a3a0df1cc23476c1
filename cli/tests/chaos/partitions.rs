//! A node is cut off from the others, in both directions or in one, while scenes are put.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Node, cluster_of, scratch, until, world};
use crate::lab::Lab;
use crate::users::{put, told, verified};

/// Longest until answers are complete again, and until a minority says that it is one.
const WITHIN: Duration = Duration::from_secs(5);
/// Longest until a put below a majority is refused.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);

/// Starts a node on a machine of the lab.
pub(crate) fn start(lab: &Lab, folder: &Path, machine: usize, more: &[&str]) -> Node {
    let listen = format!("{}:7400", Lab::address(machine));
    let here = ["--listen", &listen, "--http", "127.0.0.1:7480"];
    let name = format!("node{machine}");
    Node::start_within(lab.name(machine), folder, &name, &[&here, more].concat())
}

/// A cluster of as many nodes as the lab has machines, each on its own.
pub(crate) fn cluster(lab: &Lab, folder: &Path, (n, replicas): (usize, u8)) -> Vec<Node> {
    cluster_of(folder, n, replicas, |name, more| {
        let machine: usize = name.trim_start_matches("node").parse().unwrap();
        start(lab, folder, machine, more)
    })
}

/// Waits until every node tells all that was acknowledged, and that it is all.
pub(crate) fn all_is_there(folder: &Path, nodes: &[Node], acked: &BTreeSet<String>) {
    until("everything is on its owners", || {
        nodes.iter().all(|node| verified(folder, node))
    });
    for node in nodes {
        let mut found = BTreeSet::new();
        // Who is behind a narrow line may take the others for dead once more.
        until("the answer is complete", || {
            match told(&mut node.ask(folder)) {
                Some((all, true)) => found = all,
                _ => return false,
            }
            true
        });
        let lost: Vec<_> = acked.difference(&found).collect();
        assert!(lost.is_empty(), "{} lost {lost:?}", node.id);
    }
}

/// Cuts node 2 of three off as told, puts on both sides, mends, and looks for all acknowledged.
fn through(cuts: &[(usize, usize)]) {
    let Some(lab) = Lab::new(3) else { return };
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 1, 600);
    let nodes = cluster(&lab, folder, (3, 2));
    let (mut acked, code) = put(&mut nodes[0].ask(folder), &scenes, "before");
    assert_eq!(code, Some(0));
    for (from, to) in cuts {
        lab.cut(*from, *to);
    }
    let began = Instant::now();
    until("most answer completely without it", || {
        told(&mut nodes[0].ask(folder)).is_some_and(|(_, complete)| complete)
    });
    let complete = began.elapsed();
    until("one alone says that it knows not all", || {
        told(&mut nodes[2].ask(folder)).is_some_and(|(_, complete)| !complete)
    });
    let alone = began.elapsed();
    let began = Instant::now();
    let (alone_acked, alone_code) = put(&mut nodes[2].ask(folder), &scenes, "alone");
    let refused = began.elapsed();
    assert!(
        alone_acked.is_empty(),
        "one alone acknowledged {alone_acked:?}"
    );
    assert_ne!(alone_code, Some(0));
    let (more, code) = put(&mut nodes[0].ask(folder), &scenes, "meanwhile");
    assert_eq!(code, Some(0), "two of three go on");
    acked.extend(more);
    for (from, to) in cuts {
        lab.mend(*from, *to);
    }
    let mended = Instant::now();
    all_is_there(folder, &nodes, &acked);
    eprintln!(
        "cut {cuts:?}: complete again after {complete:?}, the minority knows after {alone:?} and \
         refuses a put after {refused:?}, all on its owners {:?} after it was mended",
        mended.elapsed()
    );
    assert!(
        complete <= WITHIN && alone <= 2 * WITHIN,
        "{complete:?} {alone:?}"
    );
    assert!(refused <= REFUSED_WITHIN, "{refused:?}");
}

#[test]
fn a_node_that_is_cut_off_both_ways_acknowledges_nothing_and_nothing_is_lost() {
    through(&[(0, 2), (2, 0), (1, 2), (2, 1)]);
}

#[test]
fn a_node_that_hears_and_is_not_heard_acknowledges_nothing_and_nothing_is_lost() {
    through(&[(2, 0), (2, 1)]);
}

#[test]
fn a_node_that_is_heard_and_hears_nothing_acknowledges_nothing_and_nothing_is_lost() {
    through(&[(0, 2), (1, 2)]);
}
