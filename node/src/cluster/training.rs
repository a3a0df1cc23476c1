//! Training runs over all nodes.
//!
//! *Invariants*: each node plans the cells of which it is the first live owner, from its own index:
//! jobs go to the data. A run's definition lies in the ring before any job of it exists, with who
//! starts from whose weights, its cells, and the collections that these are of: all three are
//! settled once, and a run without a cell is none.
//!
//! *Not here*: jobs and leases of one node (`runs`), gathering all jobs (`jobs`) or counting them
//! (`counts`), the cells of a node that is lost (`tend`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use earth::split::collection::Collection;
use earth::split::placement::PlacementKey;
use futures::future::join_all;
use query::Query;
use query::predicate::Predicate;
use query::route::route;
use wire::bundle::Kind;
use wire::fault::{Fault, FaultKind};
use wire::module::{self, MODULE_FILE, Module};
use wire::object::PutOutcome;
use wire::run::{JobCounts, Plan, Run, RunSummary, RunView, Runs};
use wire::transfer::{Inheritance, TransferMode};

use super::core::{AskError, Core};
use super::report::acting_primaries;
use super::{counts, jobs, ongoing, regions};
use crate::answer::jobs::too_many;
use crate::answer::working;
use crate::identity::NodeId;
use crate::peer::{PlanRequest, Request, Response};
use crate::replicate;
use crate::runs::inherit::{inheritance, tree};
use crate::scatter::{self, PAGE_LIMIT};
use crate::slots::SlotSet;
use crate::store::{Object, ObjectFile, ObjectKey, PutMode};

/// Longest that a node may take to plan its jobs.
const PLAN_LIMIT: Duration = Duration::from_mins(1);

/// Most bytes of a run's definition: it travels in one message of 4 MiB, with slots beside it.
pub(crate) const RUN_BYTES_MAX: usize = 7 << 19;

/// Plans a run; unless it is a dry run, keeps it first.
pub(super) async fn start(core: &Arc<Core>, run: Run, dry_run: bool) -> Result<Plan, Fault> {
    check(&run)?;
    let (run, known) = settled(core, run, dry_run).await?;
    let text =
        serde_json::to_string(&run).map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
    if text.len() > RUN_BYTES_MAX {
        return Err(too_many(run.cells.len()));
    }
    if !dry_run {
        if let Some(module) = &run.module {
            is_there(core, module).await?;
        }
        keep(core, &run.name, &text).await?;
        ongoing::revive(core, &run.name).await?;
    }
    let catalog = core.catalog().await;
    let slots = reach(&run, &catalog.collections)?;
    let mut plan = Plan {
        complete: known && catalog.missing.is_empty(),
        inheritance: run.inheritance,
        ..Plan::default()
    };
    let mut shares = core.look(acting_primaries);
    let mut planned_slots = SlotSet::none();
    for share in shares.values_mut() {
        share.intersect(&slots);
        planned_slots.union(share);
    }
    // Slots without a live owner are planned by nobody.
    plan.complete &= planned_slots.len() == slots.len();
    shares.retain(|_, share| !share.is_empty());
    // Who answered for most of a parent's cells may be the first owner of none.
    for holder in plan.inheritance.iter().flat_map(holders) {
        shares.entry(holder).or_insert_with(SlotSet::none);
    }
    let asked = shares.into_iter().map(|(node, slots)| {
        let request = PlanRequest {
            run: text.clone(),
            slots,
            dry_run,
        };
        plan_at(core, node, request)
    });
    for (node, planned) in join_all(asked).await {
        match planned {
            Ok(planned) => {
                plan.splits += planned.splits;
                plan.jobs += planned.jobs;
                if planned.jobs > 0 {
                    plan.jobs_by_node.insert(node.to_string(), planned.jobs);
                }
            }
            // One that doubts its index plans its share once it does no more.
            Err(AskError::Fault { fault, .. }) if fault.kind != FaultKind::Partial => {
                return Err(*fault);
            }
            Err(error) => {
                tracing::warn!(%error, "a node did not plan its jobs");
                plan.complete = false;
            }
        }
    }
    Ok(plan)
}

/// Refuses what cannot be a run, whatever is stored.
fn check(run: &Run) -> Result<(), Fault> {
    Predicate::compile(&run.query)?;
    run.check()?;
    if !earth::split::collection::is_name(&run.name) {
        let what = format!("'{}' cannot name a run", run.name);
        return Err(Fault::new(FaultKind::Usage, what).try_("glebe train … --name NAME"));
    }
    if let Some(module) = &run.module {
        module.check()?;
    }
    if run.module.is_some() != run.recipe.starts_with(module::PREFIX) {
        let what = format!("'{}' and a module do not go together", run.recipe);
        return Err(Fault::new(FaultKind::Usage, what).try_("glebe train torchscript:FILE.pt"));
    }
    Ok(())
}

/// Settles what is settled once for a run: who starts from whose weights, which cells it has, and
/// of which collections they are; a dry run goes without its cells. One that is stored already is
/// as it was settled then. Tells whether all that it follows from is known.
async fn settled(core: &Arc<Core>, run: Run, dry_run: bool) -> Result<(Run, bool), Fault> {
    let mut run = run.as_asked();
    let stored = scatter::record(core, &ObjectKey::new(Kind::Run, &run.name)).await?;
    let stored = stored.and_then(|record| record.read::<Run>().ok());
    if let Some(stored) = stored.filter(|stored| stored.as_asked() == run) {
        return Ok((stored, true));
    }
    let mut known = collections(core, &mut run, dry_run).await?;
    if !dry_run {
        run.cells = cells(core, &run).await?;
    }
    if !run.transfer.is_none() {
        let (mut cells, complete) = regions::by_node(core, &run.query).await?;
        for (_, theirs) in &mut cells {
            theirs.retain(|cell| run.is_of(&cell.geocode));
        }
        if !complete && !dry_run {
            let what = "not every node tells the textures of its cells";
            let why = "who starts from whose weights is settled once for a run";
            return Err(Fault::new(FaultKind::Partial, what)
                .because(why)
                .try_("glebe status, then the same command again; or --transfer none"));
        }
        known &= complete;
        let (wish, seed) = (run.transfer, run.seed);
        let answer = working(move || match wish.mode {
            TransferMode::Tree => tree(cells).map(Some),
            _ => inheritance(&wish, seed, regions::each_once(cells)),
        });
        run.inheritance = answer.await??;
    }
    Ok((run, known))
}

/// Asks which cells a run has, whose collections are settled. One without any is refused: nothing
/// would ever end it, and the corrected command could not have its name.
async fn cells(core: &Arc<Core>, run: &Run) -> Result<Vec<String>, Fault> {
    let query = Query {
        collections: run.collections.clone(),
        ..run.query.clone()
    };
    let (cells, complete) = regions::names(core, &query).await?;
    if !complete {
        let what = "not every node tells its cells";
        return Err(Fault::new(FaultKind::Partial, what)
            .because("which cells a run has is settled once")
            .try_("glebe status, then the same command again"));
    }
    if cells.is_empty() {
        let what = "no split matches, so there is nothing to train";
        return Err(Fault::new(FaultKind::Nothing, what)
            .try_("the same selectors with glebe search, which says why"));
    }
    Ok(cells.into_iter().collect())
}

/// Settles of which collections a run's cells are; tells whether all are known.
async fn collections(core: &Arc<Core>, run: &mut Run, dry_run: bool) -> Result<bool, Fault> {
    let catalog = core.catalog().await;
    let known = catalog.missing.is_empty();
    if !known && !dry_run {
        let what = "not every collection is in reach";
        return Err(Fault::new(FaultKind::Partial, what)
            .because("of which collections a run's cells are is settled once")
            .try_("glebe status, then the same command again"));
    }
    let asks =
        |name: &String| run.query.collections.is_empty() || run.query.collections.contains(name);
    let names = catalog.collections.iter().map(|c| c.name.clone());
    run.collections = names.filter(asks).collect();
    if run.collections.is_empty() && !dry_run {
        let what = "there is no collection to learn from";
        return Err(Fault::new(FaultKind::Nothing, what).try_("glebe search, which says why"));
    }
    Ok(known)
}

/// Returns the slots that can hold a cell of a run, which has been settled.
pub(super) fn reach(run: &Run, collections: &[Collection]) -> Result<SlotSet, Fault> {
    let of_run = collections
        .iter()
        .filter(|c| run.collections.contains(&c.name));
    let of_run: Vec<Collection> = of_run.cloned().collect();
    Ok(route(&Predicate::compile(&run.query)?, &of_run))
}

/// Returns the nodes that train the parents of a tree.
fn holders(inheritance: &Inheritance) -> impl Iterator<Item = NodeId> {
    let donors = inheritance.donors.iter();
    donors.filter_map(|donor| NodeId::parse(donor.holder.as_deref()?).ok())
}

async fn plan_at(
    core: &Arc<Core>,
    node: NodeId,
    request: PlanRequest,
) -> (NodeId, Result<crate::peer::Planned, AskError>) {
    let answer = core.ask(&node, Request::Plan(request), PLAN_LIMIT).await;
    let planned = match answer {
        Ok(Response::Planned(planned)) => Ok(planned),
        Ok(_) => Err(AskError::senseless(&node)),
        Err(error) => Err(error),
    };
    (node, planned)
}

/// Checks that a run's module is in the ring.
async fn is_there(core: &Arc<Core>, module: &Module) -> Result<(), Fault> {
    let key = ObjectKey::new(Kind::Module, &module.blake3);
    let record = scatter::record(core, &key).await?;
    if record.is_some_and(|record| record.file(MODULE_FILE).is_some()) {
        return Ok(());
    }
    let what = format!("there is no {key}");
    Err(Fault::new(FaultKind::Nothing, what)
        .because("a run's module is put into the ring before the run")
        .try_("glebe train torchscript:FILE.pt, which does both"))
}

/// Keeps the definition of a run; another run of that name is refused.
async fn keep(core: &Arc<Core>, name: &str, text: &str) -> Result<(), Fault> {
    let object = Object {
        key: ObjectKey::new(Kind::Run, name),
        placement_key: PlacementKey::named("run", name),
        files: vec![ObjectFile {
            name: "run.json".to_owned(),
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }],
    };
    let ack = replicate::put(core, object, PutMode::Keep).await?;
    if ack.outcome == PutOutcome::Kept {
        let what = format!("there is another run named '{name}'");
        return Err(Fault::new(FaultKind::Refused, what).try_("glebe train … --name ANOTHER"));
    }
    Ok(())
}

/// Returns the definition of a run as the ring holds it; `None` if there is no such run.
async fn definition(core: &Arc<Core>, name: &str) -> Result<Option<Run>, Fault> {
    let record = scatter::record(core, &ObjectKey::new(Kind::Run, name)).await?;
    let read = record.map(|record| record.read());
    read.transpose()
        .map_err(|e| Fault::new(FaultKind::Data, e.to_string()))
}

/// Returns a run with its jobs on all nodes.
pub(super) async fn view(core: &Arc<Core>, name: &str) -> Result<Option<RunView>, Fault> {
    let Some(run) = definition(core, name).await? else {
        return Ok(None);
    };
    let catalog = core.catalog().await;
    let mut unplanned = reach(&run, &catalog.collections)?;
    let told = jobs::told(core, name).await;
    unplanned.subtract(&told.slots);
    Ok(Some(RunView {
        run: Run {
            cells: Vec::new(),
            ..run
        },
        jobs: told.jobs,
        complete: catalog.missing.is_empty() && told.is_readable && unplanned.is_empty(),
        counts: None,
    }))
}

/// Returns a run with its jobs on all nodes counted. A run that this node knows is not asked for:
/// its definition never changes, and names each of its cells.
pub(super) async fn counted(core: &Arc<Core>, name: &str) -> Result<Option<RunView>, Fault> {
    let (runs, of) = (Arc::clone(&core.runs), name.to_owned());
    let known = working(move || runs.definition(&of)).await?;
    let run = match known {
        Some(run) => run,
        None => match definition(core, name).await? {
            Some(run) => Arc::new(run),
            None => return Ok(None),
        },
    };
    let catalog = core.catalog().await;
    let mut unplanned = reach(&run, &catalog.collections)?;
    let told = counts::told(core, name).await;
    unplanned.subtract(&told.slots);
    Ok(Some(RunView {
        run: run.for_job(),
        jobs: Vec::new(),
        complete: catalog.missing.is_empty() && told.is_readable && unplanned.is_empty(),
        counts: Some(told.counts),
    }))
}

/// Returns all runs with their jobs counted.
pub(super) async fn summaries(core: &Arc<Core>) -> Runs {
    let gathered = scatter::records(core, Kind::Run, SlotSet::all()).await;
    let mut complete = gathered.missing.is_empty();
    let read = gathered
        .answers
        .iter()
        .filter_map(|record| record.read::<Run>().ok());
    let runs: Vec<Run> = read.collect();
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    let mut counts: BTreeMap<&str, JobCounts> = BTreeMap::new();
    for answer in everybody(core, &Request::Counts(names.clone())).await {
        match answer {
            Some(Response::Counts(theirs)) if theirs.len() == names.len() => {
                for (name, theirs) in names.iter().zip(theirs) {
                    counts.entry(name).or_default().merge(&theirs);
                }
            }
            _ => complete = false,
        }
    }
    let summary = |run: &Run| RunSummary {
        name: run.name.clone(),
        recipe: run.recipe.clone(),
        mode: run.mode,
        seed: run.seed,
        jobs: counts.get(run.name.as_str()).copied().unwrap_or_default(),
    };
    Runs {
        runs: runs.iter().map(summary).collect(),
        complete,
    }
}

/// Asks every node; `None` for one that did not answer.
pub(super) async fn everybody(core: &Arc<Core>, request: &Request) -> Vec<Option<Response>> {
    let mut nodes = core.look(super::core::View::others);
    nodes.push(core.me.clone());
    let alive = |node: &NodeId| core.look(|view| view.table.may_answer(node));
    let asks = nodes.iter().map(|node| async move {
        if !alive(node) {
            return None;
        }
        core.ask(node, request.clone(), PAGE_LIMIT).await.ok()
    });
    join_all(asks).await
}
