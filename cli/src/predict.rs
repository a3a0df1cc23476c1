//! `glebe predict`: a run's or a folder's models applied to a scene here, or to stored splits
//! where they lie.
//!
//! *Invariants*: `glebe-ingest` cuts, `glebe-trainer` infers; the result appears under its name
//! only when it is whole; an existing file is not overwritten unasked.
//!
//! *Not here*: windows and blending (trainer), which models (`models`), answers of owners
//! (`compose`).

mod models;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use earth::geocode::{Geocode, Scheme};
use query::Query;
use serde_json::Value;
use wire::fault::{Fault, FaultKind};

use crate::args::{Predict, known_dataset};
use crate::export::Existing;
use crate::predict::models::{Fetched, Given};
use crate::print::line;
use crate::session::Session;
use crate::{Done, compose, worker};

pub(crate) async fn run(session: &Session, args: Predict) -> Done {
    check(&args)?;
    match &args.scene {
        Some(scene) => of_scene(session, &args, scene).await,
        None => where_it_lies(session, &args).await,
    }
}

/// Predicts stored splits at their owners: only the answers travel.
async fn where_it_lies(session: &Session, args: &Predict) -> Done {
    let run = &args.model;
    if run.contains('/') || Path::new(run).is_dir() {
        let what = format!("{run} is no run");
        return Err(Fault::new(FaultKind::Usage, what)
            .because("stored splits are answered by a run's models, where both lie")
            .try_("glebe predict RUN --bbox W,S,E,N -O out.tif, or name a SCENE"));
    }
    let query = args.selectors.query()?;
    if query == Query::default() {
        return Err(Fault::new(FaultKind::Usage, "nothing to predict")
            .because("neither a scene nor a selector was given")
            .try_("glebe predict RUN SCENE, or --collection NAME --bbox W,S,E,N"));
    }
    let predict = wire::compose::Predict {
        run: run.clone(),
        margin_px: args.margin,
    };
    let existing = if args.overwrite {
        Existing::Replace
    } else {
        Existing::Keep
    };
    compose::predicted(session, (query, predict), (&args.out, existing)).await
}

/// Predicts a scene on this machine.
async fn of_scene(session: &Session, args: &Predict, scene: &Path) -> Done {
    let scratch = Scratch::new(&args.out)?;
    let given = Given::of(session, &args.model).await?;
    let splits = scratch.0.join("splits");
    let (scheme, precision) = given.cells()?;
    cut(args, (scheme, precision), (scene, &splits)).await?;
    let cells = cells(&splits, scheme)?;
    let fetched = given.fetch(&cells, &scratch.0.join("models")).await?;
    let made = scratch.0.join("out.tif");
    let mut said = infer(args, &fetched, (&scratch.0, &made)).await?;
    std::fs::rename(&made, &args.out).map_err(|e| {
        Fault::new(
            FaultKind::Data,
            format!("cannot write {}", args.out.display()),
        )
        .because(e.to_string())
    })?;
    said["out"] = args.out.display().to_string().into();
    if session.screen.is_json() {
        session.screen.json(&said);
    } else {
        line(&args.out.display().to_string());
        session.screen.note(summary(&said));
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what the trainer's summary holds.
fn summary(said: &Value) -> String {
    let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
    let list = |key: &str| said[key].as_array().into_iter().flatten();
    let count = |key: &str| said[key].as_u64().unwrap_or(0);
    let mut text = format!(
        "{:.2} Mpx in {} cells, values {:.3}..{:.3}, mean {:.3}",
        number("pixels") / 1e6,
        list("cells").count(),
        number("min"),
        number("max"),
        number("mean"),
    );
    let word = |cell: &'_ Value, key: &str| cell[key].as_str().unwrap_or_default().to_owned();
    let named: Vec<(String, String)> = list("cells")
        .map(|cell| (word(cell, "model"), word(cell, "kinship")))
        .collect();
    let named = named
        .iter()
        .map(|(model, kin)| (model.as_str(), kin.as_str()));
    let without = list("cells_without_model").filter_map(Value::as_str);
    let without: Vec<String> = without.map(str::to_owned).collect();
    let warnings = list("warnings").filter_map(Value::as_str);
    let lines = stand_ins(named)
        .into_iter()
        .chain(fills(&without))
        .chain(warnings.map(|warning| format!("note: {warning}")))
        .chain(outside((count("pixels_outside"), count("pixels"))));
    for line in lines {
        text += &format!("\n{line}");
    }
    text
}

/// Says which models answered for cells that have none of their own; `cells` are model and kinship.
pub(crate) fn stand_ins<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (model, kinship) in cells {
        let how = match kinship {
            "ancestor" => "a larger cell's, around them",
            "donor" => "the donor's of their group",
            "global" => "the global one",
            _ => continue,
        };
        *counts.entry((model, how)).or_default() += 1;
    }
    let tell = |((model, how), count): ((&str, &str), u64)| {
        format!("{count} cells without a model of their own answered by {model}, {how}")
    };
    counts.into_iter().map(tell).collect()
}

/// Says which cells no model answers for.
pub(crate) fn fills(without: &[String]) -> Option<String> {
    let first = without.first()?;
    let others = if without.len() > 1 { ", …" } else { "" };
    let count = without.len();
    Some(format!(
        "{count} cells have no model and stay fill: {first}{others}"
    ))
}

/// Says how many answers are about what no model has seen.
pub(crate) fn outside((outside, pixels): (u64, u64)) -> Option<String> {
    let percent = 100.0 * outside as f64 / pixels.max(1) as f64;
    (outside > 0).then(|| {
        format!(
            "{percent:.1} % of the answers are about imagery unlike what the models learned from \
             (band 'outside')"
        )
    })
}

fn check(args: &Predict) -> Result<(), Fault> {
    if let Some(scene) = &args.scene {
        check_scene(args, scene)?;
    }
    if args.out.exists() && !args.overwrite {
        return Err(
            Fault::new(FaultKind::Refused, format!("{} exists", args.out.display()))
                .because("a result is not written over an older one unasked")
                .try_("--overwrite, or another -O"),
        );
    }
    Ok(())
}

/// Checks the words about a scene: it is predicted whole, so that no selector goes with it but
/// those that say what it is.
fn check_scene(args: &Predict, scene: &Path) -> Result<(), Fault> {
    let mut others = args.selectors.clone();
    for name in others.dataset.drain(..) {
        known_dataset(&name)?;
    }
    others.datetime = None;
    if args.selectors.dataset.len() > 1 || others.query()? != Query::default() {
        let what = "a scene is predicted whole";
        return Err(Fault::new(FaultKind::Usage, what)
            .because("with it, only one --dataset and --datetime say what it is")
            .try_("without SCENE, selectors choose stored splits"));
    }
    if !scene.exists() {
        let what = format!("{} is not there", scene.display());
        return Err(Fault::new(FaultKind::Usage, what).try_("a SAFE folder or zip, or a GeoTIFF"));
    }
    Ok(())
}

/// A folder beside the result, so that the last rename stays on one file system.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new(out: &Path) -> Result<Self, Fault> {
        let parent = out.parent().filter(|p| !p.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let folder = parent.join(format!(".glebe-predict-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| {
            Fault::new(
                FaultKind::Data,
                format!("cannot write into {}", parent.display()),
            )
            .because(e.to_string())
        })?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            crate::print::to_stderr(&format!("left behind: {} ({e})", self.0.display()));
        }
    }
}

/// Cuts the scene along the cells of the models' scheme and precision.
async fn cut(
    args: &Predict,
    (scheme, precision): (Scheme, u8),
    (scene, into): (&Path, &Path),
) -> Result<(), Fault> {
    let mut command = worker::command("glebe-ingest")?;
    command.arg("cut").arg(scene);
    command.args(["--scheme", &scheme.to_string()]);
    command.args(["--precision", &precision.to_string()]);
    if let Some(dataset) = args.selectors.dataset.first() {
        command.args(["--dataset", dataset]);
    }
    if let Some(datetime) = &args.selectors.datetime {
        command.args(["--datetime", datetime]);
    }
    command.arg("-O").arg(into).stdout(Stdio::null());
    let status = command
        .status()
        .await
        .map_err(|e| worker::start_fault("glebe-ingest", &e))?;
    worker::ended("glebe-ingest", status)
}

/// Returns the cells that a scene was cut into, by the names of their folders.
fn cells(splits: &Path, scheme: Scheme) -> Result<Vec<Geocode>, Fault> {
    let failed = |reason: String| {
        let what = format!("the splits in {} cannot be listed", splits.display());
        Fault::new(FaultKind::Internal, what).because(reason)
    };
    let mut cells = Vec::new();
    for entry in std::fs::read_dir(splits).map_err(|e| failed(e.to_string()))? {
        let name = entry.map_err(|e| failed(e.to_string()))?.file_name();
        let name = name.to_string_lossy();
        let code = name.rsplit_once('~').map_or("", |(_, code)| code);
        cells.push(Geocode::parse(scheme, code).map_err(|e| failed(e.to_string()))?);
    }
    Ok(cells)
}

/// Applies the models; returns the trainer's summary (JSON).
async fn infer(
    args: &Predict,
    fetched: &Fetched,
    (scratch, out): (&Path, &Path),
) -> Result<Value, Fault> {
    let mut command = worker::command("glebe-trainer")?;
    command.arg("predict");
    for folder in &fetched.folders {
        command.arg("--model").arg(folder);
    }
    if let Some(kin) = &fetched.kin {
        let path = scratch.join("kin.json");
        let written = serde_json::to_vec(kin).map_err(std::io::Error::from);
        let written = written.and_then(|text| std::fs::write(&path, text));
        written.map_err(|e| crate::export::unwritable(&path, &e))?;
        command.arg("--kin").arg(path);
    }
    if let Some(margin) = args.margin {
        command.arg("--margin").arg(margin.to_string());
    }
    command.arg("--splits").arg(scratch.join("splits"));
    command.arg("-O").arg(out);
    let ended = command
        .output()
        .await
        .map_err(|e| worker::start_fault("glebe-trainer", &e))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    worker::ended_saying("glebe-trainer", ended.status, &said)?;
    serde_json::from_slice(&ended.stdout).map_err(|e| {
        Fault::new(FaultKind::Internal, "glebe-trainer gave no summary").because(e.to_string())
    })
}
