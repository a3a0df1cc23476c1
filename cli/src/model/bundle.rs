//! `glebe model pull --bundle`: models of an area in one folder, for machines without a network.
//!
//! ```text
//! DIR/bundle.json          which models these are, and for which other cells they answer
//! DIR/GEOCODE/FILE…        a model folder each
//! ```
//! *Invariants*: one model a cell, all of one recipe; `bundle.json` is written last, so that a
//! folder with it is whole.
//!
//! *Not here*: which models (`area`), predicting with them (`predict`).

use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::model::ModelView;

use super::area::{self, Area, StandsIn};
use super::choose::Found;
use super::stand_in::StandIn;
use super::{download, room};
use crate::Done;
use crate::export::{Partial, unwritable};
use crate::print::{Progress, bytes, line, some_of};
use crate::session::Session;

/// The file that lists a bundle's models.
pub(super) const BUNDLE_FILE: &str = "bundle.json";
/// The version of that file that is written; the first was a list of models alone.
const VERSION: u32 = 2;
/// Cells of which each is told who answers for it.
const STAND_INS_MAX: usize = 6;

/// What the file says.
#[derive(Debug, PartialEq, Serialize)]
struct Listed<'a> {
    version: u32,
    models: &'a [ModelView],
    stand_ins: &'a [StandsIn],
    without_model: &'a [String],
}

/// As it is read: what is not the models' own business.
#[derive(Debug, Deserialize)]
struct Kept {
    version: u32,
    #[serde(default)]
    stand_ins: Vec<StandsIn>,
}

/// Downloads one model of each cell that was found, and those that stand in for others.
pub(super) async fn pull(session: &Session, client: &Client, (found, out): (Found, &Path)) -> Done {
    let instead = found.instead.clone();
    let area = area::of(client, found).await?;
    let models = &area.models;
    room::bundle(out, models)?;
    for note in told(&area, instead.as_ref()) {
        session.screen.note(note);
    }
    let mut progress = Progress::new(&session.screen, models.len() as u64, "models");
    let mut total = 0;
    for (number, model) in (1..).zip(models) {
        total += download(client, model, &out.join(&model.geocode)).await?;
        progress.set(number, &bytes(total));
    }
    progress.finish();
    let listed = Listed {
        version: VERSION,
        models,
        stand_ins: &area.stand_ins,
        without_model: &area.without,
    };
    list(&listed, out)?;
    let screen = &session.screen;
    if screen.is_json() {
        screen.json(&listed);
    } else {
        line(&out.display().to_string());
    }
    let (count, out) = (models.len(), out.display());
    screen.note(format!("{count} models, {}, blake3 ok", bytes(total)));
    screen.note(format!("next: glebe predict {out} SCENE -O out.tif"));
    Ok(ExitCode::SUCCESS)
}

/// Says who answers for the first few cells without a model of their own, and for how many more;
/// and for which nobody does. Of a place that is no cell of a run it says why these were found.
fn told(area: &Area, instead: Option<&StandIn>) -> Vec<String> {
    let words: Vec<String> = match instead.filter(|_| area.stand_ins.is_empty()) {
        Some(why) => area.models.iter().map(|model| why.told(model)).collect(),
        None => area.stand_ins.iter().map(StandsIn::told).collect(),
    };
    let more = words.len().saturating_sub(STAND_INS_MAX);
    let mut notes: Vec<String> = words.into_iter().take(STAND_INS_MAX).collect();
    if more > 0 {
        notes.push(format!("so it is {more} times more: {BUNDLE_FILE} has all"));
    }
    if !area.without.is_empty() {
        let (count, named) = (area.without.len(), some_of(&area.without, STAND_INS_MAX));
        notes.push(format!(
            "{count} cells have no model, and none stands in for them: {named}"
        ));
    }
    let untold = area.untold.iter().map(|run| {
        format!(
            "note: not every node told its cells of {run}; some without a model of their own may \
             be missing (try: glebe status, then the same command into a new folder)"
        )
    });
    notes.extend(untold);
    notes
}

fn list(listed: &Listed<'_>, out: &Path) -> Result<(), Fault> {
    let path = out.join(BUNDLE_FILE);
    let failed = |e: std::io::Error| unwritable(&path, &e);
    let text = serde_json::to_vec_pretty(listed).map_err(|e| failed(e.into()))?;
    let partial = Partial::beside(&path)?;
    std::fs::write(partial.path(), text).map_err(failed)?;
    std::fs::rename(partial.path(), &path).map_err(failed)
}

/// Returns who stands in for whom in a bundle; `None` where its folder does not tell: it was put
/// together by hand, or pulled by a glebe whose bundles did not say so.
pub(crate) fn stand_ins(folder: &Path) -> Result<Option<Vec<StandsIn>>, Fault> {
    let path = folder.join(BUNDLE_FILE);
    let wrong = |why: String| {
        let what = format!("{} is no list of a bundle's models", path.display());
        let fault = Fault::new(FaultKind::Data, what).because(why);
        fault.try_("glebe model pull --bundle into a new folder")
    };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(wrong(e.to_string())),
    };
    let told: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    if told.is_array() {
        return Ok(None);
    }
    let kept: Kept = serde_json::from_value(told).map_err(|e| wrong(e.to_string()))?;
    if kept.version > VERSION {
        let (theirs, ours) = (kept.version, VERSION);
        let why = format!("it is of version {theirs}, this glebe reads up to {ours}");
        return Err(wrong(why).try_("the latest glebe"));
    }
    Ok(Some(kept.stand_ins))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::area::Kinship;

    #[test]
    fn a_bundle_tells_who_stands_in_and_an_older_one_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let told = || stand_ins(dir.path());
        assert_eq!(told().unwrap(), None, "nothing lists them");
        let stands_in = StandsIn {
            geocode: "9xj5m".to_owned(),
            model: "july/9xj5k".to_owned(),
            kinship: Kinship::Donor,
        };
        let listed = Listed {
            version: VERSION,
            models: &[],
            stand_ins: std::slice::from_ref(&stands_in),
            without_model: &["9xj5s".to_owned()],
        };
        list(&listed, dir.path()).unwrap();
        assert_eq!(told().unwrap(), Some(vec![stands_in]));
        let write = |text: &str| std::fs::write(dir.path().join(BUNDLE_FILE), text).unwrap();
        write("[]");
        assert_eq!(told().unwrap(), None, "the first version");
        write(r#"{"version":3}"#);
        let fault = told().unwrap_err();
        assert_eq!(fault.try_.as_deref(), Some("the latest glebe"));
        write("{");
        assert_eq!(told().unwrap_err().kind, FaultKind::Data);
    }
}
