//! The list of an archive's files, once nothing in it can hurt.
//!
//! *Invariants*: a listed name is relative, without `..`, and names one file; declared sizes,
//! ratios and counts are within limits, and reading checks that they were true.
//!
//! *Not here*: what may be in an archive at all (`guard`), tar archives (`tarball`), which product
//! lies inside (`package`), writing files of it to disk (`unpacked`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use ::zip::ZipArchive;
use ::zip::read::ZipFile;
use wire::fault::{Fault, FaultKind};

use super::guard::{
    ENTRIES_MAX, RATIO_FREE_BYTES, RATIO_MAX, Tally, plain_name, unreadable, unsafe_archive,
};
use super::tarball;
use crate::name::ends_with;

const ST_MODE_MASK: u32 = 0o170_000;
const ST_MODE_FILE: u32 = 0o100_000;

/// The archives that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `.zip`.
    Zip,
    /// `.tar`: files are read where they lie in it.
    Tar,
    /// `.tar.gz`, `.tgz`: read from its beginning to its end.
    TarGz,
}

/// Returns the kind of archive that a path's name says.
pub fn kind(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?;
    let ends = |ends: &[&str]| ends.iter().any(|end| ends_with(name, end));
    match name {
        _ if ends(&[".zip"]) => Some(Kind::Zip),
        _ if ends(&[".tar"]) => Some(Kind::Tar),
        _ if ends(&[".tar.gz", ".tgz"]) => Some(Kind::TarGz),
        _ => None,
    }
}

/// Returns the names of an archive's files, once the list was checked; none of a `.tar.gz`, which
/// has no list.
pub fn names(path: &Path) -> Result<Vec<String>, Fault> {
    match kind(path) {
        Some(Kind::TarGz) => Ok(Vec::new()),
        Some(Kind::Tar) => Ok(tarball::list(path)?.into_keys().collect()),
        _ => Ok(Archive::open(path)?.entries.into_keys().collect()),
    }
}

/// Tells whether an archive that can be read holds a file of such a name.
pub fn holds(path: &Path, is_it: impl Fn(&str) -> bool) -> bool {
    names(path).is_ok_and(|names| names.iter().any(|name| is_it(name)))
}

/// A zip archive whose list has been checked.
#[derive(Debug)]
pub struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// Name → (index in the archive, unpacked bytes).
    entries: BTreeMap<String, (usize, u64)>,
}

impl Archive {
    /// Opens an archive and checks every entry's name, kind, size and ratio.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path).map_err(|e| unreadable(path, &e))?;
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|e| unreadable(path, &e))?;
        if zip.len() > ENTRIES_MAX {
            let many = format!(
                "it has {} entries; at most {ENTRIES_MAX} are read",
                zip.len()
            );
            return Err(unsafe_archive(path, many));
        }
        if zip.has_duplicate_names() {
            return Err(unsafe_archive(path, "it holds the same name twice"));
        }
        if zip
            .has_overlapping_entries()
            .map_err(|e| unreadable(path, &e))?
        {
            return Err(unsafe_archive(path, "its entries overlap"));
        }
        let entries = list(&mut zip).map_err(|reason| unsafe_archive(path, reason))?;
        Ok(Self { zip, entries })
    }

    /// Returns names and unpacked sizes, by name; folders are left out.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries
            .iter()
            .map(|(name, (_, size))| (name.as_str(), *size))
    }

    /// Reads one entry, piece by piece; fails if it is not what the list says.
    pub fn read(&mut self, name: &str, each: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        let wrong = |reason: String| {
            Fault::new(
                FaultKind::Data,
                format!("'{name}' in the archive cannot be read"),
            )
            .because(reason)
            .try_("download the product again")
        };
        let (index, size) = self
            .entries
            .get(name)
            .copied()
            .ok_or_else(|| wrong("it is not there".to_owned()))?;
        let entry = self.zip.by_index(index).map_err(|e| wrong(e.to_string()))?;
        let mut entry = entry.take(size + 1);
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            let n = entry.read(&mut buffer).map_err(|e| wrong(e.to_string()))?;
            if n == 0 {
                break;
            }
            total += n as u64;
            each(&buffer[..n]);
        }
        if total == size {
            Ok(())
        } else {
            Err(wrong(format!(
                "it unpacks to another size than the listed {size} bytes"
            )))
        }
    }
}

/// Lists an archive's files; the error says what is wrong with it.
fn list(zip: &mut ZipArchive<BufReader<File>>) -> Result<BTreeMap<String, (usize, u64)>, String> {
    let mut entries = BTreeMap::new();
    let mut tally = Tally::default();
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|e| e.to_string())?;
        let name = plain_name(entry.name_raw())?;
        check_kind(&name, &entry)?;
        if entry.is_dir() {
            continue;
        }
        let (size, packed) = (entry.size(), entry.compressed_size().max(1));
        if size > RATIO_FREE_BYTES && size / packed > RATIO_MAX {
            let ratio = size / packed;
            return Err(format!(
                "'{name}' unpacks {ratio} times; at most {RATIO_MAX} is read"
            ));
        }
        tally.add(size)?;
        entries.insert(name, (index, size));
    }
    Ok(entries)
}

/// Checks that an entry is a readable file or folder.
fn check_kind<R: Read + ?Sized>(name: &str, entry: &ZipFile<'_, R>) -> Result<(), String> {
    if entry.encrypted() {
        return Err(format!("'{name}' is encrypted"));
    }
    let kind = entry.unix_mode().map_or(0, |m| m & ST_MODE_MASK);
    if entry.is_symlink() || (!entry.is_dir() && kind != 0 && kind != ST_MODE_FILE) {
        return Err(format!("'{name}' is a link or device, not a file"));
    }
    Ok(())
}
