//! Where a geocode is placed: SHA-1 of its placement key, first 14 bits.
//!
//! *Invariants*: computed anywhere with no other knowledge; frozen by test vectors.
//!
//! *Not here*: which node owns a slot (node's layout).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::geocode::Geocode;

/// Number of slots: 2^14 tokens balance 50 nodes to a CV near the multinomial floor (S001
/// Table II).
pub const SLOTS: u16 = 1 << 14;

/// Which part of the geocode is hashed; short prefixes keep neighbours together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum PlacementRule {
    /// The whole geocode.
    #[default]
    Whole,
    /// The first n characters.
    First(u8),
    /// All but the last n characters (at least one remains).
    DropLast(u8),
}

impl PlacementRule {
    /// Returns the number of leading characters that are hashed, for a geocode of that precision.
    pub fn length(self, precision: u8) -> u8 {
        match self {
            Self::Whole => precision,
            Self::First(n) => n.clamp(1, precision),
            Self::DropLast(n) => precision.saturating_sub(n).max(1),
        }
    }

    /// Returns the placement key of a geocode.
    pub fn key(self, geocode: &Geocode) -> PlacementKey {
        PlacementKey(geocode.prefix(self.length(geocode.precision())).to_string())
    }
}

/// The text that is hashed: a lower-case geocode prefix, `run:NAME`, `global:RUN`, …
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlacementKey(String);

impl PlacementKey {
    /// Returns the key of a named thing that has no geocode: `KIND:NAME`.
    pub fn named(kind: &str, name: &str) -> Self {
        Self(format!("{kind}:{name}"))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the slot of the key.
    pub fn slot(&self) -> Slot {
        let digest = Sha1::digest(self.0.as_bytes());
        Slot(u16::from_be_bytes([digest[0], digest[1]]) >> 2)
    }
}

/// One of the 16,384 stretches of SHA-1 space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(u16);

impl Slot {
    /// Returns the slot of that number, or `None` from `SLOTS` on.
    pub fn new(number: u16) -> Option<Self> {
        (number < SLOTS).then_some(Self(number))
    }

    /// Returns all slots in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }

    /// Returns the number, below `SLOTS`.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
