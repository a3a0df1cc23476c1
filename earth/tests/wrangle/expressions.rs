//! Expressions give what arithmetic gives, and no text makes the parser panic.

use earth::raster::expression::index::{INDICES, index};
use earth::raster::expression::{BandName, DEPTH_MAX, Expression, LENGTH_MAX, Plane};
use earth::raster::{Raster, Samples};
use proptest::prelude::{ProptestConfig, prop, proptest};

/// Two pixels of red and near infrared in tenths, the third near infrared is fill.
fn bands() -> [Raster; 2] {
    let row = |samples| Raster::new(3, 1, samples).unwrap();
    [
        row(Samples::U16(vec![10, 30, 20])),
        row(Samples::I16(vec![30, 10, -9])),
    ]
}

const NAMES: [BandName<'static>; 2] = [
    BandName {
        name: "B04",
        common: Some("red"),
    },
    BandName {
        name: "B08",
        common: Some("nir"),
    },
];

/// Evaluates over red = 1, 3, 2 and nir = 3, 1, fill.
fn values(text: &str) -> Vec<f32> {
    let expression = Expression::parse(text).unwrap();
    let bound = expression.bind(&NAMES).unwrap();
    let rasters = bands();
    let planes: Vec<_> = { bound.bands().iter() }
        .map(|band| Plane {
            raster: &rasters[*band],
            fill: Some([0.0, -9.0][*band]),
            scale: 0.1,
            offset: 0.0,
        })
        .collect();
    let Samples::F32(values) = bound.evaluate(&planes, (3, 1)).unwrap().into_samples() else {
        panic!("an expression gives f32");
    };
    values
}

fn check(text: &str, first: f32, second: f32) {
    let found = values(text);
    for (found, wanted) in found.iter().zip([first, second]) {
        let same = (found - wanted).abs() < 1e-6 || (found.is_nan() && wanted.is_nan());
        assert!(same, "{text}: {found}, not {wanted}");
    }
}

#[test]
fn operators_bind_as_in_mathematics() {
    check("1 + 2 * 3", 7.0, 7.0);
    check("(nir - red) / (nir + red)", 0.5, -0.5);
    check("10 - 4 - 3", 3.0, 3.0);
    check("-red ^ 2", -1.0, -9.0);
    check("2 ^ 3 ^ 2", 512.0, 512.0);
    check("-red * 2 + 8 / 4 / 2", -1.0, -5.0);
    check("B08/B04", 3.0, 1.0 / 3.0);
    check("\"B08\" - +b04", 2.0, -2.0);
    check("1.5e1 + .5", 15.5, 15.5);
}

#[test]
fn comparisons_give_one_or_zero_and_choose() {
    check("nir > red", 1.0, 0.0);
    check("nir >= red && red != 3", 1.0, 0.0);
    check("nir < red || !(red == 1)", 0.0, 1.0);
    check("where(nir > red, nir, -1)", 3.0, -1.0);
    check("where(red = 1, 7, 1 / (red - 1))", 7.0, 0.5);
}

#[test]
fn functions_do_what_they_are_called() {
    check("min(red, nir, 2)", 1.0, 1.0);
    check("max(red, nir) + abs(-1)", 4.0, 4.0);
    check("sqrt(red * red)", 1.0, 3.0);
    check("clamp(red, 1.5, 2)", 1.5, 2.0);
    check("ln(exp(red))", 1.0, 3.0);
}

#[test]
fn what_has_no_value_is_nan() {
    check("red / (nir - 3)", f32::NAN, -1.5);
    check("sqrt(nir - red)", 2.0_f32.sqrt(), f32::NAN);
    check("ln(red - 1)", f32::NAN, 2.0_f32.ln());
    check("1 / 0 > 2", f32::NAN, f32::NAN);
    check("3e38 * 10 * red", f32::NAN, f32::NAN);
}

#[test]
fn a_pixel_is_nan_where_any_band_named_is_fill() {
    assert!(values("nir + 1")[2].is_nan());
    assert!(values("where(red > 0, red, nir)")[2].is_nan());
    assert!((values("red")[2] - 2.0).abs() < 1e-6);
}

#[test]
fn errors_name_the_column_and_the_nearest_name() {
    let said = |text: &str| match Expression::parse(text) {
        Ok(expression) => expression.bind(&NAMES).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        said("(red - nri) / 2"),
        "column 8: no band 'nri'; nearest: nir"
    );
    assert_eq!(
        said("red + "),
        "column 7: a value is missing before the end"
    );
    assert_eq!(said("(red"), "column 5: ')' is missing before the end");
    assert_eq!(said("red nir"), "column 5: 'nir' is not expected here");
    assert_eq!(
        said("sqr(red)"),
        "column 1: no function 'sqr'; nearest: sqrt"
    );
    assert_eq!(
        said("min(red)"),
        "column 1: min takes two values or more, not 1"
    );
    assert_eq!(said("red § 2"), "column 5: '§' begins nothing");
    assert_eq!(said("é + 1.2.3"), "column 5: '1.2.3' is no number");
    assert_eq!(said("\"red"), "column 1: the quoted name has no end");
    let chained = "column 9: comparisons do not chain; use && between two";
    assert_eq!(said("1 < red < 2"), chained);
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
    assert!(Expression::parse(&deep(DEPTH_MAX - 1)).is_ok());
    assert!(Expression::parse(&deep(DEPTH_MAX)).is_err());
    assert!(Expression::parse(&"-".repeat(4000)).is_err());
    assert!(Expression::parse(&"1^".repeat(3000)).is_err());
    assert!(Expression::parse(&"1+".repeat(LENGTH_MAX)).is_err());
    let long = format!("0{}", "+1".repeat(4000));
    check(&long, 4000.0, 4000.0);
}

#[test]
fn landsat_has_its_near_infrared_under_another_name() {
    let expression = Expression::parse(index("NDVI").unwrap().formula).unwrap();
    let bands = [("B5", "nir08"), ("B4", "red")].map(|(name, common)| BandName {
        name,
        common: Some(common),
    });
    assert_eq!(expression.bind(&bands).unwrap().bands(), [0, 1]);
}

#[test]
fn every_index_parses_and_is_found_by_its_name() {
    for known in INDICES {
        assert!(Expression::parse(known.formula).is_ok(), "{}", known.name);
        assert_eq!(index(known.name).unwrap(), known);
    }
    assert!(INDICES.is_sorted_by_key(|i| i.name));
    let said = index("ndvy").unwrap_err().to_string();
    assert_eq!(said, "no index 'ndvy'; nearest: ndvi");
}

#[test]
fn blocks_join_without_a_seam() {
    let (width, height) = (701_u32, 13_u32);
    let samples: Vec<f64> = { 0..width * height }.map(f64::from).collect();
    let raster = Raster::new(width, height, Samples::F64(samples)).unwrap();
    let expression = Expression::parse("x * 2 + 1").unwrap();
    let names = [BandName {
        name: "x",
        common: None,
    }];
    let bound = expression.bind(&names).unwrap();
    let plane = Plane {
        raster: &raster,
        fill: None,
        scale: 1.0,
        offset: 0.0,
    };
    let found = bound.evaluate(&[plane], (width, height)).unwrap();
    let found = found.samples().to_f64();
    let wanted = (0..width * height).map(|i| f64::from(i) * 2.0 + 1.0);
    assert!(found.into_iter().eq(wanted));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("GLEBE_NIGHTLY").is_some() {
        1_000_000
    } else {
        20_000
    }))]

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
        drop(Expression::parse(&text));
    }

    #[test]
    fn no_shuffled_expression_makes_parser_or_evaluation_panic(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "red", "nir", "1", "0", ".5", "2e3", "+", "-", "*", "/", "^", "(", ")", ",", "<", "==",
            "&&", "||", "!", "min(", "max(", "abs(", "where(", "clamp(", "sqrt(", "ln(", "\"",
        ]), 0..24)
    ) {
        let text = tokens.join(" ");
        if Expression::parse(&text).is_ok_and(|e| e.bind(&NAMES).is_ok()) {
            assert_eq!(values(&text).len(), 3);
        }
    }
}
