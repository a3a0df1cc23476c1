//! `glebe collection resplit`: deeper and back again, pixel for pixel.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{
    Node, cluster, expect, glebe, ndjson, real_data, scratch, stderr, stdout, world,
};

/// Checksums of pixels of all splits of a collection, by scene, cell and file.
fn pixels(folder: &Path, collection: &str) -> BTreeMap<String, String> {
    let out = format!("files-{collection}");
    let mut get = glebe(folder);
    get.args(["get", "--collection", collection, "-O", &out]);
    expect(get.args(["--data", "store"]), 0);
    checksums(&folder.join(&out))
}

/// Checksums of pixels of fetched splits.
fn checksums(out: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for split in std::fs::read_dir(out).unwrap() {
        for file in std::fs::read_dir(split.unwrap().path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let meta = earth::split::codec::verify(&bytes).unwrap();
            for asset in &meta.assets {
                let key = format!("{}~{} {}", meta.id.scene(), meta.geocode, asset.name);
                found.insert(key, asset.checksum.clone());
            }
        }
    }
    found
}

fn resplit(folder: &Path, from: &str, more: &[&str]) -> serde_json::Value {
    let mut command = glebe(folder);
    command.args([
        "collection",
        "resplit",
        from,
        "-o",
        "json",
        "--data",
        "store",
    ]);
    serde_json::from_str(&stdout(&expect(command.args(more), 0))).unwrap()
}

#[test]
fn splits_brought_deeper_and_back_are_the_same_pixels() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 2, 400);
    let mut ingest = glebe(folder);
    ingest.args([
        "ingest",
        "--precision",
        "4",
        "--collection",
        "four",
        "--data",
        "store",
    ]);
    expect(ingest.arg(&scenes), 0);

    let deeper = ["--precision", "5", "--into", "five"];
    let dry = resplit(folder, "four", &[&deeper[..], &["--dry-run"]].concat());
    assert!(dry["cells"].as_u64().unwrap() > dry["splits_from"].as_u64().unwrap());
    assert_eq!(dry["stored"], 0);
    let made = resplit(folder, "four", &deeper);
    assert!(made["stored"].as_u64().unwrap() > 1, "{made}");
    let again = resplit(folder, "four", &deeper);
    assert_eq!(
        (&again["stored"], &again["kept"]),
        (&0.into(), &made["stored"])
    );

    resplit(folder, "five", &["--precision", "4", "--into", "back"]);
    assert_eq!(pixels(folder, "back"), pixels(folder, "four"));

    // A direct ingest at the deeper precision has the same pixels, fill and numbers.
    let mut ingest = glebe(folder);
    ingest.args([
        "ingest",
        "--precision",
        "5",
        "--collection",
        "direct",
        "--data",
        "store",
    ]);
    expect(ingest.arg(&scenes), 0);
    let (direct, five) = (pixels(folder, "direct"), pixels(folder, "five"));
    assert_eq!(direct, five);
}

#[test]
fn what_cannot_be_resplit_is_refused_with_the_reason() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 300);
    let mut ingest = glebe(folder);
    ingest.args([
        "ingest",
        "--precision",
        "5",
        "--collection",
        "five",
        "--data",
        "store",
    ]);
    expect(ingest.arg(&scenes), 0);
    let refused = |more: &[&str], code: i32| {
        let mut command = glebe(folder);
        command.args(["collection", "resplit", "five", "--data", "store"]);
        stderr(&expect(command.args(more), code))
    };
    // 20 m pixels of a geohash-3 cell are a multiple of 32: they halve five times, not eight.
    let said = refused(&["--precision", "6", "--into", "six"], 2);
    assert!(said.contains("20 m pixels"), "{said}");
    let said = refused(&["--precision", "2", "--into", "two"], 2);
    assert!(said.contains("fix the size of pixels"), "{said}");
    refused(&["--precision", "5", "--into", "same"], 2);
    refused(&["--precision", "4", "--into", "five"], 2);
    let mut command = glebe(folder);
    command.args([
        "collection",
        "resplit",
        "none",
        "--precision",
        "4",
        "--into",
        "x",
    ]);
    expect(command.args(["--data", "store"]), 1);
}

/// Bands of a real Landsat scene of 30 m, whose pixels halve down to cells of geohash 5.
fn landsat(node: &Node, folder: &Path, collection: &str, precision: &str) -> Value {
    let real = real_data().unwrap();
    let mut ingest = node.ask(folder);
    ingest.args(["ingest", "--dataset", "generic", "--datetime", "2015-08-18"]);
    ingest.args(["--collection", collection, "--precision", precision]);
    ingest.args(["-o", "json"]);
    for band in ["landsat_b4.tif", "landsat_b5.tif"] {
        ingest.arg(real.join("nlcd_zion").join(band));
    }
    serde_json::from_str(&stdout(&expect(&mut ingest, 0))).unwrap()
}

fn listing(node: &Node, folder: &Path, collection: &str) -> Vec<Value> {
    let search = ["search", "--collection", collection, "--sort", "id"];
    ndjson(&expect(
        node.ask(folder).args(search).args(["-o", "ndjson"]),
        0,
    ))
}

#[test]
fn a_killed_resplit_of_a_real_scene_goes_on_and_its_scenes_are_known_afterwards() {
    if real_data().is_none() {
        return;
    }
    let folder = scratch();
    let folder = folder.path();
    let nodes = cluster(folder, 3, 2);
    landsat(&nodes[0], folder, "four", "4");
    let resplit = |into: &str| {
        let mut command = nodes[1].ask(folder);
        command.args(["collection", "resplit", "four", "--precision", "5"]);
        command.args(["--into", into, "-o", "json"]);
        command
    };
    // Killed once the first scene is said to be done, while the second one is brought over.
    let mut command = resplit("five");
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = { said.map_while(Result::ok) }.find(|line| line.contains(" units"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.is_some(), "it ended before it said anything");
    let half = listing(&nodes[2], folder, "five").len();
    let made: Value = serde_json::from_str(&stdout(&expect(&mut resplit("five"), 0))).unwrap();
    let whole: Value = serde_json::from_str(&stdout(&expect(&mut resplit("anew"), 0))).unwrap();
    let count = |told: &Value, key: &str| told[key].as_u64().unwrap();
    assert!(half > 0 && count(&made, "kept") >= half as u64, "{made}");
    assert!(
        count(&made, "stored") > 0,
        "it was done before it was killed"
    );
    assert_eq!(
        count(&made, "kept") + count(&made, "stored"),
        count(&whole, "stored")
    );
    let told = |collection: &str| -> Vec<Value> {
        let mut hits = listing(&nodes[2], folder, collection);
        for hit in &mut hits {
            let hit = hit.as_object_mut().unwrap();
            hit.retain(|key, _| ["scene", "geocode", "bytes", "pixels_valid"].contains(&&**key));
        }
        hits
    };
    assert_eq!(told("five"), told("anew"));

    // A direct ingest at that precision has the same pixels, and nothing to do where they are.
    let again = landsat(&nodes[0], folder, "five", "5");
    assert_eq!(again["skipped"], 2, "{again}");
    landsat(&nodes[0], folder, "direct", "5");
    for collection in ["five", "direct"] {
        let mut get = nodes[2].ask(folder);
        get.args(["get", "--collection", collection, "-O", collection]);
        expect(&mut get, 0);
    }
    let direct = checksums(&folder.join("direct"));
    assert_eq!(direct, checksums(&folder.join("five")));
    assert!(direct.len() > 20, "{} files", direct.len());
    expect(nodes[0].ask(folder).args(["cluster", "verify"]), 0);
    let scenes = ["collection", "scenes", "five", "-o", "json"];
    let shown = stdout(&expect(nodes[0].ask(folder).args(scenes), 0));
    assert!(shown.contains("re-split from four"), "{shown}");
}
