//! The seal of a split's file: one line among GDAL's structural lines, at a fixed place.
//!
//! `GLEBE_SPLIT=v1 HEAD=0000001234 SEAL=<64 hex digits>`: the bytes before the pixel data, and the
//! BLAKE3 of those with the 64 digits taken as zeros.
//!
//! *Invariants*: fixed position and length, so the first `END` bytes tell how much to read.
//!
//! *Not here*: the checksum of pixel data (in the metadata).

use crate::geotiff::ReadError;
use crate::split::codec::{DecodeError, META_BYTES_MAX};

/// The line before it is filled in.
pub(super) const BLANK: &str = concat!(
    "GLEBE_SPLIT=v1 HEAD=0000000000 SEAL=",
    "00000000000000000000000000000000",
    "00000000000000000000000000000000\n"
);

/// TIFF header, the line that opens structural lines, and the first of these.
const START: usize =
    8 + "GDAL_STRUCTURAL_METADATA_SIZE=000000 bytes\n".len() + "LAYOUT=IFDS_BEFORE_DATA\n".len();

const MARK: &[u8] = b"GLEBE_SPLIT=v1 HEAD=";
const BETWEEN: &[u8] = b" SEAL=";

/// Decimal digits of the head's length.
const LENGTH_DIGITS: usize = 10;

/// Hex digits of a BLAKE3.
const HASH_DIGITS: usize = 64;

const LENGTH_AT: usize = START + MARK.len();
const HASH_AT: usize = LENGTH_AT + LENGTH_DIGITS + BETWEEN.len();

/// Where the line ends.
pub(super) const END: usize = HASH_AT + HASH_DIGITS + 1;

/// Longest head: metadata, and 24 bytes per tile of the largest image many times over.
const HEAD_BYTES_MAX: usize = META_BYTES_MAX + (64 << 20);

/// A seal as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal {
    /// Bytes before the pixel data.
    pub(super) head: usize,
    hash: [u8; HASH_DIGITS],
}

impl Seal {
    /// Reads the seal from the first bytes of a file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let line = bytes
            .get(START..END)
            .ok_or(ReadError::Truncated(bytes.len()))?;
        let absent = DecodeError::NoSplit("it has no seal");
        let rest = line.strip_prefix(MARK).ok_or(absent.clone())?;
        let (digits, rest) = rest.split_at_checked(LENGTH_DIGITS).ok_or(absent.clone())?;
        let hash = rest
            .strip_prefix(BETWEEN)
            .and_then(|r| r.strip_suffix(b"\n"));
        let hash = hash.and_then(|h| h.try_into().ok()).ok_or(absent.clone())?;
        let head = std::str::from_utf8(digits)
            .ok()
            .and_then(|d| d.parse().ok());
        match head.filter(|h| (END..=HEAD_BYTES_MAX).contains(h)) {
            Some(head) => Ok(Self { head, hash }),
            None => Err(DecodeError::Head),
        }
    }

    /// Tells whether a head is the one sealed.
    pub(super) fn matches(&self, head: &[u8]) -> bool {
        head.len() == self.head && hash(head) == self.hash
    }

    /// Fills in the seal of a head in which it is blank.
    pub(super) fn write(head: &mut [u8]) {
        let length = format!("{:0width$}", head.len(), width = LENGTH_DIGITS);
        head[LENGTH_AT..LENGTH_AT + LENGTH_DIGITS].copy_from_slice(length.as_bytes());
        let found = hash(head);
        head[HASH_AT..HASH_AT + HASH_DIGITS].copy_from_slice(&found);
    }
}

/// Returns the BLAKE3 of a head with the seal's digits taken as zeros, in hex.
fn hash(head: &[u8]) -> [u8; HASH_DIGITS] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head.get(..HASH_AT).unwrap_or_default());
    hasher.update(&[b'0'; HASH_DIGITS]);
    hasher.update(head.get(HASH_AT + HASH_DIGITS..).unwrap_or_default());
    let mut digits = [0; HASH_DIGITS];
    digits.copy_from_slice(hasher.finalize().to_hex().as_bytes());
    digits
}
