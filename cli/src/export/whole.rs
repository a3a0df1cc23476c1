//! Files and folders that appear whole or not at all.
//!
//! *Invariants*: content is written beside its name and renamed; what was left unfinished is
//! removed when its value is dropped; equal content is left as it is.
//!
//! *Not here*: what is written.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use wire::fault::{Fault, FaultKind};

use crate::download::unwritable;

/// Bytes compared at a time.
const COMPARED_AT_ONCE: usize = 1 << 16;

/// What becomes of a file that is there with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and writing is refused.
    Keep,
    /// The new one takes its place.
    Replace,
}

/// Writes a file; returns its bytes.
pub(crate) fn file(target: &Path, existing: Existing, content: &[u8]) -> Result<u64, Fault> {
    let partial = Partial::beside(target)?;
    let fault = |e: std::io::Error| unwritable(target, &e);
    if target.exists() {
        if holds(target, content).map_err(fault)? {
            return Ok(content.len() as u64);
        }
        refuse_other(target, existing)?;
    }
    let mut out = File::create(&partial.0).map_err(fault)?;
    out.write_all(content).map_err(fault)?;
    drop(out);
    std::fs::rename(&partial.0, target).map_err(fault)?;
    Ok(content.len() as u64)
}

fn refuse_other(target: &Path, existing: Existing) -> Result<(), Fault> {
    if existing == Existing::Replace && !target.is_dir() {
        return Ok(());
    }
    let what = format!("{} exists", target.display());
    Err(Fault::new(FaultKind::Refused, what)
        .because("it holds something else, and is not written over unasked")
        .try_("--overwrite, or another -O"))
}

/// Tells whether a file holds exactly these bytes.
fn holds(path: &Path, content: &[u8]) -> std::io::Result<bool> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() || found.len() != content.len() as u64 {
        return Ok(false);
    }
    let mut file = File::open(path)?;
    let mut part = vec![0; COMPARED_AT_ONCE];
    for expected in content.chunks(COMPARED_AT_ONCE) {
        let part = &mut part[..expected.len()];
        file.read_exact(part)?;
        if part != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A name beside the target's, and whatever lies under it until it is renamed.
#[derive(Debug)]
struct Partial(PathBuf);

impl Partial {
    fn beside(target: &Path) -> Result<Self, Fault> {
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| unwritable(folder, &e))?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let name = format!(".{name}.{}.part", std::process::id());
        Ok(Self(folder.join(name)))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename nothing is there, and a failure has been told already.
        let removed = match std::fs::symlink_metadata(&self.0) {
            Ok(found) if found.is_dir() => std::fs::remove_dir_all(&self.0),
            Ok(_) => std::fs::remove_file(&self.0),
            Err(_) => Ok(()),
        };
        if let Err(e) = removed {
            crate::print::to_stderr(&format!("left behind: {} ({e})", self.0.display()));
        }
    }
}
