//! The name of one cell of the Earth, in one of two schemes.
//!
//! *Invariants*: a `Geocode` is valid by construction; order and prefix relation follow the text.
//!
//! *Not here*: pixels of a cell (`grid`), where a cell is stored (`split::placement`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The two ways to name cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Base-32 geohash, precision 1..=12, in EPSG:4326.
    Geohash,
    /// Bing/Microsoft quadkey digits, precision (zoom) 1..=23, in EPSG:3857.
    QuadTile,
}

impl Scheme {
    /// Returns the greatest precision of the scheme.
    pub fn precision_max(self) -> u8 {
        match self {
            Self::Geohash => 12,
            Self::QuadTile => 23,
        }
    }

    /// Returns the bits that one character carries.
    fn bits(self) -> u32 {
        match self {
            Self::Geohash => 5,
            Self::QuadTile => 2,
        }
    }

    /// Returns the characters of the scheme, in order of value.
    fn alphabet(self) -> &'static [u8] {
        match self {
            Self::Geohash => b"0123456789bcdefghjkmnpqrstuvwxyz",
            Self::QuadTile => b"0123",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Geohash => "geohash",
            Self::QuadTile => "quadtile",
        })
    }
}

/// The name of one cell: scheme, precision and digits, packed left-aligned into 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Geocode {
    scheme: Scheme,
    /// Digits from the most significant bit down; unused bits are zero, so order is text order.
    digits: u64,
    precision: u8,
}

/// Why a text is no geocode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GeocodeError {
    /// The length is outside the precision range of the scheme.
    #[error("precision {precision} of {scheme} is outside 1..={max}", max = .scheme.precision_max())]
    Precision {
        /// The scheme asked for.
        scheme: Scheme,
        /// The given precision.
        precision: usize,
    },
    /// A character does not belong to the scheme's alphabet.
    #[error("'{found}' in '{text}' is no {scheme} character")]
    Character {
        /// The scheme asked for.
        scheme: Scheme,
        /// The whole text.
        text: String,
        /// The first wrong character.
        found: char,
    },
    /// The position cannot be named in the scheme.
    #[error("latitude {lat} lies beyond the Mercator limit of quad-tiles (±85.05°)")]
    Mercator {
        /// The given latitude, in millionths of a degree, rounded (kept integral for equality).
        lat: String,
    },
}

impl Geocode {
    /// Parses a geocode; upper-case letters of a geohash are lowered.
    pub fn parse(scheme: Scheme, text: &str) -> Result<Self, GeocodeError> {
        let precision = text.chars().count();
        if precision == 0 || precision > usize::from(scheme.precision_max()) {
            return Err(GeocodeError::Precision { scheme, precision });
        }
        let mut digits = 0_u64;
        let mut shift = 64;
        for found in text.chars() {
            let lower = found.to_ascii_lowercase();
            let value = scheme
                .alphabet()
                .iter()
                .position(|c| char::from(*c) == lower);
            let Some(value) = value else {
                return Err(GeocodeError::Character {
                    scheme,
                    text: text.to_owned(),
                    found,
                });
            };
            shift -= scheme.bits();
            digits |= (value as u64) << shift;
        }
        let precision = u8::try_from(precision).unwrap_or(u8::MAX);
        Ok(Self {
            scheme,
            digits,
            precision,
        })
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the number of characters.
    pub fn precision(&self) -> u8 {
        self.precision
    }

    /// Returns the cell that is one character shorter, or `None` at precision 1.
    pub fn parent(&self) -> Option<Self> {
        (self.precision > 1).then(|| self.prefix(self.precision - 1))
    }

    /// Returns the ancestor of the given precision, or the geocode itself if it is not longer.
    #[must_use]
    pub fn prefix(&self, precision: u8) -> Self {
        let precision = precision.clamp(1, self.precision);
        let used = u32::from(precision) * self.scheme.bits();
        let mask = u64::MAX << (64 - used);
        Self {
            scheme: self.scheme,
            digits: self.digits & mask,
            precision,
        }
    }

    /// Tells whether `other` is this cell or lies inside it.
    pub fn contains(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.precision <= other.precision
            && other.prefix(self.precision) == *self
    }
}

impl fmt::Display for Geocode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.scheme.bits();
        let mask = (1_u64 << bits) - 1;
        for i in 1..=u32::from(self.precision) {
            let value = (self.digits >> (64 - i * bits)) & mask;
            let c = self.scheme.alphabet()[usize::try_from(value).unwrap_or(0)];
            write!(f, "{}", char::from(c))?;
        }
        Ok(())
    }
}
