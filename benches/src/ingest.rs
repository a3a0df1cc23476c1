//! Ingest: from delivered files to acknowledged splits, beside rasterio cutting the same cells.
//!
//! Ours computes coverage, cloud, statistics, texture and checksums, and fsyncs; the peer writes
//! the same pixels and nothing else. Beside both stands what the files cost at least: decoding
//! every band once (JPEG 2000), or decoding and compressing without reprojection (GeoTIFF).
//!
//! *Invariants*: ours and the peers take turns on the same files and cells, two processes or
//! threads each; figures are seconds of whole processes.
//!
//! *Not here*: scenes and cells (`case`), the peers themselves (`peers/ingest.py`).

pub(crate) mod case;

use std::ops::Range;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::{Bench, runs, seconds};
use crate::row::Row;
use case::Case;

/// Runs of each, in turn.
const RUNS: usize = 5;

/// Threads and processes on either side: the machine that bars are set for has two cores.
pub(crate) const JOBS: usize = 2;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in Case::all(bench)? {
        rows.extend(compare(bench, &case)?);
    }
    Ok(rows)
}

/// Runs one case; ratios are the peer's seconds / ours: above 1 we are quicker.
fn compare(bench: &Bench, case: &Case) -> Result<Vec<Row>> {
    let least = if case.jpeg2000 {
        "decode"
    } else {
        "recompress"
    };
    let (mut ours, mut one, mut peer, mut floor) = (vec![], vec![], vec![], vec![]);
    let mut two = vec![];
    for run in 0..runs(RUNS) {
        ours.push(ingest(bench, case, (run, JOBS))?);
        peer.push(python(bench, case, "cut")?);
        floor.push(python(bench, case, least)?);
        one.push(ingest(bench, case, (run, 1))?);
        two.push(side_by_side(bench, case)?);
    }
    let after_another: Vec<f64> = one.iter().map(|s| 2.0 * s).collect();
    let what = |text: &str| format!("{}: {text}", case.name);
    let rate = case.megapixels / Row::new("", "", ours.clone()).value;
    let stored = Row::new(
        &what("stored / delivered"),
        "ratio",
        vec![case.amplification],
    );
    Ok(vec![
        Row::new(&what("ingest"), "s", ours.clone()).quicker_than("rasterio WarpedVRT", peer),
        Row::new(&what("ingest"), "s", ours.clone()).quicker_than(least, floor),
        Row::new(&what("ingest, 2 threads"), "s", ours).quicker_than("1 thread, 1 core", one),
        Row::new(&what("two ingests, a core each"), "s", two)
            .quicker_than("one after the other on 1 core", after_another),
        Row::new(&what("ingest"), "Mpx/s", vec![rate]),
        stored,
    ])
}

/// Seconds of one ingest into an empty store, worker and node on as many cores as jobs.
pub(crate) fn ingest(bench: &Bench, case: &Case, (run, jobs): (usize, usize)) -> Result<f64> {
    into_empty(bench, case, (&format!("data-{run}-{jobs}"), 0..jobs))
}

/// Seconds of two ingests at a time, each on a core of its own: what is left of a second core when
/// both share memory and disk, which no program can pass.
fn side_by_side(bench: &Bench, case: &Case) -> Result<f64> {
    let one = |core| into_empty(bench, case, (&format!("data-of-{core}"), core..core + 1));
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| one(1));
        (one(0), second.join())
    });
    let second = second.map_err(|_| anyhow::anyhow!("the second ingest panicked"))?;
    Ok(first?.max(second?))
}

/// Seconds of one ingest into a folder of its own, on some cores, with a thread for each.
fn into_empty(bench: &Bench, case: &Case, (data, cores): (&str, Range<usize>)) -> Result<f64> {
    let threads = cores.len().to_string();
    let mut command = bench.glebe(&["ingest", &case.path, "--data", data, "--jobs", &threads]);
    command.args(&case.flags);
    let taken = seconds(&mut on_cores(&command, cores))?;
    std::fs::remove_dir_all(bench.scratch.path().join(data))?;
    Ok(taken)
}

/// The same command, held to some cores.
fn on_cores(command: &Command, cores: Range<usize>) -> Command {
    let mut held = Command::new("taskset");
    held.arg("-c")
        .arg(format!("{}-{}", cores.start, cores.end - 1));
    held.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        held.current_dir(folder);
    }
    for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
        held.env_remove(name);
    }
    held
}

/// Seconds of a peer.
pub(crate) fn python(bench: &Bench, case: &Case, mode: &str) -> Result<f64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/ingest.py");
    let out = bench.scratch.path().join("peer");
    let mut command = bench.python();
    command.arg(script).arg(mode).arg(&case.plan);
    let taken = seconds(&mut on_cores(&command, 0..JOBS))?;
    std::fs::remove_dir_all(out).or_else(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(e),
    })?;
    Ok(taken)
}
