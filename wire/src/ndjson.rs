//! Newline-delimited JSON: one value a line, read as it arrives.
//!
//! *Invariants*: a line never grows past the limit its reader was given; blank lines are skipped.
//!
//! *Not here*: what the lines mean (`search`, `event`).

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Media type of a stream of lines.
pub const MEDIA_TYPE: &str = "application/x-ndjson";
/// Greatest line: a hit of 200 bands takes some 60 KiB; sixteen times that is hostile.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Why a stream of lines cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A line is longer than allowed.
    #[error("a line is longer than {max} bytes")]
    Long {
        /// The limit.
        max: usize,
    },
    /// A line is no JSON of the expected kind.
    #[error("line {line} is not what was expected")]
    Json {
        /// Number of the line, from 1.
        line: u64,
        /// What the parser met.
        #[source]
        source: serde_json::Error,
    },
}

/// Splits arriving bytes into lines and parses each.
#[derive(Debug)]
pub struct LineReader {
    pending: Vec<u8>,
    /// Bytes of `pending` known to hold no newline.
    scanned: usize,
    lines: u64,
    max: usize,
}

impl Default for LineReader {
    fn default() -> Self {
        Self::new(LINE_BYTES_MAX)
    }
}

impl LineReader {
    /// Builds a reader that refuses lines of more than `max` bytes.
    pub fn new(max: usize) -> Self {
        Self {
            pending: Vec::new(),
            scanned: 0,
            lines: 0,
            max,
        }
    }

    /// Takes bytes as they arrive and returns the values of the lines that they complete.
    pub fn push<T: DeserializeOwned>(&mut self, bytes: &[u8]) -> Result<Vec<T>, LineError> {
        self.pending.extend_from_slice(bytes);
        let mut values = Vec::new();
        let mut start = 0;
        let newline = |from: usize, all: &[u8]| {
            let found = all[from..].iter().position(|b| *b == b'\n');
            found.map(|i| from + i)
        };
        while let Some(end) = newline(start.max(self.scanned), &self.pending) {
            if end - start > self.max {
                return Err(LineError::Long { max: self.max });
            }
            values.extend(parse(&self.pending[start..end], &mut self.lines)?);
            start = end + 1;
        }
        self.pending.drain(..start);
        self.scanned = self.pending.len();
        if self.pending.len() > self.max {
            return Err(LineError::Long { max: self.max });
        }
        Ok(values)
    }

    /// Ends the stream; returns the value of a last line that has no newline, if there is one.
    pub fn finish<T: DeserializeOwned>(mut self) -> Result<Option<T>, LineError> {
        parse(&self.pending, &mut self.lines)
    }
}

/// Parses one line; `None` if it is blank.
fn parse<T: DeserializeOwned>(line: &[u8], lines: &mut u64) -> Result<Option<T>, LineError> {
    *lines += 1;
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let value = serde_json::from_slice(line);
    value.map(Some).map_err(|source| LineError::Json {
        line: *lines,
        source,
    })
}

/// Returns a value as one line, newline included.
pub fn line<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in_pieces(text: &[u8], piece: usize) -> Vec<u32> {
        let mut reader = LineReader::default();
        let mut out = Vec::new();
        for chunk in text.chunks(piece) {
            out.extend(reader.push::<u32>(chunk).unwrap());
        }
        out.extend(reader.finish::<u32>().unwrap());
        out
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let text = b"1\n22\n\n333\r\n4444";
        for piece in 1..=text.len() {
            assert_eq!(read_in_pieces(text, piece), [1, 22, 333, 4444]);
        }
    }

    #[test]
    fn a_line_past_the_limit_is_refused_before_it_is_whole() {
        let mut reader = LineReader::new(8);
        assert!(reader.push::<u32>(b"1\n12345678").is_ok());
        let more = reader.push::<u32>(b"9");
        assert!(matches!(more, Err(LineError::Long { max: 8 })));
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number() {
        let mut reader = LineReader::default();
        let wrong = reader.push::<u32>(b"1\n\nx\n");
        assert!(matches!(wrong, Err(LineError::Json { line: 3, .. })));
    }

    #[test]
    fn a_written_line_is_read_back() {
        let mut reader = LineReader::default();
        let bytes = line(&7_u32).unwrap();
        assert_eq!(reader.push::<u32>(&bytes).unwrap(), [7]);
    }
}
