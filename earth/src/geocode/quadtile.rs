//! Quad-tile cells: Bing Maps quadkeys on the spherical Mercator square (EPSG:3857).
//!
//! Source: Microsoft, "Bing Maps Tile System". A digit carries one bit of the row (high) and one
//! of the column (low); row 0 is the northernmost.
//!
//! *Invariants*: latitudes past the Mercator limit are refused, never clamped.
//!
//! *Not here*: text form and prefixes (`geocode`), why this is our own code (ADR 0003).

use std::f64::consts::PI;

use super::{CellIndex, Geocode, GeocodeError, Scheme, unzip_bits, zip_bits};
use crate::extent::LonLat;

/// Latitude in degrees at which the Mercator square ends: atan(sinh π).
pub const LATITUDE_MAX: f64 = 85.051_128_779_806_59;

/// Radius in metres of the Mercator sphere (EPSG:3857).
pub const SPHERE_RADIUS: f64 = 6_378_137.0;

/// Half the side of the Mercator square in metres: π · radius.
pub const HALF_SIDE: f64 = PI * SPHERE_RADIUS;

/// Returns the digits of the cell at a column and row.
pub(super) fn digits(index: CellIndex, precision: u8) -> u64 {
    let unused = 32 - u32::from(precision);
    zip_bits(index.row << unused, index.column << unused)
}

/// Returns the column and row of a cell.
pub(super) fn index(digits: u64, precision: u8) -> CellIndex {
    let (row, column) = unzip_bits(digits);
    let unused = 32 - u32::from(precision);
    CellIndex {
        column: column >> unused,
        row: row >> unused,
    }
}

/// Returns the cell of a point on the Earth.
pub(super) fn encode(point: LonLat, precision: u8) -> Result<Geocode, GeocodeError> {
    let lat = point.lat;
    if lat.abs() > LATITUDE_MAX {
        return Err(GeocodeError::Mercator { lat });
    }
    let scheme = Scheme::QuadTile;
    let cells = scheme.columns(precision);
    let mut column = floor_below((point.lon + 180.0) / 360.0, cells);
    let mut row = floor_below(row_share(lat), cells);
    column -= u32::from(point.lon < scheme.longitude(precision, column));
    // Rounding of the Mercator formulas may put the point one row off; the row's edges decide.
    row -= u32::from(row > 0 && lat > scheme.latitude(precision, row));
    row += u32::from(row + 1 < cells && lat <= scheme.latitude(precision, row + 1));
    let index = CellIndex { column, row };
    Geocode::at(scheme, precision, index).ok_or(GeocodeError::Position {
        lon: point.lon,
        lat,
    })
}

/// Returns the latitude in degrees at a distance from the northern edge, in rows.
pub(super) fn latitude(precision: u8, row: f64) -> f64 {
    let rows = f64::from(Scheme::QuadTile.rows(precision));
    let northing = PI * (1.0 - 2.0 * row / rows);
    northing
        .sinh()
        .atan()
        .to_degrees()
        .clamp(-LATITUDE_MAX, LATITUDE_MAX)
}

/// Returns how far south a latitude lies in the Mercator square, 0 (north) to 1 (south).
pub(super) fn row_share(lat: f64) -> f64 {
    (1.0 - lat.to_radians().tan().asinh() / PI) / 2.0
}

/// Returns which of `cells` equal parts of 0..1 a share lies in; 1 is in the last.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..cells, and cells fit 32 bits"
)]
pub(super) fn floor_below(share: f64, cells: u32) -> u32 {
    (share * f64::from(cells))
        .floor()
        .clamp(0.0, f64::from(cells - 1)) as u32
}
