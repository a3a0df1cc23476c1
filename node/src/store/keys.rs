//! Keys and values of the index, as bytes.
//!
//! *Invariants*: byte order of a key is the order of what it names; every value ends in the CRC-32
//! of key and body, so that a flipped bit in either is noticed.
//!
//! *Not here*: the tables (`records`, `rows`).

use earth::split::placement::Slot;
use wire::bundle::Kind;

use super::error::StoreError;
use super::object::{ContentHash, ObjectKey};
use super::record::Held;

/// Bytes of the checksum at the end of a value.
const CRC_BYTES: usize = 4;
/// Bytes of a `held` value's body: hash, revision, bytes.
const HELD_BYTES: usize = 32 + 4 + 8;

/// Appends to a body the checksum of key and body.
pub(super) fn seal(key: &[u8], mut body: Vec<u8>) -> Vec<u8> {
    let crc = crc(key, &body);
    body.extend_from_slice(&crc.to_le_bytes());
    body
}

/// Returns the body of a value whose checksum is right.
pub(super) fn unseal<'a>(
    table: &'static str,
    key: &[u8],
    value: &'a [u8],
) -> Result<&'a [u8], StoreError> {
    let split = value.len().checked_sub(CRC_BYTES);
    let parts = split.map(|at| value.split_at(at));
    match parts {
        Some((body, found)) if crc(key, body).to_le_bytes() == found => Ok(body),
        _ => Err(StoreError::Damaged { table }),
    }
}

fn crc(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// Returns a kind's byte.
pub(super) fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Split => 1,
        Kind::Model => 2,
        Kind::Run => 3,
        Kind::Ledger => 4,
        Kind::Collection => 5,
        Kind::Tag => 6,
        Kind::Module => 7,
    }
}

/// `kind u8 ‖ id`.
pub(super) fn record_key(key: &ObjectKey) -> Vec<u8> {
    let mut bytes = vec![kind_byte(key.kind)];
    bytes.extend_from_slice(key.id.as_bytes());
    bytes
}

/// `kind u8 ‖ slot u16 BE ‖ id`.
pub(super) fn held_key(slot: Slot, key: &ObjectKey) -> Vec<u8> {
    let mut bytes = vec![kind_byte(key.kind)];
    bytes.extend_from_slice(&slot.number().to_be_bytes());
    bytes.extend_from_slice(key.id.as_bytes());
    bytes
}

/// `hash 32 ‖ revision u32 LE ‖ bytes u64 LE`.
pub(super) fn held_body(held: &Held) -> Vec<u8> {
    let mut bytes = held.hash.as_bytes().to_vec();
    bytes.extend_from_slice(&held.revision.to_le_bytes());
    bytes.extend_from_slice(&held.bytes.to_le_bytes());
    bytes
}

/// Reads a `held` entry back; `None` if it is none.
pub(super) fn read_held(kind: Kind, key: &[u8], body: &[u8]) -> Option<Held> {
    let (slot, id) = key.get(1..)?.split_first_chunk::<2>()?;
    let body: &[u8; HELD_BYTES] = body.try_into().ok()?;
    let (hash, rest) = body.split_first_chunk::<32>()?;
    let (revision, bytes) = rest.split_first_chunk::<4>()?;
    Some(Held {
        slot: Slot::new(u16::from_be_bytes(*slot))?,
        key: ObjectKey::new(kind, std::str::from_utf8(id).ok()?),
        hash: ContentHash::from_bytes(*hash),
        revision: u32::from_le_bytes(*revision),
        bytes: u64::from_le_bytes(bytes.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_key_or_value_is_noticed() {
        let key = b"key".to_vec();
        let value = seal(&key, b"body".to_vec());
        assert_eq!(unseal("t", &key, &value).unwrap(), b"body");
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal("t", &key, &flipped).is_err(), "value bit {bit}");
        }
        for bit in 0..key.len() * 8 {
            let mut flipped = key.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal("t", &flipped, &value).is_err(), "key bit {bit}");
        }
        assert!(unseal("t", &key, b"abc").is_err());
    }

    #[test]
    fn the_bytes_of_a_value_stay_what_they_are() {
        let sealed = seal(b"\x01a", vec![1, 2, 3]);
        // The CRC is what Python's zlib.crc32 gives for 01 61 01 02 03.
        assert_eq!(sealed, [1, 2, 3, 0xc4, 0x17, 0x25, 0xd2]);
    }

    #[test]
    fn held_entries_are_read_back() {
        let held = Held {
            slot: Slot::new(0x2a7f).unwrap(),
            key: ObjectKey::new(Kind::Run, "r"),
            hash: ContentHash::from_bytes([7; 32]),
            revision: 3,
            bytes: 99,
        };
        let key = held_key(held.slot, &held.key);
        assert_eq!(key, [3, 0x2a, 0x7f, b'r']);
        assert_eq!(read_held(Kind::Run, &key, &held_body(&held)), Some(held));
        assert_eq!(read_held(Kind::Run, &key, b"short"), None);
    }
}
