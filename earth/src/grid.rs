//! The fixed pixel grid: for one cell and one nominal resolution, always the same pixels.
//!
//! *Invariants*: a pure function of (geocode, resolution), so splits of a cell stack whatever
//! their date, sensor or UTM zone; pixels are north-up; the grid fills the cell edge to edge;
//! within one anchor cell all windows have one pixel size and one alignment.
//!
//! The rule and golden values: `docs/FORMATS.md`, "The fixed grid".
//!
//! *Not here*: pixels themselves (`raster`), which resolution a dataset declares (`dataset`).

use serde::{Deserialize, Serialize};

use crate::crs::Crs;
use crate::geocode::quadtile::{HALF_SIDE, SPHERE_RADIUS};
use crate::geocode::{CellIndex, Geocode, Scheme};

/// Equatorial radius of the WGS 84 ellipsoid in metres.
const WGS84_RADIUS: f64 = 6_378_137.0;

/// First eccentricity squared of the WGS 84 ellipsoid: f (2 - f), f = 1 / 298.257223563.
const WGS84_ECCENTRICITY_2: f64 = 0.006_694_379_990_141_316;

/// Finest nominal resolution in metres: the widest cell stays below 2^32 pixels a side.
pub const RESOLUTION_MIN: f64 = 0.01;

/// Coarsest nominal resolution in metres: coarser than any imagery.
pub const RESOLUTION_MAX: f64 = 1_000_000.0;

/// Geohash precision of anchor cells: 1.40625° a side, at most 157 km.
const ANCHOR_GEOHASH: u8 = 3;

/// Quad-tile precision of anchor cells: 626 km a side at the equator.
const ANCHOR_QUADTILE: u8 = 6;

/// Anchors of this many pixels or more are whole multiples of `STEP_LARGE`, others of `STEP_SMALL`.
const LARGE: f64 = 8192.0;

/// 2^10: large anchors halve exactly ten times (geohash-7, quad-tile zoom 16).
const STEP_LARGE: f64 = 1024.0;

/// 2^5: small anchors halve exactly five times (geohash-5, quad-tile zoom 11), and the rounding
/// stays below 3 % from 512 pixels on.
const STEP_SMALL: f64 = 32.0;

/// The affine map from pixel to ground of a north-up raster.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GeoTransform {
    /// x of the left edge of the first column, in units of the system.
    pub west: f64,
    /// y of the upper edge of the first row, in units of the system.
    pub north: f64,
    /// Width of a pixel, positive.
    pub pixel_width: f64,
    /// Height of a pixel, positive.
    pub pixel_height: f64,
}

impl GeoTransform {
    /// Returns the ground position of a pixel position; (0, 0) is the outer corner of the first
    /// pixel, (0.5, 0.5) its centre.
    pub fn to_ground(&self, column: f64, row: f64) -> (f64, f64) {
        (
            self.west + column * self.pixel_width,
            self.north - row * self.pixel_height,
        )
    }

    /// Returns the pixel position of a ground position.
    pub fn to_pixel(&self, x: f64, y: f64) -> (f64, f64) {
        (
            (x - self.west) / self.pixel_width,
            (self.north - y) / self.pixel_height,
        )
    }

    /// Returns GDAL's six numbers: west, width, 0, north, 0, -height.
    pub fn to_gdal(&self) -> [f64; 6] {
        [
            self.west,
            self.pixel_width,
            0.0,
            self.north,
            0.0,
            -self.pixel_height,
        ]
    }

    /// Reads GDAL's six numbers, or returns `None` unless the raster is north-up and unrotated.
    pub fn from_gdal(numbers: [f64; 6]) -> Option<Self> {
        let [west, pixel_width, row_skew, north, column_skew, down] = numbers;
        let straight = row_skew.abs() == 0.0 && column_skew.abs() == 0.0;
        let upright = pixel_width > 0.0 && down < 0.0;
        let finite = numbers.iter().all(|n| n.is_finite());
        (straight && upright && finite).then_some(Self {
            west,
            north,
            pixel_width,
            pixel_height: -down,
        })
    }
}

/// A pixel grid on the ground: system, position, pixel size and shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    crs: Crs,
    transform: GeoTransform,
    width: u32,
    height: u32,
    window: Option<Window>,
}

/// Where an exact window lies in the grid of its anchor cell, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First column in the anchor's grid.
    pub column: u32,
    /// First row in the anchor's grid.
    pub row: u32,
    /// Width of the anchor's grid.
    pub anchor_width: u32,
    /// Height of the anchor's grid.
    pub anchor_height: u32,
}

/// Why there is no grid.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("resolution {0} m is outside {RESOLUTION_MIN}..={RESOLUTION_MAX} m")]
pub struct ResolutionError(pub f64);

impl Grid {
    /// Returns the fixed grid of a cell at a nominal resolution in metres.
    ///
    /// # Errors
    /// A resolution outside `RESOLUTION_MIN..=RESOLUTION_MAX`, or not a number.
    pub fn of(geocode: &Geocode, resolution_m: f64) -> Result<Self, ResolutionError> {
        if !(RESOLUTION_MIN..=RESOLUTION_MAX).contains(&resolution_m) {
            return Err(ResolutionError(resolution_m));
        }
        let window = window_of(geocode, resolution_m);
        let (width, height) = window.map_or_else(
            || own_shape(geocode, resolution_m),
            |(_, width, height)| (width, height),
        );
        let (west, north) = north_west(geocode);
        let (side_x, side_y) = cell_sides(geocode);
        // Sides and shapes of windows are the anchor's divided by powers of two, which is exact:
        // the quotient is the same for all windows to the last bit.
        let pixel_width = side_x / f64::from(width);
        let pixel_height = side_y / f64::from(height);
        let transform = GeoTransform {
            west,
            north,
            pixel_width,
            pixel_height,
        };
        let crs = match geocode.scheme() {
            Scheme::Geohash => Crs::wgs84(),
            Scheme::QuadTile => Crs::web_mercator(),
        };
        Ok(Self {
            crs,
            transform,
            width,
            height,
            window: window.map(|(window, ..)| window),
        })
    }

    /// Returns the precision of the cells that fix the size of pixels.
    pub fn anchor_precision(scheme: Scheme) -> u8 {
        match scheme {
            Scheme::Geohash => ANCHOR_GEOHASH,
            Scheme::QuadTile => ANCHOR_QUADTILE,
        }
    }

    /// Returns the coordinate reference system.
    pub fn crs(&self) -> &Crs {
        &self.crs
    }

    /// Returns origin and pixel size, in units of the system.
    pub fn transform(&self) -> GeoTransform {
        self.transform
    }

    /// Returns the number of columns, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the number of rows, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the number of pixels.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Returns where the grid lies in its anchor's, or `None` where it rounds for itself.
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// Tells whether the grid is an exact window of its anchor cell's.
    pub fn is_exact_window(&self) -> bool {
        self.window.is_some()
    }

    /// Returns the ground position of the centre of a pixel, in units of the system.
    pub fn centre_of(&self, column: u32, row: u32) -> (f64, f64) {
        self.transform
            .to_ground(f64::from(column) + 0.5, f64::from(row) + 0.5)
    }

    /// Returns the edges in units of the system: west, south, east, north.
    pub fn edges(&self) -> [f64; 4] {
        let (east, south) = self
            .transform
            .to_ground(f64::from(self.width), f64::from(self.height));
        [self.transform.west, south, east, self.transform.north]
    }
}

/// Returns the cell whose size fixes the pixel size.
fn anchor_of(geocode: &Geocode) -> Geocode {
    geocode.prefix(Grid::anchor_precision(geocode.scheme()))
}

/// Returns the window of a cell in its anchor's grid, its width and its height, where pixels
/// come out whole.
fn window_of(geocode: &Geocode, resolution_m: f64) -> Option<(Window, u32, u32)> {
    let anchor = anchor_of(geocode);
    let (across, down) = ground_size(&anchor);
    let anchor_width = anchor_pixels(across / resolution_m);
    let anchor_height = anchor_pixels(down / resolution_m);
    let scheme = geocode.scheme();
    let columns = scheme.columns(geocode.precision()) / scheme.columns(anchor.precision());
    let rows = scheme.rows(geocode.precision()) / scheme.rows(anchor.precision());
    if !(anchor_width.is_multiple_of(columns) && anchor_height.is_multiple_of(rows)) {
        return None;
    }
    let (width, height) = (anchor_width / columns, anchor_height / rows);
    let index = geocode.index();
    let column = index.column % columns * width;
    let row = index.row % rows * height;
    Some((
        Window {
            column,
            row,
            anchor_width,
            anchor_height,
        },
        width,
        height,
    ))
}

/// Returns width and height in pixels of a cell that rounds for itself.
fn own_shape(geocode: &Geocode, resolution_m: f64) -> (u32, u32) {
    let (across, down) = ground_size(geocode);
    (
        whole(across / resolution_m, 1.0),
        whole(down / resolution_m, 1.0),
    )
}

/// Returns the pixels of an anchor's side: a multiple of 1,024, of 32 when below 8,192, and
/// whole pixels where even 32 would be more than twice too many.
fn anchor_pixels(pixels: f64) -> u32 {
    if pixels >= LARGE {
        whole(pixels, STEP_LARGE)
    } else if pixels >= STEP_SMALL / 2.0 {
        whole(pixels, STEP_SMALL)
    } else {
        whole(pixels, 1.0)
    }
}

/// Returns the multiple of `step` nearest to `pixels`, at least one step.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "RESOLUTION_MIN keeps every side of every cell below 2^32 pixels"
)]
fn whole(pixels: f64, step: f64) -> u32 {
    ((pixels / step).round().max(1.0) * step) as u32
}

/// Returns width and height of a cell in units of its system: degrees or Mercator metres.
fn cell_sides(geocode: &Geocode) -> (f64, f64) {
    let (across, down) = match geocode.scheme() {
        Scheme::Geohash => (360.0, 180.0),
        Scheme::QuadTile => (2.0 * HALF_SIDE, 2.0 * HALF_SIDE),
    };
    let (scheme, precision) = (geocode.scheme(), geocode.precision());
    (
        across / f64::from(scheme.columns(precision)),
        down / f64::from(scheme.rows(precision)),
    )
}

/// Returns the north-western corner of a cell in units of its system.
fn north_west(geocode: &Geocode) -> (f64, f64) {
    let CellIndex { column, row } = geocode.index();
    let (side_x, side_y) = cell_sides(geocode);
    let (west, north) = match geocode.scheme() {
        Scheme::Geohash => (-180.0, 90.0),
        Scheme::QuadTile => (-HALF_SIDE, HALF_SIDE),
    };
    (
        west + f64::from(column) * side_x,
        north - f64::from(row) * side_y,
    )
}

/// Returns width and height of a cell on the ground in metres, as measured at its centre.
///
/// On the WGS 84 ellipsoid at the latitude φ of the centre a radian of longitude is N cos φ and
/// a radian of latitude is M metres, with W² = 1 - e² sin² φ, N = a / W, M = a (1 - e²) / W³.
/// Geohash: those times the cell's sides in radians. Quad-tile: a Mercator metre is 1 / (a cos φ)
/// radians of longitude or cos φ / a radians of latitude at the centre of the square.
fn ground_size(geocode: &Geocode) -> (f64, f64) {
    let (sin, cos) = geocode.centre().lat.to_radians().sin_cos();
    let w = (1.0 - WGS84_ECCENTRICITY_2 * sin * sin).sqrt();
    let prime_vertical = WGS84_RADIUS / w;
    let meridian = WGS84_RADIUS * (1.0 - WGS84_ECCENTRICITY_2) / w.powi(3);
    let (side_x, side_y) = cell_sides(geocode);
    let (lon, lat) = match geocode.scheme() {
        Scheme::Geohash => (side_x.to_radians(), side_y.to_radians()),
        Scheme::QuadTile => (side_x / SPHERE_RADIUS, side_y / SPHERE_RADIUS * cos),
    };
    (lon * prime_vertical * cos, lat * meridian)
}
