//! Geohash cells: the `geohash` crate inside its safe range, and the lattice of cells around it.
//!
//! *Invariants*: a point lies inside the bounds of its cell, to the last bit of its coordinates;
//! the poles and the antimeridian belong to the outermost cells.
//!
//! *Not here*: text form and prefixes (`geocode`), why the crate is wrapped (ADR 0004).

use super::{CellIndex, Geocode, GeocodeError, Scheme, unzip_bits, zip_bits};
use crate::extent::LonLat;

/// Returns the bits of longitude in a geohash of that precision: the first of each pair.
pub(super) fn column_bits(precision: u8) -> u32 {
    (u32::from(precision) * 5).div_ceil(2)
}

/// Returns the bits of latitude in a geohash of that precision.
pub(super) fn row_bits(precision: u8) -> u32 {
    u32::from(precision) * 5 / 2
}

/// Returns the digits of the cell at a column and row.
pub(super) fn digits(index: CellIndex, precision: u8) -> u64 {
    let from_south = (1 << row_bits(precision)) - 1 - index.row;
    zip_bits(
        index.column << (32 - column_bits(precision)),
        from_south << (32 - row_bits(precision)),
    )
}

/// Returns the column and row of a cell.
pub(super) fn index(digits: u64, precision: u8) -> CellIndex {
    let (lon, lat) = unzip_bits(digits);
    let from_south = lat >> (32 - row_bits(precision));
    let row = (1 << row_bits(precision)) - 1 - from_south;
    CellIndex {
        column: lon >> (32 - column_bits(precision)),
        row,
    }
}

/// Returns the cell of a point on the Earth.
///
/// The crate wraps 180° to the first column and 90° to the south pole, and within 4e-14° of an
/// edge it may round into the next cell: points are clamped below the outer edges first and the
/// cell is moved by one where its bounds miss the point.
pub(super) fn encode(point: LonLat, precision: u8) -> Result<Geocode, GeocodeError> {
    let lon = point.lon.min(180.0_f64.next_down());
    let lat = point.lat.min(90.0_f64.next_down());
    let off = GeocodeError::Position { lon, lat };
    let inside = geohash::Coord {
        x: clear_of_top(lon, 180.0),
        y: clear_of_top(lat, 90.0),
    };
    let text = geohash::encode(inside, usize::from(precision)).map_err(|_| off.clone())?;
    let near = Geocode::parse(Scheme::Geohash, &text)?;
    let bounds = near.bounds();
    let CellIndex {
        mut column,
        mut row,
    } = near.index();
    column += u32::from(lon >= bounds.east());
    column -= u32::from(lon < bounds.west());
    row -= u32::from(lat >= bounds.north());
    row += u32::from(lat < bounds.south());
    Geocode::at(Scheme::Geohash, precision, CellIndex { column, row }).ok_or(off)
}

/// Returns the value held so far below `limit` that the crate's 52-bit fraction cannot wrap.
fn clear_of_top(value: f64, limit: f64) -> f64 {
    value.min(limit * (1.0 - 1e-13))
}
