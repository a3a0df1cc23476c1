//! This node's part in training runs.
//!
//! *Invariants*: jobs are planned from this node's own index, in the slots that the conduit says
//! are its own: training moves no imagery.
//!
//! *Not here*: leases and workers (`runs`), which node plans which slot (`cluster::training`).

use std::collections::BTreeSet;
use std::sync::Arc;

use query::index::Turn;
use query::page::Order;
use query::predicate::Predicate;
use wire::fault::{Fault, FaultKind};
use wire::run::{JobCounts, JobState, Run};

use super::working;
use crate::cluster::core::Core;
use crate::peer::{PlanRequest, Planned};
use crate::runs::{PlannedSplit, Runs};
use crate::slots::SlotSet;
use crate::store::Store;

/// Splits read at a time while planning.
const PAGE_ROWS: usize = 1_024;

/// Plans, or counts, the jobs of a run.
pub(super) async fn plan(core: &Arc<Core>, request: PlanRequest) -> Result<Planned, Fault> {
    let run: Run = serde_json::from_str(&request.run).map_err(|e| {
        Fault::new(FaultKind::Usage, "the run cannot be read").because(e.to_string())
    })?;
    let (store, runs) = (Arc::clone(&core.store), Arc::clone(&core.runs));
    working(move || {
        let splits = local_splits(&store, &run, &request.slots)?;
        let cells: BTreeSet<&str> = splits.iter().map(|s| s.id.geocode()).collect();
        let planned = Planned {
            splits: splits.len() as u64,
            jobs: cells.len() as u64,
        };
        if !request.dry_run {
            runs.plan(&run, &splits)?;
        }
        Ok(planned)
    })
    .await?
}

/// Finds the folders again of all jobs that were planned before a restart.
pub(crate) fn plan_again(store: &Store, runs: &Runs) -> Result<(), Fault> {
    for run in runs.known() {
        let jobs = runs.jobs(&run.name);
        let cells: BTreeSet<&str> = jobs.iter().map(|job| job.geocode.as_str()).collect();
        let mut splits = local_splits(store, &run, &SlotSet::all())?;
        splits.retain(|split| cells.contains(split.id.geocode()));
        runs.plan(&run, &splits)?;
    }
    Ok(())
}

fn local_splits(store: &Store, run: &Run, slots: &SlotSet) -> Result<Vec<PlannedSplit>, Fault> {
    let predicate = Predicate::compile(&run.query)?;
    let order = Order::new(&[]);
    let mut splits = Vec::new();
    let mut after = None;
    loop {
        let turn = Turn {
            slots,
            order: &order,
            after: after.as_ref(),
            rows_max: PAGE_ROWS,
        };
        let page = store.query(&predicate, &turn)?;
        splits.extend(
            page.hits
                .into_iter()
                .map(|(position, record)| PlannedSplit {
                    id: position.id,
                    folder: store.folder(&record),
                    placement_key: record.placement_key,
                }),
        );
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(splits),
        }
    }
}

/// Returns the jobs of a run as JSON.
pub(super) async fn jobs(core: &Arc<Core>, run: String) -> Result<String, Fault> {
    let runs = Arc::clone(&core.runs);
    let jobs = working(move || runs.jobs(&run)).await?;
    serde_json::to_string(&jobs).map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))
}

/// Counts the jobs of runs.
pub(super) async fn counts(core: &Arc<Core>, names: Vec<String>) -> Result<Vec<JobCounts>, Fault> {
    let runs = Arc::clone(&core.runs);
    working(move || names.iter().map(|name| runs.counts(Some(name))).collect()).await
}

/// Returns the jobs running, and the names of runs with unfinished jobs.
pub(super) fn busy(runs: &Runs) -> (u64, Vec<String>) {
    let unfinished = |name: &String| {
        let jobs = runs.jobs(name);
        let open = |state| matches!(state, JobState::Waiting | JobState::Running);
        jobs.iter().any(|job| open(job.state))
    };
    let names = runs.known().into_iter().map(|run| run.name);
    (
        runs.counts(None).running,
        names.filter(unfinished).collect(),
    )
}
