//! The fixed grid: windows, neighbours, children, golden values.

use earth::geocode::{CellIndex, Geocode, Scheme};
use earth::grid::{GeoTransform, Grid};
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};

use crate::sample;

/// Draws a resolution of real datasets or anything between.
fn resolution() -> impl Strategy<Value = f64> {
    let real = [0.6, 1.0, 10.0, 20.0, 30.0, 60.0, 250.0, 500.0, 1000.0];
    proptest::prop_oneof![
        proptest::sample::select(real.to_vec()),
        (-1.9_f64..5.9).prop_map(|power| 10.0_f64.powf(power))
    ]
}

fn cell(scheme: Scheme, text: &str) -> Geocode {
    Geocode::parse(scheme, text).unwrap()
}

/// The edges of a cell in units of its grid, from its index alone.
fn lattice_edges(cell: &Geocode) -> [f64; 4] {
    let (columns, rows) = (
        cell.scheme().columns(cell.precision()),
        cell.scheme().rows(cell.precision()),
    );
    let CellIndex { column, row } = cell.index();
    let (half_x, half_y) = match cell.scheme() {
        Scheme::Geohash => (180.0, 90.0),
        Scheme::QuadTile => (20_037_508.342_789_244, 20_037_508.342_789_244),
    };
    let x = |column: u32| half_x * (2.0 * f64::from(column) / f64::from(columns) - 1.0);
    let y = |row: u32| half_y * (1.0 - 2.0 * f64::from(row) / f64::from(rows));
    [x(column), y(row + 1), x(column + 1), y(row)]
}

/// Tells whether two positions differ by less than a hundredth of a millimetre.
fn level(scheme: Scheme, a: f64, b: f64) -> bool {
    let tolerance = match scheme {
        Scheme::Geohash => 1e-10,
        Scheme::QuadTile => 1e-5,
    };
    (a - b).abs() <= tolerance
}

/// The golden grids of docs/FORMATS.md, computed by `tests/oracles/grid.py` from the rule's text.
#[test]
fn golden_grids_never_change() {
    let lines: Vec<&str> = include_str!("grid_vectors.txt").lines().collect();
    assert!(lines.len() > 20);
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let scheme = if fields[0] == "geohash" {
            Scheme::Geohash
        } else {
            Scheme::QuadTile
        };
        let number = |i: usize| fields[i].parse::<f64>().unwrap();
        let grid = Grid::of(&cell(scheme, fields[1]), number(2)).unwrap();
        let shape = format!("{} {}", grid.width(), grid.height());
        assert_eq!(shape, format!("{} {}", fields[3], fields[4]), "{line}");
        assert_eq!(grid.is_exact_window(), fields[9] == "True", "{line}");
        let GeoTransform {
            west,
            north,
            pixel_width,
            pixel_height,
        } = grid.transform();
        for (found, i) in [(west, 5), (north, 6), (pixel_width, 7), (pixel_height, 8)] {
            assert!(
                (found - number(i)).abs() <= number(i).abs() * 1e-15,
                "{line}: {found}"
            );
        }
    }
}

#[test]
fn resolutions_without_sense_are_refused() {
    for metres in [0.0, -10.0, 0.009, 2e6, f64::NAN, f64::INFINITY] {
        assert!(
            Grid::of(&cell(Scheme::Geohash, "9xj"), metres).is_err(),
            "{metres}"
        );
    }
}

#[test]
fn the_widest_cell_at_the_finest_resolution_still_counts_its_pixels() {
    for (scheme, text) in [(Scheme::Geohash, "s"), (Scheme::QuadTile, "0")] {
        let grid = Grid::of(&cell(scheme, text), 0.01).unwrap();
        assert!(
            grid.width() > 1 << 28 && grid.pixels() > 1 << 56,
            "{text} {}",
            grid.width()
        );
    }
}

#[test]
fn gdals_six_numbers_are_read_and_written_unless_rotated() {
    let numbers = [500_000.0, 10.0, 0.0, 6_000_000.0, 0.0, -10.0];
    let transform = GeoTransform::from_gdal(numbers).unwrap();
    assert_eq!(
        transform.to_gdal().map(f64::to_bits),
        numbers.map(f64::to_bits)
    );
    assert_eq!(transform.to_ground(0.5, 1.5), (500_005.0, 5_999_985.0));
    assert_eq!(transform.to_pixel(500_005.0, 5_999_985.0), (0.5, 1.5));
    for bad in [
        [0.0, 10.0, 0.1, 0.0, 0.0, -10.0],
        [0.0, 10.0, 0.0, 0.0, 0.1, -10.0],
        [0.0, 10.0, 0.0, 0.0, 0.0, 10.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, -10.0],
        [f64::NAN, 10.0, 0.0, 0.0, 0.0, -10.0],
    ] {
        assert_eq!(GeoTransform::from_gdal(bad), None, "{bad:?}");
    }
}

#[test]
fn a_grid_survives_serialisation_to_the_last_bit() {
    for (scheme, text) in [(Scheme::Geohash, "gcpvj"), (Scheme::QuadTile, "0313131311")] {
        let grid = Grid::of(&cell(scheme, text), 10.0).unwrap();
        let json = serde_json::to_string(&grid).unwrap();
        assert_eq!(serde_json::from_str::<Grid>(&json).unwrap(), grid);
    }
}

/// Every precision of both schemes at Sentinel-2's 10 m: exact down to geohash-7 and zoom 16
/// where the anchor has 8,192 pixels or more, rounding for itself below.
#[test]
fn windows_are_exact_down_to_the_named_precision() {
    let exact = |scheme, text: &str| -> Vec<bool> {
        let deepest = cell(scheme, text);
        (1..=deepest.precision())
            .map(|p| {
                Grid::of(&deepest.prefix(p), 10.0)
                    .unwrap()
                    .is_exact_window()
            })
            .collect()
    };
    let geohash = exact(Scheme::Geohash, "s00000000000");
    assert!(
        geohash[..7].iter().all(|e| *e) && !geohash[7..].iter().any(|e| *e),
        "{geohash:?}"
    );
    let quad = exact(Scheme::QuadTile, "03131313113131313131313");
    assert!(quad[..16].iter().all(|e| *e), "{quad:?}");
    assert!(!quad[20..].iter().any(|e| *e), "{quad:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_grid_fills_its_cell_edge_to_edge(cell in sample::cell(), metres in resolution()) {
        let grid = Grid::of(&cell, metres).unwrap();
        prop_assert!(grid.width() >= 1 && grid.height() >= 1);
        let code = match cell.scheme() { Scheme::Geohash => 4326, Scheme::QuadTile => 3857 };
        prop_assert_eq!(grid.crs().epsg(), Some(code));
        for (edge, expected) in grid.edges().into_iter().zip(lattice_edges(&cell)) {
            prop_assert!(level(cell.scheme(), edge, expected), "{cell} {edge} {expected}");
        }
        prop_assert_eq!(Grid::of(&cell, metres).unwrap(), grid);
    }

    /// The children of an exact window that are exact windows take each of its pixels once.
    #[test]
    fn children_tile_their_parent_exactly(cell in sample::cell(), metres in resolution()) {
        let parent = Grid::of(&cell, metres).unwrap();
        let children = cell.children();
        let anchor = match cell.scheme() { Scheme::Geohash => 3, Scheme::QuadTile => 6 };
        let grids: Vec<Grid> = children.iter().map(|c| Grid::of(c, metres).unwrap()).collect();
        // Edge to edge on the ground, whatever the pixels.
        let columns = grids.iter().map(|g| g.edges()[0]).fold(f64::INFINITY, f64::min);
        if !grids.is_empty() {
            prop_assert!(level(cell.scheme(), columns, parent.edges()[0]));
        }
        let (Some(outer), true) = (parent.window(), cell.precision() >= anchor) else {
            return Ok(());
        };
        if grids.is_empty() || !grids.iter().all(Grid::is_exact_window) {
            return Ok(());
        }
        let sum: u64 = grids.iter().map(Grid::pixels).sum();
        prop_assert_eq!(sum, parent.pixels());
        let mut starts = std::collections::BTreeSet::new();
        for grid in &grids {
            let inner = grid.window().unwrap();
            prop_assert_eq!(grid.transform().pixel_width.to_bits(),
                parent.transform().pixel_width.to_bits());
            prop_assert_eq!(grid.transform().pixel_height.to_bits(),
                parent.transform().pixel_height.to_bits());
            prop_assert_eq!((grid.width(), grid.height()), (grids[0].width(), grids[0].height()));
            let (column, row) = (inner.column - outer.column, inner.row - outer.row);
            prop_assert_eq!((column % grid.width(), row % grid.height()), (0, 0));
            prop_assert!(column + grid.width() <= parent.width());
            prop_assert!(row + grid.height() <= parent.height());
            prop_assert!(starts.insert((column, row)));
            // The window's place in the grid is its place on the ground.
            let (x, y) = parent.transform().to_ground(f64::from(column), f64::from(row));
            prop_assert!(level(cell.scheme(), x, grid.edges()[0]));
            prop_assert!(level(cell.scheme(), y, grid.edges()[3]));
        }
    }

    #[test]
    fn neighbours_share_no_pixel_and_miss_none(cell in sample::cell(), metres in resolution()) {
        let ours = Grid::of(&cell, metres).unwrap();
        let CellIndex { column, row } = cell.index();
        let at = |column, row| {
            Geocode::at(cell.scheme(), cell.precision(), CellIndex { column, row })
        };
        if let Some(east) = at(column + 1, row) {
            let theirs = Grid::of(&east, metres).unwrap();
            prop_assert!(level(cell.scheme(), ours.edges()[2], theirs.edges()[0]));
            // One row of cells is one latitude: the same shape even where each rounds for itself.
            prop_assert_eq!((ours.width(), ours.height()), (theirs.width(), theirs.height()));
            prop_assert_eq!(ours.transform().north.to_bits(), theirs.transform().north.to_bits());
            if let (Some(a), Some(b)) = (ours.window(), theirs.window()) {
                let next = (a.column + ours.width()) % a.anchor_width;
                prop_assert_eq!((b.column, b.row), (next, a.row));
            }
        }
        if let Some(south) = at(column, row + 1) {
            let theirs = Grid::of(&south, metres).unwrap();
            prop_assert!(level(cell.scheme(), ours.edges()[1], theirs.edges()[3]));
            prop_assert_eq!(ours.transform().west.to_bits(), theirs.transform().west.to_bits());
        }
    }

    /// Splitting again is the identity: a deeper window's pixel centres are its ancestor's.
    #[test]
    fn a_deeper_window_has_the_pixels_of_its_ancestor(
        cell in sample::cell(), up in 1_u8..8, metres in resolution()
    ) {
        let anchor = match cell.scheme() { Scheme::Geohash => 3, Scheme::QuadTile => 6 };
        let above = cell.prefix(cell.precision().saturating_sub(up).max(anchor));
        let (deep, wide) = (Grid::of(&cell, metres).unwrap(), Grid::of(&above, metres).unwrap());
        if let (Some(inner), Some(outer), true) =
            (deep.window(), wide.window(), cell.precision() > anchor)
        {
            let (column, row) = (inner.column - outer.column, inner.row - outer.row);
            let (x, y) = deep.centre_of(deep.width() - 1, deep.height() - 1);
            let (u, v) = wide.centre_of(column + deep.width() - 1, row + deep.height() - 1);
            prop_assert!(level(cell.scheme(), x, u) && level(cell.scheme(), y, v));
        }
    }

    /// A pixel is the nominal resolution on the ground to within the rounding of its anchor.
    #[test]
    fn a_pixel_has_about_the_nominal_size(cell in sample::cell(), metres in resolution()) {
        let grid = Grid::of(&cell, metres).unwrap();
        let lat = cell.centre().lat.to_radians();
        let north_m = match cell.scheme() {
            Scheme::Geohash => grid.transform().pixel_height.to_radians() * 6_371_000.0,
            Scheme::QuadTile => grid.transform().pixel_height * lat.cos(),
        };
        let side_m = north_m * f64::from(grid.height());
        if side_m > 20.0 * metres && cell.precision() > 1 {
            prop_assert!((0.4..2.5).contains(&(north_m / metres)), "{cell} {metres} {north_m}");
        }
    }
}
