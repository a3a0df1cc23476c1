//! A raster of 20,000 × 20,000 pixels predicted within 1 GiB, all processes together, as a scene
//! and as stored splits (nightly).

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{expect, glebe, scratch, world};

/// Side of the raster in pixels.
const SIDE: u32 = 20_000;
/// Most bytes that the command and its workers hold at a time.
const HELD_MAX: u64 = 1 << 30;
/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const BANDS: [&str; 3] = ["B04", "B03", "B02"];

/// Writes three bands of 16 bits as GDAL reads them, and has it make a GeoTIFF of them.
fn raster(folder: &Path) -> PathBuf {
    let (raw, sheet, out) = (
        folder.join("raw.bin"),
        folder.join("raw.vrt"),
        folder.join("big.tif"),
    );
    let mut file = BufWriter::new(File::create(&raw).unwrap());
    let mut line = vec![0_u8; SIDE as usize * 2];
    for row in 0..SIDE {
        for band in 0..3_u32 {
            for (column, pixel) in (0..SIDE).zip(line.chunks_exact_mut(2)) {
                let noise = (row.wrapping_mul(7919) ^ column.wrapping_mul(104_729)) % 401;
                let value = u16::try_from(1300 + 150 * band + noise).unwrap();
                pixel.copy_from_slice(&value.to_le_bytes());
            }
            file.write_all(&line).unwrap();
        }
    }
    file.flush().unwrap();
    let mut text = format!(
        "<VRTDataset rasterXSize=\"{SIDE}\" rasterYSize=\"{SIDE}\"><SRS>EPSG:32630</SRS>\
         <GeoTransform>500000, 10, 0, 5700000, 0, -10</GeoTransform>"
    );
    for (band, name) in (0..).zip(BANDS) {
        let (start, whole) = (band * SIDE * 2, SIDE * 6);
        text += &format!(
            "<VRTRasterBand dataType=\"UInt16\" band=\"{}\" subClass=\"VRTRawRasterBand\">\
             <Description>{name}</Description><NoDataValue>0</NoDataValue>\
             <SourceFilename relativetoVRT=\"1\">raw.bin</SourceFilename>\
             <ImageOffset>{start}</ImageOffset><PixelOffset>2</PixelOffset>\
             <LineOffset>{whole}</LineOffset><ByteOrder>LSB</ByteOrder></VRTRasterBand>",
            band + 1
        );
    }
    std::fs::write(&sheet, text + "</VRTDataset>").unwrap();
    let mut translate = Command::new("gdal_translate");
    translate.args([
        "-q",
        "-co",
        "TILED=YES",
        "-co",
        "COMPRESS=ZSTD",
        "-co",
        "BIGTIFF=YES",
    ]);
    translate.env("GDAL_VRT_RAWRASTERBAND_ALLOWED_SOURCE", "ALL");
    expect(translate.arg(&sheet).arg(&out), 0);
    std::fs::remove_file(raw).unwrap();
    out
}

/// Returns the resident bytes of a process and of all that it started. Pages that they share are
/// counted once: a process that was forked and not yet executed would double them.
fn held(root: u32) -> u64 {
    let mut parents: Vec<(u32, u32, u64)> = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().parse();
        let (Ok(pid), Ok(text)) = (pid, std::fs::read_to_string(entry.path().join("status")))
        else {
            continue;
        };
        let field = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let parent = field("PPid:").unwrap_or(0);
        let rollup = std::fs::read_to_string(entry.path().join("smaps_rollup"));
        let rollup = rollup.unwrap_or_default();
        let pss = rollup.lines().find_map(|l| l.strip_prefix("Pss:"));
        let kibibytes = pss.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
        let kibibytes = kibibytes.unwrap_or(0);
        parents.push((pid, u32::try_from(parent).unwrap_or(0), kibibytes << 10));
    }
    let mut tree = vec![root];
    let mut at = 0;
    while let Some(parent) = tree.get(at).copied() {
        tree.extend(parents.iter().filter(|p| p.1 == parent).map(|p| p.0));
        at += 1;
    }
    let own = parents.iter().filter(|(pid, ..)| tree.contains(pid));
    own.map(|(_, _, bytes)| bytes).sum()
}

/// Waits for a command's end; returns the most that it held.
fn watched(mut child: Child) -> u64 {
    let mut most = 0;
    loop {
        most = most.max(held(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return most;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn a_raster_of_400_megapixels_is_predicted_within_a_gibibyte() {
    if std::env::var_os("GLEBE_NIGHTLY").is_none() {
        eprintln!("SKIPPED: GLEBE_NIGHTLY is not set (minutes, and 6 GB of disk)");
        return;
    }
    let folder = scratch();
    let folder = folder.path();
    let model = model(folder);
    expect(glebe(folder).args(["model", "pull", &model, "-O", "m"]), 0);
    let big = raster(folder);
    let mut predict = glebe(folder);
    predict.args([
        "predict",
        "m",
        "-O",
        "map.tif",
        "--datetime",
        "2026-07-01",
        "-o",
        "json",
    ]);
    predict.args(["--dataset", "sentinel-2-l2a"]).arg(big);
    let said = File::create(folder.join("said.json")).unwrap();
    let most = watched(
        predict
            .stdout(said)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap(),
    );
    eprintln!("held at most {} MiB", most >> 20);
    assert!(most <= HELD_MAX, "{most}");
    let said = std::fs::read(folder.join("said.json")).unwrap();
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert!(said["pixels"].as_u64().unwrap() > 390_000_000, "{said}");
    judged(&folder.join("map.tif"));
}

/// Trains a model of a small world; returns its name, `RUN/GEOCODE`.
fn model(folder: &Path) -> String {
    let scenes = world(folder, 1, 2, 600);
    expect(glebe(folder).arg("ingest").arg(&scenes), 0);
    let train = ["train", "ndvi-cnn", "--name", "t", "--epochs", "2"];
    drop(glebe(folder).args(train).output().unwrap());
    let list = ["model", "list", "--run", "t", "-o", "json"];
    let list = expect(glebe(folder).args(list), 0);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    format!("t/{}", list["models"][0]["geocode"].as_str().unwrap())
}

/// Checks that GDAL finds what a map has.
fn judged(map: &Path) {
    let info = Command::new("gdalinfo").arg(map).output().unwrap();
    let info = String::from_utf8_lossy(&info.stdout).into_owned();
    for wanted in ["Overviews: ", "Description = outside", "NoData Value=nan"] {
        assert!(info.contains(wanted), "no {wanted}: {info}");
    }
}

/// The command held the whole map: 4 GiB at most, some 18,000 × 18,000 pixels, and as much again
/// while it was written. Here it is the node, too, and the worker is its child.
#[test]
fn stored_splits_of_400_megapixels_are_predicted_within_a_gibibyte() {
    if std::env::var_os("GLEBE_NIGHTLY").is_none() {
        eprintln!("SKIPPED: GLEBE_NIGHTLY is not set (minutes, and 12 GB of disk)");
        return;
    }
    let folder = scratch();
    let folder = folder.path();
    let model = model(folder);
    let big = raster(folder);
    let mut ingest = glebe(folder);
    ingest.args(["ingest", "--dataset", "sentinel-2-l2a", "--precision", "4"]);
    ingest.args(["--collection", "big", "--datetime", "2026-07-01"]);
    expect(ingest.arg(big), 0);
    let mut predict = glebe(folder);
    predict.args(["predict", &model, "--collection", "big", "-O", "map.tif"]);
    let most = watched(predict.stdout(Stdio::null()).spawn().unwrap());
    eprintln!("held at most {} MiB", most >> 20);
    assert!(most <= HELD_MAX, "{most}");
    let report = std::fs::read(folder.join("map.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let cells = report["cells"].as_array().unwrap().iter();
    let pixels = cells.map(|cell| cell["predicted"]["pixels"].as_u64().unwrap());
    let pixels: u64 = pixels.sum();
    assert!(pixels > 380_000_000, "{pixels}");
    judged(&folder.join("map.tif"));
}
