//! `glebe collection resplit`: deeper and back again, pixel for pixel.

use std::collections::BTreeMap;
use std::path::Path;

use crate::harness::{expect, glebe, scratch, stderr, stdout, world};

/// Checksums of pixels of all splits of a collection, by scene, cell and file.
fn pixels(folder: &Path, collection: &str) -> BTreeMap<String, String> {
    let out = format!("files-{collection}");
    let mut get = glebe(folder);
    get.args([
        "get",
        "--collection",
        collection,
        "-O",
        &out,
        "--data",
        "store",
    ]);
    expect(&mut get, 0);
    let mut found = BTreeMap::new();
    for split in std::fs::read_dir(folder.join(&out)).unwrap() {
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
