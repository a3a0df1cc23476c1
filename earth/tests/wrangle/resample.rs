//! Resampling of synthetic and real bands equals rasterio's, pixel by pixel and in decibels.

use std::path::Path;

use earth::crs::Crs;
use earth::raster::georef::{Affine, Georef};
use earth::raster::resample::{Alignment, Method, Source, resample, resample_onto};
use earth::raster::{Raster, Samples};
use serde_json::{Value, json};

use crate::oracle::{python, real_data, run};

/// Side of the synthetic scene.
const SIDE: u32 = 180;

/// A wavy scene with some noise and a hole, in 12 bits.
fn wavy() -> Vec<u16> {
    let mut seed = 12_345_u32;
    let mut samples = Vec::new();
    for y in 0..SIDE {
        for x in 0..SIDE {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (fx, fy) = (f64::from(x), f64::from(y));
            let wave = (fx / 9.0).sin() * (fy / 13.0).cos() * 900.0 + 1500.0;
            let noise = f64::from(seed >> 24);
            let hole = (60..75).contains(&x) && (90..120).contains(&y) || (x * 7 + y * 3) % 97 == 0;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the value lies in 600..2700"
            )]
            samples.push(if hole { 0 } else { (wave + noise) as u16 });
        }
    }
    samples
}

fn samples(dtype: &str, bytes: &[u8]) -> Samples {
    macro_rules! read {
        ($type:ty, $variant:ident) => {{
            let of = |b: &[u8]| <$type>::from_le_bytes(b.try_into().unwrap());
            Samples::$variant(bytes.chunks(size_of::<$type>()).map(of).collect())
        }};
    }
    match dtype {
        "uint8" => read!(u8, U8),
        "uint16" => read!(u16, U16),
        "int16" => read!(i16, I16),
        "int32" => read!(i32, I32),
        "float32" => read!(f32, F32),
        "float64" => read!(f64, F64),
        other => panic!("no case has {other}"),
    }
}

/// A case of the synthetic scene: onto `target` pixels of `step` from `start` on.
fn synthetic(folder: &Path, name: &str, method: &str, ratio: f64, dtype: &str) -> Value {
    let raw = folder.join(format!("{name}.raw"));
    let bytes: Vec<u8> = match dtype {
        "uint16" => wavy().iter().flat_map(|s| s.to_le_bytes()).collect(),
        "int32" => wavy()
            .iter()
            .flat_map(|s| (i32::from(*s) * 3).to_le_bytes())
            .collect(),
        "uint8" => wavy()
            .iter()
            .flat_map(|s| [(s / 300).to_le_bytes()[0]])
            .collect(),
        _ => wavy()
            .iter()
            .flat_map(|s| (f32::from(*s) / 7.0).to_le_bytes())
            .collect(),
    };
    std::fs::write(&raw, bytes).unwrap();
    let target = (f64::from(SIDE) / ratio).round();
    json!({
        "name": name, "raw": raw, "dtype": dtype, "size": [SIDE, SIDE], "fill": 0,
        "target": [target, target], "start": [0.0, 0.0], "step": [ratio, ratio],
        "method": method,
    })
}

fn numbers(value: &Value) -> (f64, f64) {
    (value[0].as_f64().unwrap(), value[1].as_f64().unwrap())
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of test rasters"
)]
fn size(value: &Value) -> (u32, u32) {
    let (width, height) = numbers(value);
    (width as u32, height as u32)
}

/// A raster of ten units a pixel, moved and scaled as the oracle does it.
fn ground((x, y): (f64, f64), (dx, dy): (f64, f64), (width, height): (u32, u32)) -> Georef {
    let numbers = [
        500_000.0 + 10.0 * x,
        10.0 * dx,
        0.0,
        4_000_000.0 - 10.0 * y,
        0.0,
        -10.0 * dy,
    ];
    Georef {
        crs: Crs::from_epsg(32633).unwrap(),
        affine: Affine::new(numbers).unwrap(),
        width,
        height,
    }
}

/// Returns the share of pixels that differ by more than `slack`, and of differing validity.
fn compare(case: &Value, folder: &Path, slack: f64) -> (f64, f64) {
    let stem = |end: &str| folder.join(format!("{}.{end}", case["name"].as_str().unwrap()));
    let said: Value = serde_json::from_slice(&std::fs::read(stem("json")).unwrap()).unwrap();
    let dtype = said["dtype"].as_str().unwrap();
    let (width, height) = size(&said["size"]);
    let read = |end: &str| samples(dtype, &std::fs::read(stem(end)).unwrap());
    let raster = Raster::new(width, height, read("src")).unwrap();
    let fill = case["fill"].as_f64();
    let source = ground((0.0, 0.0), (1.0, 1.0), (width, height));
    let target = ground(
        numbers(&case["start"]),
        numbers(&case["step"]),
        size(&case["target"]),
    );
    let alignment = Alignment::between(&source, &target).unwrap();
    let method = Method::named(case["method"].as_str().unwrap()).unwrap();
    let source = Source {
        raster: &raster,
        fill,
    };
    let found = resample_onto(source, &alignment, method).unwrap();
    let wanted = read("dst");
    let valid = wanted.validity(fill);
    let (mut off, mut torn) = (0_u32, 0_u32);
    for (i, wanted) in wanted.to_f64().into_iter().enumerate() {
        let value = found.raster.samples().get(i).unwrap();
        torn += u32::from(found.valid[i] != valid[i]);
        off += u32::from(found.valid[i] && valid[i] && (value - wanted).abs() > slack);
    }
    let all = valid.len() as f64;
    (f64::from(off) / all, f64::from(torn) / all)
}

fn check(cases: &[Value], folder: &Path) {
    for case in cases {
        let integer = case["dtype"] != "float32";
        // Classes are equal or not; means may be rounded the other way.
        let slack = match case["method"].as_str() {
            Some("nearest" | "mode") => 0.0,
            _ if integer => 1.0,
            _ => 0.01,
        };
        let (off, torn) = compare(case, folder, slack);
        // Of equal majorities GDAL takes the first it meets, we the least.
        let off_max = if case["method"] == "mode" {
            0.01
        } else {
            0.001
        };
        assert!(
            off <= off_max && torn <= 0.001,
            "{case}: {off} off, {torn} torn"
        );
    }
}

#[test]
fn every_method_and_ratio_gives_what_rasterio_gives_on_a_scene_with_holes() {
    let Some(python) = python("rasterio") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut cases = Vec::new();
    for method in ["nearest", "bilinear", "cubic", "average"] {
        for (n, ratio) in [0.5, 1.0 / 3.0, 2.0, 3.0, 2.4, 1.0].into_iter().enumerate() {
            for dtype in ["uint16", "float32", "int32", "uint8"] {
                let name = format!("{method}-{n}-{dtype}");
                cases.push(synthetic(folder, &name, method, ratio, dtype));
            }
        }
    }
    cases.push(synthetic(folder, "mode", "mode", 3.0, "uint8"));
    // A window that begins inside a pixel and reaches over the edge.
    for method in ["nearest", "bilinear", "cubic", "average"] {
        let mut case = synthetic(folder, &format!("moved-{method}"), method, 0.5, "uint16");
        case["start"] = json!([10.25, -3.0]);
        case["target"] = json!([400, 50]);
        if method == "average" {
            // GDAL gives finer pixels that only touch the upper or left border a value, too.
            case["start"] = json!([10.25, -3.2]);
        }
        cases.push(case);
    }
    // Target pixels of a mean by area that are partly off the source, on every side; holes whose
    // corners alone reach into a target pixel.
    for (n, (start, step, target)) in [
        ([-0.5, -0.5], 2.0, 92),
        ([-1.5, -0.75], 2.0, 92),
        ([-2.7, -3.1], 5.0, 38),
        ([-3.2, -3.2], 0.7, 266),
        ([0.25, 0.3], 2.4, 76),
        ([-0.999, 0.001], 1.0, 181),
    ]
    .into_iter()
    .enumerate()
    {
        for dtype in ["uint16", "float32", "int32", "uint8"] {
            let name = format!("border-{n}-{dtype}");
            let mut case = synthetic(folder, &name, "average", step, dtype);
            case["start"] = json!(start);
            case["target"] = json!([target, target]);
            cases.push(case);
        }
    }
    run(&python, "resample.py", &Value::from(cases.clone()), folder);
    check(&cases, folder);
}

/// Peak signal to noise in decibels over pixels valid in both.
fn psnr(a: &Raster, b: &Raster, fill: Option<f64>) -> f64 {
    let valid = a.validity(fill);
    let (mut sum, mut count, mut peak) = (0.0, 0.0, 0.0_f64);
    for (i, valid_b) in b.validity(fill).into_iter().enumerate() {
        if valid[i] && valid_b {
            let (x, y) = (a.samples().get(i).unwrap(), b.samples().get(i).unwrap());
            sum += (x - y).powi(2);
            count += 1.0;
            peak = peak.max(x);
        }
    }
    10.0 * (peak * peak / (sum / count)).log10()
}

/// A real band that is halved and doubled again.
struct Band {
    path: std::path::PathBuf,
    window: [u32; 4],
    fill: Option<f64>,
}

impl Band {
    /// The case of one of the two steps, from `ratio` down to up.
    fn case(&self, name: &str, method: &str, ratio: f64) -> Value {
        let side = f64::from(self.window[2]);
        let size = if ratio > 1.0 { side / ratio } else { side };
        json!({
            "name": name, "fill": self.fill, "method": method,
            "target": [size, size], "start": [0.0, 0.0], "step": [ratio, ratio],
        })
    }

    fn halved(&self, name: &str, method: &str) -> Value {
        let mut case = self.case(name, method, 2.0);
        case["path"] = json!(self.path);
        case["window"] = json!(self.window);
        case
    }

    fn doubled(&self, (from, name): (&Path, &str), dtype: &str, method: &str) -> Value {
        let mut case = self.case(name, method, 0.5);
        case["raw"] = json!(from);
        case["dtype"] = json!(dtype);
        case["size"] = json!([self.window[2] / 2, self.window[3] / 2]);
        case
    }

    /// Checks one way down and up against rasterio's.
    fn check(&self, folder: &Path, dtype: &str, (down, up): (&str, &str)) {
        let (width, height) = (self.window[2], self.window[3]);
        let read = |name: String| {
            let samples = samples(dtype, &std::fs::read(folder.join(name)).unwrap());
            Raster::new(width, height, samples).unwrap()
        };
        let original = read(format!("{down}.src"));
        let theirs = read(format!("{down}-{up}.dst"));
        let step = |raster: &Raster, size, name| {
            let method = Method::named(name).unwrap();
            let source = Source {
                raster,
                fill: self.fill,
            };
            resample(source, size, method).unwrap().raster
        };
        let small = step(&original, (width / 2, height / 2), down);
        let ours = step(&small, (width, height), up);
        let fill = self.fill;
        let (a, b) = (psnr(&original, &ours, fill), psnr(&original, &theirs, fill));
        eprintln!("{dtype} {down}, {up}: ours {a:.3} dB, rasterio {b:.3} dB");
        assert!((a - b).abs() < 0.1, "{down}, {up}: {a} dB, rasterio {b} dB");
        let apart = psnr(&theirs, &ours, fill);
        assert!(apart > 60.0, "{down}, {up}: not the same pixels");
    }
}

#[test]
fn real_bands_halved_and_doubled_lose_as_many_decibels_as_with_rasterio() {
    let (Some(python), Some(real)) = (python("rasterio"), real_data()) else {
        return;
    };
    let kernels = ["nearest", "bilinear", "cubic", "average"];
    for band in [
        Band {
            path: real.join("nlcd_zion/landsat_b5.tif"),
            window: [200, 300, 512, 512],
            fill: Some(0.0),
        },
        Band {
            path: real.join("naip/m_3607717_sw_18_1_20160620_subset.tif"),
            window: [0, 0, 300, 300],
            fill: None,
        },
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let halved = kernels.map(|down| band.halved(down, down));
        run(&python, "resample.py", &json!(halved), folder);
        let said = std::fs::read(folder.join("nearest.json")).unwrap();
        let said: Value = serde_json::from_slice(&said).unwrap();
        let dtype = said["dtype"].as_str().unwrap();
        let both = |down| kernels.iter().map(move |up| (down, *up));
        let ways: Vec<_> = kernels.into_iter().flat_map(both).collect();
        let doubled = ways.iter().map(|(down, up)| {
            let (from, name) = (folder.join(format!("{down}.dst")), format!("{down}-{up}"));
            band.doubled((&from, &name), dtype, up)
        });
        run(&python, "resample.py", &doubled.collect(), folder);
        for way in ways {
            band.check(folder, dtype, way);
        }
    }
}
