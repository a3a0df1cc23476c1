//! The directory of an HDF4 file: whether the file is as long as it says.
//!
//! HDF4's library reads what is missing of a cut file as zeros of some fields without an error, so
//! the file's own directory is walked first.
//!
//! ```text
//! 0   0E 03 13 01                       magic
//! 4   blocks: u16 count, u32 next block (0: none),
//!     count × (u16 tag, u16 ref, u32 offset, u32 bytes)
//! ```
//! All numbers are big-endian.
//!
//! Source: The HDF Group, HDF4 Specification and Developer's Guide, chapter 1.
//!
//! *Invariants*: no more than `ENTRIES_MAX` entries and blocks are read.
//!
//! *Not here*: what the entries point to (HDF4's library).

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use wire::fault::Fault;

use crate::source::whole;

const MAGIC: [u8; 4] = [0x0E, 0x03, 0x13, 0x01];
/// Tag of an entry that points nowhere.
const TAG_NULL: u16 = 1;
/// Offset and bytes of an entry that was reserved and never written.
const UNWRITTEN: u32 = u32::MAX;
/// Entries and blocks of a directory: a field of 2,400 × 2,400 pixels in chunks has some hundreds,
/// and there are 22 fields at most.
const ENTRIES_MAX: usize = 1 << 20;

/// Fails if a file is no HDF4 file or shorter than its directory says.
pub(super) fn check(path: &Path, label: &str) -> Result<(), Fault> {
    whole::check(path, (label, "HDF4"), end)
}

/// Returns how many bytes a file's directory needs; `None` if it is no HDF4 directory.
pub fn end(file: &mut (impl Read + Seek)) -> std::io::Result<Option<u64>> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Ok(None);
    }
    let (mut end, mut entries) = (4, 0);
    let mut block = 4_u64;
    while block != 0 {
        if entries > ENTRIES_MAX {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(block))?;
        let count = u16::from_be_bytes(read(file)?);
        block = u64::from(u32::from_be_bytes(read(file)?));
        entries += 1 + usize::from(count);
        for _ in 0..count {
            let tag = u16::from_be_bytes(read(file)?);
            let _reference: [u8; 2] = read(file)?;
            let (offset, bytes) = (
                u32::from_be_bytes(read(file)?),
                u32::from_be_bytes(read(file)?),
            );
            if tag != TAG_NULL && offset != UNWRITTEN && bytes != UNWRITTEN {
                end = end.max(u64::from(offset) + u64::from(bytes));
            }
        }
    }
    Ok(Some(end))
}

fn read<const N: usize>(file: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn file(blocks: &[u8]) -> std::io::Result<Option<u64>> {
        end(&mut Cursor::new([&MAGIC, blocks].concat()))
    }

    #[test]
    fn the_farthest_entry_says_how_long_a_file_is() {
        let entries = [
            [2, 188, 0, 1, 0, 0, 1, 0, 0, 0, 0, 16],
            [0, 1, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0, 9],
        ];
        let block = [&[0, 2, 0, 0, 0, 0][..], &entries.concat()].concat();
        assert_eq!(file(&block).unwrap(), Some(272));
        assert!(file(&block[..20]).is_err());
    }

    #[test]
    fn a_directory_that_runs_in_a_circle_is_none() {
        assert_eq!(file(&[0, 0, 0, 0, 0, 4]).unwrap(), None);
        assert_eq!(end(&mut Cursor::new(b"PK\x03\x04....")).unwrap(), None);
    }
}
