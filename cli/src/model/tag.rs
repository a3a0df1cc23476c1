//! `glebe model tag`: names for models.
//!
//! *Invariants*: a tag names one model a cell; given to another, it is taken from the one before.
//!
//! *Not here*: `latest` and `best`, which nodes give themselves.

use std::process::ExitCode;

use wire::client::Client;
use wire::model::{ModelView, Tag};
use wire::object::PutParams;
use wire::params::TagParams;

use super::choose;
use crate::Done;
use crate::session::Session;

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
    let code = |text: String| match text.rsplit_once('/') {
        Some((_, code)) => code.to_ascii_lowercase(),
        None => text.to_ascii_lowercase(),
    };
    let params = TagParams {
        tag: name.to_owned(),
        geocode: cell.map(code),
    };
    let deleted = client.delete_tags(&params).await?;
    if session.screen.is_json() {
        session.screen.json(&deleted);
    }
    let note = format!("{name} is no model any more in {} cells", deleted.cells);
    session.screen.note(note);
    Ok(ExitCode::SUCCESS)
}
