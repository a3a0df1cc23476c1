//! Rasters without a map: where pixels lie is told by arrays of longitudes and latitudes.
//!
//! The arrays give the centres of pixels, or of every n-th pixel. Between four of them the ground
//! is the bilinear surface through their unit vectors, brought back to the sphere of longitude and
//! latitude: no meridian and no pole is special, and neighbours share their edges, so a point has
//! one place. Beyond the outermost centres the surface goes on straight for one step.
//!
//! *Invariants*: `to_pixel` undoes `to_ground` (to 1e-6 pixels where pixels have a size); a
//! position that is missing, or a step over a gap between scans, has no place.
//!
//! *Not here*: rasters with a map (`georef`), pixels (`reproject`).

mod index;
mod outline;
mod quad;

use std::sync::Arc;

use self::index::Index;
use self::quad::{MISSING, Node, Quad, Vector};
use crate::extent::LonLat;
use crate::raster::Raster;
use crate::raster::georef::{Georef, PixelWindow};

/// A step more than this many times as long as its column's median is a gap between scans.
const GAP_RATIO: f64 = 4.0;
/// Rows looked at for the median step: enough for a median that gaps do not move.
const MEDIAN_ROWS: usize = 255;
/// Steps from the last place to the next: neighbouring targets lie at most a few pixels apart.
const WALK_MAX: usize = 6;
/// How far outside its quad a solution may lie through rounding, as a share of a side.
const EDGE_SLACK: f64 = 1e-9;
/// Mean radius of the Earth in metres.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Where a delivered raster lies.
#[derive(Debug, Clone)]
pub enum Place {
    /// On an affine map.
    Mapped(Georef),
    /// Along a swath.
    Swath(Arc<Swath>),
}

impl Place {
    /// Returns the whole raster as a window.
    pub fn whole(&self) -> PixelWindow {
        match self {
            Self::Mapped(georef) => georef.whole(),
            Self::Swath(swath) => swath.whole(),
        }
    }
}

impl PartialEq for Place {
    /// Bands of one product hold the same swath in memory; another one lies elsewhere.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mapped(a), Self::Mapped(b)) => a == b,
            (Self::Swath(a), Self::Swath(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl From<Georef> for Place {
    fn from(georef: Georef) -> Self {
        Self::Mapped(georef)
    }
}

/// An array of longitudes or latitudes as delivered: degrees = stored × scale + offset.
#[derive(Debug, Clone)]
pub struct Angles {
    /// The stored numbers.
    pub raster: Raster,
    /// See above.
    pub scale: f64,
    /// See above.
    pub offset: f64,
    /// The stored number that means "missing"; NaN always does.
    pub fill: Option<f64>,
}

impl Angles {
    fn degrees(&self, column: u32, row: u32) -> Option<f64> {
        let stored = self.raster.get(column, row)?;
        let known = !stored.is_nan()
            && self
                .fill
                .is_none_or(|f| f.is_nan() || (f - stored).abs() > 0.0);
        known.then_some(stored * self.scale + self.offset)
    }
}

/// Which pixels the arrays give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ties {
    /// Position in pixels of the first column and row of the arrays; 0.5 is the first centre.
    pub first: (f64, f64),
    /// Pixels from one column and row of the arrays to the next.
    pub step: (f64, f64),
}

impl Ties {
    /// One position for every pixel.
    pub const EACH: Self = Self {
        first: (0.5, 0.5),
        step: (1.0, 1.0),
    };
}

/// Why arrays place no raster.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SwathError {
    /// The arrays differ in shape, or have no four positions.
    #[error("longitudes are {lon:?} and latitudes {lat:?} positions; both need 2 x 2 or more")]
    Shape {
        /// Columns and rows of the longitudes.
        lon: (u32, u32),
        /// Columns and rows of the latitudes.
        lat: (u32, u32),
    },
    /// The positions do not reach over the raster, or do not advance.
    #[error("positions at {0:?} do not reach over all pixels")]
    Ties(Ties),
    /// No four neighbours are known.
    #[error("no position is known")]
    Empty,
}

/// A raster placed by arrays of longitudes and latitudes.
#[derive(Debug)]
pub struct Swath {
    width: u32,
    height: u32,
    ties: Ties,
    nodes: Nodes,
    index: Index,
}

/// The positions, with one more straight on beyond each edge.
#[derive(Debug)]
struct Nodes {
    columns: usize,
    rows: usize,
    all: Vec<Node>,
    /// Longest step along a row that is no gap, by column, and the same along a column.
    across_max: Vec<f64>,
    along_max: Vec<f64>,
}

/// A place among the nodes: a quad and the shares of its sides.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spot {
    column: usize,
    row: usize,
    u: f64,
    v: f64,
}

/// The last place found: where the next search begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    column: usize,
    row: usize,
    /// False where the last point had no place, and walking would lead nowhere.
    warm: bool,
}

impl Swath {
    /// Places a raster of width × height pixels.
    ///
    /// # Errors
    /// Arrays of different shapes, that do not reach over the raster, or without positions.
    pub fn new(
        (width, height): (u32, u32),
        ties: Ties,
        (lon, lat): (&Angles, &Angles),
    ) -> Result<Self, SwathError> {
        let shape = |a: &Angles| (a.raster.width(), a.raster.height());
        let (columns, rows) = shape(lon);
        if shape(lat) != (columns, rows) || columns < 2 || rows < 2 {
            let (lon, lat) = (shape(lon), shape(lat));
            return Err(SwathError::Shape { lon, lat });
        }
        let reaches = |first: f64, step: f64, count: u32, size: u32| {
            let last = first + step * f64::from(count - 1);
            // One step straight on beyond either end.
            step > 0.0 && first - step <= 0.0 && last + step >= f64::from(size)
        };
        if !(reaches(ties.first.0, ties.step.0, columns, width)
            && reaches(ties.first.1, ties.step.1, rows, height))
        {
            return Err(SwathError::Ties(ties));
        }
        let nodes = Nodes::new(lon, lat);
        let index = Index::new(&nodes).ok_or(SwathError::Empty)?;
        Ok(Self {
            width,
            height,
            ties,
            nodes,
            index,
        })
    }

    /// Returns the whole raster as a window.
    pub fn whole(&self) -> PixelWindow {
        PixelWindow {
            column: 0,
            row: 0,
            width: self.width,
            height: self.height,
        }
    }

    /// Returns the ground position of a pixel position; `None` in gaps and off the raster.
    pub fn to_ground(&self, column: f64, row: f64) -> Option<LonLat> {
        let node = |at: f64, first: f64, step: f64| (at - first) / step + 1.0;
        let x = node(column, self.ties.first.0, self.ties.step.0);
        let y = node(row, self.ties.first.1, self.ties.step.1);
        let (left, upper) = (cell(x, self.nodes.columns)?, cell(y, self.nodes.rows)?);
        let quad = self.nodes.quad(left, upper)?;
        let (u, v) = (x - left as f64, y - upper as f64);
        Some(quad.at(u, v).to_lon_lat())
    }

    /// Returns the pixel position of a ground position; `None` off the swath and in gaps.
    pub fn to_pixel(&self, at: LonLat) -> Option<(f64, f64)> {
        self.to_pixel_from(&mut Cursor::default(), at)
    }

    /// Does `to_pixel`, beginning at the place found before: quick for near neighbours.
    pub fn to_pixel_from(&self, cursor: &mut Cursor, at: LonLat) -> Option<(f64, f64)> {
        let at = Vector::from_lon_lat(at);
        let walked = cursor.warm.then(|| self.walk(*cursor, &at)).flatten();
        let found = walked.or_else(|| self.index.search(&self.nodes, &at));
        cursor.warm = found.is_some();
        let spot = found?;
        (cursor.column, cursor.row) = (spot.column, spot.row);
        let pixel = |node: usize, share: f64, first: f64, step: f64| {
            // Nodes are counted from the one before the first.
            first + (node as f64 - 1.0 + share) * step
        };
        Some((
            pixel(spot.column, spot.u, self.ties.first.0, self.ties.step.0),
            pixel(spot.row, spot.v, self.ties.first.1, self.ties.step.1),
        ))
    }

    /// Goes from quad to quad to where each says that the point lies.
    fn walk(&self, from: Cursor, at: &Vector) -> Option<Spot> {
        let (mut column, mut row) = (from.column, from.row);
        for _ in 0..WALK_MAX {
            let (u, v) = self.nodes.quad(column, row)?.solve(at)?;
            let (next_column, next_row) = (stepped(column, u)?, stepped(row, v)?);
            if (next_column, next_row) == (column, row) {
                return Some(Spot { column, row, u, v });
            }
            (column, row) = (next_column, next_row);
        }
        None
    }

    /// Returns the ground size of a middling pixel in metres: the root of its area.
    pub fn pixel_metres(&self) -> f64 {
        let across = median(self.nodes.across_max.clone()) / GAP_RATIO;
        let along = median(self.nodes.along_max.clone()) / GAP_RATIO;
        let pixels = self.ties.step.0 * self.ties.step.1;
        (across * along / pixels).sqrt() * EARTH_RADIUS_M
    }

    /// Returns closed rings in degrees that together cover the swath, each continuous across the
    /// antimeridian and led along the pole where one lies inside.
    pub fn rings(&self) -> Vec<Vec<[f64; 2]>> {
        outline::rings(&self.nodes)
    }
}

impl Nodes {
    fn new(lon: &Angles, lat: &Angles) -> Self {
        let (width, height) = (lon.raster.width(), lon.raster.height());
        let (columns, rows) = (width as usize + 2, height as usize + 2);
        let mut nodes = vec![MISSING; columns * rows];
        for row in 0..height {
            let line = &mut nodes[(row as usize + 1) * columns..][1..=width as usize];
            for (column, node) in (0..width).zip(line) {
                *node = Node::of(lon.degrees(column, row), lat.degrees(column, row));
            }
        }
        let mut all = Self {
            columns,
            rows,
            all: nodes,
            across_max: Vec::new(),
            along_max: Vec::new(),
        };
        all.extend();
        all.across_max = all.longest((1, 0));
        all.along_max = all.longest((0, 1));
        all
    }

    /// Adds nodes straight on beyond the edges, first to the sides, then above and below.
    fn extend(&mut self) {
        let (columns, rows) = (self.columns, self.rows);
        for row in 1..rows - 1 {
            let at = row * columns;
            self.all[at] = Node::beyond(self.all[at + 1], self.all[at + 2]);
            let last = at + columns - 1;
            self.all[last] = Node::beyond(self.all[last - 1], self.all[last - 2]);
        }
        for column in 0..columns {
            let node = |row: usize| self.all[row * columns + column];
            let above = Node::beyond(node(1), node(2));
            let below = Node::beyond(node(rows - 2), node(rows - 3));
            self.all[column] = above;
            self.all[(rows - 1) * columns + column] = below;
        }
    }

    fn get(&self, column: usize, row: usize) -> Option<Vector> {
        if column >= self.columns || row >= self.rows {
            return None;
        }
        self.all[row * self.columns + column].vector()
    }

    /// Returns `GAP_RATIO` times the median step from each column, right or down; infinite where
    /// no step is known.
    fn longest(&self, (right, down): (usize, usize)) -> Vec<f64> {
        let stride = (self.rows / MEDIAN_ROWS).max(1);
        let step = |column: usize, row: usize| {
            let (from, to) = (
                self.get(column, row)?,
                self.get(column + right, row + down)?,
            );
            Some(from.distance(&to))
        };
        let column = |column: usize| {
            let steps = (0..self.rows)
                .step_by(stride)
                .filter_map(|row| step(column, row));
            median(steps.collect()) * GAP_RATIO
        };
        (0..self.columns - right).map(column).collect()
    }

    /// Returns the quad between four nodes; `None` where one is missing or a gap lies between.
    fn quad(&self, column: usize, row: usize) -> Option<Quad> {
        let quad = Quad([
            self.get(column, row)?,
            self.get(column + 1, row)?,
            self.get(column, row + 1)?,
            self.get(column + 1, row + 1)?,
        ]);
        let [above, below, left, right] = quad.sides();
        let across = above.max(below) <= self.across_max[column];
        let along = left <= self.along_max[column] && right <= self.along_max[column + 1];
        (across && along).then_some(quad)
    }

    /// Returns where a point lies in a quad, if it does.
    fn spot(&self, column: usize, row: usize, at: &Vector) -> Option<Spot> {
        let (u, v) = self.quad(column, row)?.solve(at)?;
        let inside = stepped(column, u) == Some(column) && stepped(row, v) == Some(row);
        inside.then_some(Spot { column, row, u, v })
    }
}

/// Returns the cell that a position among nodes lies in.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the position was found to lie among the nodes"
)]
fn cell(at: f64, nodes: usize) -> Option<usize> {
    let last = nodes as f64 - 1.0;
    (0.0..=last)
        .contains(&at)
        .then(|| (at as usize).min(nodes - 2))
}

/// Returns the cell that a share of a cell's side leads to: itself for 0..=1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and negative cells are none"
)]
fn stepped(from: usize, share: f64) -> Option<usize> {
    if (-EDGE_SLACK..=1.0 + EDGE_SLACK).contains(&share) {
        return Some(from);
    }
    let to = from as f64 + share.floor();
    (to >= 0.0).then_some(to as usize)
}

/// Returns the middle value; infinity if there is none.
fn median(mut values: Vec<f64>) -> f64 {
    values.retain(|v| v.is_finite());
    if values.is_empty() {
        return f64::INFINITY;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
