//! `glebe model`: list, show and pull models.
//!
//! *Invariants*: a pulled file is whole and hashes to what the ring says; where a point or geocode
//! has no model of its own, its nearest ancestor's is taken, and that is said.
//!
//! *Not here*: training.

use std::path::Path;
use std::process::ExitCode;

use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::model::{ModelView, Models};
use wire::params::{DeleteModelsParams, ModelFileParams, ModelsParams};

use crate::Done;
use crate::args::{ModelPull, ModelVerb, Place};
use crate::print::{Align, Table, bytes, line};
use crate::session::Session;

pub(crate) async fn run(session: &Session, verb: ModelVerb) -> Done {
    let client = session.client().await?;
    match verb {
        ModelVerb::List { run, place } => {
            let models = client.models(&wanted(run, &place)?).await?;
            Ok(list(session, &models))
        }
        ModelVerb::Show { model } => {
            let model = named(&client, &model, &Place::default()).await?;
            session.screen.json(&model);
            Ok(ExitCode::SUCCESS)
        }
        ModelVerb::Pull(args) => pull(session, &client, &args).await,
        ModelVerb::Delete { model, dry_run } => delete(session, &client, &model, dry_run).await,
    }
}

/// Deletes one model, or all of a run; asks first where somebody can answer.
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
    Ok(ExitCode::SUCCESS)
}

/// Returns the parameters that select models of a run at a place.
fn wanted(run: Option<String>, place: &Place) -> Result<ModelsParams, Fault> {
    let point = place.at.as_deref().map(point).transpose()?;
    Ok(ModelsParams {
        run,
        geocode: place.geocode.as_ref().map(|g| g.to_ascii_lowercase()),
        lon: point.map(|p| p.0),
        lat: point.map(|p| p.1),
    })
}

fn point(text: &str) -> Result<(f64, f64), Fault> {
    let parts: Option<Vec<f64>> = text.split(',').map(|t| t.trim().parse().ok()).collect();
    match parts.as_deref() {
        Some([lon, lat]) if lon.abs() <= 180.0 && lat.abs() <= 90.0 => Ok((*lon, *lat)),
        _ => Err(
            Fault::new(FaultKind::Usage, format!("--at: '{text}' is no point"))
                .because("a point is longitude,latitude in degrees")
                .try_("--at -105.08,40.57"),
        ),
    }
}

fn list(session: &Session, models: &Models) -> ExitCode {
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
            ("R2", Align::Right),
            ("SPLITS", Align::Right),
            ("SIZE", Align::Right),
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
                    .val_r2
                    .map_or_else(|| "-".to_owned(), |r2| format!("{r2:.3}")),
                m.splits.to_string(),
                bytes(m.bytes),
            ]);
        }
        if !models.models.is_empty() {
            table.print();
        }
    }
    if !models.complete {
        session
            .screen
            .note("partial: not every node answered; models may be missing");
        return ExitCode::from(FaultKind::Partial.exit_code());
    }
    if models.models.is_empty() {
        session.screen.note("0 models. try: glebe train ndvi-cnn");
        return ExitCode::from(FaultKind::Nothing.exit_code());
    }
    ExitCode::SUCCESS
}

/// Finds one model by `RUN/GEOCODE`, or by run and place.
async fn named(client: &Client, text: &str, place: &Place) -> Result<ModelView, Fault> {
    let (run, geocode) = match text.split_once('/') {
        Some((run, geocode)) => (run, Some(geocode.to_ascii_lowercase())),
        None => (text, place.geocode.clone()),
    };
    let place = Place {
        geocode,
        at: place.at.clone(),
    };
    let run = (!run.is_empty()).then(|| run.to_owned());
    let models = client.models(&wanted(run, &place)?).await?;
    let best = models.models.into_iter().max_by_key(|m| m.geocode.len());
    best.ok_or_else(|| {
        Fault::new(FaultKind::Nothing, format!("no model {text}")).try_("glebe model list")
    })
}

async fn pull(session: &Session, client: &Client, args: &ModelPull) -> Done {
    let name = args.model.clone().unwrap_or_default();
    if name.is_empty() && args.place.geocode.is_none() && args.place.at.is_none() {
        return Err(Fault::new(FaultKind::Usage, "which model?")
            .try_("glebe model pull RUN/GEOCODE, --geocode 9xj5k or --at -105.08,40.57"));
    }
    let model = named(client, &name, &args.place).await?;
    if let Some(asked) = &args.place.geocode
        && *asked != model.geocode
    {
        let own = &model.geocode;
        session
            .screen
            .note(format!("{asked} has no model of its own; this is {own}'s"));
    }
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

/// Downloads a model folder; returns its bytes.
pub(crate) async fn download(client: &Client, model: &ModelView, out: &Path) -> Result<u64, Fault> {
    let mut total = 0;
    for file in &model.files {
        let (run, geocode) = (model.run.clone(), model.geocode.clone());
        let wanted = ModelFileParams {
            run,
            geocode,
            name: file.name.clone(),
        };
        let stream = client.model_file(&wanted).await?;
        total += crate::download::file(stream, out, &file.name, &file.blake3).await?;
    }
    Ok(total)
}
