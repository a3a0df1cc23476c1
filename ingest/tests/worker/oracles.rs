//! Coverage and classes of every Sentinel-2 product in the oracle file, by the splits' own counts.
//!
//! *Invariants*: shares agree to half a point; products of so few pixels that a single one counts
//! for more have the weight of two pixels on top.
//!
//! *Not here*: other sensors (their own files).

use std::collections::BTreeMap;

use earth::raster::classes::{self, ClassCount};
use serde_json::Value;

use crate::place::{open, real};
use crate::real_products::cut_some;

/// Half a point of a hundred.
const POINTS: f64 = 0.5;
/// Five pixels more, in percent.
const EDGE: f64 = 500.0;

#[test]
fn coverage_and_classes_of_every_product_are_those_of_the_oracle() {
    let Some(path) = real("ORACLES_DEV.json") else {
        return;
    };
    let all: BTreeMap<String, Value> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut seen = 0;
    for (name, facts) in all.iter().filter(|(name, _)| name.starts_with("s2_safe/")) {
        check(name, facts.as_object().unwrap());
        seen += 1;
    }
    assert!(seen >= 3, "{seen} products");
}

fn check(name: &str, facts: &serde_json::Map<String, Value>) {
    let Some(product) = real(name) else {
        return;
    };
    let finest = |metres: &str| facts.iter().find(|(file, _)| file.contains(metres));
    let (_, told) = finest("SCL_20m").or(finest("SCL_60m")).unwrap();
    let scene = open(&product);
    let precision = if scene.layers[0].resolution_m > 100.0 {
        3
    } else {
        4
    };
    let done = cut_some(&scene, precision, |_| 1);
    let mut found: Vec<ClassCount> = Vec::new();
    for split in &done.splits {
        let band = split.meta.bands.iter().find(|b| b.name == "SCL").unwrap();
        assert_eq!(band.class_names.len(), 11, "{name}");
        found = classes::merge(&found, band.classes.as_ref().unwrap()).unwrap();
    }
    let told_classes = told["class_counts"].as_object().unwrap();
    let told_valid: u64 = told_classes
        .iter()
        .filter(|(class, _)| *class != "0")
        .map(|(_, n)| n.as_u64().unwrap())
        .sum();
    let slack = POINTS + 200.0 / told_valid as f64;
    let near = |what: &str, a: f64, b: f64| {
        // Nearest neighbours of a few hundred pixels: a class may gain or lose some at its edges.
        let more = if what.starts_with("class") {
            EDGE / told_valid as f64
        } else {
            0.0
        };
        assert!(
            (a - b).abs() <= slack + more,
            "{name}: {what} {a:.2} %, by the oracle {b:.2} %"
        );
    };
    let total: u64 = found.iter().map(|c| c.count).sum();
    let share = |class: i64| {
        let count = found
            .iter()
            .find(|c| c.value == class)
            .map_or(0, |c| c.count);
        100.0 * count as f64 / total as f64
    };
    for class in 1..=11 {
        let count = told_classes.get(&class.to_string()).and_then(Value::as_u64);
        let wanted = 100.0 * count.unwrap_or(0) as f64 / told_valid as f64;
        near(&format!("class {class}"), share(class), wanted);
    }
    let mask = done.counts.mask.unwrap();
    let cloudy = 100.0 * mask.cloudy as f64 / mask.valid as f64;
    let wanted = told["cloud_fraction_of_valid_SCL8_9_10"].as_f64().unwrap();
    near("cloud", cloudy, 100.0 * wanted);
    let snow = 100.0 * mask.snow.unwrap() as f64 / mask.valid as f64;
    near("snow", snow, share(11));
    let valid = 100.0 * done.counts.valid as f64 / done.counts.in_footprint as f64;
    near(
        "valid",
        valid,
        100.0 * told["valid_fraction"].as_f64().unwrap(),
    );
}
