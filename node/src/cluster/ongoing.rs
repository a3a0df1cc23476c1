//! What users want of runs under way, and what was said of their jobs, on all nodes.
//!
//! *Invariants*: a cell that has its model is not tried again, whoever trained it; of all that
//! users wanted the latest counts, so that who was away then does not bring back what was wanted
//! before.
//!
//! *Not here*: the jobs (`runs`), starting a run (`training`).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use wire::bundle::Kind;
use wire::diary::{Line, LogPage, LogRequest};
use wire::fault::{Fault, FaultKind};
use wire::run::{JobState, JobView, RunSteered, Wish};

use super::core::{Core, View};
use super::tend::published;
use super::training::{everybody, view};
use crate::identity::NodeId;
use crate::peer::{FatesRequest, LogPart, LogsRequest, Request, Response, Steer};
use crate::runs::Wished;
use crate::scatter::{self, PAGE_LIMIT};
use crate::slots::SlotSet;
use crate::store::ObjectKey;

/// Does what a user wants of a run's jobs on all nodes.
pub(super) async fn steer(core: &Arc<Core>, name: &str, wish: Wish) -> Result<RunSteered, Fault> {
    let done = match wish {
        Wish::Go => done(core, name).await?,
        Wish::Pause | Wish::Cancel => {
            exists(core, name).await?;
            Vec::new()
        }
    };
    let number = latest(core, name).await.number + 1;
    let request = Request::Steer(Steer {
        run: name.to_owned(),
        wished: Wished { number, wish },
        done,
    });
    let mut jobs = 0;
    let mut silent = 0;
    for answer in everybody(core, &request).await {
        match answer {
            Some(Response::Steered(theirs)) => jobs += theirs,
            _ => silent += 1,
        }
    }
    if silent > 0 {
        let verb = match wish {
            Wish::Go => "resumed",
            Wish::Pause => "paused",
            Wish::Cancel => "cancelled",
        };
        let what = format!("{jobs} jobs are {verb}; {silent} nodes do not answer");
        return Err(Fault::new(FaultKind::Partial, what).try_("the same command again"));
    }
    Ok(RunSteered { jobs })
}

/// Has a cancelled run go on that is announced again: the later word counts. Who does not answer
/// now hears it when it is back.
pub(super) async fn revive(core: &Arc<Core>, name: &str) -> Result<(), Fault> {
    if latest(core, name).await.wish != Wish::Cancel {
        return Ok(());
    }
    match steer(core, name, Wish::Go).await {
        Err(fault) if fault.kind == FaultKind::Partial => {
            tracing::warn!(run = name, %fault, "a cancelled run is announced again");
            Ok(())
        }
        steered => steered.map(drop),
    }
}

/// Returns the latest wish for a run that any node that answers has heard.
async fn latest(core: &Arc<Core>, name: &str) -> Wished {
    let request = Request::Fates(FatesRequest {
        run: name.to_owned(),
        cells: Vec::new(),
    });
    let answers = everybody(core, &request).await.into_iter();
    let wishes = answers.filter_map(|answer| match answer {
        Some(Response::Fates(fates)) => Some(fates.wished),
        _ => None,
    });
    wishes.max().unwrap_or_default()
}

async fn exists(core: &Arc<Core>, name: &str) -> Result<(), Fault> {
    let key = ObjectKey::new(Kind::Run, name);
    let known = scatter::record(core, &key).await?.is_some();
    known.then_some(()).ok_or_else(|| unknown(name))
}

/// Returns the cells of a run that have their models, or need none: those whose jobs say so, and
/// those whose models are in the ring, wherever their trainers are.
async fn done(core: &Arc<Core>, name: &str) -> Result<Vec<String>, Fault> {
    let view = view(core, name).await?.ok_or_else(|| unknown(name))?;
    let ended = |job: &JobView| matches!(job.state, JobState::Done | JobState::Dropped);
    let done = view.jobs.into_iter().filter(ended);
    let mut done: BTreeSet<String> = done.map(|job| job.geocode).collect();
    let (published, _) = published(core, name, SlotSet::all()).await;
    done.extend(published.into_keys());
    Ok(done.into_iter().collect())
}

fn unknown(name: &str) -> Fault {
    let what = format!("there is no run named '{name}'");
    Fault::new(FaultKind::Nothing, what).try_("glebe job list")
}

/// Gathers what was said of a run's jobs behind a position of each node, in order of time.
pub(super) async fn logs(
    core: &Arc<Core>,
    name: &str,
    asked: LogRequest,
) -> Result<LogPage, Fault> {
    exists(core, name).await?;
    let mut nodes = core.look(View::others);
    nodes.push(core.me.clone());
    let asks = nodes.into_iter().map(|node| {
        let request = LogsRequest {
            run: name.to_owned(),
            geocode: asked.geocode.clone(),
            after: asked.after.get(node.as_str()).copied().unwrap_or_default(),
        };
        async move {
            let part = ask(core, &node, request).await;
            (node, part)
        }
    });
    let mut page = LogPage {
        after: asked.after.clone(),
        complete: true,
        ..LogPage::default()
    };
    for (node, part) in join_all(asks).await {
        let lines = part.as_ref().and_then(|part| lines(&part.lines));
        let (Some(part), Some(lines)) = (part, lines) else {
            page.complete = false;
            continue;
        };
        page.lines.extend(lines);
        page.more |= part.more;
        page.after.insert(node.to_string(), part.next);
    }
    page.lines.sort_by_key(|line| line.entry.at);
    Ok(page)
}

async fn ask(core: &Arc<Core>, node: &NodeId, request: LogsRequest) -> Option<LogPart> {
    if !core.look(|view| view.table.may_answer(node)) {
        return None;
    }
    match core.ask(node, Request::Logs(request), PAGE_LIMIT).await {
        Ok(Response::Logs(part)) => Some(part),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "a node does not tell what was said");
            None
        }
    }
}

fn lines(text: &str) -> Option<Vec<Line>> {
    serde_json::from_str(text).ok()
}
