//! The store as its callers see it: what is acknowledged stays, what is wrong is refused.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use earth::split::placement::PlacementKey;
use node::store::{Object, ObjectFile, ObjectKey, PutMode, Store, StoreError};
use query::slots::SlotSet;
use wire::bundle::Kind;
use wire::object::PutOutcome;

use crate::fixture::splits;

fn file(name: &str, bytes: impl Into<Bytes>) -> ObjectFile {
    ObjectFile {
        name: name.to_owned(),
        bytes: bytes.into(),
    }
}

fn model(geocode: &str, weights: &[u8]) -> Object {
    let config = format!(r#"{{"run":"r","geocode":"{geocode}"}}"#);
    Object {
        key: ObjectKey::new(Kind::Model, format!("r/{geocode}")),
        placement_key: PlacementKey::named("test", geocode),
        files: vec![
            file("config.json", config),
            file("model.safetensors", weights.to_vec()),
        ],
    }
}

fn collection(name: &str) -> Object {
    let text = format!(
        r#"{{"name":"{name}","dataset":"generic","scheme":"geohash","precision":5,"placement":"whole"}}"#
    );
    Object {
        key: ObjectKey::new(Kind::Collection, name),
        placement_key: PlacementKey::named("collection", name),
        files: vec![file("collection.json", text)],
    }
}

fn objects() -> Vec<Object> {
    let cells = ["9xj5k", "9xj5m", "u2ed1", "gcpvj"];
    let mut all: Vec<Object> = cells.iter().map(|c| model(c, c.as_bytes())).collect();
    all.extend(["a", "b"].map(collection));
    all.extend(splits());
    all
}

/// Everything that can be asked of the records, as one value.
fn listing(store: &Store) -> Vec<String> {
    let kinds = [
        Kind::Split,
        Kind::Model,
        Kind::Run,
        Kind::Ledger,
        Kind::Collection,
    ];
    let mut all = Vec::new();
    for kind in kinds {
        let held = store.list(kind, &SlotSet::all()).unwrap();
        let records = store.records_of(kind, &SlotSet::all()).unwrap();
        all.extend(held.iter().map(|h| format!("{h:?}")));
        all.extend(records.iter().map(|r| format!("{r:?}")));
    }
    all
}

fn only_file(dir: &Path, name: &str) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|n| n == name) {
                found.push(path);
            }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_was_put_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for object in objects() {
        assert_eq!(
            store.put(&object, PutMode::Keep).unwrap().outcome,
            PutOutcome::New
        );
    }
    let before = listing(&store);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(listing(&store), before);
    for object in objects() {
        let (record, mut found) = store.object(&object.key).unwrap();
        found.files.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(found, object);
        assert_eq!(record.bytes(), object.bytes());
    }
}

#[test]
fn the_first_content_wins_until_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (first, second) = (model("9xj5k", b"first"), model("9xj5k", b"second"));
    let outcome = |object, mode| store.put(object, mode).unwrap().outcome;
    let weights = || store.file(&first.key, "model.safetensors").unwrap();
    assert_eq!(outcome(&first, PutMode::Keep), PutOutcome::New);
    assert_eq!(outcome(&first, PutMode::Keep), PutOutcome::Same);
    assert_eq!(outcome(&second, PutMode::Keep), PutOutcome::Kept);
    assert_eq!(weights(), "first");
    assert_eq!(outcome(&second, PutMode::Overwrite), PutOutcome::New);
    assert_eq!(weights(), "second");
    let record = store.record(&first.key).unwrap().unwrap();
    assert_eq!(record.revision, 2);
    assert_eq!(store.list(Kind::Model, &SlotSet::all()).unwrap().len(), 1);
}

#[test]
fn replicas_converge_in_whatever_order_contents_arrive() {
    let contents = [(1, "a"), (1, "b"), (2, "c"), (2, "d")];
    let mut ends = Vec::new();
    for turn in 0..contents.len() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for i in 0..contents.len() {
            let (revision, text) = contents[(i + turn) % contents.len()];
            let object = model("9xj5k", text.as_bytes());
            store.put(&object, PutMode::Replica(revision)).unwrap();
        }
        ends.push(listing(&store));
    }
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:#?}");
}

#[test]
fn an_index_made_from_the_files_equals_the_live_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for object in objects() {
        store.put(&object, PutMode::Keep).unwrap();
    }
    let newer = model("9xj5m", b"newer");
    store.put(&newer, PutMode::Overwrite).unwrap();
    assert!(store.delete(&objects()[0].key).unwrap());
    assert!(!store.delete(&objects()[0].key).unwrap());
    let live = listing(&store);
    let done = store.rebuild_index().unwrap();
    assert_eq!((done.objects, done.left_out), (10, Vec::new()));
    assert_eq!(listing(&store), live);
    drop(store);
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.rebuild_index().unwrap().objects, 10);
    assert_eq!(listing(&store), live);
}

#[test]
fn a_flipped_bit_in_a_file_is_never_served() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let object = model("9xj5k", b"weights");
    store.put(&object, PutMode::Keep).unwrap();
    flip(&only_file(dir.path(), "model.safetensors"), 3);
    let answer = store.file(&object.key, "model.safetensors");
    assert!(
        matches!(answer, Err(StoreError::Corrupt { .. })),
        "{answer:?}"
    );
    assert!(store.verify(&object.key).is_err());
    let done = store.rebuild_index().unwrap();
    assert_eq!((done.objects, done.left_out.len()), (0, 1));
    store.put(&object, PutMode::Heal(1)).unwrap();
    assert_eq!(
        store.file(&object.key, "model.safetensors").unwrap(),
        "weights"
    );
}

#[test]
fn a_corrupt_file_is_healed_without_a_new_revision() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let object = model("9xj5k", b"weights");
    store.put(&object, PutMode::Keep).unwrap();
    let before = listing(&store);
    fs::remove_file(only_file(dir.path(), "model.safetensors")).unwrap();
    assert!(store.verify(&object.key).is_err());
    store.put(&object, PutMode::Heal(1)).unwrap();
    store.verify(&object.key).unwrap();
    assert_eq!(listing(&store), before);
}

#[test]
fn a_damaged_index_is_remade_from_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for object in objects() {
        store.put(&object, PutMode::Keep).unwrap();
    }
    let live = listing(&store);
    drop(store);
    let path = dir.path().join("index.redb");
    let whole = fs::read(&path).unwrap();
    // Every place that holds a record's text, one flip at a time.
    let needle = b"9xj5k";
    let places = whole.windows(needle.len()).enumerate();
    let places: Vec<usize> = places
        .filter(|(_, w)| *w == needle)
        .map(|(i, _)| i)
        .collect();
    assert!(
        places.len() > 3,
        "the index names the cell in several tables"
    );
    for place in places {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(listing(&store), live, "flipped at {place}");
    }
    fs::write(&path, b"no database at all").unwrap();
    assert_eq!(listing(&Store::open(dir.path()).unwrap()), live);
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(listing(&Store::open(dir.path()).unwrap()), live);
}

#[test]
fn a_full_disk_is_refused_with_its_reason_and_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let object = model("9xj5k", b"weights");
    store.put(&object, PutMode::Keep).unwrap();
    drop(store);
    let store = Store::open_with_reserve(dir.path(), u64::MAX).unwrap();
    let answer = store.put(&model("9xj5m", b"more"), PutMode::Keep);
    assert!(
        matches!(answer, Err(StoreError::NoSpace { .. })),
        "{answer:?}"
    );
    assert_eq!(
        store.file(&object.key, "model.safetensors").unwrap(),
        "weights"
    );
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn files_that_do_not_describe_their_object_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut wrong = model("9xj5k", b"weights");
    wrong.key.id = "r/9xj5m".to_owned();
    let answer = store.put(&wrong, PutMode::Keep);
    assert!(matches!(answer, Err(StoreError::Object(_))), "{answer:?}");
    assert_eq!(listing(&store), Vec::<String>::new());
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}
