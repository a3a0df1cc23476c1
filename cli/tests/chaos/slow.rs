//! An owner that takes nothing in, or little: who puts holds back, and all is put in the end.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use earth::geocode::Scheme;
use earth::split::collection::Collection;
use earth::split::placement::{PlacementKey, PlacementRule};
use futures::future::join_all;
use wire::bundle::{Bundle, Kind};
use wire::client::{Client, ClientOptions};
use wire::fault::FaultKind;
use wire::object::{PutAck, PutParams};

use crate::harness::{Node, cluster, json, scratch, until, world};
use crate::lab::{Lab, has};
use crate::partitions::{self, all_is_there};
use crate::suspicion::signal;
use crate::users::{at_rest, put, verified};

/// Objects that are put at once, and bytes of each: two and a half times what a node takes in at a
/// time (256 MiB).
const OBJECTS: usize = 80;
const OBJECT_BYTES: usize = 8 << 20;
/// What a node may grow by meanwhile: what it takes in at a time, what is on its way to two others
/// (32 MiB each), and 192 MiB that connections and the allocator keep; 306 to 408 MiB were seen.
const GROWN_MAX: u64 = 512 << 20;
/// What passes a narrow line: 64 KiB a second.
const NARROW: &str = "524288bit";
/// What an ingest with an owner behind it may make a node grow by: four splits at a time are a
/// megabyte.
const GROWN_BY_SPLITS_MAX: u64 = 64 << 20;
/// Pixels of a scene's side: some dozens of splits, each of which takes a narrow line a second.
const SIDE: u32 = 400;

/// An object whose name is all that tells it from the others.
fn heavy(number: usize, ballast: Bytes) -> Bundle {
    let name = format!("heavy{number}");
    let collection = Collection {
        name: name.clone(),
        dataset: "generic".to_owned(),
        scheme: Scheme::Geohash,
        precision: 6,
        placement: PlacementRule::Whole,
    };
    let about = serde_json::to_vec(&collection).unwrap();
    let files = vec![
        ("collection.json".to_owned(), about.into()),
        ("ballast.bin".to_owned(), ballast),
    ];
    let key = PlacementKey::named("collection", &name);
    Bundle::new(Kind::Collection, name, key, files).unwrap()
}

/// Puts all heavy objects through a node at once; returns what it acknowledged.
fn flood(node: &Node) -> Vec<PutAck> {
    let client = Client::new(&node.http, ClientOptions::default()).unwrap();
    let ballast = Bytes::from(vec![7; OBJECT_BYTES]);
    let puts = (0..OBJECTS).map(|number| {
        let (client, bundle) = (client.clone(), heavy(number, ballast.clone()));
        // Some may be refused, so many are told at once of the one that takes nothing in.
        async move {
            loop {
                match client.put(&bundle, &PutParams::default()).await {
                    Ok(ack) => return ack,
                    Err(fault) => assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}"),
                }
            }
        }
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(join_all(puts))
}

/// Names of the collections that a node tells.
fn collections(node: &Node, folder: &Path) -> BTreeSet<String> {
    let told = json(node, folder, &["collection", "list"]);
    let told = told["collections"].as_array().unwrap().iter();
    let name = |collection: &serde_json::Value| collection["name"].as_str().unwrap().to_owned();
    told.map(name).collect()
}

#[test]
fn a_node_whose_peer_takes_nothing_in_holds_no_more_than_it_takes_in_at_a_time() {
    let folder = scratch();
    let folder = folder.path();
    // Everything belongs to the one that is stopped, too.
    let nodes = cluster(folder, 3, 3);
    let before = nodes[0].peak();
    // Its connections stay open and take bytes until buffers are full.
    signal(&nodes[2], "-STOP");
    let began = Instant::now();
    let acks = flood(&nodes[0]);
    let took = began.elapsed();
    signal(&nodes[2], "-CONT");
    let grown = nodes[0].peak() - before;
    eprintln!(
        "{OBJECTS} objects of {} MiB put in {took:?} while an owner takes nothing in: the node \
         grew by {} MiB",
        OBJECT_BYTES >> 20,
        grown >> 20
    );
    assert!(grown <= GROWN_MAX, "{} MiB", grown >> 20);
    assert!(acks.iter().all(|ack| ack.acked_by.len() > 1), "{acks:?}");
    let acked: BTreeSet<String> = acks.into_iter().map(|ack| ack.id).collect();
    assert_eq!(acked.len(), OBJECTS);
    until("everything is on its owners", || {
        verified(folder, &nodes[0])
    });
    for node in &nodes {
        assert_eq!(collections(node, folder), acked, "{}", node.id);
    }
}

#[test]
fn an_ingest_with_an_owner_behind_a_narrow_line_ends_and_nothing_is_lost() {
    if !has("tc") {
        return;
    }
    let Some(lab) = Lab::new(3) else { return };
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, SIDE);
    let nodes = partitions::cluster(&lab, folder, (3, 2));
    lab.narrow(2, NARROW);
    let before = nodes[0].peak();
    let began = Instant::now();
    let (acked, code) = put(&mut nodes[0].ask(folder), &scenes, "c");
    let took = began.elapsed();
    let grown = nodes[0].peak() - before;
    eprintln!(
        "{} splits put in {took:?} with an owner behind {NARROW}/s: the node grew by {} MiB",
        acked.len(),
        grown >> 20
    );
    assert_eq!(code, Some(0), "it ends");
    assert!(acked.len() > 10, "{}", acked.len());
    assert!(grown <= GROWN_BY_SPLITS_MAX, "{} MiB", grown >> 20);
    until("nothing is on its way", || {
        nodes.iter().all(|node| at_rest(folder, node))
    });
    all_is_there(folder, &nodes, &acked);
}
