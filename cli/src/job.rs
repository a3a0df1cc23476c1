//! `glebe job`: runs and their jobs.
//!
//! *Invariants*: a job that failed shows its reason.
//!
//! *Not here*: starting a run (`train`).

mod logs;

use std::process::ExitCode;

use wire::fault::{Fault, FaultKind};
use wire::run::{RunSteered, RunView, Wish};

use crate::Done;
use crate::args::JobVerb;
use crate::print::{Align, Screen, Table, line};
use crate::session::Session;
use crate::status::short;
use crate::train;

pub(crate) async fn run(session: &Session, verb: JobVerb) -> Done {
    let client = session.client().await?;
    match verb {
        JobVerb::List => list(session).await,
        JobVerb::Show { run } => {
            let view = client.run(&run).await?;
            if session.screen.is_json() {
                session.screen.json(&view);
            } else {
                show(&view);
            }
            Ok(partial(&session.screen, view.complete))
        }
        JobVerb::Wait { run } => train::wait(session, &client, &run).await,
        JobVerb::Logs { job, follow } => logs::run(session, &job, follow).await,
        JobVerb::Cancel { run, dry_run } if dry_run => would(session, &run, Wish::Cancel).await,
        JobVerb::Pause { run, dry_run } if dry_run => would(session, &run, Wish::Pause).await,
        JobVerb::Resume { run, dry_run } if dry_run => would(session, &run, Wish::Go).await,
        JobVerb::Cancel { run, .. } => steer(session, &run, Wish::Cancel).await,
        JobVerb::Pause { run, .. } => steer(session, &run, Wish::Pause).await,
        JobVerb::Resume { run, .. } => resume(session, &run).await,
    }
}

/// Says how many jobs of a run a wish would change, as they stand now.
async fn would(session: &Session, run: &str, wish: Wish) -> Done {
    let view = session.client().await?.run_counted(run).await?;
    let jobs = view.counted().changed_by(wish);
    if session.screen.is_json() {
        session.screen.json(&RunSteered { jobs });
    }
    let verb = match wish {
        Wish::Go => "wait again",
        Wish::Pause => "be paused",
        Wish::Cancel => "be cancelled",
    };
    session
        .screen
        .note(format!("{jobs} jobs of {run} would {verb}"));
    Ok(partial(&session.screen, view.complete))
}

async fn steer(session: &Session, run: &str, wish: Wish) -> Done {
    let steered = steered(session, run, wish).await?;
    if session.screen.is_json() {
        session.screen.json(&steered);
    }
    Ok(ExitCode::SUCCESS)
}

async fn steered(session: &Session, run: &str, wish: Wish) -> Result<RunSteered, Fault> {
    let steered = session.client().await?.steer_run(run, wish).await?;
    let verb = match wish {
        Wish::Go => "wait again",
        Wish::Pause => "paused",
        Wish::Cancel => "cancelled",
    };
    let jobs = steered.jobs;
    session.screen.note(format!("{jobs} jobs of {run} {verb}"));
    Ok(steered)
}

/// Goes on with a run; an embedded one is waited for, since its node ends with the command, and
/// what came of it is the answer.
async fn resume(session: &Session, run: &str) -> Done {
    if session.settings.cluster.value.is_some() {
        let done = steer(session, run, Wish::Go).await?;
        session.screen.note(format!("watch: glebe job wait {run}"));
        return Ok(done);
    }
    steered(session, run, Wish::Go).await?;
    let client = session.client().await?;
    train::wait(session, &client, run).await
}

fn partial(screen: &Screen, complete: bool) -> ExitCode {
    if complete {
        return ExitCode::SUCCESS;
    }
    screen.note("partial: not every node answered");
    ExitCode::from(FaultKind::Partial.exit_code())
}

async fn list(session: &Session) -> Done {
    let runs = session.client().await?.runs().await?;
    let screen = &session.screen;
    if runs.runs.is_empty() && runs.complete {
        screen.none("runs", "glebe train ndvi-cnn");
    }
    if screen.is_json() {
        screen.json(&runs);
        return Ok(partial(screen, runs.complete));
    }
    let mut table = Table::new(&[
        ("RUN", Align::Left),
        ("RECIPE", Align::Left),
        ("WAITING", Align::Right),
        ("RUNNING", Align::Right),
        ("DONE", Align::Right),
        ("FAILED", Align::Right),
        ("CANCELLED", Align::Right),
        ("PAUSED", Align::Right),
        ("DROPPED", Align::Right),
    ]);
    for run in &runs.runs {
        let jobs = &run.jobs;
        let counts = [
            jobs.waiting,
            jobs.running,
            jobs.done,
            jobs.quarantined,
            jobs.cancelled,
            jobs.paused,
            jobs.dropped,
        ];
        let counts = counts.map(|n| n.to_string());
        table.row(
            [run.name.clone(), run.recipe.clone()]
                .into_iter()
                .chain(counts),
        );
    }
    table.print();
    Ok(partial(screen, runs.complete))
}

fn show(view: &RunView) {
    let mut table = Table::new(&[
        ("GEOCODE", Align::Left),
        ("STATE", Align::Left),
        ("NODE", Align::Left),
        ("SPLITS", Align::Right),
        ("TRIES", Align::Right),
        ("SECONDS", Align::Right),
        ("VAL MSE", Align::Right),
        ("MEAN", Align::Right),
        ("LINEAR", Align::Right),
        ("START", Align::Left),
        ("REASON", Align::Left),
    ]);
    for job in &view.jobs {
        let score = |pick: fn(&wire::model::Metrics) -> f64| {
            job.metrics
                .as_ref()
                .map(|m| format!("{:.6}", pick(m)))
                .unwrap_or_default()
        };
        table.row([
            job.geocode.clone(),
            format!("{:?}", job.state).to_lowercase(),
            short(job.at()).to_owned(),
            job.splits.to_string(),
            job.attempts.to_string(),
            job.seconds.map(|s| format!("{s:.1}")).unwrap_or_default(),
            score(|m| m.val_mse),
            score(|m| m.mean_mse),
            score(|m| m.linear_mse),
            train::heirs::start(job),
            job.reason.clone().unwrap_or_default(),
        ]);
    }
    table.print();
    line(&train::scores(view));
    if let Some(moved) = train::moved(view) {
        line(&moved);
    }
}
