//! The lattice of all cells of one precision: which columns and rows longitudes and latitudes meet.
//!
//! *Invariants*: columns are counted without wrapping, so longitudes past ±180° have columns too;
//! rows stay in the lattice; the edges of cells (`Scheme::{longitude, latitude}`) decide, never
//! the rounding of the formula that finds the cell.
//!
//! *Not here*: which cells an area takes (`cover`).

use std::ops::Range;

use super::{GeocodeError, Scheme, check_precision, quadtile};

/// All cells of a scheme at one precision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lattice {
    pub(super) scheme: Scheme,
    pub(super) precision: u8,
    columns: f64,
    rows: u32,
}

/// The latitudes of one row of cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strip {
    pub(super) north: f64,
    pub(super) south: f64,
}

impl Lattice {
    /// Returns the lattice of a precision that the scheme has.
    pub(super) fn new(scheme: Scheme, precision: u8) -> Result<Self, GeocodeError> {
        let precision = check_precision(scheme, usize::from(precision))?;
        let columns = f64::from(scheme.columns(precision));
        Ok(Self {
            scheme,
            precision,
            columns,
            rows: scheme.rows(precision),
        })
    }

    /// Returns the latitudes that lie in the lattice, or refuses where none does.
    pub(super) fn within(&self, north: f64, south: f64) -> Result<(f64, f64), GeocodeError> {
        let limit = match self.scheme {
            Scheme::Geohash => 90.0,
            Scheme::QuadTile => quadtile::LATITUDE_MAX,
        };
        if south > limit || north < -limit {
            let lat = if south > limit { south } else { north };
            return Err(GeocodeError::Mercator { lat });
        }
        Ok((north.min(limit), south.max(-limit)))
    }

    /// Returns the latitudes of a row.
    pub(super) fn strip(&self, row: u32) -> Strip {
        Strip {
            north: self.latitude(row),
            south: self.latitude(row + 1),
        }
    }

    /// Returns the rows that share latitudes with `south..north`, or the one in which both lie.
    pub(super) fn rows(&self, north: f64, south: f64) -> Range<u32> {
        let first = self.row_from(north);
        let mut end = self.row_from(south);
        if self.latitude(end) > south {
            end += 1;
        }
        if first < end {
            return first..end;
        }
        // A line on an edge: a geohash has the latitude of its southern edge, a quad-tile that
        // of its northern one (`Geocode::encode`).
        let row = match self.scheme {
            Scheme::Geohash => first.saturating_sub(1),
            Scheme::QuadTile => first,
        };
        row..row + 1
    }

    /// Returns the columns that share longitudes with `west..east`, or the one in which both lie.
    pub(super) fn columns(&self, west: f64, east: f64) -> Range<i64> {
        let first = self.floor(west).min(self.floor(180.0) - 1);
        first..self.ceil(east).max(first + 1)
    }

    /// Returns the columns into whose inside `west..=east` leads; none for a line on an edge.
    pub(super) fn columns_entered(&self, west: f64, east: f64) -> Range<i64> {
        self.floor(west)..self.ceil(east)
    }

    /// Returns the columns whose middle lies between two longitudes.
    pub(super) fn columns_centred(&self, west: f64, east: f64) -> Range<i64> {
        let half = 180.0 / self.columns;
        self.floor(west + half)..self.ceil(east - half)
    }

    /// Returns the last row whose northern edge lies at or north of a latitude.
    fn row_from(&self, lat: f64) -> u32 {
        let share = match self.scheme {
            Scheme::Geohash => (90.0 - lat) / 180.0,
            Scheme::QuadTile => quadtile::row_share(lat),
        };
        let near = quadtile::floor_below(share, self.rows);
        if self.latitude(near) < lat {
            return near.saturating_sub(1);
        }
        let next = near + 1;
        if next < self.rows && self.latitude(next) >= lat {
            next
        } else {
            near
        }
    }

    /// Returns the latitude of a row's northern edge.
    fn latitude(&self, row: u32) -> f64 {
        self.scheme.latitude(self.precision, row)
    }

    /// Returns how many columns east of -180° a longitude lies.
    fn position(&self, lon: f64) -> f64 {
        (lon + 180.0) / 360.0 * self.columns
    }

    /// Returns the column that starts at or west of a longitude.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 3 · 2^30 columns either way"
    )]
    fn floor(&self, lon: f64) -> i64 {
        self.position(lon).floor() as i64
    }

    /// Returns the column that starts at or east of a longitude.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 3 · 2^30 columns either way"
    )]
    fn ceil(&self, lon: f64) -> i64 {
        self.position(lon).ceil() as i64
    }
}
