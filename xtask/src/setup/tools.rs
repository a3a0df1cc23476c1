//! Programs of cargo's that tests use.
//!
//! *Invariants*: a program that is there is used whatever its version; a missing one is installed
//! in the version named here.
//!
//! *Not here*: running them (`ci`).

use crate::command::{ask, cargo, run};
use crate::say;
use crate::trouble::Result;
use crate::workspace::Workspace;

/// A subcommand of cargo that comes as a crate.
#[derive(Debug)]
struct Tool {
    name: &'static str,
    version: &'static str,
    minutes: u32,
}

const NEXTEST: Tool = Tool {
    name: "nextest",
    version: "0.9.143",
    minutes: 4,
};
const DENY: Tool = Tool {
    name: "deny",
    version: "0.20.2",
    minutes: 6,
};

/// Installs cargo-nextest where it is missing.
pub(crate) fn cargo_nextest(workspace: &Workspace) -> Result<()> {
    if is_there(workspace, &NEXTEST) {
        Ok(())
    } else {
        install(workspace, &NEXTEST)
    }
}

/// Tells whether cargo-deny can be run; installs it where it is missing if `may_install`.
pub(crate) fn cargo_deny(workspace: &Workspace, may_install: bool) -> Result<bool> {
    if is_there(workspace, &DENY) {
        return Ok(true);
    }
    if may_install {
        install(workspace, &DENY)?;
    }
    Ok(may_install)
}

fn is_there(workspace: &Workspace, tool: &Tool) -> bool {
    ask(&mut cargo(workspace, &[tool.name, "--version"])).is_some()
}

fn install(workspace: &Workspace, tool: &Tool) -> Result<()> {
    let Tool {
        name,
        version,
        minutes,
    } = tool;
    let package = format!("cargo-{name}");
    say::note(format!(
        "installing {package} {version} (about {minutes} minutes on two cores)"
    ));
    // Unoptimised: it compiles in a third of the time and only starts other programs.
    let arguments = [
        "install",
        &package,
        "--version",
        version,
        "--locked",
        "--debug",
        "--quiet",
    ];
    let remedy = format!("cargo install {package} --locked");
    run(
        &mut cargo(workspace, &arguments),
        &format!("installing {package}"),
        &remedy,
    )
}
