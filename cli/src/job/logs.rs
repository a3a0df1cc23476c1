//! `glebe job logs`: what was said of a run's jobs, from all nodes.
//!
//! *Invariants*: no line is printed twice; following ends with the run; `-o json` is one document,
//! `-o ndjson` a line each.
//!
//! *Not here*: what is said, and how long it is kept (node, trainer).

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use wire::client::Client;
use wire::diary::{Event, Line, LogRequest};
use wire::fault::{Fault, FaultKind};
use wire::run::JobState;

use crate::Done;
use crate::args::Output;
use crate::print::line;
use crate::session::Session;

/// Time between looks while following.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A log as one document.
#[derive(Debug, Serialize)]
struct Document {
    lines: Vec<Line>,
    /// Every node answered.
    complete: bool,
}

/// Prints the log of a run or of one of its jobs; with `follow` until the run has ended.
pub(super) async fn run(session: &Session, job: &str, follow: bool) -> Done {
    let is_document = session.screen.output == Output::Json;
    if is_document && follow {
        return Err(
            Fault::new(FaultKind::Usage, "--follow does not go with -o json")
                .because("a log that goes on is no whole document")
                .try_("-o ndjson, one JSON object a line"),
        );
    }
    let client = session.client().await?;
    let (name, geocode) = match job.split_once('/') {
        Some((run, geocode)) => (run, Some(geocode.to_owned())),
        None => (job, None),
    };
    let mut request = LogRequest {
        geocode,
        ..LogRequest::default()
    };
    let (mut said, mut lines) = (0, Vec::new());
    loop {
        // Asked before the lines, so that those of an end that is seen are printed, too.
        let over = !follow || has_ended(&client, name, request.geocode.as_deref()).await?;
        let page = client.run_logs(name, &request).await?;
        said += page.lines.len();
        if is_document {
            lines.extend(page.lines);
        } else {
            page.lines.iter().for_each(|l| print(session, l));
        }
        request.after = page.after;
        if page.more {
            continue;
        }
        if over {
            if is_document {
                let complete = page.complete;
                session.screen.json(&Document { lines, complete });
            }
            return ended(session, (job, said), page.complete);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn ended(session: &Session, (job, said): (&str, usize), complete: bool) -> Done {
    if !complete {
        session.screen.note("partial: not every node answered");
        return Ok(ExitCode::from(FaultKind::Partial.exit_code()));
    }
    if said == 0 {
        let what = format!("nothing was said of {job}");
        return Err(Fault::new(FaultKind::Nothing, what).try_("glebe job show RUN"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells whether nothing more will be said.
async fn has_ended(client: &Client, run: &str, geocode: Option<&str>) -> Result<bool, Fault> {
    let view = client.run(run).await?;
    let open = |state| {
        matches!(
            state,
            JobState::Waiting | JobState::Running | JobState::Paused
        )
    };
    let asked = |cell: &str| geocode.is_none_or(|geocode| geocode == cell);
    let mut jobs = view.jobs.iter().filter(|job| asked(&job.geocode));
    Ok(view.complete && !jobs.any(|job| open(job.state)))
}

fn print(session: &Session, said: &Line) {
    if session.screen.is_json() {
        session.screen.json_line(said);
    } else {
        line(&told(said));
    }
}

/// Writes a line for people.
fn told(said: &Line) -> String {
    let (at, cell) = (said.entry.at.strftime("%Y-%m-%d %H:%M:%S"), &said.geocode);
    match &said.entry.event {
        Event::Said(text) => format!("{at} {cell} {text}"),
        Event::Epoch(e) => format!(
            "{at} {cell} epoch {}: loss {:.4e}, validation {:.4e}{}, {:.2} s",
            e.epoch,
            e.train_mse,
            e.validation_mse,
            if e.best { " (best)" } else { "" },
            e.seconds,
        ),
    }
}
