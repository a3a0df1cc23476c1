//! Composing: incomplete splits made whole, clouds left out, at the owner, over the seams of cells.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{
    Node, cluster, expect, glebe, ndjson, real_data, scratch, stderr, stdout, until, world,
};

/// A real NAIP image, 5 m.
const NAIP: &str = "naip/m_4709963_se_14_1_20150926.tif";

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// What GDAL says of a file, checksums of its bands included.
fn info(path: &Path) -> Value {
    let mut command = Command::new("gdalinfo");
    command.args(["-json", "-checksum"]).arg(path);
    serde_json::from_slice(&expect(&mut command, 0).stdout).unwrap()
}

fn checksums(path: &Path) -> Vec<u64> {
    let bands = info(path)["bands"].as_array().unwrap().clone();
    bands
        .iter()
        .map(|b| b["checksum"].as_u64().unwrap())
        .collect()
}

fn hits(folder: &Path, more: &[&str]) -> Vec<Value> {
    let args = ["search", "-o", "ndjson"];
    ndjson(&expect(glebe(folder).args(args).args(more), 0))
}

/// Ingests a NAIP image and returns a cell that it fills, with the file of its split.
fn whole_split(folder: &Path, real: &Path) -> (String, PathBuf) {
    let args = ["ingest", "--precision", "6", "--collection", "whole"];
    expect(glebe(folder).args(args).arg(real.join(NAIP)), 0);
    let all = hits(folder, &["--min-coverage", "100"]);
    let hit = all.first().expect("a cell that lies inside the image");
    let id = hit["id"].as_str().unwrap().to_owned();
    expect(glebe(folder).args(["get", &id, "-O", "got"]), 0);
    let assets = hit["assets"].as_object().unwrap();
    let name = assets.keys().next().unwrap();
    let file = folder.join("got").join(id.replace('/', "+")).join(name);
    (hit["geocode"].as_str().unwrap().to_owned(), file)
}

/// Cuts a file into windows and ingests each as the image of a day of its own.
fn ingest_parts(folder: &Path, file: &Path, parts: [[u64; 4]; 4]) {
    for (day, window) in (1..).zip(parts) {
        let part = folder.join(format!("part{day}.tif"));
        let mut cut = Command::new("gdal_translate");
        cut.arg("-q")
            .arg("-srcwin")
            .args(window.map(|n| n.to_string()));
        expect(cut.arg(file).arg(&part), 0);
        let day = format!("2015-09-{day:02}");
        let args = [
            "ingest",
            "--dataset",
            "naip",
            "--precision",
            "6",
            "--collection",
            "parts",
        ];
        expect(
            glebe(folder)
                .args(args)
                .args(["--datetime", &day])
                .arg(&part),
            0,
        );
    }
}

/// S001, Fig. 3: four incomplete splits of one cell, of four days, become a complete one.
#[test]
fn a_split_cut_into_four_is_whole_again_pixel_by_pixel() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let (cell, file) = whole_split(folder, &real);
    let size = info(&file)["size"].clone();
    let (width, height) = (size[0].as_u64().unwrap(), size[1].as_u64().unwrap());
    let (left, top) = (width / 3, height / 2);
    let parts = [
        [0, 0, left, top],
        [left, 0, width - left, top],
        [0, top, left, height - top],
        [left, top, width - left, height - top],
    ];
    ingest_parts(folder, &file, parts);
    let asked = ["compose", "--collection", "parts", "--geocode", &cell];
    let output = expect(glebe(folder).args(asked).args(["-O", "fc.tif"]), 0);
    let said = stdout(&output);
    assert!(
        said.starts_with("4 parts, coverage ") && said.contains("-> 100.0 %"),
        "{said}"
    );
    assert_eq!(checksums(&folder.join("fc.tif")), checksums(&file));

    let report = json(&folder.join("fc.json"));
    assert_eq!(report["reached"], true, "{report}");
    let used = report["cells"][0]["parts"].as_array().unwrap();
    let total: u64 = used
        .iter()
        .map(|p| p["pixels_used"].as_u64().unwrap())
        .sum();
    assert_eq!((used.len(), total), (4, width * height));
    let scenes = report["scenes"].as_array().unwrap();
    for (number, [column, row, ..]) in (1_u64..).zip(parts) {
        let mut look = Command::new("gdallocationinfo");
        look.arg("-valonly").arg(folder.join("fc.provenance.tif"));
        look.args([column.to_string(), row.to_string()]);
        let found: u64 = stdout(&expect(&mut look, 0)).trim().parse().unwrap();
        let scene = scenes.iter().find(|s| s["provenance"] == found).unwrap();
        let day = format!("2015-09-{number:02}");
        assert!(
            scene["acquired"].as_str().unwrap().starts_with(&day),
            "{scene}"
        );
    }

    fewer_parts_are_said_to_be_too_few(folder, &cell);
}

/// Two days of four are half an image; a window of days takes the two that lie in it.
fn fewer_parts_are_said_to_be_too_few(folder: &Path, cell: &str) {
    let asked = ["compose", "--collection", "parts", "--geocode", cell];
    let some = ["--datetime", "2015-09-01/2015-09-02", "-O", "half.tif"];
    let output = expect(glebe(folder).args(asked).args(some), 4);
    assert!(
        stderr(&output).contains("not reached: coverage"),
        "{}",
        stderr(&output)
    );
    let near = [
        "--window",
        "1.5",
        "--min-coverage",
        "40",
        "--dry-run",
        "-o",
        "json",
    ];
    let plan = stdout(&expect(glebe(folder).args(asked).args(near), 0));
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(
        plan["cells"][0]["splits"].as_array().unwrap().len(),
        2,
        "{plan}"
    );
    assert_eq!(plan["cells"][0]["expected"], 2);
}

#[test]
fn the_clouded_date_is_left_out_and_alone_is_not_enough() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let tiffs = real.join("s2_timeseries_slovenia/geotiff");
    for (day, time) in [
        ("20150711T100008", "2015-07-11T10:00:08Z"),
        ("20150731T100009", "2015-07-31T10:00:09Z"),
    ] {
        let mut ingest = glebe(folder);
        ingest.args(["ingest", "--dataset", "sentinel-2-l1c", "--datetime", time]);
        ingest
            .arg("--cloud-mask")
            .arg(tiffs.join(format!("CLM_{day}.tif")));
        ingest.arg(tiffs.join(format!("S2_L1C_{day}.tif")));
        expect(&mut ingest, 0);
    }
    let best = hits(folder, &["--sort", "-coverage", "--max-cloud", "10"]);
    let cell = best[0]["geocode"].as_str().unwrap();
    let covered = number(&best[0]["pixel_coverage"]).floor().to_string();
    let limits = ["--min-coverage", &covered, "--max-cloud", "10"];
    let clear = ["compose", "--geocode", cell, "-O", "clear.npz"];
    expect(glebe(folder).args(clear).args(limits), 0);
    let report = json(&folder.join("clear.json"));
    let parts = report["cells"][0]["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 1, "the clear date is enough alone: {report}");
    assert!(number(&report["cloud_cover"]) <= 10.0);
    assert!(
        parts[0]["acquired"]
            .as_str()
            .unwrap()
            .starts_with("2015-07-11")
    );

    let late = [
        "compose",
        "--geocode",
        cell,
        "--datetime",
        "2015-07-31",
        "-O",
        "late.tif",
    ];
    let said = stderr(&expect(glebe(folder).args(late).args(limits), 4));
    assert!(
        said.contains("not reached") && said.contains("cloud"),
        "{said}"
    );
    assert!(folder.join("late.tif").exists(), "what there is is written");
}

#[test]
fn wrong_words_name_the_right_ones_and_nothing_says_why() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 300);
    expect(
        glebe(folder)
            .args(["ingest", "--precision", "6"])
            .arg(&scenes),
        0,
    );
    let fails = |args: &[&str], code| {
        let mut command = glebe(folder);
        command.args(["compose", "--dataset", "sentinel-2-l2a", "-O", "x.tif"]);
        stderr(&expect(command.args(args), code))
    };
    let said = fails(&["--rule", "best"], 2);
    assert!(
        said.contains("least-cloud, newest, median, medoid, max-ndvi"),
        "{said}"
    );
    let said = fails(&["--bands", "B4"], 2);
    assert!(said.contains("B4") && said.contains("B04 (red)"), "{said}");
    let said = fails(&["--resampling", "lanczos"], 2);
    assert!(said.contains("nearest") && said.contains("cubic"), "{said}");
    let said = fails(&["--window", "0"], 2);
    assert!(said.contains("days"), "{said}");
    let said = fails(&["--datetime", "1999-01"], 1);
    assert!(said.contains("all but --datetime"), "{said}");
    let said = stderr(&expect(glebe(folder).args(["compose", "-O", "x.tif"]), 2));
    assert!(said.contains("no selector"), "{said}");
    let said = stderr(&expect(
        glebe(folder).args(["compose", "--geocode", "9", "-O", "x.bmp"]),
        2,
    ));
    assert!(said.contains("format"), "{said}");
    let said = fails(&["--bbox", "170,-1,-170,1"], 1);
    assert!(said.contains("0 splits"), "{said}");
}

/// Bytes sent between nodes as imagery since they started.
pub(crate) fn pixels_sent(nodes: &[Node], folder: &Path) -> u64 {
    let node = nodes.last().unwrap();
    let status = expect(node.ask(folder).args(["status", "-o", "json"]), 0);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    status["bytes_by_purpose"]["pixels"].as_u64().unwrap()
}

#[test]
fn cells_are_composed_at_their_owners_and_only_the_image_travels() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 2, 400);
    let mut nodes = cluster(folder, 3, 2);
    let ingest = ["ingest", "--precision", "6"];
    expect(nodes[0].ask(folder).args(ingest).arg(&scenes), 0);
    let search = ["search", "-o", "ndjson", "--sort", "-coverage"];
    let hits = ndjson(&expect(nodes[0].ask(folder).args(search), 0));
    let cell = hits[0]["geocode"].as_str().unwrap().to_owned();
    let stored: u64 = { hits.iter() }
        .filter(|h| h["geocode"] == cell.as_str())
        .map(|h| h["bytes"].as_u64().unwrap())
        .sum();

    let mut images = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        let before = pixels_sent(&nodes, folder);
        let out = format!("at{i}.tif");
        let asked = ["compose", "--geocode", &cell, "--exact", "--rule", "median"];
        let more = ["--bands", "red,nir", "--min-coverage", "0", "-O", &out];
        expect(node.ask(folder).args(asked).args(more), 0);
        let sent = pixels_sent(&nodes, folder) - before;
        let report = json(&folder.join(format!("at{i}.json")));
        let composed_at = report["cells"][0]["node"].as_str().unwrap().to_owned();
        let owners = hits[0]["owners"].as_array().unwrap();
        assert!(
            owners.iter().any(|o| o == composed_at.as_str()),
            "{composed_at}"
        );
        if owners.iter().any(|o| o == node.id.as_str()) {
            assert_eq!((composed_at, sent), (node.id.clone(), 0), "it was there");
        } else {
            assert!(
                sent > 0 && sent < stored / 2,
                "{sent} bytes sent, {stored} stored"
            );
        }
        images.push(std::fs::read(folder.join(&out)).unwrap());
    }
    assert!(
        images.windows(2).all(|p| p[0] == p[1]),
        "images differ by node"
    );

    region_equals_its_cells(&nodes[1], folder);

    let lost = nodes.remove(0);
    drop(lost);
    let asked = ["compose", "--dataset", "sentinel-2-l2a", "--bands", "red"];
    let more = ["--min-coverage", "0", "-O", "after.tif"];
    until("everything is composed without the lost node", || {
        let mut command = nodes[1].ask(folder);
        command.args(asked).args(more).arg("--overwrite");
        command.output().unwrap().status.code() == Some(0)
    });
    let report = json(&folder.join("after.json"));
    assert_eq!(report["complete"], true);
}

/// A mosaic over owners is what GDAL makes of the files of its cells.
fn region_equals_its_cells(node: &Node, folder: &Path) {
    let asked = [
        "compose",
        "--dataset",
        "sentinel-2-l2a",
        "--bands",
        "red,green",
    ];
    let limits = ["--rule", "newest", "--min-coverage", "0"];
    expect(
        node.ask(folder)
            .args(asked)
            .args(limits)
            .args(["-O", "cells"]),
        0,
    );
    expect(
        node.ask(folder)
            .args(asked)
            .args(limits)
            .args(["-O", "all.tif"]),
        0,
    );
    let corners = info(&folder.join("all.tif"))["cornerCoordinates"].clone();
    let at = |corner: &str, axis: usize| number(&corners[corner][axis]);
    let (west, north) = (at("upperLeft", 0), at("upperLeft", 1));
    let (east, south) = (at("lowerRight", 0), at("lowerRight", 1));
    let middle = |a: f64, b: f64, share: f64| a + (b - a) * share;
    let inner = [
        middle(west, east, 0.3),
        middle(south, north, 0.3),
        middle(west, east, 0.7),
        middle(south, north, 0.7),
    ];
    let bbox = inner.map(|n| n.to_string()).join(",");
    let cut = ["-O", "region.tif", "--bbox", &bbox];
    expect(node.ask(folder).args(asked).args(limits).args(cut), 0);

    let region = folder.join("region.tif");
    let shape = info(&region);
    let corners = &shape["cornerCoordinates"];
    let extent = [
        &corners["upperLeft"][0],
        &corners["lowerRight"][1],
        &corners["lowerRight"][0],
        &corners["upperLeft"][1],
    ];
    let cells = std::fs::read_dir(folder.join("cells")).unwrap();
    let cells = cells.map(|f| f.unwrap().path());
    let images = cells.filter(|p| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        !name.contains("provenance") && p.extension().is_some_and(|e| e == "tif")
    });
    let mut build = Command::new("gdalbuildvrt");
    build.args(["-q", "-resolution", "user", "-tr"]);
    let transform = &shape["geoTransform"];
    build.args([
        transform[1].to_string(),
        (-number(&transform[5])).to_string(),
    ]);
    build.arg("-te").args(extent.map(ToString::to_string));
    let merged = folder.join("cells.vrt");
    expect(build.arg(&merged).args(images), 0);
    let (ours, theirs) = (info(&region), info(&merged));
    assert_eq!(ours["size"], theirs["size"]);
    assert_eq!(
        checksums(&region),
        checksums(&merged),
        "seams differ from GDAL's"
    );
}

/// Names of the files in a folder that begin so, sorted.
fn named(folder: &Path, begin: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|n| n.trim_start_matches('.').starts_with(begin))
        .collect();
    names.sort();
    names
}

/// An image, its provenance and its report belong together: beside those of another image a Zarr
/// cube appeared and its provenance was refused afterwards.
#[test]
fn an_image_appears_with_all_that_belongs_to_it_or_not_at_all() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 2, 300);
    expect(glebe(folder).arg("ingest").arg(&scenes), 0);
    let cell = hits(folder, &["--sort", "-coverage"])[0]["geocode"].clone();
    let cell = cell.as_str().unwrap();
    let compose = |out: &str, more: &[&str]| {
        let mut command = glebe(folder);
        command.args([
            "compose",
            "--geocode",
            cell,
            "--min-coverage",
            "1",
            "-O",
            out,
        ]);
        command.args(more);
        command
    };
    expect(&mut compose("a.tif", &["--rule", "newest"]), 0);
    let three = named(folder, "a.");
    assert_eq!(three, ["a.json", "a.provenance.tif", "a.tif"]);
    let before = std::fs::read(folder.join("a.json")).unwrap();
    // The same again changes nothing and is no error.
    expect(&mut compose("a.tif", &["--rule", "newest"]), 0);
    // Another image would stand beside files that are not its own.
    let said = stderr(&expect(&mut compose("a.zarr", &["--rule", "median"]), 5));
    assert!(said.contains("a.provenance.tif exists"), "{said}");
    assert_eq!(named(folder, "a."), three, "nothing was written");
    // Another image under the same name: the image itself is refused, then each of the others.
    expect(&mut compose("a.tif", &["--rule", "median"]), 5);
    for lost in ["a.tif", "a.provenance.tif"] {
        std::fs::remove_file(folder.join(lost)).unwrap();
        expect(&mut compose("a.tif", &["--rule", "median"]), 5);
        assert!(!folder.join(lost).exists(), "{lost}: nothing was written");
    }
    assert_eq!(std::fs::read(folder.join("a.json")).unwrap(), before);
    expect(
        &mut compose("a.zarr", &["--rule", "median", "--overwrite"]),
        0,
    );
    assert_eq!(
        named(folder, "a."),
        ["a.json", "a.provenance.tif", "a.zarr"]
    );
    // A cube that is there is compared or replaced, and nothing is put into it.
    expect(&mut compose("a.zarr", &["--rule", "median"]), 0);
    expect(&mut compose("a.zarr", &["--rule", "newest"]), 5);
    expect(
        &mut compose("a.zarr", &["--rule", "newest", "--overwrite"]),
        0,
    );
    assert!(folder.join("a.zarr/zarr.json").is_file());
    assert!(!folder.join(format!("a.zarr/{cell}.tif")).exists());
}
