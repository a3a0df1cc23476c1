//! Handing the token to a worker: in a file without a name, whose number alone the worker is told.
//!
//! *Invariants*: the token stands on no command line and in no child's environment; the file goes
//! with the last process that has it open.
//!
//! *Not here*: what the worker does with it (wire reads it).

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;

use rustix::fs::{MemfdFlags, Mode};
use tokio::process::Command;
use wire::access::Secret;
use wire::client::TOKEN_FILE_VARIABLE;
use wire::fault::{Fault, FaultKind};

/// Name of the file, as debuggers show it.
const NAME: &str = "glebe-token";

/// Lets a worker, and those that it starts, read a token; keep the file until it has started.
pub(super) fn lend(command: &mut Command, token: &Secret) -> Result<File, Fault> {
    let failed = |e: std::io::Error| {
        Fault::new(
            FaultKind::Internal,
            "the token cannot be handed to a worker",
        )
        .because(e.to_string())
    };
    // Without CLOEXEC: children inherit it.
    let file = rustix::fs::memfd_create(NAME, MemfdFlags::empty());
    let file = file.map_err(|e| failed(e.into()))?;
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?;
    let mut file = File::from(file);
    writeln!(file, "{}", token.reveal()).map_err(failed)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    command.env(TOKEN_FILE_VARIABLE, path);
    Ok(file)
}
