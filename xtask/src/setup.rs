//! `cargo xtask setup`: everything that building and testing need, from nothing.
//!
//! *Invariants*: a step that finds its work done only looks and costs milliseconds; a step that
//! does something says so first; unpacked folders appear whole or not at all, also when two clones
//! set up at once; downloads come from the index that the user configured and are checked.
//!
//! *Not here*: building (`ci`, `bench`).

mod cache;
mod gdal;
mod libtorch;
mod pins;
mod python;
mod stamp;
mod system;
mod tools;
mod wheel;

use crate::say;
use crate::trouble::Result;
use crate::workspace::Workspace;

pub(crate) use tools::cargo_deny;

/// How thoroughly what was set up before is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Names and sizes of the unpacked files.
    Quick,
    /// Their checksums too.
    Verify,
}

/// Sets up what builds need: system packages, Python for the downloads, libtorch.
pub(crate) fn for_building(workspace: &Workspace, depth: Depth) -> Result<()> {
    system::packages(workspace)?;
    gdal::drivers(workspace)?;
    let lock = cache::lock(workspace)?;
    let python = python::environment(workspace)?;
    libtorch::unpacked(workspace, &python, depth)?;
    drop(lock);
    Ok(())
}

/// Sets up what builds and tests need.
pub(crate) fn everything(workspace: &Workspace, depth: Depth) -> Result<()> {
    for_building(workspace, depth)?;
    tools::cargo_nextest(workspace)?;
    say::note("setup is complete: cargo build, cargo run -p cli and cargo xtask test work now");
    Ok(())
}
