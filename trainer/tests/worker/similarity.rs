//! Scores equal those of scikit-image, of pytorch-msssim's formula in numpy, and of pytorch-msssim
//! itself, to 1e-5.

use std::path::{Path, PathBuf};

use trainer::metric::mae::mae;
use trainer::metric::ms_ssim::{ms_ssim, scales};
use trainer::metric::mse::mse;
use trainer::metric::psnr::psnr;
use trainer::metric::r2::r2;
use trainer::metric::ssim::{Pair, ssim};
use trainer::seed::Dice;

use crate::folder::{asked, python, python_with_torch};
use crate::world::folder;

/// Greatest difference of a score.
const TOLERANCE: f64 = 1e-5;
/// Range of the images, as of NDMI.
const RANGE: f64 = 2.0;

/// Images that are alike: waves, and waves with noise; `masked` pixels of the truth are NaN.
fn images(width: usize, height: usize, masked: usize) -> [Vec<f32>; 2] {
    let mut dice = Dice::new(5, &["images"]);
    let wave = |i: usize| ((i % width) as f64 * 0.11).sin() * ((i / width) as f64 * 0.07).cos();
    #[expect(clippy::cast_possible_truncation, reason = "images are 32-bit floats")]
    let single = |v: f64| v as f32;
    let pixels = width * height;
    let mut truth: Vec<f32> = (0..pixels).map(|i| single(0.8 * wave(i))).collect();
    let noisy = |i| single(0.7 * wave(i) + 0.2 * (dice.unit() - 0.5));
    let predicted = (0..pixels).map(noisy).collect();
    for i in 0..masked {
        // Two lumps, as clouds are.
        let at = (i % 7) + (i / 7) * width + if i % 2 == 0 { 0 } else { pixels / 2 };
        truth[at] = f32::NAN;
    }
    [predicted, truth]
}

fn check(folder: &Path, (width, height): (usize, usize), masked: usize) {
    let Some(python) = python() else { return };
    let [predicted, truth] = images(width, height, masked);
    for (name, image) in [("predicted", &predicted), ("truth", &truth)] {
        let raw: Vec<u8> = image.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(folder.join(name), raw).expect("an image");
    }
    let files = [folder.join("predicted"), folder.join("truth")];
    let (columns, range) = (width.to_string(), RANGE.to_string());
    let arguments = [&files[0], &files[1], Path::new(&columns), Path::new(&range)];
    let told = asked(&python, "similarity.py", &arguments);
    let pair = Pair {
        predicted: &predicted,
        truth: &truth,
        width,
    };
    for (name, ours) in [
        ("mse", mse(&predicted, &truth)),
        ("mae", mae(&predicted, &truth)),
        ("r2", r2(&predicted, &truth)),
        ("psnr", psnr(&predicted, &truth, RANGE)),
        ("ssim", ssim(pair, RANGE)),
        ("ms_ssim", ms_ssim(pair, RANGE)),
    ] {
        let theirs = told[name].as_f64().expect("a score");
        let near = (ours - theirs).abs() < TOLERANCE;
        assert!(
            near,
            "{name} of {width} x {height}, {masked} masked: {ours}, oracle {theirs}"
        );
    }
    assert_eq!(told["scales"], scales(width.min(height)));
    let all = scales(width.min(height)) == scales(usize::MAX);
    if let Some([package, torch]) = with_torch(&python).filter(|_| all && masked == 0) {
        let arguments = [&[package.as_path()], &arguments[..]].concat();
        let told = asked(&torch, "ms_ssim.py", &arguments);
        let theirs = told["ms_ssim"].as_f64().expect("a score");
        let apart = (ms_ssim(pair, RANGE) - theirs).abs();
        assert!(
            apart < TOLERANCE,
            "pytorch-msssim itself differs by {apart}"
        );
    }
}

/// Where setup put packages that need PyTorch, and an interpreter that has it.
#[expect(clippy::print_stderr, reason = "a skipped comparison says so")]
fn with_torch(python: &Path) -> Option<[PathBuf; 2]> {
    let package = python.parent()?.parent()?.join("with-torch");
    if !package.is_dir() {
        let missing = package.display();
        eprintln!("SKIPPED: {missing} is missing; cargo xtask setup makes it");
        return None;
    }
    Some([package, python_with_torch()?])
}

#[test]
fn scores_equal_scikit_image_and_pytorch_msssim_on_even_sides() {
    let (_keep, path) = folder();
    check(&path, (176, 192), 0);
}

#[test]
fn scores_equal_the_oracles_on_odd_sides_which_are_halved_with_a_border() {
    let (_keep, path) = folder();
    check(&path, (211, 187), 0);
}

#[test]
fn chips_of_32_pixels_are_compared_at_two_scales() {
    let (_keep, path) = folder();
    check(&path, (32, 32), 0);
}

#[test]
fn windows_that_touch_a_masked_pixel_count_nowhere() {
    let (_keep, path) = folder();
    check(&path, (64, 96), 20);
}
