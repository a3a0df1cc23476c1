//! The power fails at every step of putting, overwriting, deleting, healing and forgetting, and of
//! the start after that.
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
use super::model_disk::{Failing, ModelDisk, STEPS, Step, When};
use super::{Object, ObjectFile, ObjectKey, PutMode, Store, StoreError};
use crate::simulate::dice::Dice;
use crate::slots::SlotSet;

/// What the program does, one after the other.
const DEEDS: u64 = 40;
/// Distinct objects: few, so that they are overwritten and deleted often.
const CELLS: u64 = 6;
/// Power cuts at least tried.
const CUTS_MIN: u64 = 10_000;
/// Cuts at each step that has a name.
const CUTS_OF_STEP: u32 = 4;
/// Lives of a disk in which a step must be cut that often: what only a start after a cut takes is
/// rare.
const LIVES_MAX: u64 = 3_000;
/// Events within which the power fails before: about those of all deeds.
const EVENTS_MAX: u64 = 1_500;

/// What a deed leaves of its object: its revision and weights.
type Held = Option<(u32, Vec<u8>)>;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Put,
    Delete,
    /// What is held is written anew, as if it were harmed.
    Heal,
    Forget,
}

fn deed(n: u64) -> Deed {
    match n % 10 {
        4 => Deed::Delete,
        7 => Deed::Heal,
        5 | 9 => Deed::Forget,
        _ => Deed::Put,
    }
}

/// The object of deed `n`; what was just deleted is forgotten before anything else happens.
fn key(n: u64) -> ObjectKey {
    let n = if n % 10 == 5 { n - 1 } else { n };
    ObjectKey::new(Kind::Model, format!("r/c{}", n % CELLS))
}

/// What deed `n` puts: a tombstone, if it deletes.
fn object(n: u64) -> Object {
    let geocode = format!("c{}", n % CELLS);
    let placement_key = PlacementKey::named("test", &geocode);
    if deed(n) == Deed::Delete {
        return Object::tombstone(key(n), placement_key);
    }
    let config = format!(r#"{{"run":"r","geocode":"{geocode}","step":{n}}}"#);
    let file = |name: &str, bytes: Vec<u8>| ObjectFile {
        name: name.to_owned(),
        bytes: Bytes::from(bytes),
    };
    Object {
        key: key(n),
        placement_key,
        files: vec![
            file("config.json", config.into_bytes()),
            file("model.safetensors", weights(n)),
        ],
    }
}

fn weights(n: u64) -> Vec<u8> {
    let times = 100 + usize::try_from(n % 3).unwrap() * 80;
    n.to_le_bytes().repeat(times)
}

fn open(disk: &ModelDisk) -> Store {
    Store::open_on(Arc::new(disk.clone()), Path::new("/d"), 0).unwrap()
}

/// Does deed `n`.
fn act(store: &Store, n: u64) -> Result<(), StoreError> {
    // Each put gets a revision of its own, as `replicate` chooses it.
    let revision = u32::try_from(n).unwrap() + 1;
    match deed(n) {
        Deed::Put | Deed::Delete => store.put(&object(n), PutMode::Replica(revision)).map(drop),
        Deed::Heal => {
            let (record, object) = store.object(&key(n))?;
            let mode = PutMode::Heal(record.revision);
            store.put(&object, mode).map(drop)
        }
        Deed::Forget => match store.version(&key(n))? {
            Some(version) => store.forget(&key(n), version).map(drop),
            None => Ok(()),
        },
    }
}

/// Does everything; returns after how many events each deed was acknowledged.
fn run(disk: &ModelDisk) -> Vec<usize> {
    let store = open(disk);
    let mut acked = Vec::new();
    for n in 0..DEEDS {
        act(&store, n).unwrap();
        acked.push(disk.events());
    }
    acked
}

/// What each object is after so many deeds.
fn after(deeds: u64) -> BTreeMap<ObjectKey, Held> {
    let mut held = BTreeMap::new();
    for n in 0..deeds {
        let revision = u32::try_from(n).unwrap() + 1;
        let left = match deed(n) {
            Deed::Put => Some((revision, weights(n))),
            Deed::Delete => Some((revision, Vec::new())),
            Deed::Heal => continue,
            Deed::Forget => None,
        };
        held.insert(key(n), left);
    }
    held
}

fn held(store: &Store, key: &ObjectKey) -> Held {
    let (record, object) = store.object(key).ok()?;
    let weights = object.files.iter().find(|f| f.name == "model.safetensors");
    let weights = weights.map(|f| f.bytes.to_vec()).unwrap_or_default();
    Some((record.revision, weights))
}

/// Checks what a cut left after so many acknowledged deeds.
fn check(left: &ModelDisk, acked: u64, what: &str) {
    let store = open(left);
    // As a node does when it starts: what stands in its place is taken for acknowledged.
    store.reconcile().unwrap();
    let before = after(acked);
    let next = after((acked + 1).min(DEEDS));
    for n in 0..CELLS {
        let key = key(n);
        let found = held(&store, &key);
        let expected = before.get(&key).cloned().flatten();
        let under_way = next.get(&key).cloned().flatten();
        assert!(
            found == expected || found == under_way,
            "{key} after deed {acked}, {what}: revision {:?}, not {:?}",
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
        disk.fail(Failing::After(events), Dice::new(events));
        let put = store.put(&object(0), PutMode::Keep);
        drop(store);
        assert_eq!(Arc::strong_count(&held), 1, "after {events} events");
        if put.is_ok() {
            assert!(events > 5, "{events}");
            return;
        }
    }
}

/// The life of a disk: power cuts, starts and deeds in turn.
struct Life {
    disk: ModelDisk,
    /// Deeds that were acknowledged.
    acked: u64,
}

impl Life {
    /// Starts, and goes on with the deeds until the power fails, as told, or all are done; returns
    /// the step that was cut. What was acknowledged by then must be there.
    fn go_on(&mut self, failing: Failing, dice: &mut Dice, what: &str) -> Option<&'static Step> {
        self.disk.fail(failing, dice.fork());
        // A node compares folders and records as it starts.
        let started = Store::open_on(Arc::new(self.disk.clone()), Path::new("/d"), 0)
            .and_then(|store| store.reconcile().map(|_| store));
        if let Ok(store) = started {
            // Whoever was not answered does it again.
            while self.acked < DEEDS && act(&store, self.acked).is_ok() {
                self.acked += 1;
            }
        }
        let dark = self.disk.has_failed();
        assert!(dark || self.acked == DEEDS, "{what}: {} fails", self.acked);
        let step = self.disk.failed_at();
        if let Some(left) = self.disk.left() {
            self.disk = left;
        }
        self.disk.spare();
        // Looked at on a copy: what a start settles must be there for the next one to be cut.
        check(&self.disk.cut(dice), self.acked, what);
        step
    }
}

/// Lives until that step was cut as often as is wanted; returns how often it was.
fn cut_at(step: &'static Step) -> u32 {
    let mut cuts = 0;
    for seed in 0..LIVES_MAX {
        let mut dice = Dice::new(seed);
        let disk = ModelDisk::new();
        let mut life = Life { disk, acked: 0 };
        let what = format!("{}, life {seed}", step.word);
        if !Step::taken(When::First).contains(&step) {
            let before = Failing::After(dice.below(EVENTS_MAX));
            life.go_on(before, &mut dice, &what);
        }
        let cut = life.go_on(Failing::At(step), &mut dice, &what);
        cuts += u32::from(cut == Some(step));
        let behind = Failing::After(dice.below(EVENTS_MAX / 10));
        life.go_on(behind, &mut dice, &what);
        if cuts == CUTS_OF_STEP {
            break;
        }
    }
    cuts
}

#[test]
fn whatever_was_acknowledged_survives_cuts_at_each_named_step_of_work_and_start() {
    for step in &STEPS {
        assert_eq!(cut_at(step), CUTS_OF_STEP, "{}", step.word);
    }
}
