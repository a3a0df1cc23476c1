//! `glebe job logs`: what was said of a run's jobs, from all nodes.
//!
//! *Invariants*: no line is printed twice; following ends with the run, or with the one job; how
//! that stands is asked as counts, and all jobs are read only where one of them may have ended; `-o
//! json` is one document, `-o ndjson` a line each.
//!
//! *Not here*: what is said, and how long it is kept (node, trainer).

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use wire::client::Client;
use wire::diary::{Event, Line, LogRequest};
use wire::fault::{Fault, FaultKind};
use wire::run::{JobCounts, JobView};

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
    let (mut said, mut lines, mut looked) = (0, Vec::new(), Looked::default());
    loop {
        // Asked before the lines, so that those of an end that is seen are printed, too.
        let over = !follow || {
            let of = (name, request.geocode.as_deref());
            looked.has_ended(&client, of).await?
        };
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

/// How a run stood when it was looked at last.
#[derive(Debug, Default)]
struct Looked {
    /// Jobs that had ended, none of which was the one that is followed.
    ended: Option<u64>,
}

impl Looked {
    /// Tells whether nothing more will be said of a run, or of one of its jobs.
    async fn has_ended(
        &mut self,
        client: &Client,
        (run, geocode): (&str, Option<&str>),
    ) -> Result<bool, Fault> {
        let seen = client.run_counted(run).await?;
        let counts = seen.counted();
        if !seen.complete {
            return Ok(false);
        }
        let Some(geocode) = geocode.filter(|_| counts.ended() < counts.total()) else {
            return Ok(counts.ended() == counts.total());
        };
        if !self.is_due(counts.ended()) {
            return Ok(false);
        }
        let view = client.run(run).await?;
        // What was not told may have ended already.
        self.ended = view.complete.then_some(counts.ended());
        let mut jobs = view.jobs.iter().filter(|job| job.geocode == geocode);
        Ok(view.complete && jobs.all(has_ended))
    }

    /// Tells whether a job may have ended since: only then are all jobs read.
    fn is_due(&self, ended: u64) -> bool {
        self.ended != Some(ended)
    }
}

fn has_ended(job: &JobView) -> bool {
    let mut counts = JobCounts::default();
    counts.add(job.state);
    counts.ended() > 0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_jobs_are_read_at_first_and_then_only_if_one_has_ended() {
        let mut looked = Looked::default();
        assert!(looked.is_due(0), "it may have ended before");
        looked.ended = Some(7);
        assert!(!looked.is_due(7));
        assert!(looked.is_due(8));
        assert!(looked.is_due(6), "some were resumed");
    }
}
