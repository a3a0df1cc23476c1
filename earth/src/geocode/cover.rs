//! The cells that cover a box or a polygon.
//!
//! *Invariants*: every cell shares area with what it covers and every point inside lies in a
//! cell: a shared edge is no reason to cover. Cells come in text order, each once, and are
//! counted against `CELLS_MAX` before they are made.
//!
//! Quad-tiles end at the Mercator limit: an area that reaches past it is covered up to there,
//! one wholly past it is refused.
//!
//! *Not here*: which cells hold data (query), what is cut from a scene (`split`).

use std::ops::Range;

use super::lattice::{Lattice, Strip};
use super::{CellIndex, Geocode, GeocodeError, Scheme};
use crate::extent::{LonLat, LonLatBox};
use crate::polygon::{Polygon, PolygonPart, longitude_at};

/// Most cells of one cover: CONUS in geohash-5 has 444,000; 16 MiB of geocodes.
pub const CELLS_MAX: u64 = 1 << 20;

/// Most edges looked at over all rows: about a second of work, whatever the polygon's shape.
pub const STEPS_MAX: u64 = 1 << 26;

/// Why there is no cover.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CoverError {
    /// The precision or the position does not suit the scheme.
    #[error(transparent)]
    Geocode(#[from] GeocodeError),
    /// There would be too many cells.
    #[error(
        "the cover takes {cells} or more {scheme} cells of precision {precision}, more than \
         {CELLS_MAX}; choose a lower precision or a smaller area"
    )]
    Limit {
        /// The scheme.
        scheme: Scheme,
        /// The precision.
        precision: u8,
        /// The cells counted when the limit was passed.
        cells: u64,
    },
    /// The polygon has too many long edges for the precision.
    #[error(
        "the polygon's edges run through too many cells of precision {precision} to follow; \
         simplify it or choose a lower precision"
    )]
    Effort {
        /// The precision.
        precision: u8,
    },
}

/// Returns the cells of a precision that share area with a box, in text order.
///
/// A side without length counts as the cell in which it lies.
pub fn of_box(scheme: Scheme, precision: u8, area: &LonLatBox) -> Result<Vec<Geocode>, CoverError> {
    let lattice = Lattice::new(scheme, precision)?;
    let (north, south) = lattice.within(area.north(), area.south())?;
    let mut cells = Cells::new(lattice);
    for part in area.parts() {
        let columns = lattice.columns(part.west(), part.east());
        for row in lattice.rows(north, south) {
            cells.add(row, columns.clone())?;
        }
    }
    Ok(cells.sorted())
}

/// Returns the cells of a precision that share area with a polygon, in text order.
pub fn of_polygon(
    scheme: Scheme,
    precision: u8,
    area: &Polygon,
) -> Result<Vec<Geocode>, CoverError> {
    let lattice = Lattice::new(scheme, precision)?;
    let mut cells = Cells::new(lattice);
    let mut past_limit = None;
    for part in area.parts() {
        let [_, south, _, north] = part.span();
        match lattice.within(north, south) {
            Ok((north, south)) => add_part(part, lattice.rows(north, south), &mut cells)?,
            Err(past) => past_limit = Some(past),
        }
    }
    match past_limit {
        Some(past) if cells.found.is_empty() => Err(past.into()),
        _ => Ok(cells.sorted()),
    }
}

/// Adds the cells of one part, row by row from the north.
///
/// In a row, a cell is covered if an edge runs through its inside, or if no edge does and its
/// centre lies inside, which the edges that cross the middle of the row tell.
fn add_part(part: &PolygonPart, rows: Range<u32>, cells: &mut Cells) -> Result<(), CoverError> {
    let lattice = cells.lattice;
    let mut edges: Vec<Edge> = part.edges().map(Edge::new).collect();
    edges.sort_by(|a, b| b.upper.lat.total_cmp(&a.upper.lat));
    let mut coming = edges.into_iter().peekable();
    let mut active: Vec<Edge> = Vec::new();
    for row in rows {
        let strip = lattice.strip(row);
        active.extend(std::iter::from_fn(|| {
            coming.next_if(|e| e.upper.lat > strip.south)
        }));
        active.retain(|edge| edge.lower.lat < strip.north && edge.upper.lat > strip.south);
        cells.count_steps(active.len())?;
        let mut columns: Vec<_> = active
            .iter()
            .map(|edge| {
                let (west, east) = edge.within(&strip);
                lattice.columns_entered(west, east)
            })
            .collect();
        columns.extend(inner_columns(&active, &strip, lattice));
        for joined in join(columns) {
            cells.add(row, joined)?;
        }
    }
    Ok(())
}

/// Returns the columns whose centres lie inside on the middle of a row.
fn inner_columns(active: &[Edge], strip: &Strip, lattice: Lattice) -> Vec<Range<i64>> {
    let middle = f64::midpoint(strip.north, strip.south);
    let crosses = |edge: &&Edge| edge.upper.lat > middle && edge.lower.lat <= middle;
    let mut crossings: Vec<f64> = active
        .iter()
        .filter(crosses)
        .map(|edge| edge.longitude_at(middle))
        .collect();
    crossings.sort_by(f64::total_cmp);
    crossings
        .chunks_exact(2)
        .map(|pair| lattice.columns_centred(pair[0], pair[1]))
        .collect()
}

/// Joins ranges that overlap or touch, in order.
fn join(mut ranges: Vec<Range<i64>>) -> Vec<Range<i64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<i64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// An edge of a polygon, its ends ordered by latitude.
#[derive(Debug, Clone, Copy)]
struct Edge {
    upper: LonLat,
    lower: LonLat,
}

impl Edge {
    /// Orders the ends.
    fn new((a, b): (LonLat, LonLat)) -> Self {
        if a.lat >= b.lat {
            Self { upper: a, lower: b }
        } else {
            Self { upper: b, lower: a }
        }
    }

    /// Returns the longitude at a latitude between the ends, which are not level.
    fn longitude_at(&self, lat: f64) -> f64 {
        longitude_at(self.lower, self.upper, lat)
    }

    /// Returns the least and greatest longitude inside a strip.
    fn within(&self, strip: &Strip) -> (f64, f64) {
        let end = |beyond: bool, corner: LonLat, edge: f64| {
            if beyond {
                self.longitude_at(edge)
            } else {
                corner.lon
            }
        };
        let first = end(self.upper.lat > strip.north, self.upper, strip.north);
        let last = end(self.lower.lat < strip.south, self.lower, strip.south);
        (first.min(last), first.max(last))
    }
}

/// Cells found so far, counted against the limits.
struct Cells {
    lattice: Lattice,
    found: Vec<Geocode>,
    steps: u64,
}

impl Cells {
    /// Starts with none.
    fn new(lattice: Lattice) -> Self {
        Self {
            lattice,
            found: Vec::new(),
            steps: 0,
        }
    }

    /// Adds the cells of a row in a range of columns, wrapped around the Earth.
    fn add(&mut self, row: u32, columns: Range<i64>) -> Result<(), CoverError> {
        let Lattice {
            scheme, precision, ..
        } = self.lattice;
        let more = columns.end.saturating_sub(columns.start).unsigned_abs();
        let cells = self.found.len() as u64 + more;
        if cells > CELLS_MAX {
            return Err(CoverError::Limit {
                scheme,
                precision,
                cells,
            });
        }
        let around = i64::from(scheme.columns(precision));
        let wrapped = columns.filter_map(|column| u32::try_from(column.rem_euclid(around)).ok());
        self.found.extend(
            wrapped.filter_map(|column| Geocode::at(scheme, precision, CellIndex { column, row })),
        );
        Ok(())
    }

    /// Counts edges looked at.
    fn count_steps(&mut self, edges: usize) -> Result<(), CoverError> {
        self.steps += edges as u64;
        if self.steps > STEPS_MAX {
            return Err(CoverError::Effort {
                precision: self.lattice.precision,
            });
        }
        Ok(())
    }

    /// Returns the cells in text order, each once.
    fn sorted(mut self) -> Vec<Geocode> {
        self.found.sort_unstable();
        self.found.dedup();
        self.found
    }
}
