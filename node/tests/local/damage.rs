//! An index of which a byte was flipped, and puts that share commits.

use std::fs;
use std::sync::Arc;

use node::store::{PutMode, Store};
use query::Query;
use query::index::Turn;
use query::page::Order;
use query::predicate::Predicate;
use query::slots::SlotSet;
use wire::bundle::Kind;

use crate::fixture::splits;

/// Bytes flipped, each in a copy of its own.
const FLIPS: usize = 48;

#[test]
fn a_flipped_byte_of_the_index_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for object in splits() {
        store.put(&object, PutMode::Keep).unwrap();
    }
    drop(store);
    let index = dir.path().join("index.redb");
    let whole = fs::read(&index).unwrap();
    // Where there is something: pages of zeros hold nothing to flip.
    let used: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] != 0).collect();
    for n in 0..FLIPS {
        let at = used[(n * 7_919 + n * n) % used.len()];
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (n % 8);
        fs::write(&index, bytes).unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.reconcile().unwrap();
        let held = store.list(Kind::Split, &SlotSet::all()).unwrap();
        assert_eq!(held.len(), 5, "byte {at}");
        for object in splits() {
            let (_, found) = store.object(&object.key).unwrap();
            assert_eq!(found.files, object.files, "byte {at}");
        }
        assert_eq!(found_by_query(&store), 5, "byte {at}");
    }
}

fn found_by_query(store: &Store) -> usize {
    let predicate = Predicate::compile(&Query::default()).unwrap();
    let (slots, order) = (SlotSet::all(), Order::new(&[]));
    let turn = Turn {
        slots: &slots,
        order: &order,
        after: None,
        rows_max: 100,
    };
    store.query(&predicate, &turn).unwrap().hits.len()
}

#[test]
fn puts_at_the_same_time_share_commits() {
    const THREADS: usize = 16;
    const PUTS: usize = 12;
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let object = |thread: usize, n: usize| {
        let name = format!("t{thread}n{n}");
        let text = format!(
            r#"{{"name":"{name}","dataset":"generic","scheme":"geohash","precision":5,"placement":"whole"}}"#
        );
        node::store::Object {
            key: node::store::ObjectKey::new(Kind::Collection, &name),
            placement_key: earth::split::placement::PlacementKey::named("collection", &name),
            files: vec![node::store::ObjectFile {
                name: "collection.json".to_owned(),
                bytes: text.into(),
            }],
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                for n in 0..PUTS {
                    store.put(&object(thread, n), PutMode::Keep).unwrap();
                }
            });
        }
    });
    let held = store.list(Kind::Collection, &SlotSet::all()).unwrap();
    assert_eq!(held.len(), THREADS * PUTS);
    let commits = store.commits();
    eprintln!("{} puts shared {commits} commits", THREADS * PUTS);
    assert!(commits <= (THREADS * PUTS) as u64 * 3 / 4, "{commits}");
}
