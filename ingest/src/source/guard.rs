//! What an archive may hold, whatever its form: how much, under which names.
//!
//! *Invariants*: a name that passes is relative, without `..`, and names one file.
//!
//! *Not here*: reading the lists of archives (`archive`, `tarball`).

use std::path::Path;

use wire::fault::{Fault, FaultKind};

use crate::name::show;

/// Greatest number of entries: a SAFE product has about 150.
pub const ENTRIES_MAX: usize = 10_000;
/// Greatest sum of unpacked sizes: the largest Sentinel-2 product is 1.3 GB.
pub const UNPACKED_BYTES_MAX: u64 = 4 << 30;
/// Greatest unpacked / packed size of an entry: XML shrinks some 20 times, a bomb 1,000 times.
pub const RATIO_MAX: u64 = 200;
/// Entries up to this size may have any ratio: a small file of zeros hurts nobody.
pub const RATIO_FREE_BYTES: u64 = 1 << 20;
/// Longest name of an entry: paths inside products stay below 200 bytes.
pub const NAME_BYTES_MAX: usize = 1024;

/// How much the files of a list hold so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    files: usize,
    bytes: u64,
}

impl Tally {
    /// Counts a file; the error says which limit it passes.
    pub(super) fn add(&mut self, bytes: u64) -> Result<(), String> {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.files > ENTRIES_MAX {
            return Err(format!("it has over {ENTRIES_MAX} entries"));
        }
        if self.bytes > UNPACKED_BYTES_MAX {
            return Err(format!("it unpacks to over {UNPACKED_BYTES_MAX} bytes"));
        }
        Ok(())
    }
}

/// Returns an entry's name if it can only name something inside the archive.
pub(super) fn plain_name(raw: &[u8]) -> Result<String, String> {
    let shown = String::from_utf8_lossy(raw).escape_debug().to_string();
    let refuse = |why: &str| Err(format!("the name '{shown}' {why}"));
    let Ok(name) = std::str::from_utf8(raw) else {
        return refuse("is not UTF-8");
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return refuse("is empty or too long");
    }
    if name.contains('\\') || name.chars().any(char::is_control) {
        return refuse("holds a backslash or control character");
    }
    if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
        return refuse("is absolute");
    }
    let inner = name.strip_suffix('/').unwrap_or(name);
    if inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("leads out of the archive");
    }
    Ok(name.to_owned())
}

pub(super) fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Fault {
    Fault::new(
        FaultKind::Data,
        format!("{} is no readable archive", show(path)),
    )
    .because(error.to_string())
    .try_("download the archive again")
}

pub(super) fn unsafe_archive(path: &Path, reason: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Data, format!("{} is refused", show(path)))
        .because(reason)
        .try_("unpack it where you trust it, and ingest what comes out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_of_an_archive_are_refused() {
        let bad: &[&[u8]] = &[
            b"../x",
            b"a/../../x",
            b"/etc/passwd",
            b"C:/x",
            b"a\\b",
            b"a\0b",
            b"",
            b"a//b",
            b"./a",
            b"a/..",
            b"..",
            b"\xff\xfe",
            b"a\nb",
        ];
        for name in bad {
            assert!(plain_name(name).is_err(), "{name:?}");
        }
        for name in [&b"a/b.jp2"[..], b"X.SAFE/", b"a..b/c"] {
            assert!(plain_name(name).is_ok(), "{name:?}");
        }
    }
}
