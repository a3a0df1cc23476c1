//! What a process that dies leaves behind: no core file, in which keys and tokens would stand.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{ask_with, descendants, open_node, token};
use crate::harness::{expect, scratch, until, world};

/// The signal of `abort`.
const ABORTED: i32 = 6;

/// Has processes that are started from now on leave core files, as far as this system does; tells
/// whether one did.
fn cores_are_left(folder: &Path) -> bool {
    let most = getrlimit(Resource::Core).maximum;
    let all = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Core, all).unwrap();
    let own = folder.join("control");
    fs::create_dir(&own).unwrap();
    let mut control = Command::new("sh");
    let died = control
        .args(["-c", "kill -ABRT $$"])
        .current_dir(own)
        .status();
    let left = died.unwrap().core_dumped();
    if !left {
        eprintln!("SKIPPED: no process leaves a core file here");
    }
    left
}

#[test]
fn a_node_that_is_aborted_leaves_no_core_file() {
    let folder = scratch();
    let folder = folder.path();
    if !cores_are_left(folder) {
        return;
    }
    let mut node = open_node(folder, "node0", &[]);
    let status = node.abort();
    assert_eq!(status.signal(), Some(ABORTED), "{status}");
    assert!(!status.core_dumped(), "{status}");
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name());
    let cores: Vec<_> = names
        .filter(|n| n.to_string_lossy().starts_with("core"))
        .collect();
    assert!(cores.is_empty(), "{cores:?}");
}

/// Tells whether a process may leave a core file; nothing if it has ended.
fn may_leave_a_core(process: u32) -> Option<bool> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max core file size"))?;
    Some(line.split_whitespace().next()? != "0")
}

#[test]
fn a_command_that_has_a_token_and_its_workers_leave_no_core_file() {
    let folder = scratch();
    let folder = folder.path();
    if !cores_are_left(folder) {
        return;
    }
    let node = open_node(folder, "node0", &[]);
    let write = token(&node, folder, "write");
    let scenes = world(folder, 1, 1, 300);
    let mut ingest = ask_with(&node, folder, &write);
    ingest.arg("ingest").arg(&scenes).stdin(Stdio::null());
    let mut ingest = ingest
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut closed, mut workers) = (false, 0);
    until("it has ended", || {
        for worker in descendants(ingest.id()) {
            let open = may_leave_a_core(worker);
            assert_ne!(open, Some(true), "a worker may leave a core file");
            workers += usize::from(open.is_some());
        }
        closed |= may_leave_a_core(ingest.id()) == Some(false);
        ingest.try_wait().unwrap().is_some()
    });
    assert!(ingest.wait().unwrap().success());
    assert!(closed && workers > 0, "{closed}, {workers} looked at");
    expect(
        ask_with(&node, folder, &write).args(["search", "-o", "id"]),
        0,
    );
}
