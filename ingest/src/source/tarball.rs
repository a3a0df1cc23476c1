//! Tar archives, as USGS delivers Landsat: where each file lies, or all of them unpacked.
//!
//! *Invariants*: as for zip archives (`guard`): a listed name can only name something inside;
//! only plain files are listed; sizes and counts are within limits; a file that is cut short is an
//! error.
//!
//! *Not here*: which product lies inside (`package`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::{Entries, Entry, EntryType};
use wire::fault::Fault;

use super::guard::{
    RATIO_FREE_BYTES, RATIO_MAX, Tally, UNPACKED_BYTES_MAX, plain_name, unreadable, unsafe_archive,
};

/// How much of a `.tar.gz` is unpacked to tell what it holds: metadata of products come first and
/// have some 100 kB, else it is a band, whose name stands before it.
const LOOK_BYTES: u64 = 4 << 20;
/// Names that are looked at: products have some 25 files.
const LOOK_ENTRIES: usize = 64;

/// Where a file's bytes lie in an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stretch {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// Returns where the files of a `.tar` lie, by name.
pub fn list(path: &Path) -> Result<BTreeMap<String, Stretch>, Fault> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let length = file.metadata().map_err(|e| unreadable(path, &e))?.len();
    list_of(BufReader::new(file), length).map_err(|e| e.of(path))
}

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// It cannot be read.
    #[error("{0}")]
    Form(#[from] std::io::Error),
    /// It can be read, and is not.
    #[error("{0}")]
    Refused(String),
}

impl TarError {
    fn of(&self, path: &Path) -> Fault {
        match self {
            Self::Form(error) => unreadable(path, error),
            Self::Refused(reason) => unsafe_archive(path, reason),
        }
    }
}

/// Lists a tar archive of so many bytes.
pub fn list_of(
    reader: impl Read + Seek,
    length: u64,
) -> Result<BTreeMap<String, Stretch>, TarError> {
    let mut archive = tar::Archive::new(reader);
    let mut found = BTreeMap::new();
    each(archive.entries_with_seek()?, &mut |name, entry| {
        let stretch = Stretch {
            offset: entry.raw_file_position(),
            bytes: entry.size(),
        };
        let end = stretch.offset.saturating_add(stretch.bytes);
        if end > length {
            let short =
                format!("it is cut short: it has {length} bytes, and '{name}' ends at {end}");
            return Err(std::io::Error::other(short).into());
        }
        found.insert(name, stretch);
        Ok(())
    })?;
    Ok(found)
}

/// Returns the names of the first files of a `.tar.gz`, which has no list; none if it is damaged.
pub fn first_names(path: &Path) -> Vec<String> {
    let Ok(file) = File::open(path) else {
        return Vec::new();
    };
    let stream = MultiGzDecoder::new(BufReader::new(file)).take(LOOK_BYTES);
    let mut archive = tar::Archive::new(stream);
    let entries = archive.entries().into_iter().flatten();
    let whole = entries.map_while(Result::ok).take(LOOK_ENTRIES);
    let files = whole.filter(|entry| entry.header().entry_type().is_file());
    let plain = files.filter_map(|entry| {
        let raw = entry.path_bytes();
        plain_name(raw.strip_prefix(b"./").unwrap_or(&raw)).ok()
    });
    plain.collect()
}

/// Unpacks a `.tar.gz` into a folder; returns the files' names and bytes.
pub fn unpack(path: &Path, into: &Path) -> Result<BTreeMap<String, u64>, Fault> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let packed = file.metadata().map_err(|e| unreadable(path, &e))?.len();
    // Past the limit the stream ends, and so does a file in it: an error like any cut archive's.
    let most = RATIO_FREE_BYTES.saturating_add(packed.saturating_mul(RATIO_MAX));
    let most = most.min(UNPACKED_BYTES_MAX);
    let stream = MultiGzDecoder::new(BufReader::new(file)).take(most);
    unpack_stream(stream, into).map_err(|e| e.of(path))
}

/// Unpacks a stream of tar into a folder.
pub fn unpack_stream(stream: impl Read, into: &Path) -> Result<BTreeMap<String, u64>, TarError> {
    let mut archive = tar::Archive::new(stream);
    let mut found = BTreeMap::new();
    each(archive.entries()?, &mut |name, entry| {
        let target = into.join(&name);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = BufWriter::new(File::create(target)?);
        let written = std::io::copy(entry, &mut file)?;
        file.flush()?;
        if written != entry.size() {
            let short = format!("'{name}' is cut short, or too much is packed into it");
            return Err(std::io::Error::other(short).into());
        }
        found.insert(name, written);
        Ok(())
    })?;
    Ok(found)
}

/// What is done with a file of a checked name.
type Take<'t, R> = dyn FnMut(String, &mut Entry<'_, R>) -> Result<(), TarError> + 't;

/// Hands on each plain file with its checked name.
fn each<R: Read>(entries: Entries<'_, R>, take: &mut Take<'_, R>) -> Result<(), TarError> {
    let mut tally = Tally::default();
    let mut seen = std::collections::BTreeSet::new();
    for entry in entries {
        let mut entry = entry?;
        let raw = entry.path_bytes().into_owned();
        tally.add(entry.size()).map_err(TarError::Refused)?;
        match entry.header().entry_type() {
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Regular | EntryType::Continuous => {}
            _ => {
                let name = String::from_utf8_lossy(&raw).escape_debug().to_string();
                let what = format!("'{name}' is a link or device, not a file");
                return Err(TarError::Refused(what));
            }
        }
        // `tar -C FOLDER .` writes every name so.
        let raw = raw.strip_prefix(b"./").unwrap_or(&raw);
        let name = plain_name(raw).map_err(TarError::Refused)?;
        if !seen.insert(name.clone()) {
            return Err(TarError::Refused("it holds the same name twice".to_owned()));
        }
        take(name, &mut entry)?;
    }
    Ok(())
}
