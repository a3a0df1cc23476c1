//! Arrays of 32-bit floats as npy files (NumPy's format, version 1.0).
//!
//! ```text
//! "\x93NUMPY" 1 0, u16 LE header length, header (a Python dict, padded to 64 bytes, ends in \n)
//! f32 LE values, row-major
//! ```
//! *Invariants*: what is written can be memory-mapped; what is read has exactly the wanted shape.
//!
//! *Not here*: what the arrays are (`handed`).

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// How every file begins.
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// The values begin at a multiple of this.
const ALIGNMENT_BYTES: usize = 64;
/// Bytes before the header: magic, version, length.
const HEAD_BYTES: usize = MAGIC.len() + 2;

/// Why a file holds no such array.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// The file system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is another array, or none.
    #[error("it is no npy file of {wanted}")]
    Other {
        /// What it should be.
        wanted: String,
    },
}

/// Writes an array.
pub fn write(path: &Path, shape: &[i64], values: &[f32]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&header(shape))?;
    for value in values {
        file.write_all(&value.to_le_bytes())?;
    }
    file.flush()
}

/// Reads an array of that shape.
pub fn read(path: &Path, shape: &[i64]) -> Result<Vec<f32>, NpyError> {
    let wanted = || NpyError::Other {
        wanted: format!(
            "little-endian 32-bit floats, row-major, of shape {}",
            tuple(shape)
        ),
    };
    let count: i64 = shape.iter().product();
    let values = usize::try_from(count)
        .unwrap_or(usize::MAX)
        .saturating_mul(4);
    // NumPy pads headers in more ways than one; none is longer than this for such a shape.
    let most = values.saturating_add(1024) as u64;
    if fs::metadata(path)?.len() > most {
        return Err(wanted());
    }
    let bytes = fs::read(path)?;
    let length = bytes
        .get(MAGIC.len()..HEAD_BYTES)
        .filter(|_| bytes.starts_with(MAGIC));
    let length = length.map(|l| usize::from(u16::from_le_bytes([l[0], l[1]])));
    let end = HEAD_BYTES + length.ok_or_else(wanted)?;
    let head = bytes.get(HEAD_BYTES..end).ok_or_else(wanted)?;
    let head = String::from_utf8_lossy(head).replace(' ', "");
    let says = |what: String| head.contains(&what.replace(' ', ""));
    let is_wanted = says("'descr': '<f4'".to_owned())
        && says("'fortran_order': False".to_owned())
        && says(format!("'shape': {}", tuple(shape)));
    let values = bytes.get(end..).filter(|v| is_wanted && v.len() == values);
    let values = values.ok_or_else(wanted)?.chunks_exact(4);
    Ok(values
        .map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]]))
        .collect())
}

/// Writes everything before the values.
fn header(shape: &[i64]) -> Vec<u8> {
    let mut text = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': {}, }}",
        tuple(shape)
    );
    let whole = (HEAD_BYTES + text.len() + 1).next_multiple_of(ALIGNMENT_BYTES);
    text.extend(std::iter::repeat_n(
        ' ',
        whole - HEAD_BYTES - text.len() - 1,
    ));
    text.push('\n');
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
    [MAGIC, &length, text.as_bytes()].concat()
}

/// Writes a shape as Python does.
fn tuple(shape: &[i64]) -> String {
    let numbers: Vec<String> = shape.iter().map(i64::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    format!("({}{comma})", numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{header, read, write};

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.npy");
        let values: Vec<f32> = (0..6_u8).map(f32::from).collect();
        write(&path, &[2, 3], &values).expect("written");
        assert_eq!(read(&path, &[2, 3]).expect("an array"), values);
        assert!(read(&path, &[3, 2]).is_err(), "another shape");
        let bytes = std::fs::read(&path).expect("bytes");
        assert_eq!((bytes.len() - 24) % 64, 0, "values are aligned");
        for cut in [0, 5, 9, 60, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).expect("written");
            assert!(read(&path, &[2, 3]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_header_is_numpys_to_the_byte() {
        // numpy.save of zeros((2, 3), "<f4"), numpy 2.4.
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        let wanted = [
            b"\x93NUMPY\x01\x00\x76\x00".as_slice(),
            text.as_bytes(),
            &[b' '; 118 - 60],
            b"\n",
        ];
        assert_eq!(header(&[2, 3]), wanted.concat());
    }
}
