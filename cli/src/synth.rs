//! `glebe synth`: a seeded world of synthetic scenes.
//!
//! *Invariants*: the work is done by `glebe-ingest synth`, the only binary with GDAL.
//!
//! *Not here*: the world itself (ingest).

use std::process::ExitCode;

use crate::args::Synth;
use crate::session::Session;
use crate::{Done, worker};

pub(crate) async fn run(session: &Session, args: Synth) -> Done {
    let mut command = worker::command("glebe-ingest")?;
    command.arg("synth");
    command.args(["--seed", &args.seed.to_string()]);
    command.args(["--regions", &args.regions.to_string()]);
    command.args(["--dates", &args.dates.to_string()]);
    if let Some(kinds) = args.kinds {
        command.args(["--kinds", &kinds.to_string()]);
    }
    if let Some(size) = args.size {
        command.args(["--size", &size.to_string()]);
    }
    for (flag, value) in [("--baseline", &args.baseline), ("--level", &args.level)] {
        command.args(value.iter().flat_map(|value| [flag, value]));
    }
    command.arg("-O").arg(&args.out);
    let status = command
        .status()
        .await
        .map_err(|e| worker::start_fault("glebe-ingest", &e))?;
    if status.success() {
        session
            .screen
            .note(format!("next: glebe ingest {}", args.out.display()));
    }
    Ok(code(status))
}

/// Passes a worker's exit code on; one that was killed counts as internal.
pub(crate) fn code(status: std::process::ExitStatus) -> ExitCode {
    ExitCode::from(
        status
            .code()
            .and_then(|c| u8::try_from(c).ok())
            .unwrap_or(1),
    )
}
