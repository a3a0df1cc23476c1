//! The demo's three nodes.
//!
//! *Invariants*: dropped nodes are killed; a clean stop is SIGTERM and is waited for.
//!
//! *Not here*: what is asked of them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::say;

/// Running nodes with their HTTP addresses.
#[derive(Debug)]
pub(super) struct Nodes(Vec<Node>);

#[derive(Debug)]
struct Node {
    child: Child,
    http: String,
    p2p: String,
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already gone after a clean stop; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Nodes {
    /// Starts `n` nodes on free ports of loopback; all but the first join it.
    pub(super) fn start(glebe: &Path, folder: &Path, n: usize, replicas: &str) -> Result<Self> {
        let first = Node::start(glebe, folder, 0, &["--replicas", replicas])?;
        let mut command = Command::new(glebe);
        command
            .args(["cluster", "token", "--data"])
            .arg(folder.join("node0"));
        let output = command.output()?;
        ensure!(output.status.success(), "no join token");
        let token = folder.join("token");
        std::fs::write(&token, output.stdout)?;
        let token = token.to_string_lossy().into_owned();
        let join = [
            "--join".to_owned(),
            first.p2p.clone(),
            "--token-file".to_owned(),
            token,
        ];
        let join: Vec<_> = join.iter().map(String::as_str).collect();
        let mut nodes = vec![first];
        for i in 1..n {
            nodes.push(Node::start(glebe, folder, i, &join)?);
        }
        Ok(Self(nodes))
    }

    /// Returns the HTTP address of a node.
    pub(super) fn http(&self, i: usize) -> &str {
        &self.0[i].http
    }

    /// Stops all nodes cleanly and checks that they did.
    pub(super) fn stop(mut self) -> Result<()> {
        for node in &mut self.0 {
            let pid = node.child.id().to_string();
            let sent = Command::new("kill").args(["-TERM", &pid]).status()?;
            ensure!(sent.success(), "no signal reached node {pid}");
            let status = node.child.wait()?;
            ensure!(status.success(), "a node stopped with {status}");
        }
        Ok(())
    }
}

impl Node {
    fn start(glebe: &Path, folder: &Path, i: usize, more: &[&str]) -> Result<Self> {
        let log = folder.join(format!("node{i}.log"));
        let mut command = Command::new(glebe);
        command
            .arg("up")
            .arg("--data")
            .arg(folder.join(format!("node{i}")));
        command
            .args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(more);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        let mut child = command.spawn().context("glebe does not start")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        say::answer(line.trim_end());
        let field = |key: &str| {
            let found = line.split_whitespace().find_map(|w| w.strip_prefix(key));
            found
                .map(str::to_owned)
                .with_context(|| format!("not ready; see {}", log.display()))
        };
        let (http, p2p) = (field("http=")?, field("p2p=")?);
        Ok(Self { child, http, p2p })
    }
}
