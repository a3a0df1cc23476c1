//! `glebe synth`: a seeded world of synthetic scenes.
//!
//! *Invariants*: the work is done by `glebe-ingest synth`, the only binary with GDAL; it writes
//! into a folder that is empty or holds a world of its own, and into no other.
//!
//! *Not here*: the world itself (ingest).

use std::path::Path;
use std::process::ExitCode;

use wire::fault::Fault;

use crate::args::Synth;
use crate::session::Session;
use crate::{Done, room, worker};

/// What lies in a world beside its scenes: its plan, and what is true of them.
const WORLD_FILE: &str = "world.json";
const TRUTH_FOLDER: &str = "TRUTH";
/// End of the names of its scenes.
const SCENE_END: &str = ".SAFE";

pub(crate) async fn run(session: &Session, args: Synth) -> Done {
    check_room(&args.out)?;
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

/// Checks that a folder is new or empty, or holds a synthetic world, whole or begun.
fn check_room(folder: &Path) -> Result<(), Fault> {
    let names = room::names(folder)?;
    let is_own = |name: &String| {
        [WORLD_FILE, TRUTH_FOLDER].contains(&name.as_str()) || name.ends_with(SCENE_END)
    };
    if let Some(other) = names.iter().find(|name| !is_own(name)) {
        let why = format!("{other} is no part of a synthetic world");
        return Err(room::taken(folder, why));
    }
    // Delivered scenes have the same names; only a world has what is true of them.
    if names.is_empty() || folder.join(TRUTH_FOLDER).is_dir() {
        return Ok(());
    }
    Err(room::taken(
        folder,
        format!("there is no {TRUTH_FOLDER} in it"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_goes_where_nothing_or_a_world_is() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("scenes");
        check_room(&at).unwrap();
        std::fs::create_dir(&at).unwrap();
        check_room(&at).unwrap();
        std::fs::create_dir(at.join("S2A_MSIL2A_20230515.SAFE")).unwrap();
        let fault = check_room(&at).unwrap_err();
        assert_eq!(fault.kind.exit_code(), 5, "real scenes: {fault:?}");
        std::fs::create_dir(at.join(TRUTH_FOLDER)).unwrap();
        std::fs::write(at.join(WORLD_FILE), "{}").unwrap();
        check_room(&at).unwrap();
        std::fs::write(at.join("notes.txt"), "words").unwrap();
        let fault = check_room(&at).unwrap_err();
        assert!(fault.because[0].contains("notes.txt"), "{fault:?}");
        check_room(&at.join("notes.txt")).unwrap_err();
    }
}
