//! Whether a file is as long as it says itself: libraries read what is missing as zeros, or break.
//!
//! *Invariants*: nothing of the file is believed but its length.
//!
//! *Not here*: how a format says its length (`modis::directory`, `netcdf::length`).

use std::fs::File;
use std::io::{BufReader, Error};
use std::path::Path;

use wire::fault::{Fault, FaultKind};

/// Fails if a file is no file of a format, or shorter than `needed` finds in it (`None`: it is of
/// another format; an error: it ends too early to tell).
pub(super) fn check(
    path: &Path,
    (label, format): (&str, &str),
    needed: impl FnOnce(&mut BufReader<File>) -> Result<Option<u64>, Error>,
) -> Result<(), Fault> {
    let failed = |reason: String| {
        Fault::new(FaultKind::Data, format!("'{label}' cannot be decoded"))
            .because(reason)
            .try_("download it again")
    };
    let file = File::open(path).map_err(|e| failed(e.to_string()))?;
    let bytes = file.metadata().map_err(|e| failed(e.to_string()))?.len();
    match needed(&mut BufReader::new(file)) {
        Ok(Some(needed)) if needed <= bytes => Ok(()),
        Ok(Some(needed)) => Err(failed(format!(
            "it is cut short: it has {bytes} bytes of {needed}"
        ))),
        Ok(None) => Err(failed(format!("it is no {format} file"))),
        Err(_) => Err(failed(format!(
            "it is cut short: its {bytes} bytes end inside its directory"
        ))),
    }
}
