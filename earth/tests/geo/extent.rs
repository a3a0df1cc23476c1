//! Boxes: ranges, the antimeridian, shared edges.

use earth::extent::{BoxError, LonLat, LonLatBox};

fn area(w: f64, s: f64, e: f64, n: f64) -> LonLatBox {
    LonLatBox::new(w, s, e, n).unwrap()
}

fn at(lon: f64, lat: f64) -> LonLat {
    LonLat { lon, lat }
}

#[test]
fn numbers_that_are_no_box_are_refused_by_name() {
    let fails = |w, s, e, n| LonLatBox::new(w, s, e, n).unwrap_err();
    assert_eq!(
        fails(0.0, 5.0, 1.0, 4.0),
        BoxError::Upright {
            south: 5.0,
            north: 4.0
        }
    );
    assert!(
        fails(0.0, -91.0, 1.0, 4.0)
            .to_string()
            .starts_with("south is -91")
    );
    assert!(
        fails(0.0, 0.0, 181.0, 4.0)
            .to_string()
            .starts_with("east is 181")
    );
    assert!(
        fails(f64::NAN, 0.0, 1.0, 4.0)
            .to_string()
            .starts_with("west is NaN")
    );
    assert!(serde_json::from_str::<LonLatBox>("[0, 5, 1, 4]").is_err());
    assert!(serde_json::from_str::<LonLatBox>("[0, 4, 1, 5]").is_ok());
}

#[test]
fn a_box_across_the_antimeridian_is_one_place() {
    let fiji = area(177.0, -20.0, -178.0, -16.0);
    assert!(fiji.crosses_antimeridian());
    assert_eq!(
        fiji.parts(),
        [
            area(177.0, -20.0, 180.0, -16.0),
            area(-180.0, -20.0, -178.0, -16.0)
        ]
    );
    assert_eq!(fiji.centre(), at(179.5, -18.0));
    assert_eq!(area(170.0, 0.0, -178.0, 0.0).centre(), at(176.0, 0.0));
    assert_eq!(area(178.0, 0.0, -170.0, 0.0).centre(), at(-176.0, 0.0));
    assert!(fiji.contains(at(180.0, -18.0)) && fiji.contains(at(-180.0, -18.0)));
    assert!(!fiji.contains(at(0.0, -18.0)) && !fiji.contains(at(-177.9, -18.0)));
    assert!(fiji.overlaps(&area(-179.0, -17.0, -170.0, 0.0)));
    assert!(!fiji.overlaps(&area(-170.0, -17.0, 170.0, 0.0)));
}

#[test]
fn boxes_that_share_an_edge_do_not_overlap() {
    let one = area(0.0, 0.0, 10.0, 10.0);
    let beside = [area(10.0, 0.0, 20.0, 10.0), area(0.0, 10.0, 10.0, 20.0)];
    for other in beside {
        assert!(!one.overlaps(&other) && !other.overlaps(&one), "{other:?}");
    }
    assert!(one.overlaps(&area(9.0, 9.0, 20.0, 20.0)));
    assert!(one.overlaps(&area(5.0, 5.0, 5.0, 5.0)));
}
