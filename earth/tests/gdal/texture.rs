//! Texture equals scikit-image on real imagery and noise, with fill and without.
//!
//! Runs `tests/oracles/texture.py` in `.deps/python`; skips loudly without its scikit-image.

use std::path::Path;
use std::process::Command;

use earth::raster::texture::{Grey, texture};

use crate::programs::samples;
use crate::scenes::real;

/// Largest difference, relative to 1 + the value.
const TOLERANCE: f64 = 1e-6;

/// Asks scikit-image for the values of levels, 256 being fill; `None` where it is not installed.
#[allow(clippy::print_stderr, reason = "a skipped test must be seen")]
fn ask(width: usize, levels: &[Option<u8>]) -> Option<Vec<f64>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../.deps/python/bin/python");
    let probe = Command::new(&python)
        .args(["-c", "import skimage"])
        .output();
    if !probe.is_ok_and(|o| o.status.success()) {
        eprintln!("SKIPPED: .deps/python has no scikit-image (cargo xtask setup)");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("levels.raw");
    let bytes = levels.iter().map(|l| l.map_or(256, u16::from));
    std::fs::write(&file, bytes.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    let out = Command::new(&python)
        .arg(root.join("tests/oracles/texture.py"))
        .args([width.to_string(), file.display().to_string()])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{errors}");
    Some(serde_json::from_slice(&out.stdout).unwrap())
}

fn check(what: &str, width: usize, levels: &[Option<u8>]) {
    let Some(oracle) = ask(width, levels) else {
        return;
    };
    let found = texture(&Grey::new(width, levels.iter().copied())).unwrap();
    assert_eq!(found.len(), oracle.len());
    for (i, (a, b)) in found.iter().zip(&oracle).enumerate() {
        let near = (a - b).abs() <= TOLERANCE * (1.0 + b.abs());
        assert!(near, "{what}: value {i} is {a}, of scikit-image {b}");
    }
}

/// Noise of so many levels, one pixel in so many being fill.
fn noise(pixels: usize, levels: u32, holes: u32) -> Vec<Option<u8>> {
    let mut state = 88_172_645_u32;
    let mut random = move |below: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) % below
    };
    (0..pixels)
        .map(|_| {
            let level = u8::try_from(random(levels)).unwrap();
            (holes == 0 || random(holes) > 0).then_some(level)
        })
        .collect()
}

#[test]
fn texture_of_noise_equals_scikit_image() {
    for (levels, holes) in [(256, 0), (256, 7), (2, 3), (40, 0), (256, 2)] {
        let what = format!("{levels} levels, holes {holes}");
        check(&what, 61, &noise(61 * 47, levels, holes));
    }
}

#[test]
fn texture_of_real_imagery_equals_scikit_image() {
    let naip = "naip/m_3607717_sw_18_1_20160620_subset.tif";
    let fields = "naip/m_4709963_se_14_1_20150926.tif";
    for (name, width, height) in [(naip, 300, 300), (fields, 934, 723)] {
        let Some(path) = real(name) else {
            return;
        };
        // The mean of red, green and blue; 0 is fill, as at the rims of quarter quads.
        let bands: Vec<u8> = samples(&path);
        let plane = width * height;
        let level = |i: usize| {
            let sum: u32 = (0..3).map(|b| u32::from(bands[b * plane + i])).sum();
            u8::try_from(sum / 3).ok().filter(|l| *l > 0)
        };
        check(name, width, &(0..plane).map(level).collect::<Vec<_>>());
    }
}
