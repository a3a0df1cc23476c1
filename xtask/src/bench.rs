//! `cargo xtask bench NAME [--json FILE]`: builds and runs one benchmark.
//!
//! *Invariants*: benchmarks run from the release profile, after `setup`.
//!
//! *Not here*: the benchmarks themselves (`benches`).

use std::path::Path;

use crate::command::{self, cargo};
use crate::setup::{self, Depth};
use crate::trouble::Result;
use crate::workspace::Workspace;

/// Builds the workspace optimised and runs benchmark `name`; `json` takes its rows.
pub(crate) fn run(workspace: &Workspace, name: &str, json: Option<&Path>) -> Result<()> {
    setup::for_building(workspace, Depth::Quick)?;
    let mut build = cargo(workspace, &["build", "--release", "--workspace", "--bins"]);
    command::run(
        &mut build,
        "building the optimised binaries",
        "mend what the compiler says",
    )?;
    let mut bench = cargo(
        workspace,
        &["run", "--release", "--quiet", "--package", "benches"],
    );
    bench.arg("--").arg(name);
    if let Some(file) = json {
        bench
            .arg("--json")
            .arg(std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
    }
    command::run(
        &mut bench,
        &format!("benchmark {name}"),
        "cargo run -p benches -- --help",
    )
}
