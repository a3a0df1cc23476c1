//! Bytes of the book on disk, frozen, and which versions of it are read.

use std::fmt::Write as _;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use query::slots::SlotSet;
use wire::model::Metrics;
use wire::run::{JobState, Moved, Run};
use wire::transfer::{Heritage, Legacy};

use super::super::book::Role;
use super::super::known::Ceded;
use super::*;

/// One row a line: table, key, checksum in hexadecimal digits as it is written, JSON.
fn golden() -> (PathBuf, String) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/jobs.txt");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    (PathBuf::from(path), text)
}

fn key(geocode: &str) -> JobKey {
    JobKey {
        run: "r1".to_owned(),
        geocode: geocode.to_owned(),
    }
}

fn job(state: JobState) -> Job {
    let split = SplitId::parse("c/s~9xj5k").unwrap();
    let mut job = Job::new(
        PlacementKey::named("test", "9xj5k"),
        vec![split],
        Role::Alone,
    );
    job.state = state;
    job
}

/// A job of each state, and all that may be said of one.
fn jobs() -> Vec<(JobKey, Job)> {
    let mut running = job(JobState::Running);
    (running.attempts, running.token) = (2, 300);
    running.role = Role::Donor;
    running.moved = Some(Moved {
        to: "12D3KooWb".to_owned(),
        bytes: 4_096,
    });
    let mut done = job(JobState::Done);
    done.metrics = Some(Metrics {
        val_mse: 0.25,
        chips_train: 300,
        ..Metrics::default()
    });
    done.seconds = Some(1.5);
    let mut quarantined = job(JobState::Quarantined);
    quarantined.reason = Some("no chips are left".to_owned());
    quarantined.role = Role::Heir(Heritage {
        donor: "9xj5m".to_owned(),
        legacy: Legacy::Lost("it was cancelled".to_owned()),
    });
    vec![
        (key("a"), job(JobState::Waiting)),
        (key("b"), running),
        (key("c"), done),
        (key("d"), quarantined),
        (key("e"), job(JobState::Cancelled)),
        (key("f"), job(JobState::Paused)),
        (key("g"), job(JobState::Dropped)),
    ]
}

fn known() -> KnownRun {
    let run = r#"{"name":"r1","recipe":"ndvi-cnn","query":{"exact":false,"time":{},"cloud":{},
        "coverage":{}},"mode":"partitioned","hyper":{"epochs":60,"batch":32,"learning_rate":0.001,
        "patience":8,"chip_px":32,"validation":0.25,"threads":1},"seed":7,"cells":["9xj5k"]}"#;
    let run: Run = serde_json::from_str(run).unwrap();
    let mut known = KnownRun::new(run, SlotSet::none());
    let ceded = Ceded {
        to: "12D3KooWb".to_owned(),
        slot: PlacementKey::named("test", "9xj5k").slot(),
        token: 7,
    };
    known.ceded.insert("9xj5k".to_owned(), ceded);
    known
}

/// Lists the rows of a table as golden lines.
fn dump(db: &Database, name: &str, table: TableDefinition<&str, &[u8]>) -> String {
    let transaction = db.begin_read().unwrap();
    let table = transaction.open_table(table).unwrap();
    let mut lines = String::new();
    for row in table.iter().unwrap() {
        let (key, value) = row.unwrap();
        let (crc, json) = value.value().split_first_chunk::<4>().unwrap();
        let json = std::str::from_utf8(json).unwrap();
        write!(lines, "{name} {} ", key.value()).unwrap();
        for byte in crc {
            write!(lines, "{byte:02x}").unwrap();
        }
        writeln!(lines, " {json}").unwrap();
    }
    lines
}

#[test]
fn the_bytes_of_the_book_are_frozen() {
    let dir = tempfile::tempdir().unwrap();
    let mut keep = Keep::open(&dir.path().join("jobs.redb")).unwrap();
    keep.run(&known(), &jobs()).unwrap();
    let db = keep.db.as_ref().unwrap();
    let now = dump(db, "jobs", JOBS) + &dump(db, "runs", RUNS);
    let (path, text) = golden();
    if std::env::var_os("GLEBE_BLESS").is_some() && !path.exists() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    assert!(now == text, "the format has changed; it is now\n{now}\n");
}

#[test]
fn what_is_written_is_read_and_what_does_not_check_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs.redb");
    let mut keep = Keep::open(&path).unwrap();
    keep.run(&known(), &jobs()).unwrap();
    keep.commit(|transaction| {
        let mut table = transaction.open_table(JOBS)?;
        let mut damaged = sealed(&job(JobState::Waiting));
        damaged[0] ^= 1;
        table.insert("r1/x", damaged.as_slice())?;
        Ok(())
    })
    .unwrap();
    drop(keep);
    let (book, runs) = Keep::open(&path).unwrap().load().unwrap();
    let found = book.jobs().map(|(key, job)| (key.clone(), job.state));
    let put = jobs().into_iter().map(|(key, job)| (key, job.state));
    assert!(found.eq(put));
    assert_eq!(runs, BTreeMap::from([("r1".to_owned(), known())]));
}

fn format_in(path: &Path) -> Option<u32> {
    let db = Database::open(path).unwrap();
    let transaction = db.begin_read().unwrap();
    let table = transaction.open_table(ABOUT).ok()?;
    let format = table.get(FORMAT_KEY).unwrap()?;
    Some(format.value())
}

#[test]
fn a_book_of_a_later_format_is_refused_and_left_alone_and_an_older_one_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs.redb");
    let mut keep = Keep::open(&path).unwrap();
    keep.run(&known(), &jobs()).unwrap();
    drop(keep);
    assert_eq!(format_in(&path), Some(FORMAT));
    let change = |change: &dyn Fn(&WriteTransaction)| {
        let db = Database::open(&path).unwrap();
        let transaction = db.begin_write().unwrap();
        change(&transaction);
        transaction.commit().unwrap();
    };
    change(&|transaction| {
        let mut about = transaction.open_table(ABOUT).unwrap();
        about.insert(FORMAT_KEY, FORMAT + 1).unwrap();
    });
    let error = Keep::open(&path).unwrap_err();
    assert!(matches!(error, KeepError::Newer { found: 2, .. }));
    assert!(error.to_string().contains("format 2"), "{error}");
    assert_eq!(format_in(&path), Some(FORMAT + 1), "nothing is begun anew");
    // Books of before had no format.
    change(&|transaction| assert!(transaction.delete_table(ABOUT).unwrap()));
    let mut keep = Keep::open(&path).unwrap();
    assert_eq!(keep.load().unwrap().0.jobs().count(), jobs().len());
    keep.run(&known(), &[]).unwrap();
    drop(keep);
    assert_eq!(format_in(&path), Some(FORMAT));
}
