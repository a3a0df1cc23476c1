//! This node's part in training runs.
//!
//! *Invariants*: jobs are planned from this node's own index, in the slots that the conduit says
//! are its own, and parents from all that lies here: training moves no imagery; of what matches,
//! only the cells that the run was settled for; none are planned from a doubtful index.
//!
//! *Not here*: telling jobs (`pages`), leases and workers (`runs`), which node plans which slot
//! (`cluster::training`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use earth::geocode::Geocode;
use earth::split::collection::Collection;
use query::Query;
use query::index::Turn;
use query::page::{Order, Position};
use query::predicate::Predicate;
use wire::fault::{Fault, FaultKind};
use wire::run::{JobCounts, JobState, Run};

use super::{doubt, working};
use crate::cluster::core::Core;
use crate::cluster::training::RUN_BYTES_MAX;
use crate::identity::NodeId;
use crate::peer::{
    Fates, FatesRequest, LogPart, LogsRequest, PlanRequest, Planned, Question, Response,
    RivalsRequest, Steer,
};
use crate::runs::book::{JobKey, Published};
use crate::runs::{KnownRun, PlannedSplit, Runs};
use crate::slots::SlotSet;
use crate::store::{Record, Store};

/// Splits read at a time while planning.
const PAGE_ROWS: usize = 1_024;

/// Returns the geocodes of the cells here that splits match of.
pub(super) async fn cells(core: &Arc<Core>, question: Question) -> Result<Vec<String>, Fault> {
    let query = super::listing::parse(&question)?;
    let store = Arc::clone(&core.store);
    working(move || {
        let mut cells = BTreeSet::new();
        each(&store, (&query, &question.slots), |position, _| {
            if !cells.contains(position.id.geocode()) {
                cells.insert(position.id.geocode().to_owned());
            }
        })?;
        // Each travels with a byte for its length.
        let bytes: usize = cells.iter().map(|cell| cell.len() + 1).sum();
        if bytes > RUN_BYTES_MAX {
            return Err(too_many(cells.len()));
        }
        Ok(cells.into_iter().collect())
    })
    .await?
}

/// Refuses a run of so many cells that their names do not fit a message.
pub(crate) fn too_many(cells: usize) -> Fault {
    let what = format!("{cells} cells are too many for one run");
    Fault::new(FaultKind::Usage, what)
        .because("their names travel with the run, in one message of 4 MiB")
        .try_("a --geocode or --bbox that holds fewer, in several runs")
}

/// Plans, or counts, the jobs of a run.
pub(super) async fn plan(core: &Arc<Core>, request: PlanRequest) -> Result<Planned, Fault> {
    let run: Run = serde_json::from_str(&request.run).map_err(|e| {
        Fault::new(FaultKind::Usage, "the run cannot be read").because(e.to_string())
    })?;
    if !request.dry_run {
        doubt::may_say(core)?;
    }
    let of = Arc::clone(core);
    let (me, collections) = (
        core.me.to_string(),
        core.catalog().await.collections.clone(),
    );
    working(move || {
        let mut splits = local_splits(&of.store, &run, &request.slots)?;
        let own = splits.len() as u64;
        splits.extend(of_parents(&of.store, (&run, &me), &collections)?);
        let cells: BTreeSet<&str> = splits.iter().map(|s| s.cell.as_str()).collect();
        let planned = Planned {
            splits: own,
            jobs: cells.len() as u64,
        };
        if !request.dry_run {
            // The index may have turned out to be damaged just now.
            doubt::may_say(&of)?;
            of.runs
                .plan(&run, (&request.slots, &splits), &BTreeMap::new())?;
        }
        Ok(planned)
    })
    .await?
}

/// Finds the folders again of all jobs that were planned before a restart.
pub(crate) fn plan_again(store: &Store, runs: &Runs) -> Result<(), Fault> {
    for known in runs.known() {
        let jobs = runs.jobs(&known.run.name);
        let cells: BTreeSet<&str> = jobs.iter().map(|job| job.geocode.as_str()).collect();
        let mut splits = local_splits(store, &known.run, &SlotSet::all())?;
        // A parent's job learns from the cells in it.
        let is_of = |cell: &str| (1..=cell.len()).any(|n| cells.contains(&cell[..n]));
        splits.retain(|split| is_of(&split.cell));
        runs.remind(&splits);
    }
    Ok(())
}

/// Plans the cells of a run in slots whose planner is gone; those in `published` are done already.
/// An error if the index is doubtful.
pub(crate) fn take_over(
    core: &Core,
    (run, slots): (&Run, &SlotSet),
    published: &BTreeMap<String, Published>,
) -> Result<u64, Fault> {
    let splits = local_splits(&core.store, run, slots)?;
    doubt::may_say(core)?;
    core.runs.plan(run, (slots, &splits), published)
}

/// Returns what is known here of a run and of some of its cells.
pub(super) async fn fates(core: &Arc<Core>, asked: FatesRequest) -> Result<Fates, Fault> {
    let (runs, of) = (Arc::clone(&core.runs), Arc::clone(core));
    working(move || {
        let known = runs.known_run(&asked.run);
        let fate = |geocode: String| {
            let run = asked.run.clone();
            runs.fate(&JobKey { run, geocode })
        };
        Fates {
            wished: known.as_ref().map(|known| known.wished).unwrap_or_default(),
            slots: known.map_or_else(SlotSet::none, |known| vouched(&of, &known)),
            cells: asked.cells.iter().cloned().map(fate).collect(),
        }
    })
    .await
}

/// Looks what a donor of a run left, for it has ended.
pub(super) fn heed(core: &Core, run: &str) -> Response {
    tracing::debug!(run, "a donor has ended");
    core.runs.tidings.notify_one();
    Response::Done
}

/// Looks whether cells of a run are this node's to plan, for another knows of some without a job.
pub(super) async fn unplanned(core: &Arc<Core>, run: String) -> Result<Response, Fault> {
    let runs = Arc::clone(&core.runs);
    working(move || runs.note_unplanned(&run)).await?;
    Ok(Response::Done)
}

/// Returns the slots of a run whose cells have all been planned, here or where they were left to.
pub(crate) fn vouched(core: &Core, known: &KnownRun) -> SlotSet {
    let is_there = |node: &NodeId| core.look(|view| view.table.may_answer(node));
    known.vouched(|node| NodeId::parse(node).is_ok_and(|node| is_there(&node)))
}

/// Tells of each of another node's jobs whether it may go, for one here stays.
pub(super) async fn rivals(
    core: &Arc<Core>,
    from: &NodeId,
    asked: RivalsRequest,
) -> Result<Vec<bool>, Fault> {
    let (runs, by) = (Arc::clone(&core.runs), from.to_string());
    working(move || runs.weigh(&asked.run, &by, &asked.jobs)).await
}

/// Finds what the parents learn from that are trained here: all that lies here of the cells in
/// them.
fn of_parents(
    store: &Store,
    (run, me): (&Run, &str),
    collections: &[Collection],
) -> Result<Vec<PlannedSplit>, Fault> {
    let donors = run.inheritance.iter().flat_map(|i| &i.donors);
    let ours = donors.filter(|donor| donor.holder.as_deref() == Some(me));
    let parents: BTreeMap<&str, &str> = ours
        .flat_map(|donor| {
            donor
                .heirs
                .iter()
                .map(|heir| (heir.as_str(), donor.geocode.as_str()))
        })
        .collect();
    if parents.is_empty() {
        return Ok(Vec::new());
    }
    let all = local_splits(store, run, &SlotSet::all())?;
    let moved = |split: PlannedSplit| {
        let cell = (*parents.get(split.cell.as_str())?).to_owned();
        let of = |c: &&Collection| c.name == split.id.collection();
        let collection = collections.iter().find(of)?;
        let parent = Geocode::parse(collection.scheme, &cell).ok()?;
        Some(PlannedSplit {
            placement_key: collection.placement.key(&parent),
            cell,
            ..split
        })
    };
    Ok(all.into_iter().filter_map(moved).collect())
}

/// Finds this node's splits of a run: of the collections and the cells that it was settled for.
fn local_splits(store: &Store, run: &Run, slots: &SlotSet) -> Result<Vec<PlannedSplit>, Fault> {
    let mut splits = Vec::new();
    each(store, (&run.query, slots), |Position { id, .. }, record| {
        let is_known = run.collections.iter().any(|c| c == id.collection());
        if is_known && run.is_of(id.geocode()) {
            splits.push(PlannedSplit {
                cell: id.geocode().to_owned(),
                id,
                folder: store.folder(&record),
                placement_key: record.placement_key,
            });
        }
    })?;
    Ok(splits)
}

/// Goes through this node's splits that match in some slots.
fn each(
    store: &Store,
    (query, slots): (&Query, &SlotSet),
    mut take: impl FnMut(Position, Record),
) -> Result<(), Fault> {
    let predicate = Predicate::compile(query)?;
    let order = Order::new(&[]);
    let mut after = None;
    loop {
        let turn = Turn {
            slots,
            order: &order,
            after: after.as_ref(),
            rows_max: PAGE_ROWS,
        };
        let page = store.query(&predicate, &turn)?;
        for (position, record) in page.hits {
            take(position, record);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Does what a user wants of a run's jobs here; returns how many changed.
pub(super) async fn steer(core: &Arc<Core>, asked: Steer) -> Result<u64, Fault> {
    let runs = Arc::clone(&core.runs);
    let done = asked.done.into_iter().collect();
    working(move || runs.steer(&asked.run, asked.wished, &done)).await?
}

/// Returns what was said of a run's jobs here.
pub(super) async fn logs(core: &Arc<Core>, asked: LogsRequest) -> Result<LogPart, Fault> {
    let runs = Arc::clone(&core.runs);
    let LogsRequest {
        run,
        geocode,
        after,
    } = asked;
    let pages = working(move || runs.said(&run, geocode.as_deref(), after)).await??;
    let lines = serde_json::to_string(&pages.lines)
        .map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
    Ok(LogPart {
        lines,
        next: pages.next,
        more: pages.more,
    })
}

/// Counts the jobs of runs.
pub(super) async fn counts(core: &Arc<Core>, names: Vec<String>) -> Result<Vec<JobCounts>, Fault> {
    let runs = Arc::clone(&core.runs);
    working(move || names.iter().map(|name| runs.counts(Some(name))).collect()).await
}

/// Returns the jobs that run here, and the names of runs with unfinished jobs.
pub(super) fn busy(runs: &Runs) -> (u64, Vec<String>) {
    let unfinished = |name: &String| {
        let jobs = runs.jobs(name);
        let open = |state| matches!(state, JobState::Waiting | JobState::Running);
        jobs.iter().any(|job| open(job.state))
    };
    let names = runs.known().into_iter().map(|known| known.run.name.clone());
    (runs.at_work(), names.filter(unfinished).collect())
}
