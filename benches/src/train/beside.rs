//! Recipes beside the same networks in PyTorch, on the cell with the most pixels (of `spagan`, the
//! most pairs): the whole job, and reading the chips alone.
//!
//! *Invariants*: one job at a time, of one computing thread, on either side; the peer's better of a
//! `DataLoader` with and without a worker counts; chips are decoded in every run.
//!
//! *Not here*: many small models (`super`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use earth::split::codec;
use earth::split::meta::{BandMeta, SplitMeta};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::process::{Bench, output, runs, seconds};
use crate::row::Row;

/// Names an interpreter with PyTorch and rasterio; setup's own has no PyTorch.
const PYTHON: &str = "GLEBE_BENCH_PYTHON";
/// Runs of each, in turn.
const RUNS: usize = 3;
/// Side of a chip in pixels.
const CHIP_PX: u32 = 32;
/// Least chips of an epoch: fewer are walked over several times.
const EPOCH_CHIPS_MIN: u64 = 256;

/// A recipe, its bands by common name (inputs first), epochs enough that learning counts, and chips
/// of a batch and rate of learning as by default.
struct Trained {
    recipe: &'static str,
    bands: [&'static [&'static str]; 2],
    epochs: u32,
    batch: u32,
    learning_rate: f64,
    /// Learns from pairs of a cloudy and a clear split, the same bands of both.
    paired: bool,
}

const RECIPES: [Trained; 3] = [
    Trained {
        recipe: "ndvi-cnn",
        bands: [&["red", "green", "blue", "nir"], &[]],
        epochs: 20,
        batch: 32,
        learning_rate: 1e-3,
        paired: false,
    },
    Trained {
        recipe: "ndmi-unet",
        bands: [&["red", "green", "blue"], &["nir08", "swir16"]],
        epochs: 4,
        batch: 32,
        learning_rate: 1e-3,
        paired: false,
    },
    Trained {
        recipe: "spagan",
        bands: [&["red", "green", "blue"], &[]],
        epochs: 2,
        batch: 8,
        learning_rate: 4e-4,
        paired: true,
    },
];

/// Bands of one file, as the peer reads them.
#[derive(Debug, Clone, Serialize)]
struct File {
    path: PathBuf,
    bands: Vec<u32>,
    scales: Vec<f64>,
    offsets: Vec<f64>,
    fill: Option<f64>,
    width: u32,
    height: u32,
}

/// What the peer is to do.
#[derive(Debug, Serialize)]
struct Job<'a> {
    recipe: &'a str,
    chip: u32,
    batch: u32,
    learning_rate: f64,
    walks: u64,
    epochs: u64,
    train: u64,
    held_out: u64,
    workers: u32,
    splits: Vec<Vec<File>>,
}

/// What the peer says.
#[derive(Debug, Deserialize)]
struct Answer {
    torch: String,
    chips: u64,
    read: f64,
    read_each: f64,
    seconds: f64,
}

/// What a model and the log of its job say.
struct Ours {
    train: u64,
    held_out: u64,
    epochs: u64,
    seconds: f64,
    read: f64,
}

/// A split of the cell, with the folder of its files.
type Split = (PathBuf, SplitMeta);

pub(super) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let world = world(bench)?;
    let ingest = |data: &str| seconds(&mut bench.glebe(&["ingest", &world, "--data", data]));
    ingest("beside-0")?;
    let cells = cells(bench)?;
    let valid = |splits: &Vec<Split>| splits.iter().map(|(_, m)| m.counts.valid).sum::<u64>();
    let largest = cells.iter().max_by_key(|(_, splits)| valid(splits));
    let (largest, _) = largest.context("no splits")?;
    let pairs = pairs(bench)?;
    let most = pairs.iter().max_by_key(|(_, pairs)| pairs.len());
    let (most, pairs) = most.context("no pairs: another world is needed")?;
    let mut rows = Vec::new();
    for trained in &RECIPES {
        let file = |split: &Split| files(split, &trained.bands);
        let (cell, sources): (&String, Vec<Vec<File>>) = if trained.paired {
            let of = |id: &String| {
                let found = cells[most].iter().find(|(_, meta)| meta.id.as_str() == id);
                file(found.context("a pair without its split")?)
            };
            let both = |[cloudy, clear]: &[String; 2]| Ok([of(cloudy)?, of(clear)?].concat());
            (most, pairs.iter().map(both).collect::<Result<_>>()?)
        } else {
            (
                largest,
                cells[largest].iter().map(file).collect::<Result<_>>()?,
            )
        };
        rows.extend(measured(bench, (trained, cell), &sources)?);
    }
    Ok(rows)
}

/// Dates enough that some are cloudy and some clear.
fn world(bench: &Bench) -> Result<String> {
    bench.world(2, 5, 1100)
}

/// Returns the ids of the cloudy and the clear splits that make pairs, by cell.
fn pairs(bench: &Bench) -> Result<BTreeMap<String, Vec<[String; 2]>>> {
    let search = ["search", "--pairs", "-o", "json", "--data", "beside-0"];
    let found: Value = serde_json::from_str(&output(&mut bench.glebe(&search))?)?;
    let mut cells = BTreeMap::<String, Vec<[String; 2]>>::new();
    for pair in found["pairs"].as_array().context("no list of pairs")? {
        let text = |of: &str, what: &str| pair[of][what].as_str().map(str::to_owned);
        let ids = [text("cloudy", "id"), text("clear", "id")];
        let ids = ids.map(Option::unwrap_or_default);
        let cell = text("cloudy", "geocode").context("a pair of no cell")?;
        cells.entry(cell).or_default().push(ids);
    }
    Ok(cells)
}

/// Downloads all splits; returns those of each cell.
fn cells(bench: &Bench) -> Result<BTreeMap<String, Vec<Split>>> {
    let everywhere = "--bbox=-180,-90,180,90";
    let get = ["get", everywhere, "-O", "beside", "--data", "beside-0"];
    seconds(&mut bench.glebe(&get))?;
    let mut cells = BTreeMap::<String, Vec<Split>>::new();
    for folder in std::fs::read_dir(bench.scratch.path().join("beside"))? {
        let folder = folder?.path();
        let first = std::fs::read_dir(&folder)?
            .next()
            .context("an empty split")?;
        let meta = codec::read_meta(&std::fs::read(first?.path())?)?;
        let cell = cells.entry(meta.geocode.to_string()).or_default();
        cell.push((folder, meta));
    }
    for splits in cells.values_mut() {
        splits.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok(cells)
}

/// Runs both sides in turn.
fn measured(
    bench: &Bench,
    (trained, cell): (&Trained, &str),
    files: &[Vec<File>],
) -> Result<[Row; 3]> {
    let (mut rates, mut reads) = (Vec::new(), Vec::new());
    let (mut theirs, mut whole, mut each) = (Vec::new(), Vec::new(), Vec::new());
    let mut torch = String::new();
    for run in 0..runs(RUNS) {
        let ours = own(bench, (trained, cell), &format!("{}-{run}", trained.recipe))?;
        let walks = (EPOCH_CHIPS_MIN / ours.train.max(1)).max(1);
        let job = |workers| Job {
            recipe: trained.recipe,
            chip: CHIP_PX,
            batch: trained.batch,
            learning_rate: trained.learning_rate,
            walks,
            epochs: ours.epochs,
            train: ours.train,
            held_out: ours.held_out,
            workers,
            splits: files.to_vec(),
        };
        let answers = [peer(bench, &job(0))?, peer(bench, &job(1))?];
        let samples = (ours.train * walks * ours.epochs) as f64;
        rates.push(samples / ours.seconds);
        reads.push(ours.read);
        let best = |of: fn(&Answer) -> f64| of(&answers[0]).min(of(&answers[1]));
        theirs.push(samples / best(|a| a.seconds));
        whole.push(best(|a| a.read));
        each.push(best(|a| a.read_each));
        torch.clone_from(&answers[0].torch);
    }
    let what = |what: &str| format!("{}, {what}", trained.recipe);
    let torch = format!("PyTorch {torch}");
    Ok([
        Row::new(&what("one job, reading included"), "samples/s", rates).beside(&torch, theirs),
        Row::new(&what("reading its chips"), "s", reads.clone())
            .quicker_than("rasterio, chip by chip", each),
        Row::new(&what("reading its chips"), "s", reads)
            .quicker_than("rasterio, splits whole", whole),
    ])
}

/// Returns the files of a split that hold those bands, one for each group of them.
fn files((folder, meta): &Split, groups: &[&[&str]]) -> Result<Vec<File>> {
    let groups = groups.iter().filter(|group| !group.is_empty());
    let file = |group: &&[&str]| {
        let band = |common: &&str| {
            let mut bands = meta.bands.iter();
            let found = bands.find(|b| b.common.as_deref() == Some(common));
            found.with_context(|| format!("no band {common}"))
        };
        let bands: Vec<&BandMeta> = group.iter().map(band).collect::<Result<_>>()?;
        let asset = bands.first().map_or("", |b| b.asset.as_str());
        ensure!(bands.iter().all(|b| b.asset == asset), "bands of two files");
        let shape = meta.assets.iter().find(|a| a.name == asset);
        let shape = shape.context("a band of no file")?;
        Ok(File {
            path: folder.join(asset),
            bands: bands.iter().map(|b| b.index).collect(),
            scales: bands.iter().map(|b| b.scale).collect(),
            offsets: bands.iter().map(|b| b.offset).collect(),
            fill: bands.first().and_then(|b| b.fill),
            width: shape.width,
            height: shape.height,
        })
    };
    groups.map(file).collect()
}

/// Trains the cell's model from scratch, in a store of its own so that no chips are pinned.
fn own(bench: &Bench, (trained, cell): (&Trained, &str), name: &str) -> Result<Ours> {
    let world = world(bench)?;
    let at = |args: &[&str]| {
        let mut command = bench.glebe(args);
        command.args(["--data", name]);
        command
    };
    seconds(&mut at(&["ingest", &world]))?;
    let (epochs, chip) = (trained.epochs.to_string(), CHIP_PX.to_string());
    let train = [
        "train",
        trained.recipe,
        "--name",
        "r",
        "--geocode",
        cell,
        "--epochs",
        &epochs,
        "--chip",
        &chip,
        "--mode",
        "sequential",
    ];
    seconds(&mut at(&train))?;
    let list: Value = serde_json::from_str(&output(&mut at(&["model", "list", "-o", "json"]))?)?;
    let model = &list["models"][0];
    let (metrics, logs) = (
        &model["metrics"],
        output(&mut at(&["job", "logs", "r", "-o", "ndjson"]))?,
    );
    std::fs::remove_dir_all(bench.scratch.path().join(name))?;
    let number = |name: &str| metrics[name].as_u64().with_context(|| format!("no {name}"));
    Ok(Ours {
        train: number("chips_train")?,
        held_out: number("chips_val")?,
        epochs: number("epochs")?,
        seconds: model["seconds"].as_f64().context("no seconds")?,
        read: read_seconds(&logs)?,
    })
}

/// Returns the seconds between lending the job and having its chips ready.
fn read_seconds(logs: &str) -> Result<f64> {
    let lines: Vec<Value> = logs
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let at = |words: &str| -> Result<jiff::Timestamp> {
        let said = |line: &&Value| line["said"].as_str().is_some_and(|s| s.contains(words));
        let line = lines
            .iter()
            .find(said)
            .with_context(|| format!("no '{words}'"))?;
        Ok(line["at"].as_str().context("no time")?.parse()?)
    };
    Ok((at("to learn from")? - at("lent to")?).total(jiff::Unit::Second)?)
}

fn peer(bench: &Bench, job: &Job<'_>) -> Result<Answer> {
    let file = bench.scratch.path().join("train.json");
    std::fs::write(&file, serde_json::to_vec(job)?)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/train.py");
    let asked = std::env::var_os(PYTHON);
    let mut python = asked.map_or_else(|| bench.python(), Command::new);
    let said = output(
        python
            .current_dir(bench.scratch.path())
            .arg(script)
            .arg(&file),
    );
    let why = || format!("the peer fails: pip install torch==2.11.0 rasterio, then {PYTHON}=PATH");
    let answer: Answer = serde_json::from_str(&said.with_context(why)?).with_context(why)?;
    let wanted = job.train + job.held_out;
    ensure!(
        answer.chips >= wanted,
        "{} chips, {wanted} wanted",
        answer.chips
    );
    Ok(answer)
}
