//! A node that gets a twentieth of a core, and has users of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Node, cluster, expect, scratch, world};
use crate::suspicion::{query, slow};

/// Microseconds of a core in each tenth of a second: 5 %.
const QUOTA_US: &str = "5000";
const PERIOD_US: &str = "100000";
/// Users of the slow node, each of whom asks it for everything again and again.
const USERS: usize = 12;
/// Queries that are timed at another node.
const QUERIES: usize = 40;

/// A group of processes that get 5 % of a core together.
struct Pinch {
    group: PathBuf,
}

impl Pinch {
    /// Puts a process into such a group; `None`, with a loud word, where that is not allowed.
    fn on(node: &Node) -> Option<Self> {
        let name = format!("glebe-{}", node.pid());
        let known = Path::new("/sys/fs/cgroup");
        let limits = [
            (known, vec![("cpu.max", format!("{QUOTA_US} {PERIOD_US}"))]),
            (
                &known.join("cpu"),
                vec![
                    ("cpu.cfs_period_us", PERIOD_US.to_owned()),
                    ("cpu.cfs_quota_us", QUOTA_US.to_owned()),
                ],
            ),
        ];
        let mut why = Vec::new();
        for (root, limits) in limits {
            // Dropped, it removes what it has made.
            let pinch = Self {
                group: root.join(&name),
            };
            match pinch.set(&limits, node.pid()) {
                Ok(()) => return Some(pinch),
                Err(error) => why.push(format!("{}: {error}", root.display())),
            }
        }
        eprintln!("SKIPPED: no processor may be rationed: {}", why.join("; "));
        None
    }

    fn set(&self, limits: &[(&str, String)], pid: u32) -> std::io::Result<()> {
        std::fs::create_dir(&self.group)?;
        for (file, limit) in limits {
            let path = self.group.join(file);
            // Where this group has no such limit there is no such file, and none may be made.
            std::fs::OpenOptions::new()
                .write(true)
                .open(path)?
                .write_all(limit.as_bytes())?;
        }
        std::fs::write(self.group.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Pinch {
    fn drop(&mut self) {
        let inside = std::fs::read_to_string(self.group.join("cgroup.procs"));
        let outside = self.group.with_file_name("cgroup.procs");
        for pid in inside.unwrap_or_default().lines() {
            // Err: it has ended.
            drop(std::fs::write(&outside, pid));
        }
        // Err: it could not be made.
        drop(std::fs::remove_dir(&self.group));
    }
}

/// Asks a node for everything until it is over.
fn use_it(node: &Node, over: &AtomicBool) {
    let address = node.http.replace("http://", "");
    let request = format!(
        "POST /v1/search HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: 12\r\nconnection: close\r\n\r\n{{\"query\":{{}}}}"
    );
    while !over.load(Ordering::Relaxed) {
        let Ok(mut socket) = TcpStream::connect(&address) else {
            continue;
        };
        let patience = Some(Duration::from_secs(5));
        socket.set_read_timeout(patience).unwrap();
        let mut answer = Vec::new();
        // Err: it is too slow even for them.
        drop(socket.write_all(request.as_bytes()));
        drop(socket.read_to_end(&mut answer));
    }
}

#[test]
fn a_node_with_a_twentieth_of_a_core_costs_a_query_elsewhere_less_than_a_second() {
    let folder = scratch();
    let folder = folder.path();
    let nodes = cluster(folder, 3, 2);
    let scenes = world(folder, 1, 1, 600);
    let ingest = ["ingest", "--precision", "6"];
    expect(nodes[0].ask(folder).args(ingest).arg(scenes), 0);
    let many = || (0..QUERIES).map(|_| query(folder, &nodes[0])).collect();
    let usual = slow(many());
    let Some(pinch) = Pinch::on(&nodes[2]) else {
        return;
    };
    let over = AtomicBool::new(false);
    let meanwhile = std::thread::scope(|scope| {
        for _ in 0..USERS {
            scope.spawn(|| use_it(&nodes[2], &over));
        }
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(many));
        over.store(true, Ordering::Relaxed);
        // They end sooner where they are answered.
        drop(pinch);
        asked.unwrap()
    });
    let meanwhile = slow(meanwhile);
    eprintln!(
        "nine of ten queries within {usual:.0} ms; while a node has 5 % of a core and {USERS} \
         users within {meanwhile:.0} ms"
    );
    assert!(meanwhile <= 2.0 * usual + 1_000.0, "{meanwhile} of {usual}");
}
