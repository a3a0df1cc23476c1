//! Systems: PROJ's own answers, domains, text.

use earth::crs::{Crs, CrsError, Transformer};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

/// Made by `tests/oracles/crs.py`: system | longitude | latitude | x | y, from PROJ 9.1.1.
const VECTORS: &str = include_str!("crs_vectors.txt");

/// A micrometre: PROJ's printed answers carry 15 digits.
const TOLERANCE_M: f64 = 1e-6;

/// The same on the ground, in degrees.
const TOLERANCE_DEGREES: f64 = 1e-11;

struct Vector {
    crs: Crs,
    lonlat: (f64, f64),
    xy: (f64, f64),
}

fn vectors() -> Vec<Vector> {
    let read = |line: &str| {
        let fields: Vec<&str> = line.split('|').collect();
        let number = |i: usize| fields[i].parse::<f64>().unwrap();
        let crs = fields[0].parse().unwrap();
        Vector {
            crs,
            lonlat: (number(1), number(2)),
            xy: (number(3), number(4)),
        }
    };
    VECTORS.lines().map(read).collect()
}

fn close(a: (f64, f64), b: (f64, f64), tolerance: f64) -> bool {
    (a.0 - b.0).abs() <= tolerance && (a.1 - b.1).abs() <= tolerance
}

#[test]
fn every_system_agrees_with_proj_to_a_micrometre() {
    let vectors = vectors();
    assert!(vectors.len() > 400);
    for Vector { crs, lonlat, xy } in vectors {
        let tolerance = if crs.is_geographic() {
            TOLERANCE_DEGREES
        } else {
            TOLERANCE_M
        };
        let mut point = [lonlat];
        Transformer::new(&Crs::wgs84(), &crs)
            .unwrap()
            .transform(&mut point)
            .unwrap();
        assert!(
            close(point[0], xy, tolerance),
            "{crs} {lonlat:?}: {:?}, not {xy:?}",
            point[0]
        );
    }
}

#[test]
fn every_system_leads_back_to_longitude_and_latitude() {
    for Vector { crs, lonlat, xy } in vectors() {
        let mut point = [xy];
        Transformer::new(&crs, &Crs::wgs84())
            .unwrap()
            .transform(&mut point)
            .unwrap();
        // A micrometre is up to 9e-12 degrees of latitude, and more longitude near the poles.
        let narrow = lonlat.1.to_radians().cos().max(1e-3);
        let east = (point[0].0 - lonlat.0).abs();
        let east = east.min((east - 360.0).abs()) * narrow;
        let north = (point[0].1 - lonlat.1).abs();
        assert!(
            east <= 2e-11 && north <= 2e-11,
            "{crs} {xy:?}: {:?}, not {lonlat:?}",
            point[0]
        );
    }
}

#[test]
fn a_batch_gives_the_bits_of_its_points_one_by_one() {
    for code in [32629, 3857, 5070, 3413] {
        let transformer = Transformer::new(&Crs::wgs84(), &Crs::from_epsg(code).unwrap()).unwrap();
        let points: Vec<_> = (0..500)
            .map(|i| (-100.0 + f64::from(i) * 0.2, 40.0 + f64::from(i) * 0.05))
            .collect();
        let mut batch = points.clone();
        transformer.transform(&mut batch).unwrap();
        for (point, expected) in points.into_iter().zip(batch) {
            let mut one = [point];
            transformer.transform(&mut one).unwrap();
            assert_eq!(one[0], expected);
        }
    }
}

#[test]
fn a_point_outside_the_domain_is_named_and_spoils_no_other() {
    let mercator = Transformer::new(&Crs::wgs84(), &Crs::web_mercator()).unwrap();
    let points = [(10.0, 50.0), (10.0, 90.0), (11.0, 50.0), (f64::NAN, 1.0)];
    let mut some = points;
    assert_eq!(mercator.transform_defined(&mut some), 2);
    assert!(some[0].0 > 1e6 && some[2].0 > 1e6 && some[1].0.is_nan() && some[3].1.is_nan());
    let refused = mercator.transform(&mut points.clone()).unwrap_err();
    assert_eq!((refused.index, refused.x, refused.y), (1, 10.0, 90.0));
    assert_eq!(
        refused.to_string(),
        "point 1 (10, 90) lies outside the domain of EPSG:4326 → EPSG:3857"
    );
}

#[test]
fn a_transformer_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Transformer>();
    shared::<Crs>();
}

#[test]
fn the_same_system_leaves_every_bit_alone() {
    let wgs84 = Crs::wgs84();
    let mut points = [(0.1, 0.2), (-179.999_999, 89.999)];
    Transformer::new(&wgs84, &wgs84)
        .unwrap()
        .transform(&mut points)
        .unwrap();
    assert_eq!(points, [(0.1, 0.2), (-179.999_999, 89.999)]);
}

#[test]
fn systems_are_read_from_codes_and_proj_strings() {
    let read = |text: &str| text.parse::<Crs>();
    assert_eq!(read("EPSG:32629").unwrap().epsg(), Some(32629));
    assert_eq!(read(" epsg:4326 ").unwrap(), Crs::wgs84());
    assert!(Crs::wgs84().is_geographic() && !Crs::web_mercator().is_geographic());
    let modis = "+proj=sinu  +lon_0=0 +R=6371007.181\n+units=m";
    let crs = read(modis).unwrap();
    assert_eq!(
        (crs.epsg(), crs.to_string().as_str()),
        (None, crs.proj_string())
    );
    assert_eq!(
        crs.proj_string(),
        "+proj=sinu +lon_0=0 +R=6371007.181 +units=m"
    );
    assert_eq!(read("EPSG:27700"), Err(CrsError::UnknownEpsg(27700)));
    assert_eq!(read("EPSG:70000"), Err(CrsError::UnknownEpsg(70000)));
    assert!(matches!(read("EPSG:x"), Err(CrsError::Form(_))));
    assert!(matches!(read("GEOGCS[\"WGS 84\"]"), Err(CrsError::Form(_))));
    assert!(matches!(read("+proj=nonsense"), Err(CrsError::Proj { .. })));
    assert!(matches!(
        read("+proj=geocent +datum=WGS84"),
        Err(CrsError::Proj { .. })
    ));
}

#[test]
fn angles_beyond_ascii_are_refused_with_the_way_to_write_them() {
    let read = |angle: &str| format!("+proj=tmerc +lon_0=9 +lat_0={angle}").parse::<Crs>();
    assert!(read("45d30'N").is_ok());
    let refused = read("45°30'N").unwrap_err();
    assert!(refused.to_string().contains("45d30'"), "{refused}");
}

#[test]
fn systems_survive_serialisation() {
    for Vector { crs, .. } in vectors() {
        let text = serde_json::to_string(&crs).unwrap();
        assert_eq!(serde_json::from_str::<Crs>(&text).unwrap(), crs);
    }
    assert_eq!(
        serde_json::to_string(&Crs::wgs84()).unwrap(),
        "\"EPSG:4326\""
    );
    assert!(serde_json::from_str::<Crs>("\"EPSG:1\"").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn utm_there_and_back_is_the_identity(
        zone in 1_u32..=60, dlon in -6.0_f64..6.0, lat in 0.0_f64..84.0
    ) {
        let lon = f64::from(zone) * 6.0 - 183.0 + dlon;
        let lon = lon.clamp(-180.0, 180.0);
        let utm = Crs::from_epsg(32600 + zone).unwrap();
        let mut point = [(lon, lat)];
        Transformer::new(&Crs::wgs84(), &utm).unwrap().transform(&mut point).unwrap();
        Transformer::new(&utm, &Crs::wgs84()).unwrap().transform(&mut point).unwrap();
        let east = (point[0].0 - lon).abs();
        prop_assert!(east.min((east - 360.0).abs()) < 1e-11, "{lon} {:?}", point[0]);
        prop_assert!((point[0].1 - lat).abs() < 1e-11);
    }
}
