//! The one lattice of pixels that a prediction is made on, and where cells lie in it.
//!
//! Cells of one precision and resolution under the same anchor are exact windows of one grid, so
//! that their pixels are taken as they are. Others are sampled at the centre of each pixel.
//!
//! *Invariants*: the frame has the pixel size and alignment of its first cell; a pixel of the frame
//! belongs to one cell at most; its size is bounded before anything is kept.
//!
//! *Not here*: pixels (`land`), the file (`chart`).

use std::ops::Range;

use earth::crs::Crs;
use earth::geotiff::SIDE_MAX;
use earth::grid::{GeoTransform, Grid};

/// Most pixels of a frame: ten times a 20,000² raster. Memory does not grow with it, time does.
pub const PIXELS_MAX: f64 = (1_u64 << 32) as f64;
/// Greatest difference from a whole pixel that still counts as aligned.
const ALIGNMENT_PX: f64 = 1e-3;

/// A lattice of pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Coordinate system.
    pub crs: Crs,
    /// Position and pixel size.
    pub transform: GeoTransform,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Where a cell lies in a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Edges in pixels of the frame: west, north, east, south.
    pub edges: [f64; 4],
    /// Columns of the frame whose centres lie in the cell.
    pub columns: Range<usize>,
    /// Rows of the frame whose centres lie in the cell.
    pub rows: Range<usize>,
    /// Columns and rows of the cell's own grid.
    pub size: (usize, usize),
    /// The cell's grid is not the frame's: its pixels are sampled.
    pub sampled: bool,
}

/// Why there is no frame.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// No cell.
    #[error("there is no cell")]
    None,
    /// The cells lie too far apart.
    #[error(
        "one raster over all cells would have {columns:.0} x {rows:.0} pixels; \
         predict fewer or nearer cells at a time"
    )]
    Large {
        /// Columns.
        columns: f64,
        /// Rows.
        rows: f64,
    },
}

impl Frame {
    /// Opens a frame over all grids, aligned with the first.
    ///
    /// # Errors
    /// No grid, or grids too far apart.
    pub fn over(grids: &[Grid]) -> Result<Self, FrameError> {
        let first = grids.first().ok_or(FrameError::None)?;
        let like = first.transform();
        let all = grids.iter().map(|grid| edges(like, grid));
        let hull = all.fold([f64::INFINITY, f64::INFINITY, 0.0, 0.0], |hull, edge| {
            [
                hull[0].min(down(edge[0])),
                hull[1].min(down(edge[1])),
                hull[2].max(up(edge[2])),
                hull[3].max(up(edge[3])),
            ]
        });
        let [columns, rows] = [hull[2] - hull[0], hull[3] - hull[1]];
        let side = f64::from(SIDE_MAX);
        if columns > side || rows > side || columns * rows > PIXELS_MAX {
            return Err(FrameError::Large { columns, rows });
        }
        let (west, north) = like.to_ground(hull[0], hull[1]);
        Ok(Self {
            crs: first.crs().clone(),
            transform: GeoTransform {
                west,
                north,
                ..like
            },
            width: whole(columns),
            height: whole(rows),
        })
    }

    /// Finds a cell's grid in the frame; it may lie outside of it.
    pub fn place(&self, grid: &Grid) -> Place {
        let mut edges = edges(self.transform, grid);
        let size = (grid.width() as usize, grid.height() as usize);
        let whole_edges = [edges[0], edges[1]].iter().all(|e| is_same(*e, e.round()));
        let same_size = is_same(edges[2] - edges[0], f64::from(grid.width()))
            && is_same(edges[3] - edges[1], f64::from(grid.height()));
        let sampled = !(whole_edges && same_size);
        if !sampled {
            edges = edges.map(f64::round);
        }
        let inside = |from: f64, to: f64, most: usize| {
            let centre = |edge: f64| whole((edge - 0.5).ceil()).min(most);
            centre(from)..centre(to)
        };
        Place {
            edges,
            columns: inside(edges[0], edges[2], self.width),
            rows: inside(edges[1], edges[3], self.height),
            size,
            sampled,
        }
    }
}

impl Place {
    /// Returns how wide a margin may be that reaches no farther than half of the cell.
    pub fn margin_px(&self, wanted: u32) -> u32 {
        let half = self.size.0.min(self.size.1) / 2;
        wanted.min(u32::try_from(half).unwrap_or(u32::MAX))
    }

    /// Returns the cell's own column at the centre of a column of the frame.
    pub fn column(&self, of_frame: usize) -> usize {
        let [west, _, east, _] = self.edges;
        own(of_frame, (west, east), self.size.0)
    }

    /// Returns the cell's own row at the centre of a row of the frame.
    pub fn row(&self, of_frame: usize) -> usize {
        let [_, north, _, south] = self.edges;
        own(of_frame, (north, south), self.size.1)
    }
}

/// Returns which of a cell's pixels along a side lies at the centre of a pixel of the frame.
fn own(of_frame: usize, (from, to): (f64, f64), size: usize) -> usize {
    let along = (of_frame as f64 + 0.5 - from) / (to - from) * size as f64;
    whole(along.floor()).min(size.saturating_sub(1))
}

/// Returns the edges of a grid in pixels of another: west, north, east, south.
fn edges(like: GeoTransform, grid: &Grid) -> [f64; 4] {
    let [west, south, east, north] = grid.edges();
    let (left, top) = like.to_pixel(west, north);
    let (right, bottom) = like.to_pixel(east, south);
    [left, top, right, bottom]
}

/// Rounds down, but not by a rounding error.
fn down(pixels: f64) -> f64 {
    (pixels + ALIGNMENT_PX).floor()
}

/// Rounds up, but not by a rounding error.
fn up(pixels: f64) -> f64 {
    (pixels - ALIGNMENT_PX).ceil()
}

/// Tells whether two positions are the same but for rounding.
fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() < ALIGNMENT_PX
}

/// Turns a whole number of pixels into an index; what lies before the frame becomes 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and within a frame wherever it counts; the cast saturates"
)]
fn whole(pixels: f64) -> usize {
    pixels.round() as usize
}

#[cfg(test)]
mod tests {
    use earth::geocode::{CellIndex, Geocode, Scheme};
    use earth::grid::Grid;

    use super::{Frame, FrameError};

    fn grid(code: &str, resolution_m: f64) -> Grid {
        let geocode = Geocode::parse(Scheme::Geohash, code).expect("a geohash");
        Grid::of(&geocode, resolution_m).expect("a grid")
    }

    #[test]
    fn neighbours_under_one_anchor_lie_side_by_side_pixel_for_pixel() {
        // u33dc and u33df share an edge: c is west or south of f.
        let grids = [grid("u33dc", 60.0), grid("u33df", 60.0)];
        let frame = Frame::over(&grids).expect("small");
        let places = grids.each_ref().map(|g| frame.place(g));
        let pixels = |i: usize| places[i].columns.len() * places[i].rows.len();
        assert!(places.iter().all(|p| !p.sampled), "{places:?}");
        assert_eq!(pixels(0) as u64, grids[0].pixels());
        assert_eq!(frame.width * frame.height, pixels(0) + pixels(1));
        let [one, _] = &places;
        assert_eq!(one.column(one.columns.start), 0);
        assert_eq!(one.row(one.rows.end - 1), one.size.1 - 1);
    }

    #[test]
    fn cells_under_another_anchor_are_sampled_and_share_no_pixel() {
        // Two on either side of where one anchor ends in the north, and one beside the first.
        let mut south = Geocode::parse(Scheme::Geohash, "u33dc").expect("a geohash");
        let beside = |code: &Geocode, east: u32, north: u32| {
            let CellIndex { column, row } = code.index();
            let index = CellIndex {
                column: column + east,
                row: row - north,
            };
            Geocode::at(Scheme::Geohash, 5, index).expect("a cell")
        };
        while beside(&south, 0, 1).prefix(3) == south.prefix(3) {
            south = beside(&south, 0, 1);
        }
        let codes = [south, beside(&south, 0, 1), beside(&south, 1, 0)];
        let grids = codes.map(|code| Grid::of(&code, 60.0).expect("a grid"));
        let frame = Frame::over(&grids).expect("small");
        let places = grids.each_ref().map(|g| frame.place(g));
        assert_eq!(
            places.each_ref().map(|place| place.sampled),
            [false, true, false]
        );
        for (at, one) in places.iter().enumerate() {
            for other in &places[at + 1..] {
                let apart = one.columns.end <= other.columns.start
                    || other.columns.end <= one.columns.start
                    || one.rows.end <= other.rows.start
                    || other.rows.end <= one.rows.start;
                assert!(apart, "{one:?} {other:?}");
            }
            let last = one.columns.end.checked_sub(1).expect("columns");
            assert!(one.column(last) < one.size.0 && one.column(last) + 2 > one.size.0);
        }
    }

    #[test]
    fn cells_of_two_continents_are_refused() {
        let far = Frame::over(&[grid("9xj5k", 10.0), grid("u33dc", 10.0)]);
        assert!(matches!(far, Err(FrameError::Large { .. })), "{far:?}");
        assert_eq!(Frame::over(&[]), Err(FrameError::None));
    }
}
