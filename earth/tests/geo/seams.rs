//! Seams: every point of the Earth lies in exactly one cell and in exactly one of its pixels.

use earth::extent::LonLat;
use earth::geocode::quadtile::{HALF_SIDE, SPHERE_RADIUS};
use earth::geocode::{CellIndex, Geocode, Scheme};
use earth::grid::Grid;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};

use crate::sample;

/// Resolutions of real datasets.
const RESOLUTIONS: [f64; 8] = [0.6, 10.0, 20.0, 30.0, 60.0, 250.0, 500.0, 1000.0];

/// Returns a position in the units of a scheme's grids.
fn ground(scheme: Scheme, point: LonLat) -> (f64, f64) {
    match scheme {
        Scheme::Geohash => (point.lon, point.lat),
        Scheme::QuadTile => {
            let lat = point.lat.to_radians();
            (
                point.lon.to_radians() * SPHERE_RADIUS,
                lat.tan().asinh() * SPHERE_RADIUS,
            )
        }
    }
}

/// Returns the pixel of a cell that a position lies in; `None` outside. Pixels hold their western
/// and northern edges.
fn pixel(cell: &Geocode, metres: f64, (x, y): (f64, f64)) -> Option<(u32, u32)> {
    let grid = Grid::of(cell, metres).unwrap();
    let (column, row) = grid.transform().to_pixel(x, y);
    let (column, row) = (column.floor(), row.floor());
    let within = |v: f64, size: u32| (0.0..f64::from(size)).contains(&v);
    (within(column, grid.width()) && within(row, grid.height())).then_some((
        <u32 as earth::raster::pixel::Pixel>::nearest(column),
        <u32 as earth::raster::pixel::Pixel>::nearest(row),
    ))
}

/// Draws a point near one of a cell's edges as often as anywhere in it.
fn inside() -> impl Strategy<Value = (Geocode, LonLat)> {
    let share = || {
        proptest::prop_oneof![
            2 => 0.0_f64..1.0,
            1 => 0.0_f64..1e-3,
            1 => 1.0_f64 - 1e-3..1.0,
        ]
    };
    (sample::cell(), share(), share()).prop_map(|(cell, u, v)| {
        let b = cell.bounds();
        let lon = b.west() + (b.east() - b.west()) * u;
        let lat = b.south() + (b.north() - b.south()) * v;
        (cell, LonLat { lon, lat })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// A cell and its eight neighbours: one of them has the point, in one pixel.
    #[test]
    fn a_point_lies_in_one_cell_and_one_pixel(
        (cell, point) in inside(), metres in proptest::sample::select(RESOLUTIONS.to_vec())
    ) {
        // Closer to an edge than a hundredth of a millimetre rounding decides, not geometry.
        let at = ground(cell.scheme(), point);
        let [west, south, east, north] = Grid::of(&cell, metres).unwrap().edges();
        let hair = if cell.scheme() == Scheme::Geohash { 1e-10 } else { 1e-5 };
        let clear = [at.0 - west, east - at.0, at.1 - south, north - at.1];
        proptest::prop_assume!(clear.iter().all(|d| *d > hair));
        let mut holders = vec![cell];
        holders.extend(cell.neighbours());
        holders.retain(|c| pixel(c, metres, at).is_some());
        prop_assert_eq!(holders, vec![cell]);
        let named = Geocode::encode(cell.scheme(), point, cell.precision()).unwrap();
        prop_assert_eq!(named, cell);
    }

    /// Two cells side by side, across borders of anchors too: the last column of one ends where
    /// the first of the other begins, so that no strip lies in both or in neither.
    #[test]
    fn neighbours_share_no_strip_and_miss_none(
        cell in sample::cell(), metres in proptest::sample::select(RESOLUTIONS.to_vec()),
        along in 0.01_f64..0.99,
    ) {
        let (scheme, precision) = (cell.scheme(), cell.precision());
        let CellIndex { column, row } = cell.index();
        let grid = Grid::of(&cell, metres).unwrap();
        let [west, south, east, north] = grid.edges();
        let step = 1e-6 * (east - west).min(north - south);
        let across = (east, south + (north - south) * along);
        let mut sides = vec![(column + 1, row, across, (step, 0.0))];
        sides.push((column, row + 1, (west + (east - west) * along, south), (0.0, -step)));
        for (column, row, (x, y), (dx, dy)) in sides {
            let Some(next) = Geocode::at(scheme, precision, CellIndex { column, row }) else {
                continue;
            };
            let before = (x - dx, y - dy);
            let after = (x + dx, y + dy);
            prop_assert!(pixel(&cell, metres, before).is_some(), "{} misses its rim", cell);
            prop_assert!(pixel(&next, metres, before).is_none(), "{} takes from {}", next, cell);
            prop_assert!(pixel(&cell, metres, after).is_none(), "{} takes from {}", cell, next);
            prop_assert!(pixel(&next, metres, after).is_some(), "{} misses its rim", next);
        }
    }
}

/// Where anchors change with latitude so does the width of pixels: the seam is sharp all the same.
#[test]
fn pixels_of_two_anchors_meet_in_one_line() {
    let of = |code: &str| Grid::of(&Geocode::parse(Scheme::Geohash, code).unwrap(), 10.0).unwrap();
    // The rows of geohash-3 cells on both sides of 56.25 degrees north.
    let (north, south) = (of("gfh00"), of("gcupb"));
    assert!((north.edges()[1] - 56.25).abs() < 1e-12);
    assert!((south.edges()[3] - 56.25).abs() < 1e-12);
    assert!(north.transform().pixel_width > south.transform().pixel_width);
    let pixels = |g: &Grid| (g.edges()[2] - g.edges()[0]) / g.transform().pixel_width;
    assert!((pixels(&north) - f64::from(north.width())).abs() < 1e-6);
}

/// Quad-tile grids are square in Mercator and end where the square does.
#[test]
fn the_outermost_quad_tiles_end_at_the_square() {
    let cell = Geocode::parse(Scheme::QuadTile, "00000000").unwrap();
    let [west, _, _, north] = Grid::of(&cell, 30.0).unwrap().edges();
    assert!((west + HALF_SIDE).abs() < 1e-6 && (north - HALF_SIDE).abs() < 1e-6);
}
