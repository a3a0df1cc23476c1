//! Room for what is written: a folder that is new or empty, or holds the same already.
//!
//! *Invariants*: looking changes nothing.
//!
//! *Not here*: what counts as the same (`model::room`, `synth`).

use std::io::ErrorKind;
use std::path::Path;

use wire::fault::{Fault, FaultKind};

use crate::export::unwritable;

/// Returns the names in a folder, in order; none if it is not there.
///
/// # Errors
/// It is no folder, or cannot be read.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, Fault> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return Err(taken(folder, "it is a file, not a folder"));
        }
        Err(e) => return Err(unwritable(folder, &e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| unwritable(folder, &e))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Says that there is no room, and why.
pub(crate) fn taken(folder: &Path, why: impl Into<String>) -> Fault {
    let what = format!("{} holds something else", folder.display());
    Fault::new(FaultKind::Refused, what)
        .because(why)
        .try_("-O with a folder that is new or empty")
}
