//! The name of one cell of the Earth, in one of two schemes.
//!
//! *Invariants*: a `Geocode` is valid by construction; order and prefix relation follow the text.
//!
//! The cells of one precision form a lattice: `CellIndex` counts columns from west, rows from
//! north.
//!
//! *Not here*: pixels of a cell (`grid`), where a cell is stored (`split::placement`).

pub mod cover;
mod geohash;
mod lattice;
pub mod quadtile;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::extent::{LonLat, LonLatBox};

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
    #[inline]
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

impl Scheme {
    /// Returns the number of cells around the Earth; at most 2^30.
    pub fn columns(self, precision: u8) -> u32 {
        1 << match self {
            Self::Geohash => geohash::column_bits(precision),
            Self::QuadTile => u32::from(precision),
        }
    }

    /// Returns the number of cells from the northern to the southern edge; at most 2^30.
    pub fn rows(self, precision: u8) -> u32 {
        1 << match self {
            Self::Geohash => geohash::row_bits(precision),
            Self::QuadTile => u32::from(precision),
        }
    }

    /// Returns the longitude of a column's western edge; exact.
    pub(crate) fn longitude(self, precision: u8, column: u32) -> f64 {
        let share = f64::from(column) / f64::from(self.columns(precision));
        share * 360.0 - 180.0
    }

    /// Returns the latitude of a row's northern edge; exact for geohash.
    pub(crate) fn latitude(self, precision: u8, row: u32) -> f64 {
        match self {
            Self::Geohash => 90.0 - f64::from(row) / f64::from(self.rows(precision)) * 180.0,
            Self::QuadTile => quadtile::latitude(precision, f64::from(row)),
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

/// Where a cell lies among the cells of its precision.
///
/// Columns count eastward from longitude -180°, rows southward from the northern edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellIndex {
    /// Column, 0 at -180°.
    pub column: u32,
    /// Row, 0 at the northern edge.
    pub row: u32,
}

/// Why a text or a position is no geocode.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GeocodeError {
    /// The length is outside the precision range of the scheme.
    #[error(
        "precision {precision} of {scheme} is outside 1..={max}",
        max = .scheme.precision_max()
    )]
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
    /// The latitude lies beyond the square that quad-tiles divide.
    #[error(
        "latitude {lat} lies beyond the Mercator limit of quad-tiles (±85.0511°); \
         choose the geohash scheme near the poles"
    )]
    Mercator {
        /// The given latitude in degrees.
        lat: f64,
    },
    /// The position is not on the Earth.
    #[error("({lon}, {lat}) is no position: longitude is -180..=180, latitude -90..=90")]
    Position {
        /// The given longitude in degrees.
        lon: f64,
        /// The given latitude in degrees.
        lat: f64,
    },
}

impl Geocode {
    /// Parses a geocode; upper-case letters of a geohash are lowered.
    pub fn parse(scheme: Scheme, text: &str) -> Result<Self, GeocodeError> {
        let precision = check_precision(scheme, text.chars().count())?;
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
        Ok(Self {
            scheme,
            digits,
            precision,
        })
    }

    /// Returns the cell of that precision in which a point lies.
    ///
    /// Cells are half-open: a point on an edge belongs to the cell east and north of it in a
    /// geohash, east and south in a quad-tile; the last column and row include their outer edge.
    ///
    /// # Errors
    /// A precision outside the scheme's range, a point off the Earth, or, for quad-tiles, a
    /// latitude past the Mercator limit.
    pub fn encode(scheme: Scheme, point: LonLat, precision: u8) -> Result<Self, GeocodeError> {
        check_precision(scheme, usize::from(precision))?;
        let LonLat { lon, lat } = point;
        if !((-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)) {
            return Err(GeocodeError::Position { lon, lat });
        }
        match scheme {
            Scheme::Geohash => geohash::encode(point, precision),
            Scheme::QuadTile => quadtile::encode(point, precision),
        }
    }

    /// Returns the cell at a column and row, or `None` outside the lattice of that precision.
    pub fn at(scheme: Scheme, precision: u8, index: CellIndex) -> Option<Self> {
        if precision == 0 || precision > scheme.precision_max() {
            return None;
        }
        let CellIndex { column, row } = index;
        if column >= scheme.columns(precision) || row >= scheme.rows(precision) {
            return None;
        }
        let digits = match scheme {
            Scheme::Geohash => geohash::digits(index, precision),
            Scheme::QuadTile => quadtile::digits(index, precision),
        };
        Some(Self {
            scheme,
            digits,
            precision,
        })
    }

    /// Returns the column and row of the cell in the lattice of its precision.
    pub fn index(&self) -> CellIndex {
        match self.scheme {
            Scheme::Geohash => geohash::index(self.digits, self.precision),
            Scheme::QuadTile => quadtile::index(self.digits, self.precision),
        }
    }

    /// Returns the cell's edges in degrees; a cell never crosses the antimeridian.
    pub fn bounds(&self) -> LonLatBox {
        let CellIndex { column, row } = self.index();
        let west = self.scheme.longitude(self.precision, column);
        let east = self.scheme.longitude(self.precision, column + 1);
        let north = self.scheme.latitude(self.precision, row);
        let south = self.scheme.latitude(self.precision, row + 1);
        LonLatBox::of_edges(west, south, east, north)
    }

    /// Returns the centre: of a geohash in degrees, of a quad-tile on the Mercator plane.
    pub fn centre(&self) -> LonLat {
        let CellIndex { row, .. } = self.index();
        let LonLat { lon, lat } = self.bounds().centre();
        match self.scheme {
            Scheme::Geohash => LonLat { lon, lat },
            Scheme::QuadTile => LonLat {
                lon,
                lat: quadtile::latitude(self.precision, f64::from(row) + 0.5),
            },
        }
    }

    /// Returns the cells one character longer, in text order; none at the greatest precision.
    pub fn children(&self) -> Vec<Self> {
        if self.precision == self.scheme.precision_max() {
            return Vec::new();
        }
        let precision = self.precision + 1;
        let bits = self.scheme.bits();
        let shift = 64 - u32::from(precision) * bits;
        (0..1_u64 << bits)
            .map(|value| Self {
                digits: self.digits | (value << shift),
                precision,
                ..*self
            })
            .collect()
    }

    /// Returns the cells that share an edge or a corner, in text order.
    ///
    /// Columns wrap at the antimeridian; the northernmost and southernmost rows have nothing
    /// beyond them, so a cell has 8 neighbours, 5 at a pole, fewer in lattices two cells wide.
    pub fn neighbours(&self) -> Vec<Self> {
        let CellIndex { column, row } = self.index();
        let columns = self.scheme.columns(self.precision);
        let mut found = Vec::with_capacity(8);
        for row in row.saturating_sub(1)..=row + 1 {
            for step in [columns - 1, 0, 1] {
                let column = (column + step) % columns;
                found.extend(Self::at(
                    self.scheme,
                    self.precision,
                    CellIndex { column, row },
                ));
            }
        }
        found.retain(|cell| cell != self);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the scheme.
    #[inline]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the number of characters.
    #[inline]
    pub fn precision(&self) -> u8 {
        self.precision
    }

    /// Returns the cell that is one character shorter, or `None` at precision 1.
    pub fn parent(&self) -> Option<Self> {
        (self.precision > 1).then(|| self.prefix(self.precision - 1))
    }

    /// Returns the ancestor of the given precision, or the geocode itself if it is not longer.
    #[inline]
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
    #[inline]
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

/// Returns the precision if the scheme has it.
fn check_precision(scheme: Scheme, precision: usize) -> Result<u8, GeocodeError> {
    match u8::try_from(precision) {
        Ok(narrow) if (1..=scheme.precision_max()).contains(&narrow) => Ok(narrow),
        _ => Err(GeocodeError::Precision { scheme, precision }),
    }
}

/// Deals the bits of a word alternately into two halves; the first half takes the top bit.
///
/// Both halves are left-aligned like the word.
fn unzip_bits(word: u64) -> (u32, u32) {
    let (mut first, mut second) = (0_u32, 0_u32);
    for i in 0..32 {
        first = (first << 1) | u32::from((word >> (63 - 2 * i)) & 1 == 1);
        second = (second << 1) | u32::from((word >> (62 - 2 * i)) & 1 == 1);
    }
    (first, second)
}

/// Interleaves two left-aligned halves into one word; the first half gives the top bit.
fn zip_bits(first: u32, second: u32) -> u64 {
    (0..32).rev().fold(0_u64, |word, i| {
        (word << 2) | (u64::from((first >> i) & 1) << 1) | u64::from((second >> i) & 1)
    })
}
