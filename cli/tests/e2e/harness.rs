//! Starting glebe's processes and reading what they say.
//!
//! *Invariants*: a node is killed when its value is dropped; waits have a deadline, never a sleep
//! that must be long enough.
//!
//! *Not here*: assertions of single behaviours.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for anything in these tests.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

/// A folder of its own for one test.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A `glebe` command in a folder, free of the caller's settings.
pub(crate) fn glebe(folder: &Path) -> Command {
    dress(Command::new(env!("CARGO_BIN_EXE_glebe")), folder)
}

/// As `glebe`, in a network namespace.
#[allow(dead_code, reason = "the tests of networks use it")]
pub(crate) fn glebe_within(namespace: &str, folder: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, env!("CARGO_BIN_EXE_glebe")]);
    dress(command, folder)
}

fn dress(mut command: Command, folder: &Path) -> Command {
    command
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder)
        .env("GLEBE_BIN_DIR", workers());
    for name in [
        "GLEBE_CLUSTER",
        "GLEBE_DATA",
        "GLEBE_OUTPUT",
        "GLEBE_CONFIG",
        "GLEBE_TOKEN",
        "GLEBE_TOKEN_FILE",
        "GLEBE_CA",
    ] {
        command.env_remove(name);
    }
    command.arg("--no-progress");
    command
}

/// The folder with `glebe-ingest` and `glebe-trainer`: `cargo build` puts them beside `glebe`.
pub(crate) fn workers() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_glebe"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// Runs a command and returns its output; says all of it when the exit code is another.
pub(crate) fn expect(command: &mut Command, code: i32) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command:?}\nstdout: {}\nstderr: {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// The text that a command wrote to stdout.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The text that a command wrote to stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a verb answers at a node, as JSON.
pub(crate) fn json(node: &Node, folder: &Path, words: &[&str]) -> Value {
    let output = expect(node.ask(folder).args(words).args(["-o", "json"]), 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The JSON lines that a command wrote to stdout.
pub(crate) fn ndjson(output: &Output) -> Vec<Value> {
    stdout(output)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A small synthetic world: `regions` × `dates` scenes of `size` 10 m pixels a side.
pub(crate) fn world(folder: &Path, regions: u32, dates: u32, size: u32) -> PathBuf {
    let out = folder.join("world");
    let numbers = [regions, dates, size].map(|n| n.to_string());
    let mut command = glebe(folder);
    command.args([
        "synth",
        "--seed",
        "5",
        "--regions",
        &numbers[0],
        "--dates",
        &numbers[1],
    ]);
    command.args(["--size", &numbers[2], "-O"]).arg(&out);
    expect(&mut command, 0);
    out
}

/// Where the real imagery lies, or `None` with a loud word.
pub(crate) fn real_data() -> Option<PathBuf> {
    let named = std::env::var_os("GLEBE_REAL_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = named.unwrap_or(beside);
    if folder.join("s2_safe").is_dir() {
        return folder.canonicalize().ok();
    }
    eprintln!(
        "SKIPPED: no real imagery at {} (or GLEBE_REAL_DATA)",
        folder.display()
    );
    None
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    pub(crate) data: PathBuf,
    pub(crate) p2p: String,
    pub(crate) http: String,
    pub(crate) id: String,
    namespace: Option<String>,
}

impl Node {
    /// Starts a node in `folder/name` and waits for its ready line.
    pub(crate) fn start(folder: &Path, name: &str, more: &[&str]) -> Self {
        Self::launch(None, (folder, name), more, &[])
    }

    /// As `start`, with more in its environment.
    #[allow(dead_code, reason = "the tests of workers use it")]
    pub(crate) fn start_with(
        folder: &Path,
        name: &str,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::launch(None, (folder, name), more, environment)
    }

    /// As `start`, in a network namespace.
    #[allow(dead_code, reason = "the tests of networks use it")]
    pub(crate) fn start_within(namespace: &str, folder: &Path, name: &str, more: &[&str]) -> Self {
        Self::launch(Some(namespace), (folder, name), more, &[])
    }

    fn launch(
        namespace: Option<&str>,
        (folder, name): (&Path, &str),
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let data = folder.join(name);
        let mut command = match namespace {
            Some(namespace) => glebe_within(namespace, folder),
            None => glebe(folder),
        };
        command.envs(environment.iter().copied());
        command.arg("up").arg("--data").arg(&data).args(more);
        for address in ["--listen", "--http"] {
            if !more.contains(&address) {
                command.args([address, "127.0.0.1:0"]);
            }
        }
        let log = std::fs::File::create(folder.join(format!("{name}.log"))).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let field = |key: &str| {
            let found = line.split_whitespace().find_map(|w| w.strip_prefix(key));
            let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap();
            found
                .unwrap_or_else(|| panic!("no {key} in '{line}'; log: {log}"))
                .to_owned()
        };
        assert!(line.starts_with("ready "), "not ready: {line}");
        let (p2p, http, id) = (field("p2p="), field("http="), field("node="));
        Self {
            child,
            data,
            p2p,
            http,
            id,
            namespace: namespace.map(str::to_owned),
        }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory that the process holds, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most memory that the process has held, in bytes.
    #[allow(dead_code, reason = "the tests of slow owners use it")]
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Has `peak` tell the most memory from now on; returns what the process holds, in bytes.
    #[allow(dead_code, reason = "the tests of floods use it")]
    pub(crate) fn peak_from_now(&self) -> u64 {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
        self.resident()
    }

    /// A figure of the node's own, by its name in `/metrics`; demands no token.
    #[allow(dead_code, reason = "the tests of counters use it")]
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut socket = TcpStream::connect(self.http.trim_start_matches("http://")).unwrap();
        let ask = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        socket.write_all(ask.as_bytes()).unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix(name));
        let value = line.and_then(|value| value.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name}: {text}"))
    }

    fn memory(&self, which: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix(which));
        let kibibytes = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap() << 10
    }

    /// Ends the node with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends the node as a bug in it would, with SIGABRT; returns how it ended.
    pub(crate) fn abort(&mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        expect(Command::new("kill").args(["-ABRT", &pid]), 0);
        self.child.wait().unwrap()
    }

    /// Tells whether the process that was started still runs.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends the node with SIGTERM and returns whether it stopped cleanly.
    pub(crate) fn stop(&mut self) -> bool {
        self.ask_to_stop();
        self.ends_cleanly()
    }

    /// Sends the node SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        let pid = self.child.id().to_string();
        expect(Command::new("kill").args(["-TERM", &pid]), 0);
    }

    /// Waits until the process has ended and returns whether it did so cleanly.
    pub(crate) fn ends_cleanly(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// Says in which state it takes each node to be, by id; nothing if it does not answer.
    pub(crate) fn states(&self, folder: &Path) -> BTreeMap<String, String> {
        let show = ["cluster", "show", "-o", "json"];
        let output = self.ask(folder).args(show).output().unwrap();
        let view: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let nodes = view["nodes"].as_array().cloned().unwrap_or_default();
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        nodes
            .iter()
            .map(|n| (text(&n["id"]), text(&n["state"])))
            .collect()
    }

    /// A `glebe` command that asks this node.
    pub(crate) fn ask(&self, folder: &Path) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => glebe_within(namespace, folder),
            None => glebe(folder),
        };
        command.arg("--cluster").arg(&self.http);
        command
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a cluster of `n` nodes with so many replicas and waits until all see each other.
pub(crate) fn cluster(folder: &Path, n: usize, replicas: u8) -> Vec<Node> {
    cluster_of(folder, n, replicas, |name, more| {
        Node::start(folder, name, more)
    })
}

/// As `cluster`; nodes `node0`, `node1`, … are started by the caller.
pub(crate) fn cluster_of(
    folder: &Path,
    n: usize,
    replicas: u8,
    start: impl Fn(&str, &[&str]) -> Node,
) -> Vec<Node> {
    let replicas = replicas.to_string();
    let mut nodes = vec![start("node0", &["--replicas", &replicas])];
    if n > 1 {
        let token = folder.join("token");
        let mut command = glebe(folder);
        command
            .args(["cluster", "token", "--data"])
            .arg(&nodes[0].data);
        std::fs::write(&token, stdout(&expect(&mut command, 0))).unwrap();
        for i in 1..n {
            let join = [
                "--join",
                &nodes[0].p2p,
                "--token-file",
                token.to_str().unwrap(),
            ];
            nodes.push(start(&format!("node{i}"), &join));
        }
    }
    until("all nodes see each other up", || {
        nodes.iter().all(|node| {
            let states = node.states(folder);
            states.values().filter(|state| *state == "up").count() == n
        })
    });
    nodes
}
