//! The power fails at every step of putting, overwriting and deleting.
//!
//! *Invariants*: what was acknowledged before the cut is there after it, byte for byte; of what was
//! under way either all or nothing is; whatever is listed can be read.
//!
//! *Not here*: processes that are killed while the disk lives on (`tests/local/crash.rs`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use earth::split::placement::PlacementKey;
use wire::bundle::Kind;

use super::disk::Disk;
use super::model_disk::ModelDisk;
use super::{Object, ObjectFile, ObjectKey, PutMode, Store};
use crate::simulate::dice::Dice;
use crate::slots::SlotSet;

/// Steps of the program: each a put, an overwriting or a deletion.
const STEPS: u64 = 40;
/// Distinct objects: few, so that they are overwritten and deleted often.
const CELLS: u64 = 6;
/// Power cuts at least tried.
const CUTS_MIN: u64 = 10_000;

/// What a step leaves of its object.
type Held = Option<(u32, Vec<u8>)>;

fn key(n: u64) -> ObjectKey {
    ObjectKey::new(Kind::Model, format!("r/c{}", n % CELLS))
}

/// What step `n` puts; a tombstone every fifth.
fn object(n: u64) -> Object {
    let geocode = format!("c{}", n % CELLS);
    let placement_key = PlacementKey::named("test", &geocode);
    if n % 5 == 4 {
        return Object::tombstone(key(n), placement_key);
    }
    let config = format!(r#"{{"run":"r","geocode":"{geocode}","step":{n}}}"#);
    let file = |name: &str, bytes: Vec<u8>| ObjectFile {
        name: name.to_owned(),
        bytes: Bytes::from(bytes),
    };
    let weights = n
        .to_le_bytes()
        .repeat(100 + usize::try_from(n % 3).unwrap() * 80);
    Object {
        key: key(n),
        placement_key,
        files: vec![
            file("config.json", config.into_bytes()),
            file("model.safetensors", weights),
        ],
    }
}

fn open(disk: &ModelDisk) -> Store {
    Store::open_on(Arc::new(disk.clone()), Path::new("/d"), 0).unwrap()
}

/// Does all steps; returns after how many events each was acknowledged.
fn run(disk: &ModelDisk) -> Vec<usize> {
    let store = open(disk);
    let mut acked = Vec::new();
    for n in 0..STEPS {
        // Each step gets a revision of its own, as `replicate` chooses it.
        let revision = u32::try_from(n).unwrap() + 1;
        store.put(&object(n), PutMode::Replica(revision)).unwrap();
        acked.push(disk.events());
    }
    acked
}

/// What each object is after so many steps.
fn after(steps: u64) -> BTreeMap<ObjectKey, Held> {
    let mut held = BTreeMap::new();
    for n in 0..steps {
        let object = object(n);
        let revision = u32::try_from(n).unwrap() + 1;
        let weights = object.files.last().map(|f| f.bytes.to_vec());
        held.insert(key(n), Some((revision, weights.unwrap_or_default())));
    }
    held
}

fn held(store: &Store, key: &ObjectKey) -> Held {
    let (record, object) = store.object(key).ok()?;
    let weights = object.files.iter().find(|f| f.name == "model.safetensors");
    let weights = weights.map(|f| f.bytes.to_vec()).unwrap_or_default();
    Some((record.revision, weights))
}

/// Checks what a cut left after so many acknowledged steps.
fn check(left: &ModelDisk, acked: u64, what: &str) {
    let store = open(left);
    let before = after(acked);
    let next = after((acked + 1).min(STEPS));
    for n in 0..CELLS {
        let key = key(n);
        let found = held(&store, &key);
        let expected = before.get(&key).cloned().flatten();
        let under_way = next.get(&key).cloned().flatten();
        assert!(
            found == expected || found == under_way,
            "{key} after step {acked}, {what}: revision {:?}, not {:?}",
            found.map(|f| f.0),
            expected.map(|f| f.0)
        );
    }
    for listed in store.list(Kind::Model, &SlotSet::all()).unwrap() {
        store.verify(&listed.key).unwrap();
    }
}

#[test]
fn whatever_was_acknowledged_survives_a_power_cut_at_every_step() {
    let disk = ModelDisk::recording();
    let acked = run(&disk);
    let events = disk.events() as u64;
    let variants = CUTS_MIN.div_ceil(events).max(2);
    let mut replay = disk.replay();
    let mut cuts = 0;
    let mut done = 0;
    let mut event = 0;
    while let Some(state) = replay.step() {
        event += 1;
        done += acked[done..].iter().take_while(|at| **at <= event).count();
        for variant in 0..variants {
            let mut dice = Dice::new(event as u64 * 1_000 + variant);
            let left = ModelDisk::after(state, &mut dice);
            let what = format!("cut {variant} after event {event}");
            check(&left, done as u64, &what);
            if variant == 0 {
                // The power fails again while the node starts.
                check(&left.cut(&mut dice), done as u64, &format!("{what}, twice"));
            }
            cuts += 1;
        }
    }
    assert!(cuts >= CUTS_MIN, "{cuts} power cuts");
}

#[test]
fn a_store_whose_put_failed_at_any_step_lets_go_of_its_disk() {
    for events in 0_u64.. {
        let disk = ModelDisk::new();
        let held: Arc<dyn Disk> = Arc::new(disk.clone());
        let store = Store::open_on(Arc::clone(&held), Path::new("/d"), 0).unwrap();
        disk.fail_after(events, Dice::new(events));
        let put = store.put(&object(0), PutMode::Keep);
        drop(store);
        assert_eq!(Arc::strong_count(&held), 1, "after {events} events");
        if put.is_ok() {
            assert!(events > 5, "{events}");
            return;
        }
    }
}
