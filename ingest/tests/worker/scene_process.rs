//! A scene's process that dies, at work or before its turn, and a supervisor that dies.
//!
//! *Invariants*: what is killed is a process that the test itself started, or its child.
//!
//! *Not here*: files that make a decoder die (the whole system's tests).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ingest::synth::world::Baseline;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use wire::event::Event;
use wire::fault::Fault;
use wire::ledger::Outcome;

use crate::node::outcome;
use crate::place::{pack, products, world};
use crate::shelf::Shelf;

/// Longest wait for a process to appear or to end.
const DEADLINE: Duration = Duration::from_mins(1);

fn supervisor(path: &Path, flags: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glebe-supervise"));
    command.args(flags).arg(path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

fn ingest_two_scenes(shelf: &Shelf) -> (tempfile::TempDir, Child) {
    let folder = tempfile::tempdir().unwrap();
    world(folder.path(), (1, 2), Baseline::N0400);
    let child = supervisor(folder.path(), &["--node", &shelf.http]);
    (folder, child)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test that waits has a deadline"
)]
fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "nothing happened");
        std::thread::yield_now();
    }
}

/// The processes of a supervisor, the oldest first, once there are so many.
fn processes(supervisor: &Child, count: usize) -> Vec<Pid> {
    let id = supervisor.id();
    until(|| {
        let tasks = std::fs::read_dir(format!("/proc/{id}/task")).ok()?;
        let children =
            tasks.map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
        let children = children.collect::<Option<String>>()?;
        let ids = children.split_whitespace().map(|id| id.parse().ok());
        let ids: Vec<Pid> = ids.map(|id| Pid::from_raw(id?)).collect::<Option<_>>()?;
        (ids.len() >= count).then_some(ids)
    })
}

/// The process of the first of two scenes, which is at work, and the one that waits for the second.
fn at_work_and_waiting(supervisor: &Child) -> (Pid, Pid) {
    let ids = processes(supervisor, 2);
    (ids[0], ids[1])
}

fn events(output: &Output) -> Vec<Event> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn done(events: &[Event]) -> usize {
    let done = |e: &&Event| matches!(e, Event::SceneDone { .. });
    events.iter().filter(done).count()
}

fn failed(events: &[Event]) -> Vec<&Fault> {
    let fault = events.iter().filter_map(|event| match event {
        Event::SceneFailed { fault, .. } => Some(fault),
        _ => None,
    });
    fault.collect()
}

/// Checks that the one scene that failed was killed.
fn check_killed(events: &[Event]) {
    let failed = failed(events);
    assert_eq!(failed.len(), 1, "{events:?}");
    let reason = &failed[0].because[0];
    assert!(reason.contains("signal: 9"), "{reason}");
}

fn check_reason(shelf: &Shelf, ledger: &str) {
    let Some(Outcome::Failed { reason }) = outcome(shelf, ledger) else {
        panic!("no reason was kept: {:?}", shelf.listing())
    };
    assert!(reason.contains("signal: 9"), "{reason}");
}

#[test]
fn a_scene_whose_process_dies_fails_and_the_others_go_on() {
    let shelf = Shelf::start();
    let (folder, supervisor) = ingest_two_scenes(&shelf);
    kill_process(at_work_and_waiting(&supervisor).0, Signal::KILL).unwrap();
    let output = supervisor.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let events = events(&output);
    check_killed(&events);
    assert_eq!(done(&events), 1, "{events:?}");
    let first = products(folder.path()).remove(0);
    let scene = first.file_stem().unwrap().to_str().unwrap().to_owned();
    check_reason(&shelf, &format!("sentinel-2-l2a/{scene}"));
}

#[test]
fn a_process_that_dies_before_its_turn_costs_no_scene() {
    let shelf = Shelf::start();
    let (_keep, supervisor) = ingest_two_scenes(&shelf);
    kill_process(at_work_and_waiting(&supervisor).1, Signal::KILL).unwrap();
    let output = supervisor.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(done(&events(&output)), 2);
}

#[test]
fn no_scene_s_process_outlives_its_supervisor() {
    let shelf = Shelf::start();
    let (_keep, mut supervisor) = ingest_two_scenes(&shelf);
    let (at_work, waiting) = at_work_and_waiting(&supervisor);
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    for process in [at_work, waiting] {
        until(|| test_kill_process(process).is_err().then_some(()));
    }
}

/// Makes a pipe with a name: who reads it waits for ever.
fn pipe(path: &Path) {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

/// Tells whether a process has a library in its memory.
fn has_library(process: u32, name: &str) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    maps.contains(name)
}

/// The supervisor linked GDAL as well, in 20 ms in which nothing else was done.
#[test]
fn gdal_is_linked_by_scenes_processes_alone() {
    let folder = tempfile::tempdir().unwrap();
    pipe(&folder.path().join("S2.zip"));
    let mut supervisor = supervisor(folder.path(), &["--node", "http://127.0.0.1:9"]);
    let process = processes(&supervisor, 1)[0].as_raw_nonzero().get();
    let process = u32::try_from(process).unwrap();
    until(|| has_library(process, "libgdal").then_some(()));
    assert!(!has_library(supervisor.id(), "libgdal"));
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
}

/// It reads foreign bytes: here it waits for those of a pipe.
#[test]
fn a_scene_s_process_has_no_network_and_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let (scenes, token) = (
        folder.path().join("scenes"),
        folder.path().join("a-token-file"),
    );
    std::fs::create_dir(&scenes).unwrap();
    pipe(&scenes.join("S2.zip"));
    std::fs::write(&token, "a-token").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_glebe-supervise"));
    command.args(["--node", "http://127.0.0.1:9"]).arg(&scenes);
    command
        .env("GLEBE_TOKEN", "a-token")
        .env("GLEBE_TOKEN_FILE", &token);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut supervisor = command.spawn().unwrap();
    let process = processes(&supervisor, 1)[0].as_raw_nonzero();
    let of_it = Path::new("/proc").join(process.to_string());
    until(|| {
        let status = std::fs::read_to_string(of_it.join("status")).ok()?;
        status.contains("Seccomp:\t2\n").then_some(())
    });
    let environment = std::fs::read(of_it.join("environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(environment.contains("GLEBE_SPOOL_FD"), "{environment}");
    assert!(!environment.contains("a-token"), "{environment}");
    for file in std::fs::read_dir(of_it.join("fd")).unwrap() {
        let file = std::fs::read_link(file.unwrap().path()).unwrap();
        assert!(!file.to_string_lossy().contains("socket"), "{file:?}");
    }
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
}

#[test]
fn a_listing_whose_process_dies_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    pipe(&folder.path().join("S2.zip"));
    let supervisor = supervisor(folder.path(), &["--node", "http://127.0.0.1:9"]);
    kill_process(processes(&supervisor, 1)[0], Signal::KILL).unwrap();
    let output = supervisor.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    let parts = [
        "error: the process that lists the scenes broke\n",
        "  because it ended with signal: 9",
        "  try: ingest",
    ];
    for part in parts {
        assert!(said.contains(part), "{said}");
    }
}

/// A packed product is asked its name, which may stand in the archive; what cannot be asked is
/// named by its file.
#[test]
fn a_scene_that_breaks_who_asks_its_name_too_keeps_its_reason_all_the_same() {
    let (folder, shelf) = (tempfile::tempdir().unwrap(), Shelf::start());
    world(folder.path(), (1, 1), Baseline::N0400);
    let scenes = tempfile::tempdir().unwrap();
    let packed = scenes.path().join("order-7.zip");
    pack(&products(folder.path())[0], &packed);
    // It waits for the node's address once the scenes are listed.
    let mut supervisor = supervisor(scenes.path(), &[]);
    let mut told = BufReader::new(supervisor.stdout.take().unwrap());
    let mut begin = String::new();
    told.read_line(&mut begin).unwrap();
    assert!(begin.contains(r#""scenes":1"#), "{begin}");
    std::fs::remove_file(&packed).unwrap();
    pipe(&packed);
    let mut orders = supervisor.stdin.take().unwrap();
    writeln!(orders, "{}", shelf.http).unwrap();
    let first = processes(&supervisor, 1)[0];
    kill_process(first, Signal::KILL).unwrap();
    let asked = until(|| processes(&supervisor, 1).into_iter().find(|p| *p != first));
    kill_process(asked, Signal::KILL).unwrap();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(supervisor.wait().unwrap().code(), Some(6), "{rest}");
    check_reason(&shelf, "unknown/order-7");
}

#[test]
fn a_line_without_end_names_no_node() {
    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = supervisor(folder.path(), &[]);
    let mut orders = supervisor.stdin.take().unwrap();
    let endless = vec![b'x'; 2 << 20];
    // It is not read to its end.
    orders.write_all(&endless).unwrap_or(());
    let output = supervisor.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("longer than"), "{said}");
    drop(orders);
}

/// Paths cross from the process that lists to the one that ingests, whatever their bytes.
#[test]
fn a_scene_whose_path_is_no_text_reaches_its_process() {
    let (folder, shelf) = (tempfile::tempdir().unwrap(), Shelf::start());
    let name = std::ffi::OsStr::from_bytes(b"O_\xff\n_L2.nc");
    std::fs::write(folder.path().join(name), b"CDF\x01").unwrap();
    let output = supervisor(&folder.path().join(name), &["--node", &shelf.http])
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(6));
    let events = events(&output);
    assert!(
        failed(&events)[0].because[0].contains("cut short"),
        "{events:?}"
    );
}
