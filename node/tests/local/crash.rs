//! A node killed at any moment keeps what it acknowledged and shows nothing half-written.
//!
//! The test starts itself again as the process to be killed.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use earth::split::placement::PlacementKey;
use node::store::{Object, ObjectFile, ObjectKey, PutMode, Store};
use query::slots::SlotSet;
use wire::bundle::Kind;

/// Set in the process that puts until it is killed.
const DIR: &str = "GLEBE_TEST_CRASH_DIR";
/// Where it goes on counting.
const FROM: &str = "GLEBE_TEST_CRASH_FROM";
/// Kills a run: enough to hit every step of a put, few enough for every commit.
const KILLS: u64 = 12;
/// Distinct objects: few, so that overwriting and deleting happen often.
const CELLS: u64 = 7;

/// What step `n` does: its object, or `None` where it deletes.
fn step(n: u64) -> (ObjectKey, Option<Object>) {
    let geocode = format!("c{}", n % CELLS);
    let key = ObjectKey::new(Kind::Model, format!("r/{geocode}"));
    if n % 5 == 4 {
        return (key, None);
    }
    let config = format!(r#"{{"run":"r","geocode":"{geocode}","step":{n}}}"#);
    let weights = n
        .to_le_bytes()
        .repeat(2_000 + usize::try_from(n % 13).unwrap() * 500);
    let file = |name: &str, bytes: Vec<u8>| ObjectFile {
        name: name.to_owned(),
        bytes: Bytes::from(bytes),
    };
    let object = Object {
        key: key.clone(),
        placement_key: PlacementKey::named("test", &geocode),
        files: vec![
            file("config.json", config.into_bytes()),
            file("model.safetensors", weights),
        ],
    };
    (key, Some(object))
}

#[test]
fn puts_until_killed() {
    let Ok(dir) = env::var(DIR) else {
        return;
    };
    let from: u64 = env::var(FROM).unwrap().parse().unwrap();
    let store = Store::open(Path::new(&dir)).unwrap();
    for n in from.. {
        match step(n) {
            (_, Some(object)) => {
                store.put(&object, PutMode::Overwrite).unwrap();
            }
            (key, None) => {
                store.delete(&key).unwrap();
            }
        }
        writeln!(std::io::stderr(), "acked {n}").unwrap();
    }
}

fn start(dir: &Path, from: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["crash::puts_until_killed", "--exact", "--nocapture"])
        .env(DIR, dir)
        .env(FROM, from.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets the process acknowledge some steps, kills it a little later, returns the last step
/// acknowledged.
fn run_and_kill(dir: &Path, from: u64, kill: u64) -> u64 {
    let mut child = start(dir, from);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut last = from;
    let mut acked = |line: String| {
        let n = line
            .strip_prefix("acked ")
            .map(|n| n.parse::<u64>().unwrap());
        last = n.unwrap_or(last);
        n.is_some()
    };
    let wanted = 3 + kill * 2 % 9;
    let mut seen = 0;
    while seen < wanted {
        let line = lines.next().expect("it puts until it is killed").unwrap();
        seen += u64::from(acked(line));
    }
    // Into the middle of the next put, wherever that is: the moment is what varies.
    std::thread::sleep(Duration::from_micros(kill * 617 % 6_000));
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines {
        acked(line.unwrap());
    }
    last
}

/// What the store must hold after that step was the last acknowledged: one step more may show.
fn expected(last: u64) -> BTreeMap<ObjectKey, Option<Object>> {
    (0..=last).map(step).collect()
}

fn check(dir: &Path, last: u64) {
    let store = Store::open(dir).unwrap();
    assert_eq!(
        fs::read_dir(dir.join("tmp")).unwrap().count(),
        0,
        "tmp is empty"
    );
    let (next_key, next) = step(last + 1);
    for (key, object) in expected(last) {
        let found = store.object(&key).ok().map(|(_, found)| found);
        let may_be_next = key == next_key && found == next;
        assert!(found == object || may_be_next, "{key} after step {last}");
    }
    let listing = store.list(Kind::Model, &SlotSet::all()).unwrap();
    let done = store.rebuild_index().unwrap();
    assert_eq!(done.left_out, []);
    let again = store.list(Kind::Model, &SlotSet::all()).unwrap();
    assert_eq!(again, listing, "no folder is visible that has no record");
}

#[test]
fn a_killed_process_keeps_what_it_acknowledged_and_nothing_half_written() {
    if env::var(DIR).is_ok() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut from = 0;
    for kill in 0..KILLS {
        let last = run_and_kill(dir.path(), from, kill);
        check(dir.path(), last);
        // The step after it may or may not have happened: do it again.
        from = last + 1;
    }
}
