//! Cells: published vectors, oracles, edges of the Earth.

use earth::extent::LonLat;
use earth::geocode::{CellIndex, Geocode, GeocodeError, Scheme, quadtile};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use crate::sample;

const FORT_COLLINS: LonLat = LonLat {
    lon: -105.078_056,
    lat: 40.559_167,
};
const APPLETON: LonLat = LonLat {
    lon: -88.4,
    lat: 44.266_667,
};

fn check(scheme: Scheme, point: LonLat, text: &str) {
    let precision = u8::try_from(text.len()).unwrap();
    let cell = Geocode::encode(scheme, point, precision).unwrap();
    assert_eq!(cell.to_string(), text, "{scheme} of {point:?}");
    assert_eq!(Geocode::parse(scheme, text).unwrap(), cell);
}

fn cell(scheme: Scheme, text: &str) -> Geocode {
    Geocode::parse(scheme, text).unwrap()
}

#[test]
fn geohashes_agree_with_the_papers_own_vectors() {
    check(Scheme::Geohash, APPLETON, "dpc5u6");
    check(Scheme::Geohash, APPLETON, "dpc5u6t0");
    check(Scheme::Geohash, FORT_COLLINS, "9xjq8z");
    check(Scheme::Geohash, FORT_COLLINS, "9xjq8zs6");
    // The example of Wikipedia's article on geohash.
    check(
        Scheme::Geohash,
        LonLat {
            lon: 10.407_44,
            lat: 57.649_11,
        },
        "u4pruydqqvj",
    );
}

#[test]
fn quad_tiles_agree_with_the_papers_own_vectors() {
    check(Scheme::QuadTile, FORT_COLLINS, "02310101");
    check(Scheme::QuadTile, APPLETON, "030222");
    check(Scheme::QuadTile, APPLETON, "03022201");
}

/// "Bing Maps Tile System": tile (3, 5) at level 3 is 213; the four tiles of level 1.
#[test]
fn quad_tiles_agree_with_microsofts_published_vectors() {
    let name = |column, row, level| {
        Geocode::at(Scheme::QuadTile, level, CellIndex { column, row })
            .unwrap()
            .to_string()
    };
    assert_eq!(name(3, 5, 3), "213");
    assert_eq!([name(0, 0, 1), name(1, 0, 1)], ["0", "1"]);
    assert_eq!([name(0, 1, 1), name(1, 1, 1)], ["2", "3"]);
    assert_eq!(name(7, 7, 3), "333");
    // Microsoft's C# sample clips to these limits; its map's corners are these tiles.
    check(
        Scheme::QuadTile,
        LonLat {
            lon: -180.0,
            lat: 85.051_128_78 - 1e-8,
        },
        "000",
    );
    check(
        Scheme::QuadTile,
        LonLat {
            lon: 180.0,
            lat: -85.051_128_78 + 1e-8,
        },
        "333",
    );
}

#[test]
fn the_corners_of_the_earth_belong_to_the_outermost_geohashes() {
    // The geohash crate alone gives 00000 for the first and bpbpb for the third.
    check(
        Scheme::Geohash,
        LonLat {
            lon: 180.0,
            lat: 90.0,
        },
        "zzzzz",
    );
    check(
        Scheme::Geohash,
        LonLat {
            lon: -180.0,
            lat: -90.0,
        },
        "00000",
    );
    check(
        Scheme::Geohash,
        LonLat {
            lon: 0.0,
            lat: 90.0,
        },
        "upbpb",
    );
    check(
        Scheme::Geohash,
        LonLat {
            lon: 180.0,
            lat: 0.0,
        },
        "xbpbp",
    );
    check(
        Scheme::Geohash,
        LonLat { lon: 0.0, lat: 0.0 },
        "s00000000000",
    );
}

/// A million points spread evenly (golden-ratio steps in both axes), every precision in turn.
#[test]
fn a_million_geohashes_agree_with_the_geohash_crate() {
    for i in 0..1_000_000_u32 {
        let share = |step: f64| (f64::from(i) * step).fract();
        let lon = share(0.754_877_666_246_692_7) * 359.99 - 179.995;
        let lat = share(0.569_840_290_998_053_2) * 179.99 - 89.995;
        let precision = 1 + u8::try_from(i % 12).unwrap();
        let ours = Geocode::encode(Scheme::Geohash, LonLat { lon, lat }, precision).unwrap();
        let theirs = geohash::encode(geohash::Coord { x: lon, y: lat }, precision.into()).unwrap();
        assert_eq!(
            Geocode::parse(Scheme::Geohash, &theirs).unwrap(),
            ours,
            "{lon} {lat}"
        );
    }
}

#[test]
fn positions_off_the_earth_are_refused_for_the_right_reason() {
    let fails = |scheme, lon, lat, precision| {
        Geocode::encode(scheme, LonLat { lon, lat }, precision).unwrap_err()
    };
    let past = fails(Scheme::QuadTile, 10.0, 86.0, 5);
    assert_eq!(past, GeocodeError::Mercator { lat: 86.0 });
    assert!(
        past.to_string().contains("choose the geohash scheme"),
        "{past}"
    );
    assert!(matches!(
        fails(Scheme::QuadTile, 0.0, -85.06, 5),
        GeocodeError::Mercator { .. }
    ));
    for (lon, lat) in [
        (180.1, 0.0),
        (0.0, -90.5),
        (f64::NAN, 0.0),
        (0.0, f64::INFINITY),
    ] {
        assert!(matches!(
            fails(Scheme::Geohash, lon, lat, 5),
            GeocodeError::Position { .. }
        ));
        assert!(matches!(
            fails(Scheme::QuadTile, lon, lat, 5),
            GeocodeError::Position { .. }
        ));
    }
    assert!(matches!(
        fails(Scheme::Geohash, 0.0, 0.0, 13),
        GeocodeError::Precision { .. }
    ));
    assert!(matches!(
        fails(Scheme::QuadTile, 0.0, 0.0, 0),
        GeocodeError::Precision { .. }
    ));
    assert!(matches!(
        fails(Scheme::QuadTile, 0.0, 0.0, 24),
        GeocodeError::Precision { .. }
    ));
}

#[test]
fn text_that_is_no_geocode_is_refused_with_its_first_wrong_character() {
    let fails = |scheme, text| Geocode::parse(scheme, text).unwrap_err();
    let wrong = fails(Scheme::Geohash, "9xa");
    assert!(
        matches!(wrong, GeocodeError::Character { found: 'a', .. }),
        "{wrong}"
    );
    let wrong = fails(Scheme::QuadTile, "0124");
    assert!(
        matches!(wrong, GeocodeError::Character { found: '4', .. }),
        "{wrong}"
    );
    assert!(matches!(
        fails(Scheme::Geohash, ""),
        GeocodeError::Precision { precision: 0, .. }
    ));
    assert!(matches!(
        fails(Scheme::Geohash, "0000000000000"),
        GeocodeError::Precision { .. }
    ));
    assert!(matches!(
        fails(Scheme::Geohash, "9é"),
        GeocodeError::Character { .. }
    ));
    assert_eq!(cell(Scheme::Geohash, "9XJ").to_string(), "9xj");
}

#[test]
fn neighbours_wrap_at_the_antimeridian_and_end_at_the_poles() {
    let names = |text| -> Vec<String> {
        cell(Scheme::Geohash, text)
            .neighbours()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let oracle = geohash::neighbors("9q60y").unwrap();
    let mut expected = vec![oracle.n, oracle.ne, oracle.e, oracle.se];
    expected.extend([oracle.s, oracle.sw, oracle.w, oracle.nw]);
    expected.sort();
    assert_eq!(names("9q60y"), expected);
    // Level with the equator at the antimeridian: x… to the west, 8… to the east.
    assert_eq!(names("x").len(), 8);
    assert!(names("xb").contains(&"80".to_owned()), "{:?}", names("xb"));
    assert_eq!(names("zzzzz").len(), 5);
    assert_eq!(names("00000").len(), 5);
    assert_eq!(cell(Scheme::QuadTile, "0").neighbours().len(), 3);
    assert_eq!(cell(Scheme::QuadTile, "000").neighbours().len(), 5);
    assert_eq!(cell(Scheme::QuadTile, "213").neighbours().len(), 8);
}

#[test]
fn quad_tile_edges_are_the_mercator_square() {
    let world = cell(Scheme::QuadTile, "0").bounds();
    let sides = [world.west(), world.south(), world.east()];
    assert_eq!(
        sides.map(f64::to_bits),
        [-180.0, 0.0, 0.0].map(f64::to_bits)
    );
    assert!((world.north() - quadtile::LATITUDE_MAX).abs() < 1e-13);
    assert!((quadtile::LATITUDE_MAX - 85.051_128_779_806_59).abs() < 1e-13);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_point_lies_in_its_cell(
        point in sample::position(), scheme in sample::scheme(), p in any::<u8>()
    ) {
        let precision = 1 + p % scheme.precision_max();
        match Geocode::encode(scheme, point, precision) {
            Err(refused) => {
                prop_assert!(scheme == Scheme::QuadTile && point.lat.abs() > 85.05, "{refused}");
            }
            Ok(cell) => {
                let b = cell.bounds();
                prop_assert!(b.contains(point), "{cell} {b:?} {point:?}");
                // Half-open: on an inner edge it belongs to the east, and to one row only.
                prop_assert!(point.lon < b.east() || b.east() >= 180.0, "{cell} {point:?}");
                let outer = match scheme {
                    Scheme::Geohash => point.lat < b.north() || b.north() >= 90.0,
                    Scheme::QuadTile => point.lat > b.south() || b.south() < -85.05,
                };
                prop_assert!(outer, "{cell} {b:?} {point:?}");
            }
        }
    }

    #[test]
    fn geohashes_agree_with_the_geohash_crate_away_from_edges(
        lon in -179.99_f64..179.99, lat in -89.99_f64..89.99, precision in 1_u8..=12
    ) {
        let ours = Geocode::encode(Scheme::Geohash, LonLat { lon, lat }, precision).unwrap();
        let theirs = geohash::encode(geohash::Coord { x: lon, y: lat }, precision.into()).unwrap();
        let rect = geohash::decode_bbox(&ours.to_string()).unwrap();
        let b = ours.bounds();
        let sides = [b.west(), b.south(), b.east(), b.north()];
        let theirs_sides = [rect.min().x, rect.min().y, rect.max().x, rect.max().y];
        prop_assert_eq!(sides.map(f64::to_bits), theirs_sides.map(f64::to_bits));
        let near_edge = (lon - b.west()).min(b.east() - lon) < 1e-12
            || (lat - b.south()).min(b.north() - lat) < 1e-12;
        prop_assert!(near_edge || ours.to_string() == theirs, "{ours} {theirs}");
    }

    #[test]
    fn quad_tiles_agree_with_the_quadkey_crate_up_to_zoom_23(
        column in any::<u32>(), row in any::<u32>(), precision in 1_u8..=23
    ) {
        let index = CellIndex { column: column >> (32 - precision), row: row >> (32 - precision) };
        let ours = Geocode::at(Scheme::QuadTile, precision, index).unwrap();
        let (column, row) = (index.column as usize, index.row as usize);
        prop_assert_eq!(ours.to_string(), quadkey::tile_to_str(column, row, precision.into()));
        let tile = quadkey::str_to_tile(ours.to_string()).unwrap();
        prop_assert_eq!((tile.x, tile.y), (column, row));
    }

    #[test]
    fn text_index_and_centre_lead_back_to_the_cell(cell in sample::cell()) {
        let (scheme, precision) = (cell.scheme(), cell.precision());
        prop_assert_eq!(Geocode::parse(scheme, &cell.to_string()).unwrap(), cell);
        prop_assert_eq!(Geocode::at(scheme, precision, cell.index()).unwrap(), cell);
        prop_assert_eq!(Geocode::encode(scheme, cell.centre(), precision).unwrap(), cell);
        prop_assert!(cell.bounds().contains(cell.centre()));
    }

    #[test]
    fn children_are_exactly_the_cells_inside_in_text_order(cell in sample::cell()) {
        let children = cell.children();
        let count = if cell.precision() == cell.scheme().precision_max() { 0 } else {
            match cell.scheme() { Scheme::Geohash => 32, Scheme::QuadTile => 4 }
        };
        prop_assert_eq!(children.len(), count);
        prop_assert!(children.is_sorted());
        let b = cell.bounds();
        for child in &children {
            prop_assert_eq!(child.parent(), Some(cell));
            prop_assert!(cell.contains(child) && !child.contains(&cell));
            let c = child.bounds();
            prop_assert!(b.west() <= c.west() && c.east() <= b.east());
            prop_assert!(b.south() <= c.south() && c.north() <= b.north());
        }
    }

    #[test]
    fn order_and_containment_are_those_of_the_text(a in sample::cell(), b in sample::cell()) {
        if a.scheme() == b.scheme() {
            prop_assert_eq!(a.contains(&b), b.to_string().starts_with(&a.to_string()));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
            let inside = b.prefix(a.precision());
            prop_assert!(inside.contains(&b));
        } else {
            prop_assert!(!a.contains(&b));
        }
    }

    #[test]
    fn being_neighbours_is_mutual_and_touches(cell in sample::cell()) {
        let around = cell.neighbours();
        prop_assert!(around.is_sorted() && !around.contains(&cell));
        let b = cell.bounds();
        for other in &around {
            prop_assert!(other.neighbours().contains(&cell), "{cell} {other}");
            let c = other.bounds();
            prop_assert!(!b.overlaps(&c), "{cell} {other}");
            let meets = |a: f64, b: f64| (a - b).abs() < 1e-12 || (a - b).abs() > 360.0 - 1e-12;
            let beside = meets(b.east(), c.west()) || meets(b.west(), c.east());
            let above = meets(b.north(), c.south()) || meets(b.south(), c.north());
            prop_assert!(beside || above, "{cell} {other}");
        }
    }
}
