//! Longitude/latitude points and boxes.
//!
//! *Invariants*: degrees, longitude in -180..=180, latitude in -90..=90; `south <= north`;
//! `west > east` means that the box crosses the antimeridian (RFC 7946 §5.2).
//!
//! *Not here*: boxes in projected coordinates (`grid`), polygons (`polygon`).

use serde::{Deserialize, Serialize};

/// A point in degrees (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LonLat {
    /// Longitude in degrees, -180..=180.
    pub lon: f64,
    /// Latitude in degrees, -90..=90.
    pub lat: f64,
}

/// A box in degrees; `west > east` crosses the antimeridian.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 4]", into = "[f64; 4]")]
pub struct LonLatBox {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

/// Why four numbers are not a longitude/latitude box.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BoxError {
    /// South lies above north.
    #[error("south {south} lies above north {north}")]
    Upright {
        /// The given south.
        south: f64,
        /// The given north.
        north: f64,
    },
    /// A number lies outside its range or is not finite.
    #[error("{name} is {value}, outside {low}..={high}")]
    Range {
        /// Which side.
        name: &'static str,
        /// The given value.
        value: f64,
        /// Least allowed value.
        low: f64,
        /// Greatest allowed value.
        high: f64,
    },
}

impl LonLatBox {
    /// Builds a box from west, south, east, north in degrees.
    pub fn new(west: f64, south: f64, east: f64, north: f64) -> Result<Self, BoxError> {
        let within = |name, value: f64, limit: f64| {
            if (-limit..=limit).contains(&value) {
                Ok(())
            } else {
                Err(BoxError::Range {
                    name,
                    value,
                    low: -limit,
                    high: limit,
                })
            }
        };
        within("west", west, 180.0)?;
        within("east", east, 180.0)?;
        within("south", south, 90.0)?;
        within("north", north, 90.0)?;
        if south > north {
            return Err(BoxError::Upright { south, north });
        }
        Ok(Self {
            west,
            south,
            east,
            north,
        })
    }

    /// Builds a box from edges known to be in range and in order.
    pub(crate) fn of_edges(west: f64, south: f64, east: f64, north: f64) -> Self {
        debug_assert!(
            Self::new(west, south, east, north).is_ok(),
            "edges of a lattice or ring"
        );
        Self {
            west,
            south,
            east,
            north,
        }
    }

    /// Returns the western longitude in degrees.
    pub fn west(&self) -> f64 {
        self.west
    }

    /// Returns the southern latitude in degrees.
    pub fn south(&self) -> f64 {
        self.south
    }

    /// Returns the eastern longitude in degrees; less than `west` across the antimeridian.
    pub fn east(&self) -> f64 {
        self.east
    }

    /// Returns the northern latitude in degrees.
    pub fn north(&self) -> f64 {
        self.north
    }

    /// Tells whether the box crosses the antimeridian.
    pub fn crosses_antimeridian(&self) -> bool {
        self.west > self.east
    }

    /// Splits the box into one or two boxes that do not cross the antimeridian.
    pub fn parts(&self) -> Vec<Self> {
        if self.crosses_antimeridian() {
            vec![
                Self {
                    east: 180.0,
                    ..*self
                },
                Self {
                    west: -180.0,
                    ..*self
                },
            ]
        } else {
            vec![*self]
        }
    }

    /// Returns the centre; across the antimeridian it is wrapped into -180..=180.
    pub fn centre(&self) -> LonLat {
        let east = if self.crosses_antimeridian() {
            self.east + 360.0
        } else {
            self.east
        };
        let lon = f64::midpoint(self.west, east);
        let lon = if lon > 180.0 { lon - 360.0 } else { lon };
        LonLat {
            lon,
            lat: f64::midpoint(self.south, self.north),
        }
    }

    /// Tells whether the point lies in the box, edges included.
    pub fn contains(&self, point: LonLat) -> bool {
        let in_lat = (self.south..=self.north).contains(&point.lat);
        in_lat
            && self
                .parts()
                .iter()
                .any(|b| (b.west..=b.east).contains(&point.lon))
    }

    /// Tells whether two boxes share more than an edge.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.parts().iter().any(|a| {
            other.parts().iter().any(|b| {
                a.west < b.east && b.west < a.east && a.south < b.north && b.south < a.north
            })
        })
    }
}

impl TryFrom<[f64; 4]> for LonLatBox {
    type Error = BoxError;

    fn try_from([west, south, east, north]: [f64; 4]) -> Result<Self, BoxError> {
        Self::new(west, south, east, north)
    }
}

impl From<LonLatBox> for [f64; 4] {
    fn from(b: LonLatBox) -> Self {
        [b.west, b.south, b.east, b.north]
    }
}
