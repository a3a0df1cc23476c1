//! The same on cells of a real scene: Sentinel-2 of 2020-02-23 at the Mekong, one date.
//!
//! *Invariants*: without the imagery nothing is measured, and that is said.
//!
//! *Not here*: what is counted (`transfer`).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Field;
use crate::process::{Bench, output, seconds};
use crate::row::{Row, say};

/// The scene below the folder of real imagery.
const SCENE: &str = "s2_majortom/T48QUE_20200223";
/// Its bands.
const BANDS: [&str; 4] = ["B02", "B03", "B04", "B08"];

/// Measures on all whole cells of the scene; the number of groups is chosen by silhouette.
pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let named = std::env::var_os("GLEBE_REAL_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let scene = named.unwrap_or(beside).join(SCENE);
    if !scene.is_dir() {
        say(&format!("SKIPPED: no real imagery at {}", scene.display()));
        return Ok(Vec::new());
    }
    let folder = bench.scratch.path();
    let mut assets = serde_json::Map::new();
    for band in BANDS {
        let file = format!("{band}.tif");
        std::os::unix::fs::symlink(scene.canonicalize()?.join(&file), folder.join(&file))?;
        let described = serde_json::json!({
            "href": file, "roles": ["data"], "eo:bands": [{"name": band}],
            "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": 0}],
        });
        assets.insert(band.to_owned(), described);
    }
    let item = serde_json::json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "T48QUE_20200223",
        "collection": "sentinel-2-l2a",
        "properties": {"datetime": "2020-02-23T03:27:39Z"}, "assets": assets,
    });
    std::fs::write(folder.join("item.json"), item.to_string())?;
    let node = bench.up("mekong")?;
    let ingest = ["ingest", "item.json", "--precision", "6"];
    seconds(bench.glebe(&ingest).args(["--cluster", &node.http]))?;
    let search = ["search", "--min-coverage", "95", "-o", "ndjson"];
    let found = output(bench.glebe(&search).args(["--cluster", &node.http]))?;
    let cell = |line: &str| {
        let hit: serde_json::Value = serde_json::from_str(line).ok()?;
        hit["geocode"].as_str().map(str::to_owned)
    };
    let cells: Option<Vec<String>> = found.lines().map(cell).collect();
    let field = Field {
        bench,
        name: "real cells at the Mekong",
        node,
        cells: cells.context("a cell a split")?.join(","),
        groups: None,
    };
    field.measure()
}
