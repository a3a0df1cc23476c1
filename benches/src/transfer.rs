//! Transfer: epochs that heirs take to what a cold start of the same cell reaches (S001 §II.E).
//!
//! Three runs a seed over the same cells: all cold, heirs of the donor of their own group, heirs of
//! a donor drawn from another group. No run ends early. The validation error that a cell's cold run
//! ends with is the mark; counted is the first epoch in which an heir of that cell is no worse, the
//! epoch of its trial with it, and in which its cold run is.
//!
//! *Invariants*: paired: each heir beside the cold model of its own cell and seed; an heir that
//! never passes the mark counts as all the epochs that a run may take; one that fell back counts.
//!
//! *Not here*: how groups are found (`query::groups`), the guard (trainer).

mod curves;
mod real;

use anyhow::{Context as _, Result, ensure};
use earth::dice::Dice;

use crate::process::{Bench, Up, first, output, runs, seconds};
use crate::row::{Row, say};
use curves::{Curve, curves};

/// Seeds unless told otherwise.
const SEEDS: usize = 10;
/// Epochs that a run may take.
const EPOCHS: u32 = 60;
/// Kinds of texture of the synthetic world, each with a law of its own.
const KINDS: usize = 12;
/// Regions that look alike.
const REGIONS_A_KIND: usize = 2;
/// Cells taken of a region: 240 in all.
const CELLS_A_REGION: usize = 10;
/// Resamples that an interval is made of.
const RESAMPLES: usize = 10_000;

/// Where the models of a run start.
const ARMS: [&str; 3] = ["none", "texture", "random"];

/// Cells with a node that trains them.
struct Field<'a> {
    bench: &'a Bench,
    name: &'a str,
    node: Up,
    cells: String,
    groups: Option<usize>,
}

/// What heirs of one arm and seed did beside the cold models of their cells.
#[derive(Debug, Clone, Copy)]
struct Beside {
    /// Epochs of the cold models over those of the heirs, to the marks.
    speed_up: f64,
    /// The middle one of the same of each cell by itself.
    middle: f64,
    /// Geometric mean of best errors, heirs' over cold.
    error: f64,
    /// Share of heirs that passed their marks.
    passed: f64,
    /// Share that fell back to a cold start.
    fell_back: f64,
    /// Heirs.
    heirs: usize,
    /// Bytes of donors' weights that they were given.
    bytes: u64,
}

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = synthetic(bench)?;
    rows.extend(real::run(bench)?);
    Ok(rows)
}

/// Measures on 240 cells of twelve kinds.
fn synthetic(bench: &Bench) -> Result<Vec<Row>> {
    let regions = (KINDS * REGIONS_A_KIND).to_string();
    let kinds = KINDS.to_string();
    let synth = [
        "synth",
        "--seed",
        "3",
        "--regions",
        &regions,
        "--kinds",
        &kinds,
        "--dates",
        "3",
        "--size",
        "480",
        "-O",
        "kinds",
    ];
    seconds(&mut bench.glebe(&synth))?;
    let node = bench.up("kin")?;
    let ingest = ["ingest", "kinds", "--precision", "6"];
    seconds(bench.glebe(&ingest).args(["--cluster", &node.http]))?;
    let cells = cells(bench, &node)?;
    let field = Field {
        bench,
        name: "240 synthetic cells of 12 kinds",
        node,
        cells,
        groups: Some(KINDS),
    };
    field.measure()
}

/// Chooses whole and clear cells, as many of each region.
fn cells(bench: &Bench, node: &Up) -> Result<String> {
    let search = [
        "search",
        "--min-coverage",
        "95",
        "--max-cloud",
        "10",
        "-o",
        "ndjson",
        "--cluster",
        &node.http,
    ];
    let mut by_tile =
        std::collections::BTreeMap::<String, std::collections::BTreeSet<String>>::new();
    for line in output(&mut bench.glebe(&search))?.lines() {
        let hit: serde_json::Value = serde_json::from_str(line)?;
        let scene = hit["scene"].as_str().context("a scene")?;
        let tile = scene.split('_').nth(5).context("a tile")?.to_owned();
        let cell = hit["geocode"].as_str().context("a geocode")?.to_owned();
        by_tile.entry(tile).or_default().insert(cell);
    }
    ensure!(
        by_tile.len() == KINDS * REGIONS_A_KIND,
        "{} tiles",
        by_tile.len()
    );
    let mut all = Vec::new();
    for (tile, cells) in by_tile {
        ensure!(
            cells.len() >= CELLS_A_REGION,
            "{tile}: {} cells",
            cells.len()
        );
        all.extend(cells.into_iter().take(CELLS_A_REGION));
    }
    Ok(all.join(","))
}

impl Field<'_> {
    /// Trains all arms with every seed and sets heirs beside cold models.
    fn measure(&self) -> Result<Vec<Row>> {
        let mut all: [Vec<Beside>; 2] = [Vec::new(), Vec::new()];
        let first = first(1);
        for seed in first..first + runs(SEEDS) {
            let mut arms = Vec::new();
            for arm in ARMS {
                arms.push(self.train(arm, seed)?);
            }
            for (heirs, found) in arms[1..].iter().zip(&mut all) {
                let beside = beside(&arms[0], heirs);
                say(&format!("seed {seed}: {beside:?}"));
                found.push(beside);
            }
        }
        let [texture, random] = all;
        Ok([("own group", texture), ("another group", random)]
            .iter()
            .flat_map(|(which, found)| self.rows(which, found))
            .collect())
    }

    fn train(&self, arm: &str, seed: usize) -> Result<Vec<Curve>> {
        let (run, seed) = (format!("{arm}-{seed}"), seed.to_string());
        let epochs = EPOCHS.to_string();
        let mut command = self.bench.glebe(&[
            "train", "ndvi-cnn", "--chip", "8", "--wait", "--mode", "packed",
        ]);
        command.args(["--name", &run, "--seed", &seed]);
        command.args(["--epochs", &epochs, "--patience", &epochs]);
        command.args(["--min-coverage", "95", "--max-cloud", "10", "--exact"]);
        command.args(["--geocode", &self.cells, "--transfer", arm]);
        if let Some(groups) = self.groups.filter(|_| arm != "none") {
            command.args(["-k", &groups.to_string()]);
        }
        seconds(command.args(["--cluster", &self.node.http]))?;
        curves(&self.node.data, &run)
    }

    fn rows(&self, which: &str, found: &[Beside]) -> Vec<Row> {
        let of = |pick: fn(&Beside) -> f64| found.iter().map(pick).collect::<Vec<f64>>();
        let row = |what: &str, unit: &str, values| {
            Row::new(&format!("{}, {which}: {what}", self.name), unit, values)
        };
        let speed_up = of(|b| b.speed_up);
        vec![
            row("epochs to the mark, cold / heir", "x", speed_up.clone()),
            row(
                "the same, 95 % interval of the mean",
                "x",
                interval(&speed_up),
            ),
            row("the same of the middle cell", "x", of(|b| b.middle)),
            row("best error, heir / cold", "x", of(|b| b.error)),
            row("heirs that passed the mark", "%", of(|b| 100.0 * b.passed)),
            row("heirs that fell back", "%", of(|b| 100.0 * b.fell_back)),
            row("heirs", "", of(|b| b.heirs as f64)),
            row(
                "donors' weights given",
                "KiB",
                of(|b| b.bytes as f64 / 1024.0),
            ),
        ]
    }
}

/// Sets heirs beside the cold models of their cells.
fn beside(cold: &[Curve], arm: &[Curve]) -> Beside {
    let (mut heirs, mut passed, mut fell_back, mut bytes) = (0_usize, 0_usize, 0_usize, 0);
    let (mut epochs_cold, mut epochs_heir, mut errors) = (0.0, 0.0, 0.0);
    let mut ratios = Vec::new();
    for heir in arm {
        let Some(descent) = &heir.descent else {
            continue;
        };
        let Some(alone) = cold.iter().find(|c| c.geocode == heir.geocode) else {
            continue;
        };
        let mark = alone.last();
        let trial = descent.trial.map_or(0, |t| t.epochs);
        let reached = heir.epochs_to(mark);
        heirs += 1;
        passed += usize::from(reached.is_some());
        fell_back += usize::from(!descent.warm);
        bytes += descent.bytes;
        let took = f64::from(alone.epochs_to(mark).unwrap_or(EPOCHS));
        let heir_took = f64::from(reached.map_or(EPOCHS, |epoch| epoch + trial));
        epochs_cold += took;
        epochs_heir += heir_took;
        ratios.push(took / heir_took);
        errors += (heir.best() / alone.best()).ln();
    }
    ratios.sort_by(f64::total_cmp);
    let share = |count: usize| count as f64 / heirs.max(1) as f64;
    Beside {
        speed_up: epochs_cold / epochs_heir,
        middle: ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN),
        error: (errors / heirs.max(1) as f64).exp(),
        passed: share(passed),
        fell_back: share(fell_back),
        heirs,
        bytes,
    }
}

/// Returns the ends of the 95 % interval of the mean, and the mean between them: seeds drawn with
/// replacement.
fn interval(values: &[f64]) -> Vec<f64> {
    let mut dice = Dice::new(0, &["interval"]);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = values.iter().map(|_| values[dice.below(values.len())]);
            drawn.sum::<f64>() / values.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    vec![
        means[RESAMPLES / 40],
        mean,
        means[RESAMPLES - RESAMPLES / 40],
    ]
}
