//! Each rule of splicing against numpy, pixel by pixel, for integers and floats, with and without
//! masks.

use std::path::Path;

use earth::raster::cloud::Sky;
use earth::raster::splice::{Band, Plan, Role, Rule, Scene, ScenePlane, combine};
use earth::raster::{Raster, Samples};
use earth::split::meta::SampleType;
use serde_json::json;

use crate::oracle::{python, run};

const PIXELS: usize = 1_300;
const ROLES: [Role; 3] = [Role::Red, Role::Nir, Role::Class];

/// One stack of scenes, and how Python reads it.
struct Case {
    name: String,
    kind: SampleType,
    rule: Rule,
    scenes: Vec<Scene>,
    skies: Vec<u8>,
}

/// A sequence that is the same everywhere (Numerical Recipes' linear congruence).
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % n
    }
}

fn samples(kind: SampleType, values: &[u64]) -> Samples {
    let small = |v: &u64| u16::try_from(*v).unwrap();
    match kind {
        SampleType::U8 => Samples::U8(values.iter().map(|v| u8::try_from(*v).unwrap()).collect()),
        SampleType::I16 => {
            let signed =
                |v: &u64| i16::try_from(*v).unwrap() * if v.is_multiple_of(2) { 1 } else { -1 };
            Samples::I16(values.iter().map(signed).collect())
        }
        SampleType::F32 => {
            let float = |v: &u64| {
                if *v == 0 {
                    f32::NAN
                } else {
                    f32::from(small(v)) / 8.0
                }
            };
            Samples::F32(values.iter().map(float).collect())
        }
        _ => Samples::U16(values.iter().map(small).collect()),
    }
}

fn case(draw: &mut Draw, kind: SampleType, rule: Rule, (scenes, masked): (usize, bool)) -> Case {
    let sees = [Sky::Void, Sky::Clear, Sky::Cloud, Sky::Shadow, Sky::Snow];
    let mut skies = Vec::new();
    let mut stack = Vec::new();
    for number in 0..scenes {
        let void = draw.below(3) == 0;
        let planes = ROLES.iter().map(|_| {
            let value = |draw: &mut Draw| {
                let fill = if void { draw.below(2) } else { draw.below(9) };
                if fill == 0 { 0 } else { 1 + draw.below(90) }
            };
            let values: Vec<u64> = (0..PIXELS).map(|_| value(draw)).collect();
            let width = u32::try_from(PIXELS).unwrap();
            Some(ScenePlane {
                raster: Raster::new(width, 1, samples(kind, &values)).unwrap(),
                fill: kind.is_integer().then_some(0.0),
            })
        });
        let planes = planes.collect();
        let codes: Vec<usize> = (0..PIXELS)
            .map(|_| usize::try_from(draw.below(5)).unwrap())
            .collect();
        let known = masked && number % 3 != 2;
        skies.extend(
            codes
                .iter()
                .map(|c| if known { u8::try_from(*c).unwrap() } else { 9 }),
        );
        stack.push(Scene {
            planes,
            sky: known.then(|| codes.iter().map(|c| sees[*c]).collect()),
        });
    }
    Case {
        name: format!("{rule}-{kind:?}-{scenes}-{masked}"),
        kind,
        rule,
        scenes: stack,
        skies,
    }
}

fn plan(kind: SampleType) -> Plan {
    Plan {
        width: u32::try_from(PIXELS).unwrap(),
        height: 1,
        bands: ROLES
            .iter()
            .map(|role| Band {
                sample: kind,
                scale: 0.5,
                offset: 0.0,
                role: *role,
            })
            .collect(),
    }
}

/// Writes a case where Python finds it.
fn write(case: &Case, folder: &Path) -> serde_json::Value {
    let mut raw = Vec::new();
    for plane in case.scenes.iter().flat_map(|s| s.planes.iter().flatten()) {
        match plane.raster.samples() {
            Samples::U8(v) => raw.extend_from_slice(v),
            Samples::U16(v) => raw.extend(v.iter().flat_map(|n| n.to_le_bytes())),
            Samples::I16(v) => raw.extend(v.iter().flat_map(|n| n.to_le_bytes())),
            Samples::F32(v) => raw.extend(v.iter().flat_map(|n| n.to_le_bytes())),
            _ => panic!("another type"),
        }
    }
    let path = |end: &str| folder.join(format!("{}.{end}", case.name));
    std::fs::write(path("raw"), raw).unwrap();
    std::fs::write(path("sky"), &case.skies).unwrap();
    let dtype = match case.kind {
        SampleType::U8 => "u1",
        SampleType::I16 => "<i2",
        SampleType::F32 => "<f4",
        _ => "<u2",
    };
    json!({
        "name": case.name, "raw": path("raw"), "sky": path("sky"), "dtype": dtype,
        "shape": [case.scenes.len(), ROLES.len(), PIXELS], "fill": 0, "scale": 0.5,
        "rule": case.rule, "roles": ["red", "nir", "class"],
    })
}

fn check(case: &Case, folder: &Path) {
    let found = combine(&plan(case.kind), &case.scenes, case.rule).unwrap();
    let read = |end: &str| std::fs::read(folder.join(format!("{}.{end}", case.name))).unwrap();
    let from: Vec<u8> = found
        .provenance
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    assert!(from == read("from"), "{}: other provenance", case.name);
    let values = read("values");
    let mut wanted = values
        .chunks_exact(8)
        .map(|b| f64::from_le_bytes(b.try_into().unwrap()));
    let valid = read("valid");
    for (band, plane) in found.planes.iter().enumerate() {
        let given = plane.raster.samples().to_f64();
        for (i, (value, ok)) in given.iter().zip(&plane.valid).enumerate() {
            let wanted = wanted.next().unwrap();
            let name = format!("{}, band {band}, pixel {i}", case.name);
            assert_eq!(*ok, valid[band * PIXELS + i] == 1, "{name}");
            assert!(
                !ok || (value - wanted).abs() < 1e-12,
                "{name}: {value}, not {wanted}"
            );
        }
    }
}

#[test]
fn every_rule_equals_numpy() {
    let Some(python) = python("numpy") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut draw = Draw(7);
    let kinds = [
        SampleType::U8,
        SampleType::U16,
        SampleType::I16,
        SampleType::F32,
    ];
    let mut cases = Vec::new();
    for rule in Rule::ALL {
        for kind in kinds {
            for shape in [(1, false), (2, true), (5, false), (12, true), (12, false)] {
                cases.push(case(&mut draw, kind, rule, shape));
            }
        }
    }
    cases.push(case(&mut draw, SampleType::U16, Rule::Median, (70, true)));
    let list: Vec<_> = cases.iter().map(|c| write(c, folder.path())).collect();
    run(&python, "splice.py", &json!(list), folder.path());
    for case in &cases {
        check(case, folder.path());
    }
}
