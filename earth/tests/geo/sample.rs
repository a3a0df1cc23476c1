//! Strategies that draw positions, cells and polygons, at edges as often as between them.

use earth::extent::LonLat;
use earth::geocode::{CellIndex, Geocode, Scheme};
use earth::polygon::Polygon;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// Draws one of the two schemes.
pub(crate) fn scheme() -> impl Strategy<Value = Scheme> {
    prop_oneof![Just(Scheme::Geohash), Just(Scheme::QuadTile)]
}

/// Draws a position anywhere, on lattice edges, at the antimeridian and at the poles.
pub(crate) fn position() -> impl Strategy<Value = LonLat> {
    let edge = |range: f64| {
        (0_u32..=4096, -1_i8..=1).prop_map(move |(k, nudge)| {
            let exact = -range + f64::from(k) * (range / 2048.0);
            let nudged = match nudge {
                -1 => exact.next_down(),
                1 => exact.next_up(),
                _ => exact,
            };
            nudged.clamp(-range, range)
        })
    };
    let lon = prop_oneof![3 => -180.0..=180.0, 1 => edge(180.0)];
    let lat = prop_oneof![3 => -90.0..=90.0, 1 => edge(90.0)];
    (lon, lat).prop_map(|(lon, lat)| LonLat { lon, lat })
}

/// Draws a cell of any scheme and precision, the outermost rows and columns included.
pub(crate) fn cell() -> impl Strategy<Value = Geocode> {
    let share = || prop_oneof![4 => any::<u32>(), 1 => Just(0), 1 => Just(u32::MAX)];
    (scheme(), any::<u8>(), share(), share()).prop_map(|(scheme, p, column, row)| {
        let precision = 1 + p % scheme.precision_max();
        let within = |share: u32, cells: u32| {
            u32::try_from((u64::from(share) * u64::from(cells)) >> 32).expect("below cells")
        };
        let column = within(column, scheme.columns(precision));
        let row = within(row, scheme.rows(precision));
        Geocode::at(scheme, precision, CellIndex { column, row }).expect("inside the lattice")
    })
}

/// Draws a star around a centre: simple, seldom convex, sometimes with a hole of its own shape.
pub(crate) fn star() -> impl Strategy<Value = Polygon> {
    let radii = proptest::collection::vec(0.3_f64..1.0, 3..12);
    (
        -179.0_f64..179.0,
        -70.0_f64..70.0,
        0.2_f64..12.0,
        radii,
        any::<bool>(),
    )
        .prop_map(|(lon, lat, size, radii, holed)| {
            let turn = std::f64::consts::TAU / radii.len() as f64;
            let ring = |scale: f64| {
                let mut ring: Vec<[f64; 2]> = radii
                    .iter()
                    .enumerate()
                    .map(|(i, r)| {
                        let (sin, cos) = (i as f64 * turn).sin_cos();
                        [lon + cos * r * size * scale, lat + sin * r * size * scale]
                    })
                    .collect();
                ring.push(ring[0]);
                ring
            };
            let rings = if holed {
                vec![ring(1.0), ring(0.5)]
            } else {
                vec![ring(1.0)]
            };
            Polygon::new(&[rings]).expect("a star is a polygon")
        })
}
