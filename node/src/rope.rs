//! Bytes in pieces, to be written one after the other.
//!
//! *Invariants*: pieces are shared, not copied: what is sent of an object is the object's own
//! memory. Two ropes are equal when their bytes are, however they are cut.
//!
//! *Not here*: what the bytes mean (`peer`), how they travel (`swarm`).

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes in pieces.
#[derive(Clone, Default)]
pub struct Rope(Vec<Bytes>);

impl Rope {
    /// Returns the number of bytes of all pieces together.
    pub fn length(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Returns the pieces, in order.
    pub fn pieces(&self) -> &[Bytes] {
        &self.0
    }

    /// Adds the pieces of another rope behind the own.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Returns all bytes in one piece; what is one already is not copied.
    pub fn joined(mut self) -> Bytes {
        if self.0.len() == 1 {
            return self.0.swap_remove(0);
        }
        let mut joined = Vec::with_capacity(self.length());
        // Each piece is let go of once it was copied: both wholes are never held at once.
        for piece in self.0 {
            joined.extend_from_slice(&piece);
        }
        joined.into()
    }

    fn bytes(&self) -> impl Iterator<Item = &u8> {
        self.0.iter().flatten()
    }
}

impl From<Bytes> for Rope {
    fn from(piece: Bytes) -> Self {
        Self(vec![piece])
    }
}

impl From<Vec<u8>> for Rope {
    fn from(piece: Vec<u8>) -> Self {
        Bytes::from(piece).into()
    }
}

impl FromIterator<Bytes> for Rope {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self(pieces.into_iter().collect())
    }
}

impl PartialEq for Rope {
    fn eq(&self, other: &Self) -> bool {
        self.length() == other.length() && self.bytes().eq(other.bytes())
    }
}

impl Eq for Rope {}

impl fmt::Debug for Rope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rope({} bytes)", self.length())
    }
}

impl Serialize for Rope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.clone().joined())
    }
}

impl<'de> Deserialize<'de> for Rope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::deserialize::<Vec<u8>, D>(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(pieces: &[&'static str]) -> Rope {
        pieces
            .iter()
            .map(|p| Bytes::from_static(p.as_bytes()))
            .collect()
    }

    #[test]
    fn ropes_of_the_same_bytes_are_equal_however_they_are_cut() {
        assert_eq!(rope(&["gle", "", "be"]), rope(&["g", "lebe"]));
        assert_ne!(rope(&["gle", "be"]), rope(&["gle", "bx"]));
        assert_ne!(rope(&["gle"]), rope(&["gle", "be"]));
        assert_eq!(Rope::default(), rope(&[]));
    }

    #[test]
    fn joining_one_piece_copies_nothing() {
        let piece = Bytes::from(b"glebe".to_vec());
        let joined = Rope::from(piece.clone()).joined();
        assert_eq!(joined.as_ptr(), piece.as_ptr());
        let mut two = rope(&["gl"]);
        two.append(rope(&["e", "be"]));
        assert_eq!(
            (two.length(), two.joined().as_ref()),
            (5, b"glebe".as_ref())
        );
    }
}
