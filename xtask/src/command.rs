//! Starting other programs.
//!
//! *Invariants*: a program starts in the clone's top folder, without the variables that cargo set
//! for xtask itself: they would make build scripts run again and mix up shared libraries.
//!
//! *Not here*: which programs are started, and why.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::trouble::{Result, Trouble};
use crate::workspace::Workspace;

/// Variables that describe xtask's own crate to it and nothing to others.
const OWN_VARIABLES: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "RUST_RECURSION_COUNT"];

/// Returns a command for `program`, to be given arguments and to be passed to [`run`].
pub(crate) fn command(workspace: &Workspace, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.current_dir(workspace.root()).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        let own = name
            .to_str()
            .is_some_and(|n| OWN_VARIABLES.iter().any(|o| n.starts_with(o)));
        if own {
            command.env_remove(name);
        }
    }
    match users_library_path() {
        Some(path) => command.env("LD_LIBRARY_PATH", path),
        None => command.env_remove("LD_LIBRARY_PATH"),
    };
    command
}

/// Returns a command for the cargo that runs xtask.
pub(crate) fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let program = env::var_os("CARGO").map_or("cargo".into(), PathBuf::from);
    let mut command = command(workspace, program);
    command.args(arguments);
    command
}

/// Runs a command to its end; its output passes through.
///
/// `what` completes "… failed", `remedy` says what to try.
pub(crate) fn run(command: &mut Command, what: &str, remedy: &str) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| not_started(command, what, remedy, &error))?;
    if status.success() {
        return Ok(());
    }
    let because = format!("`{}` ended with {status}", line(command));
    Err(Trouble::new(format!("{what} failed"), because, remedy))
}

/// Runs a command to its end and returns what it printed; `None` when it fails or is not there.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// Returns a command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Returns the failure of a command that could not be started.
pub(crate) fn not_started(
    command: &Command,
    what: &str,
    remedy: &str,
    error: &std::io::Error,
) -> Trouble {
    let because = format!("`{}` cannot be started: {error}", line(command));
    Trouble::new(format!("{what} failed"), because, remedy)
}

/// Returns `LD_LIBRARY_PATH` without the folders that cargo put before the user's.
fn users_library_path() -> Option<OsString> {
    let path = env::var_os("LD_LIBRARY_PATH")?;
    let toolchain = env::var_os("CARGO").map(PathBuf::from)?;
    let toolchain = toolchain.parent()?.parent()?.to_owned();
    let own = env::current_exe().ok()?.parent()?.to_owned();
    let users: Vec<PathBuf> = env::split_paths(&path)
        .filter(|folder| !folder.starts_with(&toolchain))
        .filter(|folder| *folder != own && !folder.ends_with("debug/deps"))
        .collect();
    if users.is_empty() {
        None
    } else {
        env::join_paths(users).ok()
    }
}
