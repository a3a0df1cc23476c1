//! Who gets in and who does not, tried against real processes.
//!
//! *Invariants*: no secret is looked for by a part of it that would also stand elsewhere.
//!
//! *Not here*: hostile imagery (`bad_input`, `mutants`), the parts' own tests.

mod closed;
mod flood;
mod peers;
mod secrets;
mod tls;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Node, expect, glebe};

/// A node that other machines could reach, so that it demands tokens.
pub(crate) fn open_node(folder: &Path, name: &str, more: &[&str]) -> Node {
    let on = ["--http", "0.0.0.0:0", "--advertise", "127.0.0.1"];
    Node::start(folder, name, &[&on, more].concat())
}

/// Has a node make a token of a role; returns its file.
pub(crate) fn token(node: &Node, folder: &Path, role: &str) -> PathBuf {
    let file = folder.join(format!("{role}.token"));
    let mut command = glebe(folder);
    command.args(["cluster", "token", "--role", role, "--data"]);
    command.arg(&node.data).arg("-O").arg(&file);
    expect(&mut command, 0);
    file
}

/// Processes that one has started and that these have, whichever of their threads did.
pub(crate) fn descendants(of: u32) -> Vec<u32> {
    let (mut found, mut parents) = (Vec::new(), vec![of]);
    while let Some(parent) = parents.pop() {
        let threads = std::fs::read_dir(format!("/proc/{parent}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let listed = std::fs::read_to_string(thread.path().join("children"));
            let listed = listed.unwrap_or_default();
            let children = listed.split_whitespace().filter_map(|c| c.parse().ok());
            parents.extend(children.inspect(|child: &u32| found.push(*child)));
        }
    }
    found
}

/// A command that asks a node and shows a token.
pub(crate) fn ask_with(node: &Node, folder: &Path, token: &Path) -> Command {
    let mut command = node.ask(folder);
    command.arg("--token-file").arg(token);
    command
}
