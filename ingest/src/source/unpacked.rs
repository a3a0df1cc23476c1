//! Files of an archive as files of their own, for libraries that read nothing else (HDF4's and
//! netCDF's) and for archives that have no list (`.tar.gz`).
//!
//! *Invariants*: only files whose names were checked are written, into a folder that only this
//! process knows; all are gone when the value is.
//!
//! *Not here*: what may be in an archive at all (`archive`).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wire::fault::{Fault, FaultKind};

use super::archive::{self, Archive, Kind};
use super::tarball;
use crate::name::{ends_with, show};

/// A file that was unpacked, or a folder of them.
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
        let folder = TempDir::new().map_err(|e| failed(archive, &e))?;
        let path = folder.path().join(name.rsplit('/').next().unwrap_or(name));
        write(archive, &mut list, (name, &path))?;
        Ok(Self {
            path,
            _folder: folder,
        })
    }

    /// Unpacks all files of an archive into a folder.
    pub fn all(archive: &Path) -> Result<Self, Fault> {
        let folder = TempDir::new().map_err(|e| failed(archive, &e))?;
        let path = folder.path().to_owned();
        if archive::kind(archive) == Some(Kind::TarGz) {
            tarball::unpack(archive, &path)?;
        } else {
            let mut list = Archive::open(archive)?;
            let names: Vec<String> = list.files().map(|(name, _)| name.to_owned()).collect();
            for name in &names {
                let target = path.join(name);
                let made = target.parent().map_or(Ok(()), std::fs::create_dir_all);
                made.map_err(|e| failed(archive, &e))?;
                write(archive, &mut list, (name, &target))?;
            }
        }
        Ok(Self {
            path,
            _folder: folder,
        })
    }

    /// Returns where the file or folder lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes one entry of an archive.
fn write(path: &Path, list: &mut Archive, (name, to): (&str, &Path)) -> Result<(), Fault> {
    let mut file = BufWriter::new(File::create(to).map_err(|e| failed(path, &e))?);
    let mut wrote = Ok(());
    list.read(name, &mut |piece| {
        if wrote.is_ok() {
            wrote = file.write_all(piece);
        }
    })?;
    let wrote = wrote.and_then(|()| file.flush());
    wrote.map_err(|e| failed(path, &e))
}

fn failed(archive: &Path, error: &std::io::Error) -> Fault {
    let what = format!("{} cannot be unpacked", show(archive));
    Fault::new(FaultKind::Internal, what)
        .because(error.to_string())
        .try_("TMPDIR names a folder with room")
}
