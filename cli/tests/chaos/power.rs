//! Power is cut while scenes are put: a node's disk then holds what it held at that instant.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

use crate::disks::{Bay, Cut, Disk};
use crate::harness::{Node, cluster, glebe, scratch, until, world};
use crate::partitions::all_is_there;
use crate::users::{put_noting, told};

/// Cuts of a usual run, and of a nightly one.
const CUTS: usize = 3;
const CUTS_NIGHTLY: usize = 100;
const NODES: usize = 3;

/// Cuts the power of some of three nodes again and again; each goes on from what its disk held.
fn cut_again_and_again(which: &[usize]) {
    let folder = scratch();
    let folder = folder.path();
    let Some(bay) = Bay::new(folder) else { return };
    let disks: Vec<Disk> = (0..NODES).map(|i| disk(&bay, folder, i)).collect();
    let scenes = world(folder, 2, 1, 600);
    let mut nodes = cluster(folder, NODES, 2);
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let cuts = if nightly { CUTS_NIGHTLY } else { CUTS };
    let mut kept = BTreeSet::new();
    for cut in 0..cuts {
        let noted = Mutex::new(BTreeSet::new());
        let at = nodes[NODES - 1].http.clone();
        let (before, held) = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut ingest, name) = (glebe(folder), format!("c{cut}"));
                put_noting(ingest.args(["--cluster", &at]), &scenes, &name, |id| {
                    noted.lock().unwrap().insert(id);
                });
            });
            // Each cut is at another place of the work.
            until("some are acknowledged", || {
                noted.lock().unwrap().len() > 5 * (cut % 7)
            });
            let before = noted.lock().unwrap().clone();
            let held: Vec<Cut> = which.iter().map(|i| disks[*i].cut()).collect();
            for i in which {
                nodes[*i].kill();
            }
            (before, held)
        });
        // Where a replica was not cut, what was acknowledged after that instant is kept, too.
        kept.extend(if which.len() == NODES {
            before
        } else {
            noted.into_inner().unwrap()
        });
        for (i, held) in which.iter().zip(held) {
            disks[*i].back(held);
            let name = format!("node{i}");
            let (p2p, http) = (nodes[*i].p2p.clone(), nodes[*i].http.replace("http://", ""));
            nodes[*i] = Node::start(folder, &name, &["--listen", &p2p, "--http", &http]);
        }
        let lost = |found: &BTreeSet<String>| kept.difference(found).count();
        until("an answer is complete", || {
            let answer = told(&mut nodes[which[0]].ask(folder));
            let Some((found, true)) = answer else {
                return false;
            };
            assert_eq!(lost(&found), 0, "acknowledged before cut {cut}, and lost");
            true
        });
    }
    eprintln!("{cuts} cuts of {} disks: {} kept", which.len(), kept.len());
    all_is_there(folder, &nodes, &kept);
}

/// Mounts a disk for a node, which keeps its folder on it.
pub(crate) fn disk(bay: &Bay, folder: &Path, number: usize) -> Disk {
    let at = folder.join(format!("disk{number}"));
    let disk = bay.disk(&format!("node{number}"), at.clone());
    std::fs::create_dir(at.join("data")).unwrap();
    symlink(at.join("data"), folder.join(format!("node{number}"))).unwrap();
    disk
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_of_one_node_is_cut() {
    cut_again_and_again(&[0]);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_of_all_nodes_is_cut() {
    cut_again_and_again(&[0, 1, 2]);
}
