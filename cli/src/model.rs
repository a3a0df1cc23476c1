//! `glebe model`: list, show, pull, compare, tag and delete models.
//!
//! *Invariants*: a pulled file is whole and hashes to what the ring says; nothing is pulled over
//! something else.
//!
//! *Not here*: training; which of several models is meant (`choose`), which ones an area needs
//! (`area`), where there is room for them (`room`).

mod area;
mod bundle;
mod choose;
mod compare;
mod room;
#[cfg(test)]
mod sample;
mod stand_in;
mod tag;

use std::path::Path;
use std::process::ExitCode;

use wire::client::{Client, Rest};
use wire::fault::{Fault, FaultKind};
use wire::model::{ModelView, Models};
use wire::params::{DeleteModelsParams, ModelFileParams};

use crate::Done;
use crate::args::{ModelPull, ModelVerb};
use crate::model::choose::Chosen;
use crate::print::{Align, Table, bytes, line};
use crate::session::Session;

pub(crate) use area::StandsIn;
pub(crate) use bundle::stand_ins;

pub(crate) async fn run(session: &Session, verb: ModelVerb) -> Done {
    let client = session.client().await?;
    match verb {
        ModelVerb::List { run, place } => {
            let chosen = run.is_some() || place.tag.is_some() || !place.is_anywhere();
            let models = client.models(&choose::wanted(run, &place)?).await?;
            Ok(list(session, &models, chosen))
        }
        ModelVerb::Show { model } => {
            session.screen.json(&choose::named(&client, &model).await?);
            Ok(ExitCode::SUCCESS)
        }
        ModelVerb::Pull(args) => pull(session, &client, &args).await,
        ModelVerb::Compare { one, other } => compare::run(session, &client, (&one, &other)).await,
        ModelVerb::Tag {
            model,
            name,
            remove,
            dry_run,
        } => match (model, name, remove) {
            (model, _, Some(tag)) if dry_run => {
                tag::would_remove(session, &client, (&tag, model)).await
            }
            (Some(model), Some(name), None) if dry_run => {
                tag::would_give(session, &client, (&name, &model)).await
            }
            (model, _, Some(tag)) => tag::remove(session, &client, (&tag, model)).await,
            (Some(model), Some(name), None) => tag::give(session, &client, (&name, &model)).await,
            _ => Err(Fault::new(FaultKind::Usage, "which model, and which tag?")
                .try_("glebe model tag RUN/GEOCODE --as prod")),
        },
        ModelVerb::Delete { model, dry_run } => delete(session, &client, &model, dry_run).await,
    }
}

/// Deletes one model, or all of a run; asks first.
async fn delete(session: &Session, client: &Client, text: &str, dry_run: bool) -> Done {
    let (run, geocode) = match text.split_once('/') {
        Some((run, geocode)) => (run, Some(geocode.to_ascii_lowercase())),
        None => (text, None),
    };
    let mut params = DeleteModelsParams {
        run: run.to_owned(),
        geocode,
        dry_run: true,
    };
    let would = client.delete_models(&params).await?;
    let what = format!(
        "{} models of {text}, {} a replica",
        would.models,
        bytes(would.bytes)
    );
    if dry_run {
        if session.screen.is_json() {
            session.screen.json(&would);
        }
        session.screen.note(format!("would delete {what}"));
        return Ok(ExitCode::SUCCESS);
    }
    session.screen.confirm(&format!("delete {what}"))?;
    params.dry_run = false;
    let deleted = client.delete_models(&params).await?;
    if session.screen.is_json() {
        session.screen.json(&deleted);
    }
    session.screen.note(format!("deleted {what}"));
    session.screen.note(format!(
        "run {run} does not learn them again; the same glebe train with another --name does"
    ));
    Ok(ExitCode::SUCCESS)
}

/// Lists models; `chosen` says that not all were asked for.
fn list(session: &Session, models: &Models, chosen: bool) -> ExitCode {
    if session.screen.is_json() {
        session.screen.json(models);
    } else {
        let mut table = Table::new(&[
            ("RUN", Align::Left),
            ("GEOCODE", Align::Left),
            ("RECIPE", Align::Left),
            ("VAL MSE", Align::Right),
            ("MEAN", Align::Right),
            ("LINEAR", Align::Right),
            ("TEST MSE", Align::Right),
            ("R2", Align::Right),
            ("SPLITS", Align::Right),
            ("SIZE", Align::Right),
            ("TAGS", Align::Left),
        ]);
        for m in &models.models {
            table.row([
                m.run.clone(),
                m.geocode.clone(),
                m.recipe.clone(),
                format!("{:.6}", m.metrics.val_mse),
                format!("{:.6}", m.metrics.mean_mse),
                format!("{:.6}", m.metrics.linear_mse),
                m.metrics
                    .test
                    .map_or_else(|| "-".to_owned(), |test| format!("{:.6}", test.mse)),
                m.metrics
                    .val_r2
                    .map_or_else(|| "-".to_owned(), |r2| format!("{r2:.3}")),
                m.splits.to_string(),
                bytes(m.bytes),
                m.tags.join(" "),
            ]);
        }
        table.print();
    }
    if !models.complete {
        session
            .screen
            .note("partial: not every node answered; models may be missing");
        return ExitCode::from(FaultKind::Partial.exit_code());
    }
    if models.models.is_empty() {
        let step = if chosen {
            "glebe model list, which lists all"
        } else {
            "glebe train ndvi-cnn"
        };
        session.screen.none("models", step);
    }
    ExitCode::SUCCESS
}

async fn pull(session: &Session, client: &Client, args: &ModelPull) -> Done {
    let found = choose::all(client, args.model.as_deref(), &args.place).await?;
    if args.bundle {
        return bundle::pull(session, client, (found, &args.out)).await;
    }
    let Chosen { model, instead } = choose::one(found)?;
    let instead = match instead {
        None => stand_in::parent(client, &args.place, &model).await?,
        told => told,
    };
    if let Some(note) = instead {
        session.screen.note(note);
    }
    room::one(&args.out, &model)?;
    let total = download(client, &model, &args.out).await?;
    if session.screen.is_json() {
        session.screen.json(&model);
    } else {
        line(&args.out.display().to_string());
    }
    session.screen.note(format!(
        "{}/{}  {} files, {}, blake3 ok",
        model.run,
        model.geocode,
        model.files.len(),
        bytes(total)
    ));
    session.screen.note(format!(
        "next: glebe predict {} SCENE -O out.tif",
        args.out.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Downloads a model folder; returns its bytes. What an earlier one brought whole stays.
pub(crate) async fn download(client: &Client, model: &ModelView, out: &Path) -> Result<u64, Fault> {
    let mut total = 0;
    for file in &model.files {
        if crate::download::is_whole(&out.join(&file.name), &file.blake3)? == Some(true) {
            total += file.bytes;
            continue;
        }
        let (run, geocode) = (model.run.clone(), model.geocode.clone());
        let wanted = ModelFileParams {
            run,
            geocode,
            name: file.name.clone(),
        };
        let blake3 = &file.blake3;
        let rest = |offset| client.model_file_rest(&wanted, Rest { offset, blake3 });
        total += crate::download::file(rest, (out, &file.name), blake3).await?;
    }
    Ok(total)
}
