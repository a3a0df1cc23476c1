//! Neighbouring cells of several owners in one raster: halos, boxes, the antimeridian.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Node, cluster, expect, glebe, ndjson, real_data, scratch, stderr, world};

/// Bytes sent between nodes as imagery since they started.
fn pixels_sent(node: &Node, folder: &Path) -> u64 {
    let status = expect(node.ask(folder).args(["status", "-o", "json"]), 0);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    status["bytes_by_purpose"]["pixels"].as_u64().unwrap()
}

/// Names of the splits whose cells lie around those of some others, these included.
fn with_neighbours<'h>(hits: &'h [Value], cells: &[&str]) -> Vec<&'h Value> {
    let parse =
        |code: &str| earth::geocode::Geocode::parse(earth::geocode::Scheme::Geohash, code).unwrap();
    let near: BTreeSet<String> = { cells.iter() }
        .flat_map(|cell| {
            let around = parse(cell).neighbours();
            around.into_iter().chain([parse(cell)])
        })
        .map(|cell| cell.to_string())
        .collect();
    let inside = |h: &&Value| near.contains(h["geocode"].as_str().unwrap());
    hits.iter().filter(inside).collect()
}

#[test]
fn a_halo_over_three_owners_fetches_each_file_once() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 600);
    let nodes = cluster(folder, 3, 1);
    let ingest = ["ingest", "--precision", "6", "--collection", "c"];
    expect(nodes[0].ask(folder).args(ingest).arg(&scenes), 0);
    let search = ["search", "-o", "ndjson", "--sort", "-coverage"];
    let hits = ndjson(&expect(nodes[0].ask(folder).args(search), 0));
    // Two cells beside each other: their surroundings overlap.
    let first = hits[0]["geocode"].as_str().unwrap();
    let around = with_neighbours(&hits, &[first]);
    let second = around.iter().find(|h| h["geocode"] != first).unwrap();
    let cells = [first, second["geocode"].as_str().unwrap()];
    let needed = with_neighbours(&hits, &cells);
    let owners: BTreeSet<&str> = { needed.iter() }
        .map(|h| h["owners"][0].as_str().unwrap())
        .collect();
    assert_eq!(owners.len(), 3, "all nodes own some of it");
    // One file holds the bands of 10 m: that is what is fetched of each split.
    let file = |hit: &&&Value| {
        let assets = hit["assets"].as_object().unwrap();
        let red = hit["bands"].as_array().unwrap().iter();
        let red = red.clone().find(|b| b["name"] == "B04").unwrap();
        assets[red["asset"].as_str().unwrap()]["bytes"]
            .as_u64()
            .unwrap()
    };
    let elsewhere = |node: &Node| -> u64 {
        let away = needed.iter().filter(|h| h["owners"][0] != node.id.as_str());
        away.map(|h| file(&h)).sum()
    };
    let all: u64 = needed.iter().map(|h| file(&h)).sum();
    for (i, node) in nodes.iter().enumerate() {
        let before = pixels_sent(node, folder);
        let words = [
            "get",
            "--geocode",
            &cells.join(","),
            "--exact",
            "--halo",
            "8",
        ];
        let mut get = node.ask(folder);
        get.args(words).args(["--bands", "B04", "--format", "cog"]);
        let said = stderr(&expect(get.args(["-O", &format!("halo{i}")]), 0));
        let sent = pixels_sent(node, folder) - before;
        let wanted = elsewhere(node);
        assert!(
            sent >= wanted && sent < wanted + wanted / 20 + 64 * 1024,
            "{sent} bytes travelled, {wanted} of {all} lie elsewhere; {said}"
        );
        // The second cell is one of the first one's neighbours.
        let others = needed.len() - 1;
        assert!(
            said.contains(&format!("{others} files, ")),
            "{others}: {said}"
        );
    }
    let read = |i: usize| {
        let mut files: Vec<_> = { std::fs::read_dir(folder.join(format!("halo{i}"))).unwrap() }
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        files
            .iter()
            .map(|f| std::fs::read(f).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(read(0).len(), 2);
    assert_eq!((read(0), read(1)), (read(1), read(2)));
}

/// What GDAL says of a file.
fn info(path: &Path) -> Value {
    let mut command = Command::new("gdalinfo");
    command.args(["-json", "-checksum"]).arg(path);
    serde_json::from_slice(&expect(&mut command, 0).stdout).unwrap()
}

fn corner(info: &Value, name: &str, axis: usize) -> f64 {
    info["cornerCoordinates"][name][axis].as_f64().unwrap()
}

/// Real NAIP pixels laid over the antimeridian, off Fiji.
fn over_the_antimeridian(folder: &Path, real: &Path) -> std::path::PathBuf {
    let laid = folder.join("fiji.tif");
    let mut lay = Command::new("gdal_translate");
    lay.args(["-q", "-a_srs", "EPSG:4326", "-a_ullr"]);
    lay.args(["179.96", "-16.50", "180.04", "-16.56"]);
    let image = real.join("naip/m_4709963_se_14_1_20150926.tif");
    expect(lay.arg(image).arg(&laid), 0);
    laid
}

#[test]
fn a_box_across_the_antimeridian_is_one_image_in_either_scheme() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let scene = over_the_antimeridian(folder, &real);
    for (scheme, precision) in [("geohash", "6"), ("quadtile", "14")] {
        let mut ingest = glebe(folder);
        ingest.args(["ingest", "--dataset", "generic", "--datetime", "2015-09-26"]);
        ingest.args(["--collection", scheme, "--scheme", scheme]);
        expect(ingest.args(["--precision", precision]).arg(&scene), 0);
        let compose = |out: &str, more: &[&str]| {
            let mut command = glebe(folder);
            command.args(["compose", "--collection", scheme, "--min-coverage", "0"]);
            expect(command.args(more).args(["-O", out]), 0);
            info(&folder.join(out))
        };
        let out = format!("{scheme}.tif");
        let inside = ["--bbox", "179.97,-16.55,-179.97,-16.51"];
        let image = compose(&out, &inside);
        let (west, east) = (
            corner(&image, "upperLeft", 0),
            corner(&image, "lowerRight", 0),
        );
        let turn = if scheme == "geohash" {
            360.0
        } else {
            2.0 * 20_037_508.342_789_244
        };
        assert!((west / turn * 360.0 - 179.97).abs() < 0.001, "{west}");
        assert!((east / turn * 360.0 - 180.03).abs() < 0.001, "{east}");
        // Without a box the frame is that of all cells, and not a turn of the Earth wide.
        let whole = compose(&format!("{scheme}-whole.tif"), &[]);
        let width = corner(&whole, "lowerRight", 0) - corner(&whole, "upperLeft", 0);
        assert!(width / turn * 360.0 < 0.2, "{width}");
        as_gdal_cuts_it(&folder.join(&out), &image, &scene);
        // In a cube the positions of pixels go on past 180 degrees, too.
        let mut zarr = glebe(folder);
        zarr.args(["compose", "--collection", scheme, "--min-coverage", "0"]);
        let out = format!("{scheme}-cube.zarr");
        expect(zarr.args(inside).args(["-O", &out]), 0);
    }
}

/// An image is what gdalwarp cuts out of the scene on the same pixels.
fn as_gdal_cuts_it(ours: &Path, image: &Value, scene: &Path) {
    let cut = ours.with_extension("cut.tif");
    let edges = [
        ("upperLeft", 0),
        ("lowerRight", 1),
        ("lowerRight", 0),
        ("upperLeft", 1),
    ];
    let edges = edges.map(|(name, axis)| format!("{:.17}", corner(image, name, axis)));
    let geographic = corner(image, "upperLeft", 0) < 400.0;
    let mut warp = Command::new("gdalwarp");
    warp.args(["-q", "-et", "0", "-r", "bilinear", "-te"])
        .args(edges);
    let system = if geographic {
        "EPSG:4326"
    } else {
        "+proj=merc +a=6378137 +b=6378137 +over +units=m +nadgrids=@null +no_defs"
    };
    warp.args(["-t_srs", system, "-ts"]);
    warp.args([0, 1].map(|i: usize| image["size"][i].to_string()));
    expect(warp.arg(scene).arg(&cut), 0);
    let read = |path: &Path| {
        let raw = path.with_extension("raw");
        let mut convert = Command::new("gdal_translate");
        convert.args(["-q", "-of", "ENVI", "-co", "INTERLEAVE=BSQ"]);
        expect(convert.arg(path).arg(&raw), 0);
        std::fs::read(raw).unwrap()
    };
    let (ours, theirs) = (read(ours), read(&cut));
    assert_eq!(ours.len(), theirs.len());
    let off = ours
        .iter()
        .zip(&theirs)
        .filter(|(a, b)| a.abs_diff(**b) > 1)
        .count();
    assert!(
        off * 1000 < ours.len(),
        "{off} of {} samples differ",
        ours.len()
    );
}
