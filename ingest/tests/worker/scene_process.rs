//! A scene's process that dies, and a supervisor that dies.
//!
//! *Invariants*: what is killed is a process that the test itself started, or its child.
//!
//! *Not here*: files that make a decoder die (the whole system's tests).

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ingest::synth::world::Baseline;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use wire::event::Event;

use crate::place::world;
use crate::shelf::Shelf;

/// Longest wait for a process to appear or to end.
const DEADLINE: Duration = Duration::from_mins(1);

fn ingest_two_scenes(shelf: &Shelf) -> (tempfile::TempDir, Child) {
    let folder = tempfile::tempdir().unwrap();
    world(folder.path(), (1, 2), Baseline::N0400);
    let mut command = Command::new(env!("CARGO_BIN_EXE_glebe-ingest"));
    command
        .args(["run", "--node", &shelf.http])
        .arg(folder.path());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
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

/// The process of the scene that is being ingested.
fn scene_process(supervisor: &Child) -> Pid {
    let id = supervisor.id();
    until(|| {
        let tasks = std::fs::read_dir(format!("/proc/{id}/task")).ok()?;
        let mut children = tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
        let id = children.find_map(|c| c.split_whitespace().next()?.parse().ok())?;
        Pid::from_raw(id)
    })
}

#[test]
fn a_scene_whose_process_dies_fails_and_the_others_go_on() {
    let shelf = Shelf::start();
    let (_keep, supervisor) = ingest_two_scenes(&shelf);
    kill_process(scene_process(&supervisor), Signal::KILL).unwrap();
    let output = supervisor.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Event> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let failed: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::SceneFailed { fault, .. } => Some(fault),
            _ => None,
        })
        .collect();
    assert_eq!(failed.len(), 1, "{text}");
    assert!(
        failed[0].because[0].contains("signal: 9"),
        "{:?}",
        failed[0]
    );
    let done = |e: &&Event| matches!(e, Event::SceneDone { .. });
    assert_eq!(events.iter().filter(done).count(), 1, "{text}");
}

#[test]
fn a_scene_s_process_does_not_outlive_its_supervisor() {
    let shelf = Shelf::start();
    let (_keep, mut supervisor) = ingest_two_scenes(&shelf);
    let scene = scene_process(&supervisor);
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    until(|| test_kill_process(scene).is_err().then_some(()));
}
