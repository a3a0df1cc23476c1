//! Pages of this node's jobs of a run.
//!
//! *Invariants*: a page fits a message, and starts behind the geocode that it is told, so no job is
//! told twice and none that stays is left out; a slot is told as planned only with its jobs, or
//! with pages that tell them; all jobs that fit one message are told in one, as earlier nodes ask.
//!
//! *Not here*: gathering the pages of all nodes (`cluster::jobs`), planning (`jobs`).

use std::sync::Arc;

use wire::fault::{Fault, FaultKind};

use super::{jobs, working};
use crate::cluster::core::Core;
use crate::peer::{JobsPage, JobsRequest, Response};
use crate::runs::Runs;
use crate::slots::SlotSet;
use crate::swarm::CHUNK_BYTES_MAX;

/// Greatest list of all jobs: what ever fitted a message, with the slots behind it.
const WHOLE_BYTES_MAX: usize = CHUNK_BYTES_MAX;
/// Greatest page: on a line of 2 Mbit/s it arrives in time.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// Jobs looked at for a page: no more fit one, for each takes some 130 bytes or more.
const JOBS_MAX: usize = 32_768;

/// Returns the jobs of a run, or the first of them where they do not fit a message.
pub(super) async fn first(core: &Arc<Core>, run: String) -> Result<Response, Fault> {
    Ok(answer(page(core, (run, None), WHOLE_BYTES_MAX).await?))
}

/// Returns the jobs of a run behind one.
pub(super) async fn behind(core: &Arc<Core>, asked: JobsRequest) -> Result<JobsPage, Fault> {
    page(core, (asked.run, Some(asked.after)), PAGE_BYTES_MAX).await
}

/// Answers who asks for all jobs: if this is all of them, as nodes did that knew no pages.
fn answer(page: JobsPage) -> Response {
    if page.more {
        Response::JobsPage(page)
    } else {
        Response::Jobs(page.jobs, page.slots)
    }
}

async fn page(
    core: &Arc<Core>,
    (run, after): (String, Option<String>),
    bytes_max: usize,
) -> Result<JobsPage, Fault> {
    let (runs, of) = (Arc::clone(&core.runs), Arc::clone(core));
    working(move || {
        // Before the jobs: of what is planned in between, no slot is told without its jobs.
        let slots = runs.known_run(&run).map(|known| jobs::vouched(&of, &known));
        let (jobs, more) = cut(&runs, (&run, after.as_deref()), bytes_max)?;
        Ok(JobsPage {
            jobs,
            slots: slots.unwrap_or_else(SlotSet::none),
            more,
        })
    })
    .await?
}

/// Returns as many jobs behind one as fit, as JSON, and whether more follow.
fn cut(
    runs: &Runs,
    (run, after): (&str, Option<&str>),
    bytes_max: usize,
) -> Result<(String, bool), Fault> {
    let jobs = runs.jobs_behind(run, after, JOBS_MAX + 1);
    let mut text = "[".to_owned();
    let mut told = 0;
    for job in jobs.iter().take(JOBS_MAX) {
        let json = serde_json::to_string(job)
            .map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
        // A job may be longer than a page: then it is one of its own.
        if told > 0 && text.len() + json.len() + ",]".len() > bytes_max {
            break;
        }
        if told > 0 {
            text.push(',');
        }
        text.push_str(&json);
        told += 1;
    }
    text.push(']');
    Ok((text, told < jobs.len()))
}

#[cfg(test)]
mod tests;
