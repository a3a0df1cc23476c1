//! Whole rows of an answer, at every node; and who is asked for them.
//!
//! *Invariants*: who is to be asked is worked out here, from the layout and the placement promise,
//! not from what the answer says.
//!
//! *Not here*: what a second loss means (`three_nodes`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use earth::geocode::{Geocode, Scheme};
use earth::split::placement::PlacementRule;
use serde_json::Value;

use crate::harness::{Node, cluster, expect, json, ndjson, scratch, stdout, until, world};

/// What geohash writes with.
const LETTERS: &str = "0123456789bcdefghjkmnpqrstuvwxyz";

/// All rows that a node tells, as it tells them.
fn rows(node: &Node, folder: &Path) -> Vec<Value> {
    ndjson(&expect(
        node.ask(folder).args(["search", "-o", "ndjson"]),
        0,
    ))
}

/// Puts scenes into a collection; returns the ids of their splits.
fn put(node: &Node, folder: &Path, scenes: &Path, collection: &str) -> BTreeSet<String> {
    let words = ["ingest", "--precision", "6", "-o", "ndjson", "--collection"];
    let mut ingest = node.ask(folder);
    let told = ndjson(&expect(ingest.args(words).arg(collection).arg(scenes), 0));
    let id = |split: &Value| split["id"].as_str().unwrap().to_owned();
    told.iter().map(id).collect()
}

#[test]
fn every_node_tells_the_same_rows_and_so_do_the_rest_when_one_is_lost() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 2, 600);
    let mut nodes = cluster(folder, 3, 3);
    let acked = put(&nodes[0], folder, &scenes, "c");
    let all = rows(&nodes[0], folder);
    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    let ids: Vec<String> = all.iter().map(id).collect();
    assert!(ids.len() > 20, "{} splits", ids.len());
    assert_eq!(ids, acked.into_iter().collect::<Vec<_>>(), "each once");
    assert_eq!(rows(&nodes[1], folder), all);
    assert_eq!(rows(&nodes[2], folder), all);
    let end = |node: &Node| json(node, folder, &["search"])["end"].clone();
    let version = end(&nodes[0])["layout_version"].clone();
    nodes[1].kill();
    let left = [&nodes[0], &nodes[2]];
    until("both others answer completely", || {
        let ends = left.map(|node| {
            let search = ["search", "-o", "id"];
            node.ask(folder).args(search).output().unwrap().status
        });
        ends.iter().all(std::process::ExitStatus::success)
    });
    for node in left {
        assert_eq!(rows(node, folder), all, "{}", node.id);
        let end = end(node);
        assert_eq!(end["complete"], true, "{end}");
        assert_eq!(end["layout_version"], version, "{end}");
        assert!(end["missing_slots"].as_array().is_none_or(Vec::is_empty));
    }
}

/// A cluster that keeps one replica, and who owns which slot.
struct Owned<'a> {
    folder: &'a Path,
    nodes: &'a [Node],
    owners: Vec<String>,
}

impl<'a> Owned<'a> {
    /// Reads the layout once nothing is on its way.
    fn of(folder: &'a Path, nodes: &'a [Node]) -> Self {
        let show = || json(&nodes[0], folder, &["cluster", "show"]);
        until("nothing is on its way", || {
            let view = show();
            let mut members = view["nodes"].as_array().unwrap().iter();
            view["settled"] == true && members.all(|node| node["to_hand_over"] == 0)
        });
        let view = show();
        let owner = |slot: &Value| {
            let [index] = &slot.as_array().unwrap()[..] else {
                panic!("one owner a slot: {slot}");
            };
            let index = usize::try_from(index.as_u64().unwrap()).unwrap();
            view["nodes"][index]["id"].as_str().unwrap().to_owned()
        };
        Self {
            folder,
            nodes,
            owners: view["slots"]
                .as_array()
                .unwrap()
                .iter()
                .map(owner)
                .collect(),
        }
    }

    /// Slots by owner, of the cells or the heads of cells that are hashed.
    fn slots(&self, keys: &BTreeSet<String>) -> BTreeMap<String, u64> {
        let slot = |key: &String| {
            let cell = Geocode::parse(Scheme::Geohash, key).unwrap();
            PlacementRule::Whole.key(&cell).slot().number()
        };
        let mut slots = BTreeMap::new();
        for slot in keys.iter().map(slot).collect::<BTreeSet<u16>>() {
            let owner = self.owners[usize::from(slot)].clone();
            *slots.entry(owner).or_default() += 1;
        }
        slots
    }

    /// Asserts that through every node the owners of these keys are asked for them, nobody else is,
    /// and all of `ids` are told.
    fn asks_only(&self, words: &[&str], keys: &BTreeSet<String>, ids: &BTreeSet<String>) {
        let wanted = self.slots(keys);
        for conduit in self.nodes {
            let answer = json(conduit, self.folder, &[&["search"][..], words].concat());
            let end = &answer["end"];
            assert_eq!(end["complete"], true, "{end}");
            assert_eq!(end["slots_asked"], wanted.values().sum::<u64>(), "{end}");
            let asked = end["asked"].as_array().unwrap().iter().map(|asked| {
                let node = asked["node"].as_str().unwrap().to_owned();
                (node, asked["slots"].as_u64().unwrap())
            });
            assert_eq!(asked.collect::<BTreeMap<_, _>>(), wanted, "{words:?}");
            let found = answer["hits"].as_array().unwrap().iter();
            let found = found.map(|hit| hit["id"].as_str().unwrap().to_owned());
            assert_eq!(found.collect::<BTreeSet<_>>(), *ids, "{words:?}");
        }
    }
}

/// Text of a box from a quarter into the first cell to a quarter before the end of the last.
fn within(first: &Value, last: &Value) -> String {
    let edge = |cell: &Value, side: usize| cell["bbox"][side].as_f64().unwrap();
    let wide = (edge(first, 2) - edge(first, 0)) / 4.0;
    let high = (edge(first, 3) - edge(first, 1)) / 4.0;
    format!(
        "{},{},{},{}",
        edge(first, 0) + wide,
        edge(first, 1) + high,
        edge(last, 2) - wide,
        edge(last, 3) - high
    )
}

/// A row whose cell's eastern neighbour is another's, and that.
fn neighbours(rows: &[Value]) -> (&Value, &Value) {
    let corner = |row: &Value, side: usize| row["bbox"][side].as_f64().unwrap().to_bits();
    let beside =
        |a: &Value, b: &Value| corner(a, 2) == corner(b, 0) && corner(a, 1) == corner(b, 1);
    let east = |a| Some((a, rows.iter().find(|b| beside(a, b))?));
    rows.iter().find_map(east).unwrap()
}

#[test]
fn a_box_and_a_prefix_ask_only_the_nodes_that_own_what_lies_there() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 600);
    let mut nodes = cluster(folder, 5, 1);
    put(&nodes[0], folder, &scenes, "apart");
    // Here neighbours lie together: five of six letters are hashed.
    let dataset = rows(&nodes[0], folder)[0]["dataset"].clone();
    let create = [
        "collection",
        "create",
        "near",
        "--dataset",
        dataset.as_str().unwrap(),
    ];
    let placed = ["--precision", "6", "--first", "5"];
    expect(nodes[0].ask(folder).args(create).args(placed), 0);
    put(&nodes[0], folder, &scenes, "near");
    let owned = Owned::of(folder, &nodes);
    let all = rows(&nodes[0], folder);
    let code = |row: &Value| row["geocode"].as_str().unwrap().to_owned();
    let of = |collection: &str, wanted: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        let inside = all.iter().filter(|row| row["collection"] == collection);
        let inside = inside.filter(|row| wanted(row["geocode"].as_str().unwrap()));
        inside
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    };

    let (west, east) = neighbours(&all);
    for cells in [[west, west], [west, east]] {
        let area = within(cells[0], cells[1]);
        let codes: BTreeSet<String> = cells.map(code).into();
        let inside = |code: &str| codes.contains(code);
        let words = ["--collection", "apart", "--bbox", &area];
        owned.asks_only(&words, &codes, &of("apart", &inside));
        let heads = codes.iter().map(|code| code[..5].to_owned()).collect();
        let words = ["--collection", "near", "--bbox", &area];
        owned.asks_only(&words, &heads, &of("near", &inside));
    }

    let head = code(west)[..5].to_owned();
    let inside = |code: &str| code.starts_with(&head);
    let cells = LETTERS.chars().map(|letter| format!("{head}{letter}"));
    let words = ["--collection", "apart", "--geocode", &head];
    owned.asks_only(&words, &cells.collect(), &of("apart", &inside));
    let words = ["--collection", "near", "--geocode", &head];
    let heads = BTreeSet::from([head.clone()]);
    let ids = of("near", &inside);
    owned.asks_only(&words, &heads, &ids);

    // Were the rest asked, too, the answer would lack what is theirs. A majority stays: it has to
    // say who holds what owners lack.
    let owner = owned.slots(&heads).into_keys().next().unwrap();
    let rest = nodes[1..].iter_mut().filter(|node| node.id != owner);
    rest.take(2).for_each(Node::kill);
    until("what they own is missing", || {
        let everything = nodes[0].ask(folder).arg("search").output().unwrap();
        everything.status.code() == Some(4)
    });
    let found = expect(
        nodes[0]
            .ask(folder)
            .arg("search")
            .args(words)
            .args(["-o", "id"]),
        0,
    );
    let found: BTreeSet<String> = stdout(&found).lines().map(str::to_owned).collect();
    assert_eq!(found, ids);
}
