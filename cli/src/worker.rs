//! Starting the worker binaries beside this one.
//!
//! *Invariants*: a worker is found beside `glebe`, in `GLEBE_BIN_DIR`, or on the path, in that
//! order; a missing one is a fault that says how to build it; neither commands nor their workers
//! leave core files.
//!
//! *Not here*: what they print (the verbs).

use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::process::Command;
use wire::client::{TOKEN_FILE_VARIABLE, TOKEN_VARIABLE};
use wire::fault::{Fault, FaultKind};
use wire::module::{MODULES_ANY, MODULES_VARIABLE};

/// Returns a command for a worker such as `glebe-trainer`; it dies with this process's interest.
pub(crate) fn command(name: &str) -> Result<Command, Fault> {
    let mut command = Command::new(find(name)?);
    // A worker gets a token by `Session::lend`, if it is to have one.
    command.env_remove(TOKEN_VARIABLE);
    command.env_remove(TOKEN_FILE_VARIABLE);
    // Who types a command trusts what it names.
    command.env(MODULES_VARIABLE, MODULES_ANY);
    command.kill_on_drop(true);
    Ok(command)
}

/// Has neither this process nor what it starts leave a core file: tokens would stand in it.
pub(crate) fn leave_no_core() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "a core file of this command would hold its token");
    }
}

/// Returns the path of a worker binary.
pub(crate) fn find(name: &str) -> Result<PathBuf, Fault> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|p| p.parent().map(PathBuf::from));
    let named = std::env::var_os("GLEBE_BIN_DIR").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = beside
        .into_iter()
        .chain(named)
        .chain(std::env::split_paths(&path));
    let found = folders.map(|d| d.join(name)).find(|p| p.is_file());
    found.ok_or_else(|| {
        Fault::new(FaultKind::Internal, format!("{name} is not there"))
            .because("it is looked for beside glebe, in GLEBE_BIN_DIR and on the PATH")
            .try_("cargo build (after cargo xtask setup)")
    })
}

/// Returns the fault of a worker that could not be started.
pub(crate) fn start_fault(name: &str, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Internal, format!("{name} does not start")).because(error.to_string())
}

/// Turns a worker's failure into a fault in the worker's own words, read from its stderr.
pub(crate) fn ended_saying(
    name: &str,
    status: std::process::ExitStatus,
    stderr: &str,
) -> Result<(), Fault> {
    let Err(fault) = ended(name, status) else {
        return Ok(());
    };
    let told = Fault::read(fault.kind, stderr);
    Err(told.unwrap_or_else(|| fault.because(stderr.trim().to_owned())))
}

/// Turns a worker's failure, which it has explained on stderr itself, into a fault.
pub(crate) fn ended(name: &str, status: std::process::ExitStatus) -> Result<(), Fault> {
    let kind = match status.code() {
        Some(0) => return Ok(()),
        Some(2) => FaultKind::Usage,
        Some(3) => FaultKind::Unreachable,
        Some(5) => FaultKind::Refused,
        Some(6) => FaultKind::Data,
        _ => FaultKind::Internal,
    };
    Err(
        Fault::new(kind, format!("{name} did not finish")).because(match status.code() {
            Some(code) => format!("it ended with exit code {code}; its own words stand above"),
            None => format!("it was killed ({status})"),
        }),
    )
}
