//! The list of an unpacked folder's files: how damage and half-unpacked folders are noticed.
//!
//! ```text
//! SHA256 SIZE PATH        one line a file, by path; the file `stamp` at the folder's top
//! ```
//! *Invariants*: written last, before the folder gets its place; every other file is listed.
//!
//! *Not here*: the checksums of what was downloaded (`pins`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Depth;

/// Name of the list inside the folder.
const STAMP: &str = "stamp";

/// Bytes copied at a time; a megabyte keeps the system calls few.
const COPY_BYTES: usize = 1 << 20;

/// Size and checksum of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Lower-case hexadecimal SHA-256.
    pub(crate) sha256: String,
    /// Bytes.
    pub(crate) size: u64,
}

/// The files of a folder by their path inside it.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// Writes the list of `entries` into `folder`.
pub(crate) fn write(folder: &Path, entries: &Entries) -> io::Result<()> {
    let line = |(path, entry): (&String, &Entry)| {
        let Entry { sha256, size } = entry;
        format!("{sha256} {size} {path}\n")
    };
    let lines: Vec<String> = entries.iter().map(line).collect();
    fs::write(folder.join(STAMP), lines.concat())
}

/// Returns what is wrong with a folder; `None` when it is as its list says.
pub(crate) fn damage(folder: &Path, depth: Depth) -> Option<String> {
    let Ok(text) = fs::read_to_string(folder.join(STAMP)) else {
        let there = folder.exists();
        return Some(
            if there {
                "it has no list of files"
            } else {
                "it is not there"
            }
            .to_owned(),
        );
    };
    if text.is_empty() {
        return Some("its list of files is empty".to_owned());
    }
    text.lines()
        .find_map(|line| wrong_line(folder, line, depth))
}

fn wrong_line(folder: &Path, line: &str, depth: Depth) -> Option<String> {
    let mut words = line.splitn(3, ' ');
    let (Some(sha256), Some(size), Some(path)) = (words.next(), words.next(), words.next()) else {
        return Some("its list of files is damaged".to_owned());
    };
    let file = folder.join(path);
    if fs::metadata(&file)
        .map(|found| found.len().to_string())
        .ok()
        .as_deref()
        != Some(size)
    {
        return Some(format!("{path} is not {size} bytes long"));
    }
    let wrong = depth == Depth::Verify && sha256_of(&file).ok().as_deref() != Some(sha256);
    wrong.then(|| format!("{path} has another checksum"))
}

/// Returns the SHA-256 of a file in lower-case hexadecimal.
pub(crate) fn sha256_of(file: &Path) -> io::Result<String> {
    Ok(copy(&mut File::open(file)?, &mut io::sink())?.sha256)
}

/// Copies all bytes and returns their number and checksum.
pub(crate) fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<Entry> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(Entry {
                sha256: hex(&hash.finalize()),
                size,
            });
        }
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        size += read as u64;
    }
}

/// Returns bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Entries, Entry, damage, sha256_of, write};
    use crate::setup::Depth;

    #[test]
    fn damage_of_every_kind_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lib.so");
        fs::write(&file, "torch").unwrap();
        assert!(damage(folder.path(), Depth::Quick).is_some(), "no list");
        let entry = Entry {
            sha256: sha256_of(&file).unwrap(),
            size: 5,
        };
        write(
            folder.path(),
            &Entries::from([("lib.so".to_owned(), entry)]),
        )
        .unwrap();
        assert_eq!(damage(folder.path(), Depth::Verify), None);
        fs::write(&file, "torcH").unwrap();
        assert_eq!(
            damage(folder.path(), Depth::Quick),
            None,
            "sizes alone cannot tell"
        );
        assert!(
            damage(folder.path(), Depth::Verify).is_some(),
            "a flipped bit"
        );
        fs::write(&file, "torc").unwrap();
        assert!(
            damage(folder.path(), Depth::Quick).is_some(),
            "a byte short"
        );
        fs::remove_file(&file).unwrap();
        assert!(damage(folder.path(), Depth::Quick).is_some(), "a file gone");
    }

    #[test]
    fn the_checksum_is_sha_256() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("abc");
        fs::write(&file, "abc").unwrap();
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(&file).unwrap(), known);
    }
}
