//! Indices of real scenes are those that NumPy computes from the delivered files.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{expect, glebe, real_data, scratch};
use crate::raster::pixels;

/// What was computed with NumPy alone, by scene.
fn oracles(real: &Path) -> Value {
    let text = std::fs::read(real.join("ORACLES_DEV.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn ingest(folder: &Path, more: &[&str], scene: &Path) {
    let mut command = glebe(folder);
    expect(command.arg("ingest").args(more).arg(scene), 0);
}

fn get(folder: &Path, args: &[&str], out: &str) -> Vec<PathBuf> {
    let mut command = glebe(folder);
    command.args(["get", "--format", "cog", "-o", "json", "-O", out]);
    let said: Value = serde_json::from_slice(&expect(command.args(args), 0).stdout).unwrap();
    let written = said["written"].as_array().unwrap().iter();
    let files = written.flat_map(|w| w["files"].as_array().unwrap());
    files.map(|f| folder.join(f.as_str().unwrap())).collect()
}

/// Mean of a band over all files, where `keep` holds for the pixel's bands; and how many pixels.
fn mean(files: &[PathBuf], band: usize, keep: impl Fn(&[f64]) -> bool) -> (f64, f64) {
    let (mut sum, mut count) = (0.0, 0.0);
    for file in files {
        let read = pixels(file);
        for pixel in 0..read.bands[0].1.len() {
            let values: Vec<f64> = read.bands.iter().map(|(_, v)| v[pixel]).collect();
            if !values[band].is_nan() && keep(&values) {
                sum += values[band];
                count += 1.0;
            }
        }
    }
    (sum / count, count)
}

#[test]
fn vegetation_and_moisture_over_ireland_are_those_of_the_delivered_pixels() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let name = "s2_safe/S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE";
    ingest(
        folder,
        &["--precision", "4", "--collection", "s2"],
        &real.join(name),
    );
    let words = ["--collection", "s2", "--resolution", "60", "--bands", "SCL"];
    let ndvi = ["--expr", "ndvi=(B8A - B04) / (B8A + B04)"];
    let ndmi = ["--expr", "ndmi=(B8A - B11) / (B8A + B11)"];
    let files = get(folder, &[&words[..], &ndvi, &ndmi].concat(), "out");
    // Vegetation, bare soil and water, as the oracle takes them.
    let shown = |pixel: &[f64]| {
        [4.0, 5.0, 6.0]
            .iter()
            .any(|class| (pixel[0] - class).abs() < 0.1)
    };
    let oracle = &oracles(&real)[name];
    for (band, key) in [(1, "NDVI_B8A_B04"), (2, "NDMI_B8A_B11")] {
        let (ours, count) = mean(&files, band, shown);
        let theirs = oracle[key]["mean"].as_f64().unwrap();
        eprintln!("{key}: ours {ours:.5} of {count} pixels, NumPy {theirs:.5}");
        assert!((ours - theirs).abs() < 0.005, "{key}: {ours}, not {theirs}");
    }
}

#[test]
fn vegetation_of_three_naip_dates_and_of_zion_is_that_of_the_delivered_pixels() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let oracles = oracles(&real);
    for year in ["20090818", "20120731", "20150926"] {
        let name = format!("naip/m_4709963_se_14_1_{year}.tif");
        ingest(
            folder,
            &["--precision", "5", "--collection", year],
            &real.join(&name),
        );
        let files = get(folder, &["--collection", year, "--index", "ndvi"], year);
        let (ours, _) = mean(&files, 0, |_| true);
        let theirs = oracles[&name]["NDVI_DN_mean"].as_f64().unwrap();
        eprintln!("{year}: ours {ours:.5}, NumPy {theirs:.5}");
        assert!(
            (ours - theirs).abs() < 0.003,
            "{year}: {ours}, not {theirs}"
        );
    }
    let both = folder.join("zion.vrt");
    let mut join = Command::new("gdalbuildvrt");
    join.args(["-q", "-separate"]).arg(&both);
    let band = |n: u8| real.join(format!("nlcd_zion/landsat_b{n}.tif"));
    expect(join.args([band(4), band(5)]), 0);
    let scene = folder.join("zion.tif");
    expect(
        Command::new("gdal_translate")
            .arg("-q")
            .arg(&both)
            .arg(&scene),
        0,
    );
    let day = ["--dataset", "generic", "--datetime", "2015-08-18"];
    let more = ["--collection", "zion", "--precision", "4"];
    ingest(folder, &[&day[..], &more].concat(), &scene);
    let words = [
        "--collection",
        "zion",
        "--expr",
        "ndvi=(B2 - B1) / (B2 + B1)",
    ];
    let files = get(folder, &words, "zion");
    let (ours, _) = mean(&files, 0, |_| true);
    let theirs = oracles["nlcd_zion"]["NDVI_DN_mean"].as_f64().unwrap();
    eprintln!("Zion: ours {ours:.5}, NumPy {theirs:.5}");
    assert!((ours - theirs).abs() < 0.001, "{ours}, not {theirs}");
}
