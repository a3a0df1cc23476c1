//! One file of an archive as a file of its own, for libraries that read nothing else (HDF4's).
//!
//! *Invariants*: only a file that the checked list of the archive names is written, into a folder
//! that only this process knows; both are gone when the value is.
//!
//! *Not here*: what may be in an archive at all (`archive`).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wire::fault::{Fault, FaultKind};

use super::archive::Archive;
use super::show;

/// A file that was unpacked.
#[derive(Debug)]
pub struct Unpacked {
    path: PathBuf,
    /// Removed with the value.
    _folder: TempDir,
}

impl Unpacked {
    /// Unpacks the only file of an archive whose name ends so.
    pub fn only(archive: &Path, ends: &str) -> Result<Self, Fault> {
        let mut list = Archive::open(archive)?;
        let own = list
            .files()
            .map(|(name, _)| name)
            .filter(|n| ends_with(n, ends));
        let own: Vec<String> = own.map(str::to_owned).collect();
        let [name] = own.as_slice() else {
            return Err(Fault::new(
                FaultKind::Data,
                format!("{} is no archive of one scene", show(archive)),
            )
            .because(format!("it holds {} files that end in {ends}", own.len()))
            .try_(format!("unpack it and ingest the {ends} files")));
        };
        let failed = |e: &std::io::Error| {
            let what = format!("{} cannot be unpacked", show(archive));
            Fault::new(FaultKind::Internal, what)
                .because(e.to_string())
                .try_("TMPDIR names a folder with room")
        };
        let folder = TempDir::new().map_err(|e| failed(&e))?;
        let path = folder.path().join(name.rsplit('/').next().unwrap_or(name));
        let mut file = BufWriter::new(File::create(&path).map_err(|e| failed(&e))?);
        let mut wrote = Ok(());
        list.read(name, &mut |piece| {
            if wrote.is_ok() {
                wrote = file.write_all(piece);
            }
        })?;
        wrote.and_then(|()| file.flush()).map_err(|e| failed(&e))?;
        Ok(Self {
            path,
            _folder: folder,
        })
    }

    /// Returns where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Tells whether a name ends so, whatever the case of its letters.
pub fn ends_with(name: &str, end: &str) -> bool {
    let tail = name
        .len()
        .checked_sub(end.len())
        .and_then(|at| name.get(at..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}
