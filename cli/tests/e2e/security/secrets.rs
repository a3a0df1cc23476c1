//! Secrets stay where they belong: in files that only their owner reads.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use super::{ask_with, open_node, token};
use crate::harness::{DEADLINE, expect, glebe, scratch, stderr, world};

/// Files that hold secrets on purpose.
const SECRET_FILES: [&str; 4] = ["identity.key", "cluster.json", "join.token", "write.token"];

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

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
}

/// Returns what stands on the command lines and in the environments of a process's descendants.
fn children_of(parent: u32) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut parents = vec![parent];
    while let Some(parent) = parents.pop() {
        let path = format!("/proc/{parent}/task/{parent}/children");
        let text = fs::read_to_string(path).unwrap_or_default();
        for child in text.split_whitespace().filter_map(|c| c.parse().ok()) {
            parents.push(child);
            let of =
                |id: u32, name: &str| fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
            let cmdline = of(child, "cmdline");
            // Until it runs its own program, a child shows what its parent was started with.
            if cmdline == of(parent, "cmdline") {
                continue;
            }
            found.push((format!("cmdline of {child}"), cmdline));
            found.push((format!("environ of {child}"), of(child, "environ")));
        }
    }
    found
}

#[test]
fn no_log_command_line_environment_or_stored_file_holds_a_secret() {
    let folder = scratch();
    let folder = folder.path();
    let node = open_node(folder, "node0", &["-vvv"]);
    let write = token(&node, folder, "write");
    let join = folder.join("join.token");
    let mut command = glebe(folder);
    command.args(["cluster", "token", "--data"]).arg(&node.data);
    expect(command.arg("-O").arg(&join), 0);
    let text = |path: &Path| fs::read_to_string(path).unwrap().trim().to_owned();
    let identity = text(&node.data.join("identity.key"));
    let cluster: serde_json::Value =
        serde_json::from_str(&text(&node.data.join("cluster.json"))).unwrap();
    let secrets = [
        text(&write)[26..].to_owned(),
        text(&join)[70..].to_owned(),
        identity.split(' ').next_back().unwrap().to_owned(),
        cluster["secret"].as_str().unwrap().to_owned(),
    ];
    assert!(secrets.iter().all(|s| s.len() >= 58), "{secrets:?}");
    let scenes = world(folder, 1, 1, 300);
    // The token is in the environment of the command itself: its children must not inherit it.
    let mut ingest = node.ask(folder);
    ingest
        .env("GLEBE_TOKEN", text(&write))
        .arg("ingest")
        .arg(&scenes);
    let mut ingest = ingest
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut looked, start) = (0, Instant::now());
    let ended = loop {
        for (what, bytes) in children_of(ingest.id())
            .into_iter()
            .chain(children_of(node.pid()))
        {
            looked += usize::from(!bytes.is_empty());
            for secret in &secrets {
                assert!(!holds(&bytes, secret), "{what} holds a secret");
            }
        }
        if let Some(status) = ingest.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < DEADLINE);
    };
    assert!(ended.success() && looked > 0, "{ended}, {looked} looked at");
    expect(ask_with(&node, folder, &join).arg("status"), 5);
    let mut checked = 0;
    for path in files(folder) {
        let name = path.file_name().unwrap().to_string_lossy();
        if SECRET_FILES.contains(&name.as_ref()) {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        checked += 1;
        for secret in &secrets {
            assert!(!holds(&bytes, secret), "{} holds a secret", path.display());
        }
    }
    assert!(checked > 5, "only {checked} files");
    let log = fs::metadata(folder.join("node0.log")).unwrap().len();
    assert!(log > 0, "nothing was logged, so nothing was proven");
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
