//! Splits are found by predicate, page by page, before and after the index is remade.

use std::fs;

use node::store::{PutMode, Store};
use query::index::Turn;
use query::model::{Range, TimeRange};
use query::page::Order;
use query::predicate::Predicate;
use query::slots::SlotSet;
use query::{Query, SortKey, SortOrder};

use crate::fixture::splits;

/// Finds ids, a page of `rows_max` at a time.
fn find(store: &Store, query: &Query, slots: &SlotSet, rows_max: usize) -> Vec<String> {
    let predicate = Predicate::compile(query).unwrap();
    let order = Order::new(&query.sort);
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let turn = Turn {
            slots,
            order: &order,
            after: after.as_ref(),
            rows_max,
        };
        let page = store.query(&predicate, &turn).unwrap();
        assert!(page.hits.len() <= rows_max);
        ids.extend(page.hits.iter().map(|(_, record)| record.key.id.clone()));
        match page.next {
            Some(next) => after = Some(next),
            None => return ids,
        }
    }
}

/// Each question with how many of the small splits answer it.
fn questions() -> Vec<(Query, usize)> {
    let geocodes = |codes: &[&str]| codes.iter().map(|c| (*c).to_owned()).collect();
    let range = |min, max| Range { min, max };
    let all = Query::default;
    vec![
        (all(), 5),
        (
            Query {
                geocodes: geocodes(&["9xj5k"]),
                ..all()
            },
            3,
        ),
        (
            Query {
                geocodes: geocodes(&["9xj5k"]),
                exact: true,
                ..all()
            },
            0,
        ),
        (
            Query {
                scenes: vec!["s2".to_owned()],
                ..all()
            },
            2,
        ),
        (
            Query {
                cloud: range(None, Some(10.0)),
                ..all()
            },
            2,
        ),
        (
            Query {
                cloud: range(Some(40.0), None),
                ..all()
            },
            2,
        ),
        (
            Query {
                coverage: range(Some(50.0), Some(99.0)),
                ..all()
            },
            1,
        ),
        (
            Query {
                time: TimeRange {
                    start: Some("2019-08-01T10:00:00.4Z".parse().unwrap()),
                    end: None,
                },
                ..all()
            },
            2,
        ),
        (
            Query {
                collections: vec!["other".to_owned()],
                ..all()
            },
            0,
        ),
    ]
}

fn answers(store: &Store) -> Vec<Vec<String>> {
    let all = SlotSet::all();
    let find = |(query, count): &(Query, usize)| {
        let ids = find(store, query, &all, 100);
        assert_eq!(ids.len(), *count, "{query:?}");
        ids
    };
    questions().iter().map(find).collect()
}

fn filled(dir: &std::path::Path) -> Store {
    let store = Store::open(dir).unwrap();
    for split in splits() {
        store.put(&split, PutMode::Keep).unwrap();
    }
    store
}

#[test]
fn each_predicate_finds_what_it_says_live_reopened_and_remade() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let live = answers(&store);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(answers(&store), live);
    store.rebuild_index().unwrap();
    assert_eq!(answers(&store), live);
    drop(store);
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.rebuild_index().unwrap();
    assert_eq!(answers(&store), live);
}

#[test]
fn pages_of_any_size_give_the_same_answer_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let query = Query {
        sort: vec![SortOrder {
            key: SortKey::Cloud,
            descending: true,
        }],
        ..Query::default()
    };
    let whole = find(&store, &query, &SlotSet::all(), 100);
    assert_eq!(whole[0], "small/s1~9xj5m1");
    assert_eq!(whole[4], "small/s2~9xj5k1");
    for rows_max in 1..6 {
        assert_eq!(find(&store, &query, &SlotSet::all(), rows_max), whole);
    }
}

#[test]
fn only_the_slots_asked_for_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let split = &splits()[4];
    let slots: SlotSet = [split.slot()].into_iter().collect();
    let found = find(&store, &Query::default(), &slots, 10);
    assert_eq!(found, std::slice::from_ref(&split.key.id));
    assert!(find(&store, &Query::default(), &SlotSet::none(), 10).is_empty());
    let stats = store.stats(&slots).unwrap();
    assert_eq!((stats.splits, stats.splits_in_slots), (5, 1));
}

#[test]
fn a_deleted_split_is_found_no_more_and_can_return() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let split = &splits()[0];
    store.delete(&split.key).unwrap();
    let all = SlotSet::all();
    assert_eq!(find(&store, &Query::default(), &all, 10).len(), 4);
    store.put(split, PutMode::Keep).unwrap();
    assert_eq!(find(&store, &Query::default(), &all, 10).len(), 5);
}

#[test]
fn a_split_whose_file_was_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut split = splits().remove(0);
    let mut bytes = split.files[0].bytes.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    split.files[0].bytes = bytes.into();
    assert!(store.put(&split, PutMode::Keep).is_err());
    let mut renamed = splits().remove(0);
    renamed.key.id = "small/s1~9xj5k2".to_owned();
    assert!(store.put(&renamed, PutMode::Keep).is_err());
}
