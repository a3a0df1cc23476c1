//! Secrets stay where they belong: in files that only their owner reads.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::tls::certificate;
use super::{ask_with, descendants, open_node, token};
use crate::harness::{DEADLINE, Node, expect, glebe, scratch, stderr, world};
use crate::killed::TRAIN;

/// Files that hold secrets on purpose.
const SECRET_FILES: [&str; 5] = [
    "identity.key",
    "cluster.json",
    "join.token",
    "write.token",
    "key.pem",
];
/// Where the secret number of a P-256 key stands in its PKCS #8 bytes, behind what is the same in
/// each; behind it is the public key (RFC 5915, RFC 5958).
const SCALAR: std::ops::Range<usize> = 36..68;

/// Returns all files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

/// What nobody but its owner may see, as text, as the bytes that the text stands for and as Rust
/// shows those in a `Debug`.
struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// The secrets at the ends of some texts: 64 hexadecimal digits each.
    fn at_the_ends_of(texts: &[String]) -> Self {
        let mut secrets = Vec::new();
        for text in texts {
            let digits = &text[text.len() - 64..];
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            let bytes = (0..64).step_by(2).map(byte).collect();
            secrets.extend(Self::forms(bytes));
        }
        Self(secrets)
    }

    /// A number, in the forms in which it may be written.
    fn forms(bytes: Vec<u8>) -> [Vec<u8>; 3] {
        let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = halves.filter_map(|half| char::from_digit(half.into(), 16));
        let digits: String = digits.collect();
        let list = format!("{bytes:?}");
        let list = list.trim_matches(['[', ']']).to_owned();
        [bytes, digits.into_bytes(), list.into_bytes()]
    }

    /// Adds a TLS key: each line of its PEM file, and the secret number in it.
    fn with_tls(mut self, pem: &str) -> Self {
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        let lines: Vec<&str> = lines.collect();
        assert!(lines.len() > 1, "no PEM");
        self.0
            .extend(lines.iter().map(|line| line.as_bytes().to_vec()));
        let key = rcgen::KeyPair::from_pem(pem).unwrap().serialize_der();
        self.0.extend(Self::forms(key[SCALAR].to_vec()));
        self
    }

    /// Asserts that bytes hold none of them.
    fn are_not_in(&self, bytes: &[u8], what: &str) {
        for secret in &self.0 {
            let found = bytes.windows(secret.len()).any(|w| w == secret);
            assert!(!found, "{what} holds a secret");
        }
    }
}

/// The name of the program that a command line starts with.
fn program(cmdline: &[u8]) -> String {
    let first = cmdline.split(|b| *b == 0).next().unwrap_or_default();
    let path = String::from_utf8_lossy(first).into_owned();
    Path::new(&path)
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

/// Looks at the command lines and environments of what a command and a node start until the
/// command ends well; returns the names of the programs it saw.
fn watched(mut command: Command, node: &Node, secrets: &Secrets) -> BTreeSet<String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut client = command.spawn().unwrap();
    let (mut seen, start) = (BTreeSet::new(), Instant::now());
    let of = |id: u32, name: &str| fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
    let status = loop {
        for parent in [client.id(), node.pid()] {
            for child in descendants(parent) {
                let cmdline = of(child, "cmdline");
                // Until it runs its own program, a child shows what its parent was started with.
                if cmdline == of(parent, "cmdline") {
                    continue;
                }
                secrets.are_not_in(&cmdline, &format!("the command line of {child}"));
                let environ = of(child, "environ");
                secrets.are_not_in(&environ, &format!("the environment of {child}"));
                if !environ.is_empty() {
                    seen.insert(program(&cmdline));
                }
            }
        }
        if let Some(status) = client.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < DEADLINE);
    };
    assert!(status.success(), "{command:?}: {status}");
    seen
}

/// Asserts that no file holds a secret, but those that are there to.
fn are_in_no_file(secrets: &Secrets, folder: &Path) {
    let mut checked = 0;
    for path in files(folder) {
        let name = path.file_name().unwrap().to_string_lossy();
        if SECRET_FILES.contains(&name.as_ref()) {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
            continue;
        }
        secrets.are_not_in(&fs::read(&path).unwrap(), &path.display().to_string());
        checked += 1;
    }
    assert!(checked > 5, "only {checked} files");
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn no_log_command_line_environment_model_or_stored_file_holds_a_secret() {
    let folder = scratch();
    let folder = folder.path();
    let (cert, key) = certificate(folder);
    // As much as can be logged.
    let tls = ["-vvv", "--tls-cert", &cert, "--tls-key", &key];
    let node = open_node(folder, "node0", &tls);
    assert!(node.http.starts_with("https://"), "{}", node.http);
    let write = token(&node, folder, "write");
    let join = folder.join("join.token");
    let mut command = glebe(folder);
    command.args(["cluster", "token", "--data"]).arg(&node.data);
    expect(command.arg("-O").arg(&join), 0);
    let cluster: Value = serde_json::from_str(&text(&node.data.join("cluster.json"))).unwrap();
    let secrets = Secrets::at_the_ends_of(&[
        text(&write),
        text(&join),
        text(&node.data.join("identity.key")),
        cluster["secret"].as_str().unwrap().to_owned(),
    ]);
    let secrets = secrets.with_tls(&text(Path::new(&key)));
    let scenes = world(folder, 1, 2, 300);
    // The token is in the environment of the command itself: its children must not inherit it.
    let by_environment = || {
        let mut command = node.ask(folder);
        command.env("GLEBE_TOKEN", text(&write));
        command.env("GLEBE_CA", &cert);
        command
    };
    let mut ingest = by_environment();
    ingest.args(["ingest", "--precision", "6"]).arg(&scenes);
    let seen = watched(ingest, &node, &secrets);
    let workers = ["glebe-supervise", "glebe-ingest"].map(str::to_owned);
    assert!(workers.iter().all(|name| seen.contains(name)), "{seen:?}");
    let mut train = by_environment();
    train.args(TRAIN).args(["--name", "go", "--wait"]);
    let seen = watched(train, &node, &secrets);
    assert!(seen.contains("glebe-trainer"), "{seen:?}");
    let asked = |words: &[&str]| {
        let mut command = ask_with(&node, folder, &write);
        expect(command.env("GLEBE_CA", &cert).args(words), 0)
    };
    let models: Value =
        serde_json::from_slice(&asked(&["model", "list", "-o", "json"]).stdout).unwrap();
    let model = format!("go/{}", models["models"][0]["geocode"].as_str().unwrap());
    asked(&["model", "pull", &model, "-O", "pulled"]);
    asked(&["get", "--datetime", "2000/..", "-O", "got"]);
    assert!(folder.join("pulled/model.safetensors").is_file());
    let mut refused = ask_with(&node, folder, &join);
    expect(refused.env("GLEBE_CA", &cert).arg("status"), 5);
    are_in_no_file(&secrets, folder);
    let log = text(&folder.join("node0.log"));
    for level in ["TRACE", "DEBUG", "INFO"] {
        assert!(log.contains(level), "no {level}, so nothing was proven");
    }
}

#[test]
fn a_node_whose_secrets_others_may_read_does_not_start() {
    let folder = scratch();
    let folder = folder.path();
    let mut node = open_node(folder, "node0", &[]);
    token(&node, folder, "read");
    assert!(node.stop());
    for name in ["identity.key", "cluster.json", "tokens.json"] {
        let path = node.data.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut up = glebe(folder);
        up.args([
            "up",
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--data",
        ]);
        let output = up.arg(&node.data).output().unwrap();
        let said = stderr(&output);
        assert!(!output.status.success(), "{name}");
        assert!(
            said.contains("0644") && said.contains(name),
            "{name}: {said}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}
