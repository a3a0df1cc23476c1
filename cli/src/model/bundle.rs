//! `glebe model pull --bundle`: models of an area in one folder, for machines without a network.
//!
//! ```text
//! DIR/bundle.json          which models these are, as `glebe model list -o json` tells them
//! DIR/GEOCODE/FILE…        a model folder each
//! ```
//! *Invariants*: one model a cell, all of one recipe; `bundle.json` is written last, so that a
//! folder with it is whole.
//!
//! *Not here*: predicting with it (`predict`).

use std::path::Path;
use std::process::ExitCode;

use wire::client::Client;
use wire::fault::Fault;
use wire::model::ModelView;

use super::choose::{self, Found};
use super::stand_in::StandIn;
use super::{download, room};
use crate::Done;
use crate::export::{Partial, unwritable};
use crate::print::{Progress, bytes, line};
use crate::session::Session;

/// The file that lists a bundle's models.
pub(super) const BUNDLE_FILE: &str = "bundle.json";
/// Models that stand in for others of which each is told.
const STAND_INS_MAX: usize = 6;

/// Downloads one model of each cell that was found.
pub(super) async fn pull(session: &Session, client: &Client, (found, out): (Found, &Path)) -> Done {
    let instead = found.instead.clone();
    let models = choose::each_cell(found)?;
    room::bundle(out, &models)?;
    for note in told(instead.as_ref(), &models) {
        session.screen.note(note);
    }
    let mut progress = Progress::new(&session.screen, models.len() as u64, "models");
    let mut total = 0;
    for (number, model) in (1..).zip(&models) {
        total += download(client, model, &out.join(&model.geocode)).await?;
        progress.set(number, &bytes(total));
    }
    progress.finish();
    list(&models, out)?;
    let screen = &session.screen;
    if screen.is_json() {
        screen.json(&models);
    } else {
        line(&out.display().to_string());
    }
    let (count, out) = (models.len(), out.display());
    screen.note(format!("{count} models, {}, blake3 ok", bytes(total)));
    screen.note(format!("next: glebe predict {out} SCENE -O out.tif"));
    Ok(ExitCode::SUCCESS)
}

/// Says of the first few models that they stand in, and of how many more.
fn told(instead: Option<&StandIn>, models: &[ModelView]) -> Vec<String> {
    let Some(why) = instead else {
        return Vec::new();
    };
    let shown = models.iter().take(STAND_INS_MAX);
    let mut notes: Vec<String> = shown.map(|model| why.told(model)).collect();
    if let Some(more) = models.len().checked_sub(STAND_INS_MAX).filter(|n| *n > 0) {
        notes.push(format!("so do {more} more models"));
    }
    notes
}

fn list(models: &[ModelView], out: &Path) -> Result<(), Fault> {
    let path = out.join(BUNDLE_FILE);
    let failed = |e: std::io::Error| unwritable(&path, &e);
    let text = serde_json::to_vec_pretty(models).map_err(|e| failed(e.into()))?;
    let partial = Partial::beside(&path)?;
    std::fs::write(partial.path(), text).map_err(failed)?;
    std::fs::rename(partial.path(), &path).map_err(failed)
}
