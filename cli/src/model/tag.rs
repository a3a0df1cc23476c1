//! `glebe model tag`: names for models.
//!
//! *Invariants*: a tag names one model a cell; given to another, it is taken from the one before; a
//! dry run only reads.
//!
//! *Not here*: `latest` and `best`, which nodes give themselves.

use std::process::ExitCode;

use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::model::{ModelView, Tag, TagsDeleted};
use wire::object::PutParams;
use wire::params::TagParams;

use super::choose;
use crate::Done;
use crate::print::some_of;
use crate::session::Session;

/// Models named of those that lose a tag.
const TAKEN_SHOWN: usize = 6;

/// Names one model, or all of a run.
pub(super) async fn give(session: &Session, client: &Client, (name, text): (&str, &str)) -> Done {
    let models = choose::one_or_run(client, text).await?;
    let tags: Vec<Tag> = models.iter().map(|model| tag(name, model)).collect();
    let overwrite = PutParams {
        overwrite: true,
        ..PutParams::default()
    };
    // All are made before the first is given.
    let bundles = tags
        .iter()
        .map(Tag::bundle)
        .collect::<Result<Vec<_>, _>>()?;
    for bundle in &bundles {
        client.put(bundle, &overwrite).await?;
    }
    if session.screen.is_json() {
        session.screen.json(&tags);
    }
    session.screen.note(match tags.as_slice() {
        [one] => format!("{name} is {}/{} now", one.run, one.geocode),
        all => format!("{name} is {text} now, in {} cells", all.len()),
    });
    Ok(ExitCode::SUCCESS)
}

/// Says which models would be named, and from which others the name would be taken.
pub(super) async fn would_give(
    session: &Session,
    client: &Client,
    (name, text): (&str, &str),
) -> Done {
    let models = choose::one_or_run(client, text).await?;
    let tags: Vec<Tag> = models.iter().map(|model| tag(name, model)).collect();
    // What no tag can be is refused here, too.
    tags.iter().try_for_each(|tag| tag.bundle().map(drop))?;
    let now = choose::anywhere(client, (None, Some(name.to_owned()))).await?;
    let is_taken = |model: &&ModelView| {
        let of_cell = |tag: &&Tag| tag.geocode == model.geocode;
        tags.iter()
            .find(of_cell)
            .is_some_and(|tag| tag.run != model.run)
    };
    let taken = now.iter().filter(is_taken).map(full_name);
    let taken: Vec<String> = taken.collect();
    if session.screen.is_json() {
        session.screen.json(&tags);
    }
    let from = match taken.len() {
        0 => String::new(),
        _ => format!(", in place of {}", some_of(&taken, TAKEN_SHOWN)),
    };
    session.screen.note(match tags.as_slice() {
        [one] => format!("{name} would be {}/{}{from}", one.run, one.geocode),
        all => format!("{name} would be {text}, in {} cells{from}", all.len()),
    });
    Ok(ExitCode::SUCCESS)
}

/// Says of which cells a tag would be taken away.
pub(super) async fn would_remove(
    session: &Session,
    client: &Client,
    (name, cell): (&str, Option<String>),
) -> Done {
    let cell = cell.as_deref().map(code);
    let mut named = choose::anywhere(client, (None, Some(name.to_owned()))).await?;
    named.retain(|model| cell.as_ref().is_none_or(|cell| model.geocode == *cell));
    if named.is_empty() {
        let cell = cell.as_deref().unwrap_or("any cell");
        let what = format!("no model of {cell} is tagged {name}");
        return Err(Fault::new(FaultKind::Nothing, what).try_("glebe model list"));
    }
    let cells = named.len();
    if session.screen.is_json() {
        session.screen.json(&TagsDeleted {
            cells: cells as u64,
        });
    }
    let names: Vec<String> = named.iter().map(full_name).collect();
    let names = some_of(&names, TAKEN_SHOWN);
    session.screen.note(format!(
        "{name} would be no model any more in {cells} cells: now it is {names}"
    ));
    Ok(ExitCode::SUCCESS)
}

fn full_name(model: &ModelView) -> String {
    format!("{}/{}", model.run, model.geocode)
}

/// Returns the geocode of a cell, or of a model's full name.
fn code(text: &str) -> String {
    match text.rsplit_once('/') {
        Some((_, code)) => code.to_ascii_lowercase(),
        None => text.to_ascii_lowercase(),
    }
}

fn tag(name: &str, model: &ModelView) -> Tag {
    Tag {
        tag: name.to_owned(),
        geocode: model.geocode.clone(),
        run: model.run.clone(),
    }
}

/// Takes a tag away.
pub(super) async fn remove(
    session: &Session,
    client: &Client,
    (name, cell): (&str, Option<String>),
) -> Done {
    let params = TagParams {
        tag: name.to_owned(),
        geocode: cell.as_deref().map(code),
    };
    let deleted = client.delete_tags(&params).await?;
    if session.screen.is_json() {
        session.screen.json(&deleted);
    }
    let note = format!("{name} is no model any more in {} cells", deleted.cells);
    session.screen.note(note);
    Ok(ExitCode::SUCCESS)
}
