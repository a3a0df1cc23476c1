//! Seconds to partition: four datasets at three precisions each (S001, Fig. 2), rasterio beside.
//!
//! *Invariants*: the same scene at every precision; ours and the peer take turns.
//!
//! *Not here*: scenes and cells (`ingest::case`), where the time goes (`ingest`).

use anyhow::Result;

use crate::ingest::case::{Case, Scene};
use crate::ingest::{JOBS, ingest, python};
use crate::process::{Bench, runs};
use crate::row::Row;

/// Runs of each, in turn.
const RUNS: usize = 3;

/// Look, side in pixels, metres a pixel, and precisions at which cells have 30 pixels a side or
/// more: below, a split is mostly metadata.
const SCENES: &[(Scene, u32, [u8; 3])] = &[
    (Scene::Sentinel2, 2196, [4, 5, 6]),
    (Scene::Tiff("naip", 1.0), 6000, [5, 6, 7]),
    (Scene::Tiff("nlcd", 30.0), 4000, [3, 4, 5]),
    (Scene::Tiff("modis", 500.0), 2400, [2, 3, 4]),
];

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (scene, size, precisions) in SCENES {
        for precision in precisions {
            let case = Case::of(bench, *scene, (*size, *precision))?;
            let (mut ours, mut peer) = (Vec::new(), Vec::new());
            for run in 0..runs(RUNS) {
                ours.push(ingest(bench, &case, (run, JOBS))?);
                peer.push(python(bench, &case, "cut")?);
            }
            let what = format!("{}: {} cells", case.name, case.cells);
            rows.push(Row::new(&what, "s", ours).quicker_than("rasterio WarpedVRT", peer));
        }
    }
    Ok(rows)
}
