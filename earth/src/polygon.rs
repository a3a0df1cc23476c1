//! Areas of the Earth bounded by rings of longitude/latitude: GeoJSON polygons.
//!
//! Source: RFC 7946 §3.1.6, §3.1.9. Edges are straight in longitude/latitude.
//!
//! *Invariants*: at least one part; rings are closed, finite, of three corners or more; latitudes
//! in -90..=90; longitudes in -360..=360 and each part at most 360° wide, so that an area across
//! the antimeridian may be written as 170..190 as well as in two parts.
//!
//! *Not here*: cells that cover an area (`geocode::cover`), boxes (`extent`).

mod geojson;

use serde::{Deserialize, Serialize};

pub use self::geojson::GeoJsonError;
use crate::extent::{LonLat, LonLatBox};

/// Most corners of all rings together: a country's coast in fine detail, at 16 bytes a corner.
pub const CORNERS_MAX: usize = 200_000;

/// A closed chain of corners; the last edge leads back to the first corner.
#[derive(Debug, Clone, PartialEq)]
pub struct Ring(Vec<LonLat>);

/// One outer ring and the holes in it.
#[derive(Debug, Clone, PartialEq)]
pub struct PolygonPart {
    /// The outer ring, then the holes.
    rings: Vec<Ring>,
    /// West, south, east, north of the outer ring, kept since every test asks for it.
    span: [f64; 4],
}

/// An area: the union of its parts.
///
/// Serialised as the coordinates of a GeoJSON MultiPolygon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<Vec<[f64; 2]>>>", into = "Vec<Vec<Vec<[f64; 2]>>>")]
pub struct Polygon {
    parts: Vec<PolygonPart>,
}

/// Why coordinates bound no area.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolygonError {
    /// There is no part, or a part has no ring.
    #[error("a polygon needs at least one ring")]
    Empty,
    /// A ring has fewer than three different corners.
    #[error("ring {ring} has {corners} corners, it needs at least 3")]
    Corners {
        /// Number of the ring, counted over all parts from 0.
        ring: usize,
        /// Its corners, without the repeated last one.
        corners: usize,
    },
    /// The last position of a ring is not its first.
    #[error("ring {ring} is not closed: its last position must repeat its first")]
    Open {
        /// Number of the ring, counted over all parts from 0.
        ring: usize,
    },
    /// A position is off the Earth.
    #[error("({lon}, {lat}) is no position: longitude first, -360..=360, latitude -90..=90")]
    Position {
        /// The given longitude.
        lon: f64,
        /// The given latitude.
        lat: f64,
    },
    /// A part spans more than the Earth.
    #[error("a part spans {0}° of longitude, more than the whole Earth")]
    Wide(f64),
    /// There are too many corners.
    #[error("{0} corners are more than {CORNERS_MAX}; simplify the polygon")]
    Limit(usize),
}

impl Ring {
    /// Returns the corners, the first not repeated.
    pub fn corners(&self) -> &[LonLat] {
        &self.0
    }

    /// Returns the edges in order, the closing one last.
    pub fn edges(&self) -> impl Iterator<Item = (LonLat, LonLat)> + '_ {
        let next = self.0.iter().cycle().skip(1);
        self.0.iter().copied().zip(next.copied())
    }
}

impl PolygonPart {
    /// Builds a part of one ring or more.
    fn new(rings: Vec<Ring>) -> Result<Self, PolygonError> {
        let span = span(rings.first().ok_or(PolygonError::Empty)?);
        Ok(Self { rings, span })
    }

    /// Returns the outer ring and the holes.
    pub fn rings(&self) -> &[Ring] {
        &self.rings
    }

    /// Returns all edges of all rings.
    pub fn edges(&self) -> impl Iterator<Item = (LonLat, LonLat)> + '_ {
        self.rings.iter().flat_map(Ring::edges)
    }

    /// Returns west, south, east, north of the outer ring; longitudes are not wrapped.
    pub(crate) fn span(&self) -> [f64; 4] {
        self.span
    }

    /// Tells whether a point lies inside, by the parity of crossings; longitude is not wrapped.
    fn contains_unwrapped(&self, point: LonLat) -> bool {
        let [west, south, east, north] = self.span;
        if !((west..=east).contains(&point.lon) && (south..=north).contains(&point.lat)) {
            return false;
        }
        let crossed = |(a, b): &(LonLat, LonLat)| {
            (a.lat > point.lat) != (b.lat > point.lat)
                && point.lon < longitude_at(*a, *b, point.lat)
        };
        self.edges().filter(crossed).count() % 2 == 1
    }
}

impl Polygon {
    /// Builds an area from GeoJSON MultiPolygon coordinates: parts of closed rings, outer first.
    pub fn new(coordinates: &[Vec<Vec<[f64; 2]>>]) -> Result<Self, PolygonError> {
        let corners = coordinates.iter().flatten().map(Vec::len).sum::<usize>();
        if corners > CORNERS_MAX {
            return Err(PolygonError::Limit(corners));
        }
        let mut number = 0;
        let mut parts = Vec::with_capacity(coordinates.len());
        for rings in coordinates {
            let mut closed = Vec::with_capacity(rings.len());
            for positions in rings {
                closed.push(ring(positions, number)?);
                number += 1;
            }
            let part = PolygonPart::new(closed)?;
            let [west, _, east, _] = part.span();
            if east - west > 360.0 {
                return Err(PolygonError::Wide(east - west));
            }
            parts.push(part);
        }
        if parts.is_empty() {
            Err(PolygonError::Empty)
        } else {
            Ok(Self { parts })
        }
    }

    /// Reads the area of a GeoJSON text: Polygon, MultiPolygon, or Feature, FeatureCollection
    /// and GeometryCollection of such; what lies in several is their union.
    pub fn from_geojson(text: &str) -> Result<Self, GeoJsonError> {
        Self::new(&geojson::coordinates(text)?).map_err(GeoJsonError::Polygon)
    }

    /// Returns the rectangle of a box, in two parts across the antimeridian.
    pub fn from_box(area: &LonLatBox) -> Self {
        let part = |b: &LonLatBox| {
            let corner = |lon, lat| LonLat { lon, lat };
            let ring = Ring(vec![
                corner(b.west(), b.south()),
                corner(b.east(), b.south()),
                corner(b.east(), b.north()),
                corner(b.west(), b.north()),
            ]);
            PolygonPart {
                span: span(&ring),
                rings: vec![ring],
            }
        };
        Self {
            parts: area.parts().iter().map(part).collect(),
        }
    }

    /// Returns the parts.
    pub fn parts(&self) -> &[PolygonPart] {
        &self.parts
    }

    /// Returns GeoJSON MultiPolygon coordinates: parts of closed rings, outer first.
    pub fn coordinates(&self) -> Vec<Vec<Vec<[f64; 2]>>> {
        let closed = |ring: &Ring| {
            let mut positions: Vec<_> = ring.0.iter().map(|p| [p.lon, p.lat]).collect();
            positions.extend(positions.first().copied());
            positions
        };
        self.parts
            .iter()
            .map(|part| part.rings.iter().map(closed).collect())
            .collect()
    }

    /// Tells whether a point lies inside; a point on an edge may fall on either side of it.
    pub fn contains(&self, point: LonLat) -> bool {
        self.parts.iter().any(|part| {
            turns().iter().any(|turn| {
                part.contains_unwrapped(LonLat {
                    lon: point.lon + turn,
                    lat: point.lat,
                })
            })
        })
    }

    /// Tells whether the area and a box share more than an edge.
    ///
    /// A box without area (a point or a line) is asked for by its centre.
    pub fn intersects_box(&self, area: &LonLatBox) -> bool {
        area.parts().iter().any(|b| {
            let sides = [b.west(), b.south(), b.east(), b.north()];
            self.contains(b.centre()) || self.enters(sides)
        })
    }

    /// Tells whether a box lies inside as a whole; never so when unsure.
    pub fn contains_box(&self, area: &LonLatBox) -> bool {
        area.parts().iter().all(|b| {
            let sides = [b.west(), b.south(), b.east(), b.north()];
            self.contains(b.centre()) && !self.enters(sides)
        })
    }

    /// Tells whether an edge runs through the inside of west, south, east, north.
    fn enters(&self, [west, south, east, north]: [f64; 4]) -> bool {
        self.parts.iter().any(|part| {
            let [part_west, part_south, part_east, part_north] = part.span();
            turns().iter().any(|turn| {
                let (west, east) = (west + turn, east + turn);
                let apart = part_east <= west || east <= part_west;
                let apart = apart || part_north <= south || north <= part_south;
                !apart
                    && part
                        .edges()
                        .any(|edge| runs_through(edge, [west, south, east, north]))
            })
        })
    }
}

impl TryFrom<Vec<Vec<Vec<[f64; 2]>>>> for Polygon {
    type Error = PolygonError;

    fn try_from(coordinates: Vec<Vec<Vec<[f64; 2]>>>) -> Result<Self, PolygonError> {
        Self::new(&coordinates)
    }
}

impl From<Polygon> for Vec<Vec<Vec<[f64; 2]>>> {
    fn from(polygon: Polygon) -> Self {
        polygon.coordinates()
    }
}

/// Returns the whole turns by which longitudes in -180..=180 may differ from those of a ring.
fn turns() -> [f64; 3] {
    [-360.0, 0.0, 360.0]
}

/// Builds a ring from closed positions.
fn ring(positions: &[[f64; 2]], number: usize) -> Result<Ring, PolygonError> {
    let off =
        |[lon, lat]: &&[f64; 2]| !((-360.0..=360.0).contains(lon) && (-90.0..=90.0).contains(lat));
    if let Some(&[lon, lat]) = positions.iter().find(off) {
        return Err(PolygonError::Position { lon, lat });
    }
    let corners = positions.len().saturating_sub(1);
    if corners < 3 {
        return Err(PolygonError::Corners {
            ring: number,
            corners,
        });
    }
    if positions.first() != positions.last() {
        return Err(PolygonError::Open { ring: number });
    }
    Ok(Ring(
        positions[..corners]
            .iter()
            .map(|&[lon, lat]| LonLat { lon, lat })
            .collect(),
    ))
}

/// Returns west, south, east, north of a ring.
fn span(ring: &Ring) -> [f64; 4] {
    let start = [
        f64::INFINITY,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NEG_INFINITY,
    ];
    let widen = |[west, south, east, north]: [f64; 4], p: &LonLat| {
        [
            west.min(p.lon),
            south.min(p.lat),
            east.max(p.lon),
            north.max(p.lat),
        ]
    };
    ring.0.iter().fold(start, widen)
}

/// Returns the longitude at which the line through a and b, not level, reaches a latitude.
pub(crate) fn longitude_at(a: LonLat, b: LonLat, lat: f64) -> f64 {
    // From the same end whatever the direction, so that neighbours agree on a shared edge.
    let (a, b) = if a.lat <= b.lat { (a, b) } else { (b, a) };
    if lat >= b.lat {
        return b.lon;
    }
    a.lon + (lat - a.lat) / (b.lat - a.lat) * (b.lon - a.lon)
}

/// Tells whether a segment has a point strictly inside west, south, east, north.
fn runs_through((a, b): (LonLat, LonLat), [west, south, east, north]: [f64; 4]) -> bool {
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    for (start, end, low, high) in [(a.lon, b.lon, west, east), (a.lat, b.lat, south, north)] {
        let along = end - start;
        if along.abs() == 0.0 {
            if start <= low || start >= high {
                return false;
            }
            continue;
        }
        let (first, last) = ((low - start) / along, (high - start) / along);
        enter = enter.max(first.min(last));
        leave = leave.min(first.max(last));
    }
    enter < leave
}
