//! How processes of this package run and how they end.
//!
//! *Invariants*: an error says what, because, try, on standard error; the exit code is the fault's.
//!
//! *Not here*: what they do.

use std::io::{Write, stderr};
use std::process::ExitCode;

use wire::fault::Fault;

use crate::supervise::Stop;

/// Runs what ends in an exit code; a reader of its events that went away is no error of ours.
pub fn drive(work: impl Future<Output = Result<u8, Stop>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match runtime.block_on(work) {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(Stop::Fault(fault)) => Err(fault.into()),
        Err(Stop::Unread(_)) => Ok(ExitCode::FAILURE),
    }
}

/// Prints an error as users meet it, and returns its exit code.
pub fn complain(error: &anyhow::Error) -> ExitCode {
    let fault = error.downcast_ref::<Fault>();
    let because = fault.map_or_else(
        || error.chain().skip(1).map(ToString::to_string).collect(),
        |fault| fault.because.clone(),
    );
    let mut lines = vec![format!("error: {error}")];
    lines.extend(because.iter().map(|reason| format!("  because {reason}")));
    let step = fault.and_then(|f| f.try_.as_ref());
    lines.extend(step.map(|step| format!("  try: {step}")));
    // Standard error may be closed; there is nobody left to tell.
    writeln!(stderr(), "{}", lines.join("\n")).unwrap_or(());
    fault.map_or(ExitCode::FAILURE, |f| ExitCode::from(f.kind.exit_code()))
}
