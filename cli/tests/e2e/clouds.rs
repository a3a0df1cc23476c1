//! Clouds of real scenes: what their quality band or a user's mask calls cloud is not learned from.
//!
//! *Invariants*: what is expected is counted here, on the pixels stored, by the bits and values
//! that the product's definition names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use earth::raster::Raster;
use earth::raster::pixel::Pixel as _;
use earth::split::codec;
use serde_json::Value;

use crate::harness::{expect, glebe, ndjson, real_data, scratch, stderr};

/// Side of chips in pixels.
const CHIP: usize = 8;

/// Chips of a split: those with fill, those under more than a tenth of what hides the ground, all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Chips {
    fill: u64,
    cloud: u64,
    all: u64,
}

/// A band of a split as it is stored.
fn stored(folder: &Path, name: &str) -> (Raster, Option<f64>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let meta = codec::verify(&bytes).unwrap();
        let asset = codec::asset_name(&bytes).unwrap();
        let mut bands = meta.bands.iter();
        if let Some(band) = bands.find(|b| b.name == name && b.asset == asset) {
            let raster = codec::decode(&bytes, &[band.index as usize]).unwrap();
            return (raster.into_iter().next().unwrap(), band.fill);
        }
    }
    panic!("no band {name} in {}", folder.display());
}

/// Counts chips on the stored pixels of a split, by the band that `hides` knows.
fn counted(folder: &Path, used: &[&str], (judge, hides): (&str, fn(u32) -> bool)) -> Chips {
    let bands: Vec<_> = used.iter().map(|band| stored(folder, band)).collect();
    let (mask, _) = stored(folder, judge);
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    let valid: Vec<Vec<bool>> = bands.iter().map(|(r, fill)| r.validity(*fill)).collect();
    let values = mask.samples().to_f64();
    let mut chips = Chips::default();
    for row in 0..height / CHIP {
        for column in 0..width / CHIP {
            let corner = row * CHIP * width + column * CHIP;
            let pixels = (0..CHIP * CHIP).map(|i| corner + i / CHIP * width + i % CHIP);
            let whole = pixels.clone().all(|at| valid.iter().all(|band| band[at]));
            chips.all += 1;
            if !whole {
                chips.fill += 1;
                continue;
            }
            let hidden = pixels.filter(|at| hides(u32::nearest(values[*at]))).count();
            chips.cloud += u64::from(10 * hidden > CHIP * CHIP);
        }
    }
    chips
}

/// Reads the number before some words.
fn number_before(text: &str, words: &str) -> u64 {
    let before = text.split(words).next().unwrap();
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number before '{words}': {text}"))
}

/// Trains on the one split of each cell; returns what each job says it left out, and how many
/// learned.
fn left_out(folder: &Path, run: &str) -> (BTreeMap<String, (u64, u64)>, usize) {
    let train = ["train", "ndvi-cnn", "--chip", "8", "--epochs", "1"];
    let args = ["--min-coverage", "0", "--name", run, "-o", "json"];
    let output = glebe(folder).args(train).args(args).output().unwrap();
    let view: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (mut told, mut learned) = (BTreeMap::new(), 0);
    for job in view["jobs"].as_array().unwrap() {
        let cell = job["geocode"].as_str().unwrap();
        let counts = if job["state"] == "done" {
            learned += 1;
            let model = format!("{run}/{cell}");
            expect(glebe(folder).args(["model", "pull", &model, "-O", cell]), 0);
            let config = std::fs::read(folder.join(cell).join("config.json")).unwrap();
            let config: Value = serde_json::from_slice(&config).unwrap();
            let left_out = &config["data"]["chips_left_out"];
            let count = |of: &str| left_out[of].as_u64().unwrap();
            (count("fill"), count("cloud"))
        } else {
            let why = job["reason"].as_str().unwrap();
            (
                number_before(why, " for fill"),
                number_before(why, " for cloud"),
            )
        };
        told.insert(cell.to_owned(), counts);
    }
    eprintln!("{run}: {told:?}, {learned} learned; {}", stderr(&output));
    (told, learned)
}

/// Checks that exactly the chips under the band's clouds are left out, in all cells that have jobs.
fn check(folder: &Path, run: &str, used: &[&str], judge: (&str, fn(u32) -> bool)) {
    let hits = ndjson(&expect(glebe(folder).args(["search", "-o", "ndjson"]), 0));
    let (told, learned) = left_out(folder, run);
    let mut all = Chips::default();
    for (cell, told) in &told {
        let mut of_cell = hits.iter().filter(|hit| hit["geocode"] == **cell);
        let id = of_cell.next().unwrap()["id"].as_str().unwrap();
        assert!(of_cell.next().is_none(), "one split a cell");
        let got = format!("got-{cell}");
        expect(glebe(folder).args(["get", id, "-O", &got]), 0);
        let split: PathBuf = folder.join(got).join(id.replace('/', "+"));
        let chips = counted(&split, used, judge);
        assert_eq!((chips.fill, chips.cloud), *told, "{cell}: {chips:?}");
        all.cloud += chips.cloud;
        all.all += chips.all - chips.fill;
    }
    eprintln!("{run}: {} of {} chips under cloud", all.cloud, all.all);
    assert!(0 < all.cloud && all.cloud < all.all, "{all:?}");
    assert!(learned > 0, "nothing was learned from the others");
}

#[test]
fn of_a_real_landsat_scene_exactly_the_chips_are_learned_that_its_quality_band_calls_clear() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let name = "LC08_L2SP_005009_20150710_20200908_02_T2";
    let file = |band: &str| real.join(format!("landsat_c2/{name}/{name}_{band}.TIF"));
    // Blue was not delivered; green stands in for it, as clouds are what this is about.
    let bands = [
        ("SR_B2", "SR_B3"),
        ("SR_B3", "SR_B3"),
        ("SR_B4", "SR_B4"),
        ("SR_B5", "SR_B5"),
        ("QA_PIXEL", "QA_PIXEL"),
    ];
    let mut assets = serde_json::Map::new();
    for (band, delivered) in bands {
        let link = format!("{band}.tif");
        std::os::unix::fs::symlink(file(delivered), folder.join(&link)).unwrap();
        let asset = serde_json::json!({
            "href": link, "roles": ["data"], "eo:bands": [{"name": band}],
        });
        assets.insert(band.to_owned(), asset);
    }
    let item = serde_json::json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "greenland",
        "collection": "landsat-c2-l2",
        "properties": {"datetime": "2015-07-10T14:34:35Z"}, "assets": assets,
    });
    std::fs::write(folder.join("item.json"), item.to_string()).unwrap();
    let ingest = ["ingest", "--precision", "3", "item.json"];
    expect(glebe(folder).args(ingest), 0);
    // QA_PIXEL: bit 0 no observation, 3 cloud, 4 cloud shadow.
    let hides = |bits: u32| bits & 0b1_1001 != 0;
    let used = ["SR_B2", "SR_B3", "SR_B4", "SR_B5"];
    check(folder, "greenland", &used, ("QA_PIXEL", hides));
}

#[test]
fn of_a_real_scene_under_a_users_mask_exactly_the_chips_are_learned_that_it_calls_clear() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let delivered = real.join("s2_timeseries_slovenia/geotiff");
    let day = "20150711T100008";
    // The delivered mask calls that day clear: a third of it is given as cloud instead.
    let mask = folder.join("mask.tif");
    let mut west = std::process::Command::new("gdal_translate");
    west.args(["-q", "-ot", "Byte", "-srcwin", "0", "0", "33", "101"]);
    west.args(["-scale", "0", "1", "1", "1", "-a_nodata", "none"]);
    let clear = delivered.join(format!("CLM_{day}.tif"));
    expect(west.arg(&clear).arg(folder.join("west.tif")), 0);
    let mut all = std::process::Command::new("gdal_translate");
    all.args([
        "-q",
        "-ot",
        "Byte",
        "-scale",
        "0",
        "1",
        "0",
        "0",
        "-a_nodata",
        "none",
    ]);
    expect(all.arg(&clear).arg(&mask), 0);
    let mut paint = std::process::Command::new("gdalwarp");
    paint.args(["-q", "-r", "near"]);
    expect(paint.arg(folder.join("west.tif")).arg(&mask), 0);
    let mut ingest = glebe(folder);
    ingest.args(["ingest", "--dataset", "sentinel-2-l1c", "--precision", "5"]);
    ingest.args(["--datetime", "2015-07-11T10:00:08Z", "--cloud-mask"]);
    let scene = delivered.join(format!("S2_L1C_{day}.tif"));
    expect(ingest.arg(&mask).arg(scene), 0);
    // Stored: 0 clear, 1 cloud, 255 not judged.
    let hides = |value: u32| value != 0;
    let used = ["B02", "B03", "B04", "B08"];
    check(folder, "slovenia", &used, ("CLOUD", hides));
}
