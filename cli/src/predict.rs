//! `glebe predict`: a run's or a folder's models applied to a scene here, or to stored splits
//! where they lie.
//!
//! *Invariants*: `glebe-ingest` cuts, `glebe-trainer` infers; the result appears under its name
//! only when it is whole; an existing file is not overwritten unasked.
//!
//! *Not here*: windows and blending (trainer), which models (`models`), answers of owners
//! (`compose`).

mod models;
pub(crate) mod told;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use earth::geocode::{Geocode, Scheme};
use query::Query;
use serde_json::Value;
use wire::fault::{Fault, FaultKind};

use crate::args::{Predict, known_dataset};
use crate::export::{Existing, Format};
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
    // A run, or a model, of that name would never be asked: whoever has both is told.
    if Path::new(&args.model).is_dir() {
        let what = format!("{} is taken for the folder of that name here", args.model);
        return Err(Fault::new(FaultKind::Usage, what)
            .because(
                "stored splits are answered where they lie, by models in the ring; those of a \
                 folder answer for a scene",
            )
            .try_(
                "glebe predict RUN or RUN/GEOCODE with the same selectors, or glebe predict \
                 FOLDER SCENE -O out.tif",
            ));
    }
    let query = args.selectors.query()?;
    if query == Query::default() {
        return Err(Fault::new(FaultKind::Usage, "nothing to predict")
            .because("neither a scene nor a selector was given")
            .try_("glebe predict RUN SCENE, or --collection NAME --bbox W,S,E,N"));
    }
    let (run, geocode) = match args.model.split_once('/') {
        Some((run, geocode)) => (run, Some(geocode.to_ascii_lowercase())),
        None => (args.model.as_str(), None),
    };
    let predict = wire::compose::Predict {
        run: run.to_owned(),
        geocode,
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
        session.screen.note(told::summary(&said));
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Predict) -> Result<(), Fault> {
    if let Some(scene) = &args.scene {
        check_scene(args, scene)?;
    }
    let format = Format::of(&args.out);
    if format.is_some_and(|f| f != Format::Cog) || (format.is_none() && args.scene.is_none()) {
        let what = format!("{} is no name for a map", args.out.display());
        return Err(Fault::new(FaultKind::Usage, what)
            .because("a map of answers is a GeoTIFF")
            .try_("-O FILE.tif"));
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
