//! A node of a running cluster is given another weight or zone: it is started again with it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::{Node, cluster, expect, json, ndjson, scratch, stdout, until, world};

/// Slots of the ring.
const SLOTS: usize = 16_384;

/// What the layout says of each node.
#[derive(Debug)]
struct Standing {
    id: String,
    weight: u64,
    zone: Option<String>,
}

/// The layout, as a node tells it.
#[derive(Debug)]
struct Layout {
    nodes: Vec<Standing>,
    /// Slot → owners, as indexes into `nodes`.
    slots: Vec<Vec<usize>>,
}

impl Layout {
    fn of(node: &Node, folder: &Path) -> Self {
        let view = json(node, folder, &["cluster", "show"]);
        let standing = |node: &serde_json::Value| Standing {
            id: node["id"].as_str().unwrap().to_owned(),
            weight: node["weight"].as_u64().unwrap(),
            zone: node["zone_label"].as_str().map(str::to_owned),
        };
        let owners = |slot: &serde_json::Value| -> Vec<usize> {
            let owners = slot.as_array().unwrap().iter();
            owners
                .map(|i| usize::try_from(i.as_u64().unwrap()).unwrap())
                .collect()
        };
        Self {
            nodes: { view["nodes"].as_array().unwrap().iter() }
                .map(standing)
                .collect(),
            slots: { view["slots"].as_array().unwrap().iter() }
                .map(owners)
                .collect(),
        }
    }

    fn node(&self, id: &str) -> &Standing {
        self.nodes.iter().find(|node| node.id == id).unwrap()
    }

    /// Slots that a node owns.
    fn owned(&self, id: &str) -> usize {
        let of = |slot: &&Vec<usize>| slot.iter().any(|i| self.nodes[*i].id == id);
        self.slots.iter().filter(of).count()
    }

    /// Zones in which a slot's owners stand.
    fn zones(&self, slot: &[usize]) -> BTreeSet<Option<&str>> {
        let zones = slot.iter().map(|i| self.nodes[*i].zone.as_deref());
        zones.collect()
    }
}

/// Stops a node and starts it again, with more words, where it was.
fn again(folder: &Path, nodes: &mut [Node], at: usize, more: &[&str]) {
    let (p2p, http) = (nodes[at].p2p.clone(), nodes[at].http.replace("http://", ""));
    assert!(nodes[at].stop());
    let same = ["--listen", p2p.as_str(), "--http", http.as_str()];
    let name = format!("node{at}");
    nodes[at] = Node::start(folder, &name, &[&same, more].concat());
}

/// Puts scenes into a collection and returns the ids of their splits.
fn put(node: &Node, folder: &Path, scenes: &Path, collection: &str) -> BTreeSet<String> {
    let words = ["ingest", "--precision", "6", "-o", "ndjson", "--collection"];
    let mut ingest = node.ask(folder);
    ingest.args(words).arg(collection).arg(scenes);
    let told = ndjson(&expect(&mut ingest, 0)).into_iter();
    told.map(|split| split["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until all nodes agree that nothing moves any more; checks that all of it is there.
fn all_is_on_its_owners(folder: &Path, nodes: &[Node], acked: &BTreeSet<String>) {
    until("nothing moves", || {
        nodes.iter().all(|node| {
            let view = json(node, folder, &["cluster", "show"]);
            view["settled"] == true && view["version"] == view["newest"]
        })
    });
    until("everything is on its owners", || {
        let verify = nodes[1].ask(folder).args(["cluster", "verify"]).output();
        verify.unwrap().status.success()
    });
    for node in nodes {
        let told = expect(node.ask(folder).args(["search", "-o", "id"]), 0);
        let found: BTreeSet<String> = stdout(&told).lines().map(str::to_owned).collect();
        assert_eq!(found, *acked, "{}", node.id);
    }
}

#[test]
fn a_node_started_again_with_another_weight_takes_its_share_and_nothing_is_lost() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 600);
    let mut nodes = cluster(folder, 4, 2);
    let mut acked = put(&nodes[0], folder, &scenes, "before");
    let id = nodes[3].id.clone();
    let equal = Layout::of(&nodes[0], folder).owned(&id);
    // Two of eight parts are its: each slot has two owners.
    assert!(equal.abs_diff(SLOTS / 2) < SLOTS / 50, "{equal}");

    again(folder, &mut nodes, 3, &["--weight", "2"]);
    // While data may still be on its way.
    acked.extend(put(&nodes[0], folder, &scenes, "meanwhile"));
    all_is_on_its_owners(folder, &nodes, &acked);
    let layout = Layout::of(&nodes[0], folder);
    assert_eq!(layout.node(&id).weight, 2);
    // Four of ten parts.
    let more = layout.owned(&id);
    assert!(more.abs_diff(SLOTS * 4 / 5) < SLOTS / 50, "{more}");

    // What it is not told stays as it is.
    again(folder, &mut nodes, 3, &[]);
    all_is_on_its_owners(folder, &nodes, &acked);
    let same = Layout::of(&nodes[0], folder);
    assert_eq!(same.node(&id).weight, 2);
    assert_eq!(same.slots, layout.slots, "nothing moves for a mere restart");

    again(folder, &mut nodes, 3, &["--weight", "1"]);
    all_is_on_its_owners(folder, &nodes, &acked);
    let back = Layout::of(&nodes[0], folder).owned(&id);
    assert!(back.abs_diff(SLOTS / 2) < SLOTS / 50, "{back}");
}

#[test]
fn nodes_started_again_with_zones_keep_the_replicas_of_each_slot_in_two_of_them() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 600);
    let mut nodes = cluster(folder, 4, 2);
    let acked = put(&nodes[0], folder, &scenes, "c");
    for (at, zone) in ["north", "north", "south", "south"].iter().enumerate() {
        again(folder, &mut nodes, at, &["--zone-label", zone]);
        until("the others know where it stands", || {
            let id = &nodes[at].id;
            nodes.iter().all(|node| {
                let layout = Layout::of(node, folder);
                layout.node(id).zone.as_deref() == Some(*zone)
            })
        });
    }
    all_is_on_its_owners(folder, &nodes, &acked);
    let layout = Layout::of(&nodes[0], folder);
    let both = BTreeSet::from([Some("north"), Some("south")]);
    let apart = |slot: &&Vec<usize>| layout.zones(slot) == both;
    assert_eq!(layout.slots.iter().filter(apart).count(), SLOTS);
}
