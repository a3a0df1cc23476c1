//! What the store asks of a file system.
//!
//! *Invariants*: nothing survives a power cut unless it was synced: bytes with their file, names
//! with their folder. A rename shows the old or the new, never neither.
//!
//! *Not here*: what is written (`files`, `records`). The other implementor is a disk in memory that
//! is cut off, tears and reorders (`model_disk`).

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use redb::{Builder, Database, DatabaseError};
use rustix::fs::{CWD, RenameFlags};

/// A file system.
pub(super) trait Disk: Debug + Send + Sync {
    /// Reads a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Reads part of a file: fewer bytes where it ends before.
    fn read_part(&self, path: &Path, part: (u64, usize)) -> io::Result<Vec<u8>>;
    /// Writes a file that may be lost.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Writes a new file; its bytes stay, its name when its folder is synced.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Makes a folder and those above it.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder stay.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Moves a file or folder to where nothing, or a file, is.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Exchanges two folders.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;
    /// Removes a file or a folder with all in it; what is not there is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Lists a folder by name.
    fn entries(&self, folder: &Path) -> io::Result<Vec<Entry>>;
    /// Returns the length of a file or folder; `None` if there is none.
    fn length(&self, path: &Path) -> Option<u64>;
    /// Returns the bytes that may still be written.
    fn free(&self, path: &Path) -> io::Result<u64>;
    /// Opens redb's file, or makes it.
    fn database(&self, path: &Path, builder: &Builder) -> Result<Database, DatabaseError>;

    /// Tells whether there is a file or folder.
    fn is_there(&self, path: &Path) -> bool {
        self.length(path).is_some()
    }
}

/// What lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Its name.
    pub name: String,
    /// It is a folder itself.
    pub is_folder: bool,
}

/// The machine's own file systems.
#[derive(Debug)]
pub(super) struct OsDisk;

impl Disk for OsDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_part(&self, path: &Path, (offset, length): (u64, usize)) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut part = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut part)?;
        Ok(part)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::write(path, bytes)
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let exchange = RenameFlags::EXCHANGE;
        Ok(rustix::fs::renameat_with(CWD, one, CWD, other, exchange)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            found.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_folder: entry.file_type()?.is_dir(),
            });
        }
        found.sort();
        Ok(found)
    }

    fn length(&self, path: &Path) -> Option<u64> {
        fs::metadata(path).map(|m| m.len()).ok()
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn database(&self, path: &Path, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create(path)
    }
}
