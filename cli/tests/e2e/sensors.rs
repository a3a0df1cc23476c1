//! Two sensors in one stack: coarser onto finer pixels and back, within a time window.
//!
//! No real pair of MODIS and Sentinel-2 overlaps among the imagery: real MODIS surface reflectance
//! over the Alps stands beside real Sentinel-2 pixels of Slovenia that are laid onto that place.
//! Real MODIS snow cover, Landsat and land cover do overlap, over Zion.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{expect, glebe, ndjson, real_data, scratch, stderr};
use crate::raster::{Pixels, pixels};

/// 500 m reflectance, 2017-07-12.
const MODIS: &str = "modis_hdf4/MOD09A1.A2017193.h18v04.006.2017202035302.hdf";
/// 500 m snow cover, 2022-02-02, of a whole tile.
const SNOW: &str = "modis_hdf4/MOD10A2.A2022033.h09v05.061.2022042050729.hdf";
/// Thirteen bands of 10 m, one square kilometre.
const SENTINEL: &str = "s2_timeseries_slovenia/geotiff/S2_L1C_20150711T100008.tif";

fn ingest(folder: &Path, (collection, precision): (&str, &str), more: &[&str], scene: &Path) {
    let mut command = glebe(folder);
    command.args(["ingest", "--collection", collection]);
    command.args(["--precision", precision]).args(more);
    expect(command.arg(scene), 0);
}

fn splits(folder: &Path, collection: &str, more: &[&str]) -> Vec<Value> {
    let args = ["search", "-o", "ndjson", "--collection", collection];
    ndjson(&expect(glebe(folder).args(args).args(more), 0))
}

/// Runs `glebe get --format cog` and returns the files.
fn get(folder: &Path, args: &[&str], out: &str) -> Vec<PathBuf> {
    let mut command = glebe(folder);
    command.args(["get", "--format", "cog", "-o", "json", "-O", out]);
    let said: Value = serde_json::from_slice(&expect(command.args(args), 0).stdout).unwrap();
    let written = said["written"].as_array().unwrap().iter();
    let files = written.flat_map(|w| w["files"].as_array().unwrap());
    files.map(|f| folder.join(f.as_str().unwrap())).collect()
}

/// Share of pixels, valid in either, of which both or the values differ by more than `slack`.
fn differing(ours: &[f64], theirs: &[f64], slack: f64) -> f64 {
    let (mut known, mut off) = (0.0_f64, 0.0);
    for (a, b) in ours.iter().zip(theirs) {
        if !(a.is_nan() && b.is_nan()) {
            known += 1.0;
            off += f64::from(u8::from((a - b).abs() > slack || a.is_nan() != b.is_nan()));
        }
    }
    assert!(known > 0.0, "nothing is valid");
    off / known
}

/// Points along each side of a pixel at which its classes are counted.
const POINTS: usize = 30;

/// The class that most of each pixel's points see, the least of equals.
fn majority(points: &[f64], width: usize) -> Vec<f64> {
    let rows = points.chunks(width * POINTS * POINTS);
    let pixels = rows.flat_map(|rows| {
        let line = |row: usize| &rows[row * width * POINTS..][..width * POINTS];
        (0..width).map(move |column| {
            let seen = (0..POINTS).flat_map(|row| &line(row)[column * POINTS..][..POINTS]);
            let mut counts = std::collections::BTreeMap::new();
            for class in seen.filter(|class| !class.is_nan()) {
                *counts.entry(class.to_bits()).or_insert(0) += 1;
            }
            let most = counts
                .iter()
                .max_by_key(|(class, n)| (**n, std::cmp::Reverse(**class)));
            most.map_or(f64::NAN, |(class, _)| f64::from_bits(*class))
        })
    });
    pixels.collect()
}

/// Real MODIS reflectance, and real Sentinel-2 pixels laid onto the same place.
fn alps(folder: &Path, real: &Path) {
    ingest(folder, ("modis", "4"), &[], &real.join(MODIS));
    let laid = folder.join("laid.tif");
    let mut lay = Command::new("gdal_translate");
    lay.args(["-q", "-a_srs", "EPSG:32632", "-a_ullr"]);
    lay.args(["565000", "5095010", "566000", "5094000"]);
    expect(lay.arg(real.join(SENTINEL)).arg(&laid), 0);
    let day = ["--dataset", "sentinel-2-l1c", "--datetime", "2017-07-15"];
    ingest(folder, ("s2", "6"), &day, &laid);
}

/// The band of another collection in a stack.
fn partner<'a>(stack: &'a Pixels, collection: &str) -> &'a [f64] {
    let mut bands = stack.bands.iter();
    let prefix = format!("{collection}:");
    &bands.find(|(name, _)| name.starts_with(&prefix)).unwrap().1
}

#[test]
fn modis_and_sentinel2_stand_on_each_others_pixels_as_gdal_lays_them() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    alps(folder, &real);
    let far = [
        "get",
        "--collection",
        "s2",
        "--with",
        "modis",
        "--within",
        "1d",
    ];
    let said = stderr(&expect(glebe(folder).args(far).args(["-O", "far"]), 1));
    assert!(said.contains("no split of modis near it in time"), "{said}");

    // 500 m onto 10 m.
    let within = ["--within", "8d", "--bands"];
    let finer = ["--collection", "s2", "--with", "modis"];
    let stacks = get(
        folder,
        &[&finer[..], &within, &["B04,modis:red"]].concat(),
        "fine",
    );
    let modis = ["--collection", "modis", "--bands", "red"];
    let modis = get(folder, &modis, "modis");
    let cut = folder.join("cut.tif");
    assert!(stacks.len() > 1);
    for stack in &stacks {
        let ours = pixels(stack);
        let theirs = ours.warped(&modis, "bilinear", &cut);
        let off = differing(partner(&ours, "modis"), &theirs.bands[0].1, 1.0);
        assert!(
            off < 0.001,
            "{off} of the pixels differ in {}",
            stack.display()
        );
    }

    // 10 m onto 500 m: the mean of what Sentinel-2 saw below each pixel.
    let cell = splits(folder, "s2", &[])[0]["geocode"].as_str().unwrap()[..4].to_owned();
    let coarser = ["--collection", "modis", "--geocode", &cell, "--with", "s2"];
    let stack = get(
        folder,
        &[
            &coarser[..],
            &within,
            &["red,s2:B04", "--resolution", "500"],
        ]
        .concat(),
        "coarse",
    );
    let sentinel = ["--collection", "s2", "--bands", "B04"];
    let sentinel = get(folder, &sentinel, "s2");
    let ours = pixels(&stack[0]);
    let theirs = ours.warped(&sentinel, "average", &cut);
    // GDAL leaves pixels void that reach over the end of the files.
    let pairs = partner(&ours, "s2").iter().zip(&theirs.bands[0].1);
    let known = pairs.filter(|(_, theirs)| !theirs.is_nan());
    let (ours, theirs): (Vec<f64>, Vec<f64>) = known.unzip();
    assert!(ours.len() > 1, "{} pixels of 500 m", ours.len());
    let off = differing(&ours, &theirs, 1.0);
    assert!(off < 0.001, "{off} of the pixels differ");
}

/// Land cover and Landsat over Zion in cells of two sizes, and snow of MODIS.
fn zion(folder: &Path, real: &Path) {
    let zion = real.join("nlcd_zion");
    let day = ["--dataset", "generic", "--datetime", "2015-08-18"];
    ingest(folder, ("landsat", "5"), &day, &zion.join("landsat_b5.tif"));
    let year = ["--dataset", "nlcd", "--datetime", "2011-07-01"];
    ingest(
        folder,
        ("cover", "4"),
        &year,
        &zion.join("nlcd2011_zion.img"),
    );
    ingest(folder, ("snow", "3"), &[], &real.join(SNOW));
}

#[test]
fn land_cover_and_landsat_are_laid_onto_each_other_finer_and_coarser() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    zion(folder, &real);
    // The easternmost whole cell: farther west the MODIS tile ends.
    let full = splits(folder, "landsat", &["--min-coverage", "99.9"]);
    let east = |hit: &&Value| hit["bbox"][0].as_f64().unwrap();
    let cell = full.iter().max_by(|a, b| east(a).total_cmp(&east(b)));
    let cell = cell.unwrap()["geocode"].as_str().unwrap().to_owned();
    let cut = folder.join("cut.tif");
    let own = |collection: &str| get(folder, &["--collection", collection], collection);
    let (cover, landsat) = (own("cover"), own("landsat"));
    let snow = ["--collection", "snow", "--exact", "--geocode", &cell[..3]];
    let snow = get(folder, &snow, "snow");
    let stack = |own: &str, other: &str, code: &str, metres: &str| {
        let words = ["--collection", own, "--with", other, "--within", "4000d"];
        let place = ["--geocode", code, "--resolution", metres];
        let out = format!("{own}-{other}-{metres}");
        pixels(
            &get(
                folder,
                &[&words[..], &place, &["--exact", "--overwrite"]].concat(),
                &out,
            )[0],
        )
    };
    // Classes: chosen onto finer pixels, the majority by area onto coarser ones. GDAL's own mode
    // counts each pixel that is touched, however little; its nearest pixel at each of many points
    // measures areas.
    let ours = stack("landsat", "cover", &cell, "15");
    let theirs = ours.warped(&cover, "near", &cut);
    let off = differing(partner(&ours, "cover"), &theirs.bands[0].1, 0.0);
    assert!(off < 0.001, "{off} of the classes differ at 15 m");
    let ours = stack("landsat", "cover", &cell, "90");
    let points = ours.warped_onto_parts(&cover, ("near", POINTS), &cut);
    let theirs = majority(&points.bands[0].1, ours.size()[0]);
    let off = differing(partner(&ours, "cover"), &theirs, 0.0);
    assert!(off < 0.01, "{off} of the classes differ at 90 m");
    // Reflectance below land cover of larger cells: many splits in one window.
    for (metres, kernel) in [("15", "bilinear"), ("90", "average")] {
        let ours = stack("cover", "landsat", &cell[..4], metres);
        let theirs = ours.warped(&landsat, kernel, &cut);
        let off = differing(partner(&ours, "landsat"), &theirs.bands[0].1, 1.0);
        assert!(off < 0.002, "{metres} m: {off} of the pixels differ");
    }
    // Real MODIS beside real Landsat: classes of 500 m on 30 m pixels, and back.
    let ours = stack("landsat", "snow", &cell, "30");
    let theirs = ours.warped(&snow, "near", &cut);
    let off = differing(partner(&ours, "snow"), &theirs.bands[0].1, 0.0);
    assert!(off < 0.001, "{off} of the snow classes differ");
    let ours = stack("snow", "landsat", &cell[..3], "500");
    let theirs = ours.warped(&landsat, "average", &cut);
    let off = differing(partner(&ours, "landsat"), &theirs.bands[0].1, 1.0);
    assert!(off < 0.002, "{off} of the pixels differ");
}
