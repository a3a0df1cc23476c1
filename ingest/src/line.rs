//! Lines of bounded length: what processes of an ingest say to each other.
//!
//! *Invariants*: whoever writes without end is stopped at the bound, not at the machine's memory.
//!
//! *Not here*: what lines say (`orders`).

use std::io::{self, BufRead, Read as _};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// Longest line: a path of 4,096 bytes, each a number in JSON, takes 16 KiB, what is told of a
/// split or stands in a ledger less; splits that are known come a thousand a line, 200 bytes each.
pub const LINE_BYTES_MAX: u64 = 1 << 20;

/// Reads the next line without its end; none at the end of the input.
///
/// # Errors
/// What cannot be read, a line that is too long, and one that is no UTF-8.
pub fn read(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut input = input.take(LINE_BYTES_MAX);
    input.read_until(b'\n', &mut line)?;
    text(line)
}

/// Reads the next line as [`read`] does. What is read of it is kept in `begun`, so that whoever
/// gives up in between may go on.
///
/// # Errors
/// As [`read`].
pub async fn next(
    input: &mut (impl AsyncBufRead + Unpin),
    begun: &mut Vec<u8>,
) -> io::Result<Option<String>> {
    let mut input = input.take(LINE_BYTES_MAX.saturating_sub(begun.len() as u64));
    input.read_until(b'\n', begun).await?;
    text(std::mem::take(begun))
}

fn text(mut line: Vec<u8>) -> io::Result<Option<String>> {
    let whole = line.pop_if(|last| *last == b'\n').is_some();
    if line.is_empty() && !whole {
        return Ok(None);
    }
    if !whole && line.len() as u64 >= LINE_BYTES_MAX {
        let reason = format!("a line is longer than {LINE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let text = String::from_utf8(line);
    text.map(Some)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_end_at_their_bound() {
        let longest = usize::try_from(LINE_BYTES_MAX).unwrap() - 1;
        let good = format!("a\n\n{}\nlast", "x".repeat(longest));
        let (mut now, mut later) = (good.as_bytes(), good.as_bytes());
        let mut begun = Vec::new();
        for length in [Some(1), Some(0), Some(longest), Some(4), None] {
            assert_eq!(read(&mut now).unwrap().map(|l| l.len()), length);
            let line = next(&mut later, &mut begun).await.unwrap();
            assert_eq!(line.map(|l| l.len()), length);
        }
        for bad in [vec![b'x'; longest + 2], vec![0xff, b'\n']] {
            assert!(read(&mut bad.as_slice()).is_err());
            assert!(next(&mut bad.as_slice(), &mut begun).await.is_err());
        }
    }
}
