//! Tokens as their users meet them: given, shown, too small, taken back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use super::{ask_with, open_node, token};
use crate::harness::{Node, expect, glebe, scratch, stderr, stdout, until, world};

/// Asserts that a failure says what, because and try.
fn explains(said: &str, what: &str) {
    assert!(said.contains("error: ") && said.contains(what), "{said}");
    assert!(
        said.contains("because ") && said.contains("try: "),
        "{said}"
    );
}

#[test]
fn off_the_loopback_a_node_answers_only_who_shows_a_token_of_the_role() {
    let folder = scratch();
    let folder = folder.path();
    let node = open_node(folder, "node0", &[]);
    assert!(node.http.starts_with("http://127.0.0.1:"), "{}", node.http);
    let said = stderr(&expect(node.ask(folder).arg("status"), 5));
    explains(&said, "this node demands a token");
    let (read, write, admin) = (
        token(&node, folder, "read"),
        token(&node, folder, "write"),
        token(&node, folder, "admin"),
    );
    assert_eq!(
        fs::metadata(&read).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let scenes = world(folder, 1, 1, 300);
    let ask = |token: &Path, args: &[&str]| {
        let mut command = ask_with(&node, folder, token);
        command.args(args);
        command
    };
    expect(&mut ask(&read, &["status"]), 0);
    let ingest = ["ingest", scenes.to_str().unwrap()];
    let said = stderr(&expect(&mut ask(&read, &ingest), 5));
    explains(&said, "this takes a token with the role write");
    expect(&mut ask(&write, &ingest), 0);
    expect(&mut ask(&read, &["search", "-o", "id"]), 0);
    let said = stderr(&expect(&mut ask(&write, &["cluster", "verify"]), 5));
    explains(&said, "this takes a token with the role admin");
    expect(&mut ask(&admin, &["cluster", "verify"]), 0);
    by_environment(&node, folder, &read);
    taken_back(&node, folder, &admin, &read);
}

/// The same token by the environment, from a file and itself.
fn by_environment(node: &Node, folder: &Path, file: &Path) {
    expect(
        node.ask(folder).env("GLEBE_TOKEN_FILE", file).arg("status"),
        0,
    );
    let text = fs::read_to_string(file).unwrap();
    expect(node.ask(folder).env("GLEBE_TOKEN", &text).arg("status"), 0);
    let mut origins = node.ask(folder);
    origins
        .env("GLEBE_TOKEN", &text)
        .args(["--show-origin", "status"]);
    let shown = stdout(&expect(&mut origins, 0));
    assert!(
        shown.contains("GLEBE_TOKEN") && !shown.contains(text.trim()),
        "{shown}"
    );
}

/// A token that is revoked over HTTP is refused from then on; the list says so.
fn taken_back(node: &Node, folder: &Path, admin: &Path, read: &Path) {
    let list = |args: &[&str]| {
        let mut command = ask_with(node, folder, admin);
        command.args(["cluster", "token"]).args(args);
        command
    };
    let told = stdout(&expect(&mut list(&["list", "-o", "json"]), 0));
    let told: Value = serde_json::from_str(&told).unwrap();
    let tokens = told["tokens"].as_array().unwrap();
    let purpose = serde_json::json!({ "ask": "read" });
    let found = tokens.iter().find(|t| t["purpose"] == purpose).unwrap();
    expect(&mut list(&["revoke", found["id"].as_str().unwrap()]), 0);
    let said = stderr(&expect(ask_with(node, folder, read).arg("status"), 5));
    explains(&said, "this node does not take the token");
    assert!(said.contains("revoked"), "{said}");
    assert!(stdout(&expect(&mut list(&["list"]), 0)).contains("revoked"));
    expect(&mut list(&["revoke", "0000000000000000"]), 1);
}

#[test]
fn a_token_is_good_at_every_node_of_the_cluster_and_at_no_other() {
    let folder = scratch();
    let folder = folder.path();
    let first = open_node(folder, "node0", &["--replicas", "2"]);
    let join = folder.join("join");
    let mut command = glebe(folder);
    command
        .args(["cluster", "token", "--data"])
        .arg(&first.data);
    command.arg("-O").arg(&join);
    expect(&mut command, 0);
    let read = token(&first, folder, "read");
    let joining = ["--join", &first.p2p, "--token-file", join.to_str().unwrap()];
    let second = open_node(folder, "node1", &joining);
    expect(ask_with(&second, folder, &read).arg("status"), 0);
    let of_second = |args: &[&str]| {
        let mut command = glebe(folder);
        command.args(["cluster", "token"]).args(args);
        command.arg("--data").arg(&second.data);
        stdout(&expect(&mut command, 0))
    };
    let told: Value = serde_json::from_str(&of_second(&["list", "-o", "json"])).unwrap();
    let tokens = told["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 2, "the join token is listed, too: {told}");
    for token in tokens {
        of_second(&["revoke", token["id"].as_str().unwrap()]);
    }
    until("the other node refuses the token, too", || {
        let status = ask_with(&first, folder, &read)
            .arg("status")
            .output()
            .unwrap()
            .status;
        status.code() == Some(5)
    });
    // A join token that was taken back lets nobody in.
    let data = folder.join("node2");
    let mut late = glebe(folder);
    late.args([
        "up",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--data",
    ])
    .arg(&data);
    late.args(["--join", &first.p2p, "--token-file"]).arg(&join);
    let said = stderr(&expect(&mut late, 5));
    assert!(said.contains("revoked"), "{said}");
    let other = open_node(folder, "other", &[]);
    expect(ask_with(&other, folder, &read).arg("status"), 5);
}
