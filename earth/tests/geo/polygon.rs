//! Polygons: GeoJSON in all its wrappings, points, boxes, bad input.

use earth::extent::{LonLat, LonLatBox};
use earth::polygon::{GeoJsonError, Polygon, PolygonError};
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use crate::sample;

const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[0,0],[10,0],[10,10],[0,10],[0,0]]]}"#;
const HOLED: &str = r#"{"type":"Polygon","coordinates":[[[0,0],[10,0],[10,10],[0,10],[0,0]],
    [[4,4],[4,6],[6,6],[6,4],[4,4]]]}"#;

fn at(lon: f64, lat: f64) -> LonLat {
    LonLat { lon, lat }
}

fn square_box(w: f64, s: f64, e: f64, n: f64) -> LonLatBox {
    LonLatBox::new(w, s, e, n).unwrap()
}

/// Parses and checks one point inside and one outside the first square.
fn check(text: &str) -> Polygon {
    let area = Polygon::from_geojson(text).unwrap();
    assert!(
        area.contains(at(2.0, 3.0)) && !area.contains(at(12.0, 3.0)),
        "{text}"
    );
    area
}

#[test]
fn every_wrapping_of_a_polygon_is_read() {
    check(SQUARE);
    check(HOLED);
    check(
        r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[9,0],[9,9],[0,0]]],
        [[[20,0],[29,0],[29,9],[20,0]]], [[[0,0],[9,9],[0,9],[0,0]]]]}"#,
    );
    check(&format!(
        r#"{{"type":"Feature","properties":null,"geometry":{SQUARE}}}"#
    ));
    let feature = format!(r#"{{"type":"Feature","properties":{{}},"geometry":{SQUARE}}}"#);
    check(&format!(
        r#"{{"type":"FeatureCollection","features":[{feature},{feature}]}}"#
    ));
    check(&format!(
        r#"{{"type":"GeometryCollection","geometries":[{SQUARE}]}}"#
    ));
    check(r#"{"type":"Polygon","coordinates":[[[0,0,7],[10,0,7],[10,10,7],[0,10,7],[0,0,7]]]}"#);
}

#[test]
fn text_without_an_area_says_why() {
    let fails = |text: &str| Polygon::from_geojson(text).unwrap_err().to_string();
    let says = |text: &str, part: &str| {
        let said = fails(text);
        assert!(said.contains(part), "{text}: {said}");
    };
    says("nonsense", "not JSON");
    says("[]", "\"type\"");
    says("{}", "\"type\"");
    says(
        r#"{"type":"Point","coordinates":[1,2]}"#,
        "Point has no area",
    );
    says(
        r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#,
        "LineString has no area",
    );
    says(r#"{"type":"Polygon"}"#, "\"coordinates\"");
    says(
        r#"{"type":"Polygon","coordinates":[[[0,"1"],[1,1],[1,0],[0,1]]]}"#,
        "\"coordinates\"",
    );
    says(r#"{"type":"Feature","geometry":null}"#, "\"geometry\"");
    says(
        r#"{"type":"FeatureCollection","features":[]}"#,
        "at least one ring",
    );
    says(
        r#"{"type":"Polygon","coordinates":[]}"#,
        "at least one ring",
    );
    says(
        r#"{"type":"Polygon","coordinates":[[[0,0],[1,1],[0,0]]]}"#,
        "at least 3",
    );
    says(
        r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}"#,
        "not closed",
    );
    says(
        r#"{"type":"Polygon","coordinates":[[[0,0],[0,91],[1,1],[0,0]]]}"#,
        "longitude first",
    );
    says(
        r#"{"type":"Polygon","coordinates":[[[-300,0],[300,0],[1,1],[-300,0]]]}"#,
        "600°",
    );
}

#[test]
fn deep_and_long_text_is_refused() {
    let mut nested = SQUARE.to_owned();
    for _ in 0..20 {
        nested = format!(r#"{{"type":"GeometryCollection","geometries":[{nested}]}}"#);
    }
    assert!(matches!(
        Polygon::from_geojson(&nested),
        Err(GeoJsonError::Depth)
    ));
    let bombs = "[".repeat(1_000_000);
    assert!(matches!(
        Polygon::from_geojson(&bombs),
        Err(GeoJsonError::Json(_))
    ));
    let long = " ".repeat((16 << 20) + 1);
    assert!(matches!(
        Polygon::from_geojson(&long),
        Err(GeoJsonError::Length(_))
    ));
    let mut ring: Vec<[f64; 2]> = (0..200_001).map(|i| [f64::from(i) * 1e-4, 0.0]).collect();
    ring.push(ring[0]);
    assert!(matches!(
        Polygon::new(&[vec![ring]]),
        Err(PolygonError::Limit(_))
    ));
}

#[test]
fn a_hole_is_outside() {
    let area = check(HOLED);
    assert!(!area.contains(at(5.0, 5.0)));
    assert!(area.contains(at(3.9, 5.0)) && area.contains(at(6.1, 5.0)));
    assert!(!area.intersects_box(&square_box(4.0, 4.0, 6.0, 6.0)));
    assert!(!area.intersects_box(&square_box(4.5, 4.5, 5.5, 5.5)));
    assert!(area.intersects_box(&square_box(3.5, 4.5, 4.5, 5.5)));
}

#[test]
fn boxes_that_share_only_an_edge_do_not_intersect() {
    let area = check(SQUARE);
    assert!(!area.intersects_box(&square_box(10.0, 0.0, 20.0, 10.0)));
    assert!(!area.intersects_box(&square_box(-5.0, -5.0, 0.0, 0.0)));
    assert!(area.intersects_box(&square_box(9.999, 0.0, 20.0, 10.0)));
    assert!(area.intersects_box(&square_box(0.0, 0.0, 10.0, 10.0)));
    assert!(area.intersects_box(&square_box(-50.0, -50.0, 50.0, 50.0)));
    assert!(area.intersects_box(&square_box(5.0, 5.0, 5.0, 5.0)));
    assert!(!area.intersects_box(&square_box(15.0, 5.0, 15.0, 5.0)));
}

#[test]
fn an_area_over_the_antimeridian_is_met_from_both_sides() {
    let wide = [
        [170.0, -5.0],
        [190.0, -5.0],
        [190.0, 5.0],
        [170.0, 5.0],
        [170.0, -5.0],
    ];
    let shifted = wide.map(|[lon, lat]| [lon - 360.0, lat]);
    for ring in [wide, shifted] {
        let area = Polygon::new(&[vec![ring.to_vec()]]).unwrap();
        for lon in [171.0, 180.0, -180.0, -171.0] {
            assert!(area.contains(at(lon, 0.0)), "{lon}");
        }
        assert!(!area.contains(at(169.0, 0.0)) && !area.contains(at(-169.0, 0.0)));
        assert!(!area.contains(at(0.0, 0.0)));
        assert!(area.intersects_box(&square_box(175.0, -1.0, -175.0, 1.0)));
        assert!(area.intersects_box(&square_box(-175.0, -1.0, -160.0, 1.0)));
        assert!(!area.intersects_box(&square_box(-160.0, -1.0, 160.0, 1.0)));
    }
}

#[test]
fn coordinates_survive_serialisation_and_bad_ones_do_not() {
    let area = check(HOLED);
    let text = serde_json::to_string(&area).unwrap();
    assert_eq!(serde_json::from_str::<Polygon>(&text).unwrap(), area);
    assert!(serde_json::from_str::<Polygon>("[[[[0,0],[1,1]]]]").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The winding of a point around the outer ring, summed angle by angle, is the oracle.
    #[test]
    fn points_inside_are_those_the_ring_winds_around(
        star in sample::star(), x in -1.2_f64..1.2, y in -1.2_f64..1.2
    ) {
        let rings = star.parts()[0].rings();
        let size = rings[0].corners().iter().map(|c| c.lon).fold(-400.0, f64::max)
            - rings[0].corners().iter().map(|c| c.lon).fold(400.0, f64::min);
        let from = rings[0].corners()[0];
        let point = at(from.lon + x * size, (from.lat + y * size).clamp(-90.0, 90.0));
        let winds = |ring: &earth::polygon::Ring| {
            let angle = |a: LonLat, b: LonLat| {
                let (ax, ay) = (a.lon - point.lon, a.lat - point.lat);
                let (bx, by) = (b.lon - point.lon, b.lat - point.lat);
                (ax * by - ay * bx).atan2(ax * bx + ay * by)
            };
            ring.edges().map(|(a, b)| angle(a, b)).sum::<f64>().abs() > 3.0
        };
        let inside = winds(&rings[0]) && !rings.get(1).is_some_and(winds);
        let near = rings.iter().any(|ring| ring.edges().any(|(a, b)| {
            let (dx, dy) = (b.lon - a.lon, b.lat - a.lat);
            let t = ((point.lon - a.lon) * dx + (point.lat - a.lat) * dy) / (dx * dx + dy * dy);
            let t = t.clamp(0.0, 1.0);
            (a.lon + t * dx - point.lon).hypot(a.lat + t * dy - point.lat) < 1e-9
        }));
        if !near && (-180.0..=180.0).contains(&point.lon) {
            prop_assert_eq!(star.contains(point), inside);
        }
    }

    #[test]
    fn a_box_around_a_point_inside_intersects(
        star in sample::star(), point in sample::position()
    ) {
        let corner = star.parts()[0].rings()[0].corners()[0];
        for p in [point, at(corner.lon.clamp(-179.0, 179.0), corner.lat)] {
            let (low, high) = ((p.lat - 0.1).max(-90.0), (p.lat + 0.1).min(90.0));
            let b = square_box((p.lon - 0.1).max(-180.0), low, (p.lon + 0.1).min(180.0), high);
            prop_assert!(!star.contains(p) || star.intersects_box(&b), "{p:?}");
        }
    }
}
