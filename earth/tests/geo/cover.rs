//! Covers: no point missed, no cell too many, named limits.

use std::collections::BTreeSet;

use earth::extent::{LonLat, LonLatBox};
use earth::geocode::cover::{self, CELLS_MAX, CoverError};
use earth::geocode::{CellIndex, Geocode, GeocodeError, Scheme};
use earth::polygon::Polygon;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};

use crate::sample;

/// Draws a scheme and a precision at which a few degrees take few cells.
fn coarse() -> impl Strategy<Value = (Scheme, u8)> {
    proptest::prop_oneof![
        (Just(Scheme::Geohash), 1_u8..=3),
        (Just(Scheme::QuadTile), 1_u8..=8)
    ]
}

/// Draws a box, across the antimeridian as often as not.
fn area() -> impl Strategy<Value = LonLatBox> {
    (
        -180.0_f64..180.0,
        -90.0_f64..80.0,
        0.0_f64..30.0,
        0.0_f64..10.0,
    )
        .prop_map(|(w, s, dx, dy)| {
            let east = if w + dx > 180.0 {
                w + dx - 360.0
            } else {
                w + dx
            };
            LonLatBox::new(w, s, east, s + dy).expect("a box")
        })
}

/// Returns every cell of a precision.
fn every(scheme: Scheme, precision: u8) -> impl Iterator<Item = Geocode> {
    let (columns, rows) = (scheme.columns(precision), scheme.rows(precision));
    (0..rows).flat_map(move |row| {
        (0..columns)
            .filter_map(move |column| Geocode::at(scheme, precision, CellIndex { column, row }))
    })
}

fn names(cells: &[Geocode]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

fn box_names(scheme: Scheme, precision: u8, [w, s, e, n]: [f64; 4]) -> Vec<String> {
    let area = LonLatBox::new(w, s, e, n).unwrap();
    names(&cover::of_box(scheme, precision, &area).unwrap())
}

#[test]
fn a_cell_is_its_own_cover_and_its_children_cover_it() {
    for (scheme, text) in [(Scheme::Geohash, "9xjq8"), (Scheme::QuadTile, "02310101")] {
        let cell = Geocode::parse(scheme, text).unwrap();
        let area = cell.bounds();
        assert_eq!(
            cover::of_box(scheme, cell.precision(), &area).unwrap(),
            [cell]
        );
        let children = cover::of_box(scheme, cell.precision() + 1, &area).unwrap();
        assert_eq!(children, cell.children());
        let ring = Polygon::from_box(&area);
        assert_eq!(
            cover::of_polygon(scheme, cell.precision(), &ring).unwrap(),
            [cell]
        );
        let children = cover::of_polygon(scheme, cell.precision() + 1, &ring).unwrap();
        assert_eq!(children, cell.children());
    }
}

#[test]
fn the_whole_earth_takes_every_cell() {
    assert_eq!(
        box_names(Scheme::Geohash, 1, [-180.0, -90.0, 180.0, 90.0]).len(),
        32
    );
    assert_eq!(
        box_names(Scheme::QuadTile, 3, [-180.0, -90.0, 180.0, 90.0]).len(),
        64
    );
    let world = Polygon::from_box(&LonLatBox::new(-180.0, -90.0, 180.0, 90.0).unwrap());
    assert_eq!(
        cover::of_polygon(Scheme::Geohash, 2, &world).unwrap().len(),
        1024
    );
    assert_eq!(
        cover::of_polygon(Scheme::QuadTile, 5, &world)
            .unwrap()
            .len(),
        1024
    );
}

#[test]
fn a_point_takes_the_cell_in_which_it_lies() {
    for (lon, lat) in [
        (0.0, 0.0),
        (180.0, 90.0),
        (-180.0, -90.0),
        (45.0, 45.0),
        (12.3, -45.6),
    ] {
        let cell = Geocode::encode(Scheme::Geohash, LonLat { lon, lat }, 4).unwrap();
        assert_eq!(
            box_names(Scheme::Geohash, 4, [lon, lat, lon, lat]),
            [cell.to_string()]
        );
    }
    for (lon, lat) in [(0.0, 0.0), (180.0, 80.0), (-180.0, -80.0), (12.3, -45.6)] {
        let cell = Geocode::encode(Scheme::QuadTile, LonLat { lon, lat }, 9).unwrap();
        assert_eq!(
            box_names(Scheme::QuadTile, 9, [lon, lat, lon, lat]),
            [cell.to_string()]
        );
    }
}

/// Fiji lies on both sides of the antimeridian: 177°E to 178°W.
#[test]
fn fiji_is_covered_on_both_sides_of_the_antimeridian() {
    let fiji = [177.0, -19.5, -178.0, -16.0];
    let cells = box_names(Scheme::Geohash, 3, fiji);
    // Cells of 1.40625°: columns 253 to 257 (wrapping to 1), rows -14 to -12.
    assert_eq!(cells.len(), 5 * 3, "{cells:?}");
    assert!(cells.iter().any(|c| c.starts_with("ru")) && cells.iter().any(|c| c.starts_with("2h")));
    let around = [
        [177.0, -19.5],
        [182.0, -19.5],
        [182.0, -16.0],
        [177.0, -16.0],
        [177.0, -19.5],
    ];
    let ring = Polygon::new(&[vec![around.to_vec()]]).unwrap();
    assert_eq!(
        names(&cover::of_polygon(Scheme::Geohash, 3, &ring).unwrap()),
        cells
    );
    let [w, s, e, n] = fiji;
    let parts = Polygon::from_box(&LonLatBox::new(w, s, e, n).unwrap());
    assert_eq!(
        names(&cover::of_polygon(Scheme::Geohash, 3, &parts).unwrap()),
        cells
    );
    let quads = box_names(Scheme::QuadTile, 8, fiji);
    assert!(quads.iter().any(|c| c.starts_with('3')) && quads.iter().any(|c| c.starts_with('2')));
}

/// Chukotka reaches from 157°E over the antimeridian to 169°W.
#[test]
fn chukotka_is_covered_up_to_its_own_edges() {
    let cells = box_names(Scheme::Geohash, 2, [157.0, 62.0, -169.0, 71.6]);
    // Columns of 11.25° from 146.25 and rows of 5.625° from 61.875, the last cell at -168.75.
    assert_eq!(cells.len(), 4 * 2, "{cells:?}");
    assert_eq!(cells.iter().filter(|c| c.starts_with('b')).count(), 2);
}

/// The Ross Sea, -70 to -78 over the antimeridian, lies inside the Mercator square.
#[test]
fn the_ross_sea_is_covered_in_both_schemes() {
    let sea = [160.0, -78.0, -150.0, -70.0];
    let b = LonLatBox::new(sea[0], sea[1], sea[2], sea[3]).unwrap();
    for (scheme, precision) in [(Scheme::Geohash, 3), (Scheme::QuadTile, 7)] {
        let cells = cover::of_box(scheme, precision, &b).unwrap();
        assert!(cells.iter().all(|cell| cell.bounds().overlaps(&b)));
        let all = every(scheme, precision)
            .filter(|cell| cell.bounds().overlaps(&b))
            .count();
        assert_eq!(cells.len(), all);
    }
}

#[test]
fn quad_tiles_cover_up_to_the_mercator_limit_and_refuse_beyond_it() {
    let past = LonLatBox::new(0.0, 86.0, 10.0, 89.0).unwrap();
    let refused = cover::of_box(Scheme::QuadTile, 6, &past).unwrap_err();
    assert_eq!(
        refused,
        CoverError::Geocode(GeocodeError::Mercator { lat: 86.0 })
    );
    let refused = cover::of_polygon(Scheme::QuadTile, 6, &Polygon::from_box(&past)).unwrap_err();
    assert_eq!(
        refused,
        CoverError::Geocode(GeocodeError::Mercator { lat: 86.0 })
    );
    assert_eq!(
        box_names(Scheme::QuadTile, 1, [1.0, 80.0, 10.0, 90.0]),
        ["1"]
    );
    let both = Polygon::new(&[
        Polygon::from_box(&past).coordinates()[0].clone(),
        vec![vec![[1.0, 1.0], [2.0, 1.0], [2.0, 2.0], [1.0, 1.0]]],
    ]);
    let cells = cover::of_polygon(Scheme::QuadTile, 2, &both.unwrap()).unwrap();
    assert_eq!(names(&cells), ["12"]);
}

#[test]
fn too_many_cells_are_refused_before_they_are_made() {
    let world = LonLatBox::new(-180.0, -90.0, 180.0, 90.0).unwrap();
    for precision in [5, 8, 12] {
        let refused = cover::of_box(Scheme::Geohash, precision, &world).unwrap_err();
        assert!(matches!(refused, CoverError::Limit { cells, .. } if cells > CELLS_MAX));
        let ring = Polygon::from_box(&world);
        let refused = cover::of_polygon(Scheme::Geohash, precision, &ring).unwrap_err();
        assert!(matches!(refused, CoverError::Limit { .. }), "{refused}");
    }
}

#[test]
fn a_polygon_of_many_long_edges_is_refused_in_bounded_time() {
    // 50,000 spikes, each through 100,000 rows of geohash-8 in one column or two.
    let spike = |i: u32| {
        [
            [f64::from(i) * 1e-9, 0.0],
            [f64::from(i) * 1e-9 + 5e-10, 17.0],
        ]
    };
    let mut ring: Vec<[f64; 2]> = (0..50_000).flat_map(spike).collect();
    ring.push(ring[0]);
    let comb = Polygon::new(&[vec![ring]]).unwrap();
    let refused = cover::of_polygon(Scheme::Geohash, 8, &comb).unwrap_err();
    assert!(
        matches!(refused, CoverError::Effort { precision: 8 }),
        "{refused}"
    );
}

#[test]
fn a_hole_that_holds_whole_cells_leaves_them_out() {
    let rings = r#"{"type": "Polygon", "coordinates": [
        [[0, 0], [45, 0], [45, 45], [0, 45], [0, 0]],
        [[11.25, 5.625], [33.75, 5.625], [33.75, 39.375], [11.25, 39.375], [11.25, 5.625]]]}"#;
    let area = Polygon::from_geojson(rings).unwrap();
    let cells = cover::of_polygon(Scheme::Geohash, 2, &area).unwrap();
    // 4 × 8 cells less the 2 × 6 that the hole takes exactly.
    assert_eq!(cells.len(), 32 - 12, "{:?}", names(&cells));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_box_takes_exactly_the_cells_it_overlaps(b in area(), (scheme, precision) in coarse()) {
        match cover::of_box(scheme, precision, &b) {
            Err(refused) => prop_assert!(b.south() > 85.05 || b.north() < -85.05, "{refused}"),
            Ok(cells) => {
                prop_assert!(cells.is_sorted());
                let all: BTreeSet<_> =
                    every(scheme, precision).filter(|c| c.bounds().overlaps(&b)).collect();
                prop_assert_eq!(cells.into_iter().collect::<BTreeSet<_>>(), all);
            }
        }
    }

    #[test]
    fn a_polygon_takes_exactly_the_cells_it_shares_area_with(
        star in sample::star(), (scheme, precision) in coarse()
    ) {
        let cells = cover::of_polygon(scheme, precision, &star).unwrap();
        prop_assert!(cells.is_sorted());
        let all: BTreeSet<_> =
            every(scheme, precision).filter(|c| star.intersects_box(&c.bounds())).collect();
        prop_assert_eq!(cells.into_iter().collect::<BTreeSet<_>>(), all);
    }

    /// Monte-Carlo: points drawn in the polygon's box that fall inside lie in a covered cell, and
    /// a fine cover's area is the polygon's to within its seam.
    #[test]
    fn no_point_inside_a_polygon_is_missed(
        star in sample::star(),
        shares in proptest::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 200),
        fine in proptest::bool::ANY,
    ) {
        let precision = if fine { 5 } else { 4 };
        let Ok(cells) = cover::of_polygon(Scheme::Geohash, precision, &star) else {
            return Ok(());
        };
        let corners: Vec<_> = star.parts()[0].rings()[0].corners().to_vec();
        let lons = corners.iter().map(|c| c.lon);
        let lats = corners.iter().map(|c| c.lat);
        let (west, east) = (lons.clone().fold(400.0, f64::min), lons.fold(-400.0, f64::max));
        let (south, north) = (lats.clone().fold(90.0, f64::min), lats.fold(-90.0, f64::max));
        for (x, y) in shares {
            let lon = west + x * (east - west);
            let lon = if lon > 180.0 { lon - 360.0 } else { lon };
            let lon = if lon < -180.0 { lon + 360.0 } else { lon };
            let point = LonLat { lon, lat: south + y * (north - south) };
            if star.contains(point) {
                let cell = Geocode::encode(Scheme::Geohash, point, precision).unwrap();
                prop_assert!(cells.binary_search(&cell).is_ok(), "{point:?} in {cell}");
            }
        }
    }
}
