//! How long a netCDF file is by its own header: the classic formats and netCDF-4, which is HDF5.
//!
//! ```text
//! classic  "CDF" version; records; dimensions, attributes, variables: u32 tag, count, elements
//!          variable: name, dimensions, attributes, u32 type, size, begin
//! HDF5     "\x89HDF\r\n\x1a\n" at 0, 512, 1024 …; version; …; base, …, end of file
//! ```
//! Counts are 32-bit, in version 5 64-bit; begins are 32-bit in version 1 only. Classic numbers are
//! big-endian, HDF5's little-endian.
//!
//! Sources: Unidata, *NetCDF Classic Format Specification*; The HDF Group, *HDF5 File Format
//! Specification Version 3.0*, II.A.
//!
//! *Invariants*: no more than the named limits of elements are read; nothing is allocated by what a
//! file claims.
//!
//! *Not here*: what the variables hold (the netCDF library).

use std::io::{Error, Read, Result, Seek, SeekFrom};

const HDF5: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// Where HDF5's signature may stand beside 0: doubled up to this offset, as far as anyone uses.
const SIGNATURE_AT_MAX: u64 = 1 << 16;
/// Elements of one list: SLSTR's richest file has 50 variables of 20 attributes.
const ELEMENTS_MAX: u64 = 1 << 14;
/// Dimensions of one variable: netCDF's own limit.
const DIMENSIONS_MAX: u64 = 1024;
/// Number of records of a file that is still being written.
const STREAMING: u32 = u32::MAX;

/// Returns how many bytes a file needs; `None` if it is no netCDF file.
pub fn needed(file: &mut (impl Read + Seek)) -> Result<Option<u64>> {
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    match magic {
        [b'C', b'D', b'F', version @ (1 | 2 | 5), ..] => {
            file.seek(SeekFrom::Start(4))?;
            Classic { file, version }.needed()
        }
        HDF5 => superblock(file, 0).map(Some),
        _ => moved_hdf5(file),
    }
}

/// Looks for HDF5's signature behind a user block.
fn moved_hdf5(file: &mut (impl Read + Seek)) -> Result<Option<u64>> {
    let mut at = 512;
    while at <= SIGNATURE_AT_MAX {
        file.seek(SeekFrom::Start(at))?;
        let mut magic = [0; 8];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == HDF5 => return superblock(file, at).map(Some),
            Ok(()) => at *= 2,
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// Reads the end of the file in a superblock whose signature was just read.
fn superblock(file: &mut (impl Read + Seek), at: u64) -> Result<u64> {
    let [version, size_since_2] = bytes(file)?;
    // The size of addresses, and where the first of them stands; the third is the end.
    let (size, first) = match version {
        0 | 1 => {
            file.seek(SeekFrom::Start(at + 13))?;
            let [size] = bytes(file)?;
            (size, if version == 0 { 24 } else { 28 })
        }
        _ => (size_since_2, 12),
    };
    let size = u64::from(size);
    file.seek(SeekFrom::Start(at + first + 2 * size))?;
    match size {
        4 => Ok(u64::from(u32::from_le_bytes(bytes(file)?))),
        8 => Ok(u64::from_le_bytes(bytes(file)?)),
        // What the library says of such a file is enough.
        _ => Ok(0),
    }
}

/// A classic file that is read from its fifth byte on.
struct Classic<'a, F> {
    file: &'a mut F,
    version: u8,
}

impl<F: Read + Seek> Classic<'_, F> {
    fn needed(mut self) -> Result<Option<u64>> {
        let records = self.count()?;
        let streaming = self.version != 5 && records == u64::from(STREAMING);
        let Some(dimensions) = self.dimensions()? else {
            return Ok(None);
        };
        if self.attributes()?.is_none() {
            return Ok(None);
        }
        let Some(variables) = self.variables(&dimensions)? else {
            return Ok(None);
        };
        let record: u64 = variables
            .iter()
            .filter(|v| v.records)
            .map(|v| v.bytes)
            .sum();
        let end = |v: &Variable| {
            let before = match (v.records, streaming) {
                (true, false) => record.saturating_mul(records.saturating_sub(1)),
                _ => 0,
            };
            let bytes = if v.records && (records == 0 || streaming) {
                0
            } else {
                v.bytes
            };
            v.begin.saturating_add(before).saturating_add(bytes)
        };
        // A file without records may end before them.
        let own = variables.iter().filter(|v| !v.records || records > 0);
        Ok(Some(own.map(end).max().unwrap_or(0)))
    }

    /// Returns the lengths of the dimensions; 0 counts records.
    fn dimensions(&mut self) -> Result<Option<Vec<u64>>> {
        let Some(count) = self.list(0x0A)? else {
            return Ok(None);
        };
        let mut lengths = Vec::new();
        for _ in 0..count {
            self.name()?;
            lengths.push(self.count()?);
        }
        Ok(Some(lengths))
    }

    fn attributes(&mut self) -> Result<Option<()>> {
        let Some(count) = self.list(0x0C)? else {
            return Ok(None);
        };
        for _ in 0..count {
            self.name()?;
            let size = type_bytes(self.four()?);
            let values = self.count()?.saturating_mul(size);
            self.skip(values)?;
        }
        Ok(Some(()))
    }

    fn variables(&mut self, dimensions: &[u64]) -> Result<Option<Vec<Variable>>> {
        let Some(count) = self.list(0x0B)? else {
            return Ok(None);
        };
        let mut variables = Vec::new();
        for _ in 0..count {
            self.name()?;
            let rank = self.count()?;
            if rank > DIMENSIONS_MAX {
                return Ok(None);
            }
            let (mut values, mut records) = (1_u64, false);
            for place in 0..rank {
                let id = usize::try_from(self.count()?).unwrap_or(usize::MAX);
                match dimensions.get(id) {
                    None => return Ok(None),
                    Some(0) if place == 0 => records = true,
                    Some(length) => values = values.saturating_mul(*length),
                }
            }
            if self.attributes()?.is_none() {
                return Ok(None);
            }
            let bytes = values.saturating_mul(type_bytes(self.four()?));
            self.count()?;
            let begin = self.begin()?;
            // Variables of records are padded to four bytes, unless there is only one.
            variables.push(Variable {
                bytes,
                begin,
                records,
            });
        }
        if variables.iter().filter(|v| v.records).count() > 1 {
            for variable in variables.iter_mut().filter(|v| v.records) {
                variable.bytes = variable.bytes.saturating_add(3) & !3;
            }
        }
        Ok(Some(variables))
    }

    /// Returns how many elements a list has; `None` if another one stands there.
    fn list(&mut self, tag: u32) -> Result<Option<u64>> {
        let (own, count) = (self.four()?, self.count()?);
        let absent = own == 0 && count == 0;
        Ok((absent || (own == tag && count <= ELEMENTS_MAX)).then_some(count))
    }

    fn name(&mut self) -> Result<()> {
        let length = self.count()?;
        self.skip(length)
    }

    /// Passes over values and what pads them to four bytes.
    fn skip(&mut self, length: u64) -> Result<()> {
        let padded = length.saturating_add(3) & !3;
        let padded = i64::try_from(padded).map_err(|_| Error::other("too long"))?;
        self.file.seek(SeekFrom::Current(padded))?;
        Ok(())
    }

    fn four(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(bytes(self.file)?))
    }

    fn eight(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(bytes(self.file)?))
    }

    fn count(&mut self) -> Result<u64> {
        if self.version == 5 {
            self.eight()
        } else {
            self.four().map(u64::from)
        }
    }

    fn begin(&mut self) -> Result<u64> {
        if self.version == 1 {
            self.four().map(u64::from)
        } else {
            self.eight()
        }
    }
}

/// Where a variable lies.
struct Variable {
    /// Bytes of all its values, or of those of one record.
    bytes: u64,
    begin: u64,
    records: bool,
}

/// Returns the bytes of one value of a type; unknown types count nothing.
fn type_bytes(kind: u32) -> u64 {
    match kind {
        1 | 2 | 7 => 1,
        3 | 8 => 2,
        4 | 5 | 9 => 4,
        6 | 10 | 11 => 8,
        _ => 0,
    }
}

fn bytes<const N: usize>(file: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// One dimension of 5, no attributes, one variable of 16-bit numbers at 80.
    fn classic(records: u32, length: u32) -> Vec<u8> {
        let mut file = b"CDF\x01".to_vec();
        let numbers: [&[u32]; 4] = [
            &[records, 0x0A, 1, 1, u32::from_be_bytes(*b"x\0\0\0"), length],
            &[0, 0],
            &[0x0B, 1, 1, u32::from_be_bytes(*b"v\0\0\0"), 1, 0],
            &[0, 0, 3, 12, 80],
        ];
        file.extend(numbers.concat().iter().flat_map(|n| n.to_be_bytes()));
        file
    }

    fn check(file: &[u8]) -> Option<u64> {
        needed(&mut Cursor::new(file)).unwrap()
    }

    #[test]
    fn a_classic_file_ends_with_its_last_value() {
        assert_eq!(check(&classic(0, 5)), Some(90));
        // Seven records of one number each.
        assert_eq!(check(&classic(7, 0)), Some(94));
        assert_eq!(check(&classic(STREAMING, 0)), Some(80));
        assert!(needed(&mut Cursor::new(&classic(0, 5)[..40])).is_err());
    }

    #[test]
    fn an_hdf5_file_says_its_end_in_its_superblock() {
        let mut old = [&HDF5[..], &[0, 0, 0, 0, 0, 8, 8], &[0; 9], &[0; 16]].concat();
        old.extend(1234_u64.to_le_bytes());
        let mut new = [&HDF5[..], &[2, 8, 8, 0], &[0; 16]].concat();
        new.extend(1234_u64.to_le_bytes());
        let moved = [vec![b'u'; 512], new.clone()].concat();
        for file in [old, new, moved] {
            assert_eq!(check(&file), Some(1234));
        }
    }

    #[test]
    fn other_files_are_no_netcdf() {
        let files: [&[u8]; 4] = [
            b"PK\x03\x04....",
            b"CDF\x07....",
            b"CDF\x01....",
            &[0; 2000],
        ];
        for file in files {
            assert!(
                !matches!(needed(&mut Cursor::new(file)), Ok(Some(_))),
                "{file:?}"
            );
        }
    }
}
