//! One of three nodes has a disk that is full to the last byte, the others have room.

use std::collections::BTreeSet;
use std::path::Path;

use crate::disks::Bay;
use crate::harness::{Node, cluster, expect, ndjson, scratch, until, world};
use crate::partitions::all_is_there;
use crate::power::disk;
use crate::users::{images_of, put_noting, told, unlike};

/// The node whose disk is full; with two replicas it owns two slots of three.
const FULL: usize = 2;

/// What a put of scenes was told.
#[derive(Default)]
struct Told {
    acked: BTreeSet<String>,
    /// Owners that others stand in for.
    absent: BTreeSet<String>,
    /// Splits that others hold in their stead.
    stood_in: usize,
}

/// Puts scenes into a collection through a node; all of it has to be acknowledged.
fn put(node: &Node, folder: &Path, scenes: &Path, collection: &str) -> Told {
    let how = ["ingest", "--precision", "6", "-o", "ndjson", "--collection"];
    let mut ingest = node.ask(folder);
    ingest.args(how).arg(collection).arg(scenes);
    let mut told = Told::default();
    for split in ndjson(&expect(&mut ingest, 0)) {
        told.acked.insert(split["id"].as_str().unwrap().to_owned());
        let names = |key: &str| -> Vec<String> {
            let listed = split[key].as_array().into_iter().flatten();
            listed.map(|v| v.as_str().unwrap().to_owned()).collect()
        };
        told.stood_in += usize::from(!names("standins").is_empty());
        told.absent.extend(names("owners_absent"));
    }
    assert!(!told.acked.is_empty());
    told
}

/// Starts a node again where it was.
fn again(folder: &Path, nodes: &mut [Node], at: usize) {
    let (p2p, http) = (nodes[at].p2p.clone(), nodes[at].http.replace("http://", ""));
    let same = ["--listen", p2p.as_str(), "--http", http.as_str()];
    nodes[at] = Node::start(folder, &format!("node{at}"), &same);
    let id = nodes[at].id.clone();
    until("all see it again", || {
        nodes.iter().all(|node| node.states(folder)[&id] == "up")
    });
}

/// Waits until a node says that it tells all, and checks that it does.
fn tells_all(what: &str, (folder, node): (&Path, &Node), acked: &BTreeSet<String>) {
    let mut found = BTreeSet::new();
    until(&format!("{what}: the answer is complete"), || {
        let answer = told(&mut node.ask(folder));
        found = answer
            .as_ref()
            .map(|(all, _)| all.clone())
            .unwrap_or_default();
        answer.is_some_and(|(_, complete)| complete)
    });
    let lost: Vec<_> = acked.difference(&found).collect();
    assert!(lost.is_empty(), "{what}: {lost:?} are lacking");
}

#[test]
fn others_stand_in_for_a_node_whose_disk_is_full_until_it_has_room_again() {
    let folder = scratch();
    let folder = folder.path();
    let Some(bay) = Bay::new(folder) else { return };
    let disk = disk(&bay, folder, FULL);
    let scenes = world(folder, 1, 1, 600);
    let mut nodes = cluster(folder, 3, 2);
    let full = BTreeSet::from([nodes[FULL].id.clone()]);
    let before = put(&nodes[0], folder, &scenes, "before");
    assert_eq!(before.stood_in, 0, "{:?}", before.absent);
    let mut acked = before.acked;
    disk.fill();

    // Whoever is asked: the full node itself has others hold what it cannot.
    for (at, collection) in [(0, "during"), (FULL, "there")] {
        let during = put(&nodes[at], folder, &scenes, collection);
        assert!(during.stood_in > 0, "the full node took it all");
        assert_eq!(during.absent, full, "asked at {at}");
        acked.extend(during.acked);
    }
    // Whoever asked it to keep something was told why it does not.
    let logs = (0..nodes.len()).map(|i| folder.join(format!("node{i}.log")));
    let logs: String = logs
        .map(|log| std::fs::read_to_string(log).unwrap())
        .collect();
    let why = format!("{}: no space left", nodes[FULL].id);
    assert!(logs.contains(&why), "{logs}");
    tells_all("full", (folder, &nodes[FULL]), &acked);
    let read =
        |at: usize, out: &str| images_of(|| nodes[at].ask(folder), &acked, &folder.join(out));
    let (here, there) = (read(0, "here"), read(FULL, "at-the-full-one"));
    assert_eq!(unlike(&here, &there), BTreeSet::new());

    // It starts again without a byte to spare.
    nodes[FULL].kill();
    until("the death is seen", || {
        nodes[0].states(folder)[&nodes[FULL].id] == "down"
    });
    again(folder, &mut nodes, FULL);
    tells_all("full, and started again", (folder, &nodes[FULL]), &acked);

    // With one more node away nobody can stand in.
    nodes[1].kill();
    until("the death is seen", || {
        nodes[0].states(folder)[&nodes[1].id] == "down"
    });
    let mut taken = BTreeSet::new();
    let code = put_noting(&mut nodes[0].ask(folder), &scenes, "refused", |id| {
        taken.insert(id);
    });
    assert_ne!(code, Some(0));
    assert!(taken.is_empty(), "on one disk alone: {taken:?}");
    again(folder, &mut nodes, 1);

    disk.ease();
    let mut after = Told::default();
    for turn in 0.. {
        after = put(&nodes[0], folder, &scenes, &format!("after{turn}"));
        acked.extend(after.acked.iter().cloned());
        if after.stood_in == 0 {
            break;
        }
        assert!(turn < 20, "it takes nothing: {:?}", after.absent);
    }
    assert_eq!(after.stood_in, 0);
    all_is_there(folder, &nodes, &acked);
    let whole = images_of(|| nodes[FULL].ask(folder), &acked, &folder.join("whole"));
    let same = here.iter().filter(|(name, bytes)| whole[*name] == **bytes);
    assert_eq!(same.count(), here.len());
}
