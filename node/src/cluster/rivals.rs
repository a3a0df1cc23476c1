//! Cells of which two nodes have a job: one of them gives its own up.
//!
//! A node that comes back has jobs of cells that others took over meanwhile; a run that is told of
//! again is planned by who owns its cells by then. Each node asks the others about the jobs that it
//! has, whenever there are other nodes, or it has other jobs.
//!
//! *Invariants*: nobody gives a job up but for one whose node says that it stays; what a node had
//! when it stopped is not lent before the others were heard, or `HELD_MAX` is over; a job that
//! another node does as a guest is its home's alone, and no rival; nothing is said while nothing
//! has changed.
//!
//! *Not here*: which of two jobs stays (`runs::book`), giving one up (`runs::withdraw`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use wire::fault::Fault;

use super::core::{Core, View};
use crate::answer::working;
use crate::identity::NodeId;
use crate::peer::{Request, Response, Rival, RivalsRequest};
use crate::scatter::PAGE_LIMIT;

/// Longest that a node which comes back lends none of its jobs: others are heard within a second,
/// or are as good as gone.
const HELD_MAX: Duration = Duration::from_secs(5);
/// Time between questions while somebody has not answered yet.
const PACE: Duration = Duration::from_millis(200);
/// Most jobs in a message: some 20 bytes each.
const AT_ONCE_MAX: usize = 65_536;

/// What was compared, and with whom.
#[derive(Debug, Default)]
pub(super) struct Compared {
    with: BTreeSet<NodeId>,
    /// How many jobs of each run this node had then.
    sizes: BTreeMap<String, usize>,
}

/// Has a node that comes back lend nothing before the others were heard.
pub(super) fn hold(core: &Core) {
    if core.look(|view| !view.others().is_empty()) {
        core.runs.hold();
    }
}

/// Hears the others, and has this node lend its jobs then, or after `HELD_MAX`.
pub(super) async fn hear_out(core: &Arc<Core>, compared: &mut Compared) {
    let heard = async {
        while !matches!(compare(core, compared).await, Ok(true)) {
            tokio::time::sleep(PACE).await;
        }
    };
    if tokio::time::timeout(HELD_MAX, heard).await.is_err() {
        tracing::warn!("jobs are lent though not every node was heard: one may be done twice");
    }
    core.runs.let_go();
}

/// Compares this node's jobs with the others', where anything has changed; tells whether all that
/// may answer did.
pub(super) async fn compare(core: &Arc<Core>, compared: &mut Compared) -> Result<bool, Fault> {
    let others = core.look(others);
    if compared.with != others {
        compared.sizes.clear();
        compared.with.clone_from(&others);
    }
    let runs = Arc::clone(&core.runs);
    let (sizes, doubted) = working(move || (runs.sizes(), runs.doubted())).await?;
    compared.sizes.retain(|run, _| sizes.contains_key(run));
    let mut all = true;
    for (run, size) in sizes {
        if compared.sizes.get(&run) == Some(&size) && !doubted.contains(&run) {
            continue;
        }
        compared.sizes.remove(&run);
        let (answered, withdrawn) = compare_run(core, &run, &others).await?;
        all &= answered;
        if answered {
            compared.sizes.insert(run, size.saturating_sub(withdrawn));
        }
    }
    Ok(all)
}

/// Returns the other members that may answer.
fn others(view: &View) -> BTreeSet<NodeId> {
    let others = view.others().into_iter();
    others.filter(|node| view.table.may_answer(node)).collect()
}

/// Compares the jobs of one run; tells whether everybody answered, and how many jobs went.
async fn compare_run(
    core: &Arc<Core>,
    run: &str,
    others: &BTreeSet<NodeId>,
) -> Result<(bool, usize), Fault> {
    let (runs, of) = (Arc::clone(&core.runs), run.to_owned());
    let jobs = working(move || runs.rivals(&of)).await?;
    let (mut all, mut gone) = (true, 0);
    for jobs in jobs.chunks(AT_ONCE_MAX) {
        let asks = others.iter().map(|node| ask(core, node, (run, jobs)));
        for (node, may_go) in others.iter().zip(join_all(asks).await) {
            let Some(may_go) = may_go else {
                all = false;
                continue;
            };
            let going = jobs.iter().zip(may_go).filter(|(_, may_go)| *may_go);
            let going: Vec<Rival> = going.map(|(job, _)| job.clone()).collect();
            if going.is_empty() {
                continue;
            }
            let (runs, of, to) = (Arc::clone(&core.runs), run.to_owned(), node.to_string());
            let withdrawn = working(move || runs.withdraw(&of, &to, &going)).await??;
            tracing::info!(run, withdrawn, %node, "left jobs to a node that has them, too");
            gone += withdrawn;
        }
    }
    Ok((all, gone))
}

/// Asks a node which of these jobs may go; `None` if it does not say so.
async fn ask(core: &Arc<Core>, node: &NodeId, (run, jobs): (&str, &[Rival])) -> Option<Vec<bool>> {
    let request = Request::Rivals(RivalsRequest {
        run: run.to_owned(),
        jobs: jobs.to_vec(),
    });
    match core.ask(node, request, PAGE_LIMIT).await {
        Ok(Response::Rivals(may_go)) if may_go.len() == jobs.len() => Some(may_go),
        Ok(_) => {
            tracing::warn!(%node, "a node gave an answer that makes no sense");
            None
        }
        Err(error) => {
            tracing::debug!(%error, "a node does not tell whether it has the same jobs");
            None
        }
    }
}
