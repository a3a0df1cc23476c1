//! `glebe predict`: a run's or a folder's models applied to a scene.
//!
//! *Invariants*: `glebe-ingest` cuts, `glebe-trainer` infers; the result appears under its name
//! only when it is whole; an existing file is not overwritten unasked.
//!
//! *Not here*: windows and blending (trainer).

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use serde::Deserialize;
use serde_json::Value;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::params::ModelsParams;

use crate::args::{Predict, known_dataset};
use crate::print::line;
use crate::session::Session;
use crate::{Done, model, worker};

/// What the cut needs to know of a model; the rest of `config.json` is the trainer's.
#[derive(Debug, Deserialize)]
struct Config {
    scheme: earth::geocode::Scheme,
    geocode: String,
}

pub(crate) async fn run(session: &Session, args: Predict) -> Done {
    check(&args)?;
    let scratch = Scratch::new(&args.out)?;
    let models = models(session, &args.model, &scratch.0.join("models")).await?;
    let first = models.first().ok_or_else(|| {
        Fault::new(FaultKind::Nothing, format!("no model {}", args.model)).try_("glebe model list")
    })?;
    let config = config(first)?;
    let splits = scratch.0.join("splits");
    cut(&args, &config, &splits).await?;
    let made = scratch.0.join("out.tif");
    let mut said = infer(&models, &splits, &made).await?;
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

/// Says on one line what the trainer's summary holds.
fn summary(said: &Value) -> String {
    let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
    let cells = said["cells"].as_array().map_or(0, Vec::len);
    let mut text = format!(
        "{:.2} Mpx in {cells} cells, values {:.3}..{:.3}, mean {:.3}",
        number("pixels") / 1e6,
        number("min"),
        number("max"),
        number("mean"),
    );
    if let Some(without) = said["cells_without_model"].as_u64().filter(|n| *n > 0) {
        text += &format!("; {without} cells have no model and stay fill");
    }
    for warning in said["warnings"].as_array().into_iter().flatten() {
        text += &format!("\nnote: {}", warning.as_str().unwrap_or_default());
    }
    text
}

fn check(args: &Predict) -> Result<(), Fault> {
    if let Some(name) = &args.dataset {
        known_dataset(name)?;
    }
    if !args.scene.exists() {
        let what = format!("{} is not there", args.scene.display());
        return Err(Fault::new(FaultKind::Usage, what).try_("a SAFE folder or zip, or a GeoTIFF"));
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

/// Returns the model folders: the given one, or those pulled from the ring.
async fn models(session: &Session, name: &str, into: &Path) -> Result<Vec<PathBuf>, Fault> {
    let folder = Path::new(name);
    if folder.join("config.json").is_file() {
        return Ok(vec![folder.to_path_buf()]);
    }
    if folder.is_dir() {
        let bundled = bundled(folder)?;
        if !bundled.is_empty() {
            return Ok(bundled);
        }
        return Err(
            Fault::new(FaultKind::Data, format!("{name} is no model folder"))
                .because("it holds no config.json, and no folder in it does")
                .try_("glebe model pull RUN/GEOCODE -O DIR"),
        );
    }
    let client = session.client().await?;
    pull(&client, name, into).await
}

/// Returns the model folders in a folder, as `glebe model pull --bundle` writes them.
fn bundled(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let failed = |e: std::io::Error| {
        let what = format!("{} cannot be listed", folder.display());
        Fault::new(FaultKind::Data, what).because(e.to_string())
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.join("config.json").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

async fn pull(client: &Client, name: &str, into: &Path) -> Result<Vec<PathBuf>, Fault> {
    let (run, geocode) = match name.split_once('/') {
        Some((run, geocode)) => (run, Some(geocode.to_ascii_lowercase())),
        None => (name, None),
    };
    let params = ModelsParams {
        run: Some(run.to_owned()),
        geocode,
        ..ModelsParams::default()
    };
    let found = client.models(&params).await?;
    if !found.complete {
        return Err(Fault::new(
            FaultKind::Partial,
            format!("not every model of {run} is in reach"),
        )
        .because("a node does not answer, so cells would be served by no model")
        .try_("glebe status"));
    }
    let mut folders = Vec::with_capacity(found.models.len());
    for view in &found.models {
        let folder = into.join(&view.geocode);
        model::download(client, view, &folder).await?;
        folders.push(folder);
    }
    Ok(folders)
}

fn config(folder: &Path) -> Result<Config, Fault> {
    let path = folder.join("config.json");
    let fault = |why: String| {
        Fault::new(
            FaultKind::Data,
            format!("{} is no model's configuration", path.display()),
        )
        .because(why)
        .try_("glebe model pull RUN/GEOCODE -O DIR")
    };
    let text = std::fs::read(&path).map_err(|e| fault(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| fault(e.to_string()))
}

/// Cuts the scene along the cells of the models' scheme and precision.
async fn cut(args: &Predict, config: &Config, into: &Path) -> Result<(), Fault> {
    let mut command = worker::command("glebe-ingest")?;
    command.arg("cut").arg(&args.scene);
    command.args(["--scheme", &config.scheme.to_string()]);
    command.args(["--precision", &config.geocode.len().to_string()]);
    if let Some(dataset) = &args.dataset {
        command.args(["--dataset", dataset]);
    }
    if let Some(datetime) = &args.datetime {
        command.args(["--datetime", datetime]);
    }
    command.arg("-O").arg(into).stdout(Stdio::null());
    let status = command
        .status()
        .await
        .map_err(|e| worker::start_fault("glebe-ingest", &e))?;
    worker::ended("glebe-ingest", status)
}

/// Applies the models; returns the trainer's summary (JSON).
async fn infer(models: &[PathBuf], splits: &Path, out: &Path) -> Result<Value, Fault> {
    let mut command = worker::command("glebe-trainer")?;
    command.arg("predict");
    for folder in models {
        command.arg("--model").arg(folder);
    }
    command.arg("--splits").arg(splits).arg("-O").arg(out);
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
