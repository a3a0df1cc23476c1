//! What a recipe is, asked of `glebe-trainer`, which alone knows.
//!
//! *Invariants*: a recipe is refused before anything is planned; this binary links no libtorch and
//! keeps no list of its own.
//!
//! *Not here*: the runs (`train`), what recipes compute (trainer).

use serde::Deserialize;
use wire::fault::Fault;
use wire::run::{Hyper, PROGRAM};

use crate::train::module::Local;
use crate::worker;

/// The worker that knows recipes.
const TRAINER: &str = "glebe-trainer";

/// What a run needs to know of its recipe.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Recipe {
    /// Hyper-parameters unless others are named.
    pub(crate) hyper: Hyper,
    /// It learns from cloudy splits with clear ones; unknown where no worker is here to ask.
    #[serde(default)]
    pub(crate) pairs: Option<bool>,
}

/// Tells whether a program of a node's owner stands in place of a recipe.
pub(crate) fn is_program(name: &str) -> bool {
    name.starts_with(PROGRAM)
}

/// How a description is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Table,
    Json,
}

/// Returns the description of a recipe for chips of a side and batches (the recipe's own, if none
/// are named).
pub(crate) async fn described(
    (name, module): (&str, Option<&Local>),
    (chip_px, batch): (Option<u32>, Option<u32>),
    form: Form,
) -> Result<String, Fault> {
    let mut command = worker::command(TRAINER)?;
    command.args(["describe", name]);
    if let Some(module) = module {
        let wish = serde_json::to_string(&module.wish).unwrap_or_default();
        command
            .args(["--module", &wish, "--file"])
            .arg(&module.path);
    }
    if let Some(side) = chip_px {
        command.args(["--chip-px", &side.to_string()]);
    }
    if let Some(batch) = batch {
        command.args(["--batch", &batch.to_string()]);
    }
    command.args(match form {
        Form::Table => ["-o", "table"],
        Form::Json => ["-o", "json"],
    });
    let ended = command.output().await;
    let ended = ended.map_err(|e| worker::start_fault(TRAINER, &e))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    worker::ended_saying(TRAINER, ended.status, &said)?;
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// Checks a recipe with its chips; where nodes are elsewhere and no worker is here, theirs will.
pub(crate) async fn checked(
    (name, module): (&str, Option<&Local>),
    chip_px: Option<u32>,
    is_cluster: bool,
) -> Result<Recipe, Fault> {
    // The owners of the nodes allow programs, not whoever asks: their workers know them.
    if is_cluster && (worker::find(TRAINER).is_err() || is_program(name)) {
        return Ok(Recipe::default());
    }
    let text = described((name, module), (chip_px, None), Form::Json).await?;
    serde_json::from_str(&text).map_err(|e| {
        let what = format!("{TRAINER} gave no description of {name}");
        let fault = Fault::new(wire::fault::FaultKind::Internal, what).because(e.to_string());
        fault.try_("glebe doctor, which compares the versions of both binaries")
    })
}
