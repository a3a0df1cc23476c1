//! What a node does for runs under way without being asked: it tells heirs what their donors left,
//! plans the cells whose planner is gone, and leaves to others what they have, too.
//!
//! *Invariants*: what another node says unasked is only a reason to look; what counts is the model
//! in the ring and what nodes answer, so that neither a lost message nor a restart leaves an heir
//! waiting; a cell whose model is published is not trained again; a run that cannot be looked after
//! keeps no other from it; no imagery moves.
//!
//! *Not here*: jobs and leases (`runs`), the first planning of a run (`training`), which of two
//! nodes' jobs stays (`rivals`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use earth::split::collection::Collection;
use futures::future::join_all;
use tokio::time::Instant;
use wire::bundle::Kind;
use wire::fault::Fault;
use wire::run::{JobState, Run, Wish};
use wire::transfer::Legacy;

use super::ceded::{self, Asked};
use super::core::{Core, View};
use super::report::acting_primaries;
use super::rivals::{self, Compared};
use super::settled::Settled;
use super::training::{reach, view};
use crate::answer::{doubt, jobs, working};
use crate::identity::NodeId;
use crate::peer::{Fates, FatesRequest, Request, Response};
use crate::runs::Wished;
use crate::runs::book::{JobKey, Published};
use crate::scatter::{self, PAGE_LIMIT};
use crate::slots::SlotSet;
use crate::store::ObjectKey;

/// Time between looks when nobody told of anything: a lost message costs an heir no more.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longest time between attempts to read all runs of the ring while some slots have no answer.
const LEARN_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long nobody may know of a donor before its heirs start cold: while one owner of its cell
/// lives, the cell is planned again within seconds of a loss.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// Most donors that are asked about in one message: what became of each is told in up to 8 KB, and
/// all in one answer.
const FATES_AT_ONCE_MAX: usize = 512;
/// The file of a model whose weights heirs start from.
const WEIGHTS_FILE: &str = "model.safetensors";

/// What was seen at earlier looks.
#[derive(Debug, Default)]
struct Memory {
    /// Since when nobody has known of a donor.
    silent: BTreeMap<JobKey, Instant>,
    learned: Option<Learned>,
    /// When that is tried again after it failed.
    retry: Retry,
    /// Of each run the slots in which nothing was left to be taken over since.
    settled: Settled,
    /// The jobs here that were compared with the others'.
    compared: Compared,
    /// Who told what became of jobs that were left to it.
    asked: Asked,
}

/// What there was when the runs were learned of.
#[derive(Debug, Clone, PartialEq)]
struct Learned {
    /// The nodes among whom they were.
    among: BTreeSet<NodeId>,
    collections: Arc<Vec<Collection>>,
    /// How often the index was doubtful: what this node was told to plan then it refused.
    doubts: u64,
}

/// When all runs are read again after not all could be.
#[derive(Debug, Default)]
struct Retry {
    /// What there was when they were read last.
    seen: Option<Learned>,
    wait: Duration,
    due: Option<Instant>,
}

impl Retry {
    /// Tells whether it is time: at once where something has changed, else after twice the time
    /// each.
    fn is_due(&mut self, now: &Learned) -> bool {
        if self.seen.as_ref() != Some(now) {
            *self = Self {
                seen: Some(now.clone()),
                ..Self::default()
            };
        }
        if self.due.is_some_and(|due| Instant::now() < due) {
            return false;
        }
        self.wait = LEARN_WAIT_MAX.min(LOOK_EVERY.max(self.wait * 2));
        self.due = Some(Instant::now() + self.wait);
        true
    }
}

/// Looks after runs until it is dropped.
pub(super) async fn run(core: Arc<Core>) {
    let mut memory = Memory::default();
    rivals::hear_out(&core, &mut memory.compared).await;
    loop {
        if let Err(fault) = look(&core, &mut memory).await {
            tracing::warn!(%fault, "runs under way are looked after later");
        }
        // A timeout is no error here: others may have ended without a word.
        drop(tokio::time::timeout(LOOK_EVERY, core.runs.tidings.notified()).await);
    }
}

/// Tells the other nodes that a donor of a run has ended; nobody waits for that.
pub(crate) fn announce_later(core: &Arc<Core>, run: &str) {
    let (of, run) = (Arc::clone(core), run.to_owned());
    let stop = core.stop.clone();
    let told = async move { announce(&of, &run).await };
    core.tasks.spawn(stop.run_until_cancelled_owned(told));
}

/// Tells all others that a donor of a run has ended; who does not hear it finds out by looking.
async fn announce(core: &Arc<Core>, run: &str) {
    let others = core.look(View::others_up);
    let heed = || Request::Heed(run.to_owned());
    let told = others.iter().map(|node| core.ask(node, heed(), PAGE_LIMIT));
    for failed in join_all(told).await.into_iter().filter_map(Result::err) {
        tracing::debug!(%failed, "a node was not told that a donor has ended");
    }
}

async fn look(core: &Arc<Core>, memory: &mut Memory) -> Result<(), Fault> {
    let taken = if core.link.is_some() {
        take_over(core, memory).await
    } else {
        Ok(())
    };
    tell_heirs(core, memory).await?;
    rivals::compare(core, &mut memory.compared).await?;
    ceded::review(core, &mut memory.asked).await?;
    taken
}

/// Tells heirs what their donors left, as far as that is known.
async fn tell_heirs(core: &Arc<Core>, memory: &mut Memory) -> Result<(), Fault> {
    let runs = Arc::clone(&core.runs);
    let awaited = working(move || runs.awaited()).await?;
    let waits = |key: &JobKey| {
        let donors = awaited.get(&key.run);
        donors.is_some_and(|donors| donors.contains(&key.geocode))
    };
    memory.silent.retain(|key, _| waits(key));
    for (run, donors) in awaited {
        if let Err(fault) = tell_heirs_of(core, (&run, donors), memory).await {
            tracing::warn!(run, %fault, "its heirs are told later");
        }
    }
    Ok(())
}

/// Tells the heirs of one run.
async fn tell_heirs_of(
    core: &Arc<Core>,
    (run, donors): (&str, BTreeSet<String>),
    memory: &mut Memory,
) -> Result<(), Fault> {
    let mut open = Vec::new();
    for geocode in donors {
        let run = run.to_owned();
        let donor = JobKey { run, geocode };
        match weights(core, &donor).await {
            Some(legacy) => bequeath(core, &donor, legacy).await?,
            None => open.push(donor),
        }
    }
    for open in open.chunks(FATES_AT_ONCE_MAX) {
        tell_fates(core, (run, open), memory).await?;
    }
    Ok(())
}

/// Tells the heirs of donors that have no model what became of these.
async fn tell_fates(
    core: &Arc<Core>,
    (run, donors): (&str, &[JobKey]),
    memory: &mut Memory,
) -> Result<(), Fault> {
    let cells: Vec<String> = donors.iter().map(|donor| donor.geocode.clone()).collect();
    let (answers, _) = fates(core, run, cells).await;
    for (i, donor) in donors.iter().enumerate() {
        let known = answers
            .iter()
            .filter_map(|fates| fates.cells.get(i)?.as_ref());
        match judge(&donor.geocode, &known) {
            Fate::Open => drop(memory.silent.remove(donor)),
            Fate::Ended(reason) => bequeath(core, donor, Legacy::Lost(reason)).await?,
            Fate::Unknown(reason) => {
                let since = memory.silent.entry(donor.clone());
                if since.or_insert_with(Instant::now).elapsed() > SILENCE_MAX {
                    bequeath(core, donor, Legacy::Lost(reason)).await?;
                }
            }
        }
    }
    Ok(())
}

/// Returns the weights of a donor's model, if it is in the ring.
async fn weights(core: &Arc<Core>, donor: &JobKey) -> Option<Legacy> {
    let key = ObjectKey::new(Kind::Model, format!("{}/{}", donor.run, donor.geocode));
    // What cannot be known now is asked again.
    let record = scatter::record(core, &key).await.ok()??;
    let file = record.file(WEIGHTS_FILE).cloned();
    Some(file.map_or_else(
        || Legacy::Lost(format!("the model of {} has no weights", donor.geocode)),
        Legacy::Weights,
    ))
}

async fn bequeath(core: &Arc<Core>, donor: &JobKey, legacy: Legacy) -> Result<(), Fault> {
    if let Legacy::Lost(reason) = &legacy {
        tracing::warn!(run = donor.run, %reason, "heirs start cold");
    }
    let (runs, donor) = (Arc::clone(&core.runs), donor.clone());
    working(move || runs.bequeath(&donor, &legacy)).await??;
    Ok(())
}

/// What became of a donor that has no model yet.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It will be trained.
    Open,
    /// It will not, for this reason.
    Ended(String),
    /// Nobody can tell.
    Unknown(String),
}

/// Judges what nodes know of a donor.
fn judge<'a>(
    donor: &str,
    known: &(impl Iterator<Item = &'a (JobState, Option<String>)> + Clone),
) -> Fate {
    let is = |state: JobState| known.clone().find(move |(s, _)| *s == state);
    let open = [JobState::Waiting, JobState::Running, JobState::Paused];
    if open.into_iter().find_map(is).is_some() {
        return Fate::Open;
    }
    if is(JobState::Done).is_some() {
        return Fate::Unknown(format!("the model of donor {donor} is gone"));
    }
    if let Some((_, reason)) = is(JobState::Quarantined) {
        let reason = reason.as_deref().unwrap_or("no reason was given");
        return Fate::Ended(format!("donor {donor} has no model: {reason}"));
    }
    if is(JobState::Cancelled).is_some() {
        return Fate::Ended(format!("donor {donor} was cancelled"));
    }
    Fate::Unknown(format!("no node that answers knows of donor {donor}"))
}

/// Asks all nodes that may answer what they know of a run; tells whether each did.
async fn fates(core: &Arc<Core>, run: &str, cells: Vec<String>) -> (Vec<Fates>, bool) {
    let asked = FatesRequest {
        run: run.to_owned(),
        cells,
    };
    let nodes = core.look(living);
    let asks = nodes.iter().map(|node| {
        let request = Request::Fates(asked.clone());
        core.ask(node, request, PAGE_LIMIT)
    });
    let mut answers = Vec::new();
    for answer in join_all(asks).await {
        match answer {
            Ok(Response::Fates(fates)) => answers.push(fates),
            Ok(_) => tracing::warn!("a node gave an answer that makes no sense"),
            Err(error) => tracing::debug!(%error, "a node does not tell of a run"),
        }
    }
    let complete = answers.len() == nodes.len();
    (answers, complete)
}

/// Returns the members that may answer, this node among them.
fn living(view: &View) -> BTreeSet<NodeId> {
    let others = view.others().into_iter();
    let living = others.filter(|node| view.table.may_answer(node));
    living.chain([view.table.me().node.clone()]).collect()
}

/// Plans the cells of which this node has become the first live owner and which no live node has
/// planned.
async fn take_over(core: &Arc<Core>, memory: &mut Memory) -> Result<(), Fault> {
    if !doubt::is_sure(core) {
        // The next look tries again, and learns of what was refused here meanwhile.
        memory.learned = None;
        return Ok(());
    }
    let catalog = core.catalog().await;
    let now = Learned {
        among: core.look(living),
        collections: Arc::clone(&catalog.collections),
        doubts: core.store.doubts(),
    };
    if memory.learned.as_ref() != Some(&now) {
        memory.settled.clear();
        if !memory.retry.is_due(&now) {
            return Ok(());
        }
        if !learn(core).await? || !catalog.missing.is_empty() {
            return Ok(());
        }
        hear(core).await?;
        memory.retry = Retry::default();
        memory.learned = Some(now);
    }
    let runs = Arc::clone(&core.runs);
    let (unplanned, all) = working(move || (runs.take_unplanned(), runs.known())).await?;
    memory.settled.forget(&unplanned);
    if all.is_empty() {
        return Ok(());
    }
    let acting = core.look(acting_primaries).remove(&core.me);
    let Some(acting) = acting else { return Ok(()) };
    for known in all {
        let mut slots = acting.clone();
        slots.subtract(&jobs::vouched(core, &known));
        if known.wished.wish == Wish::Cancel || slots.is_empty() {
            continue;
        }
        if memory
            .settled
            .holds(&known.run.name, &slots, Instant::now())
        {
            continue;
        }
        let name = known.run.name.clone();
        let left = Left {
            run: known.run,
            slots: slots.clone(),
        };
        match left.take(core, &catalog.collections).await {
            Ok(true) => memory.settled.note(name, slots, Instant::now()),
            Ok(false) => {}
            Err(fault) => tracing::warn!(run = name, %fault, "its cells are looked after later"),
        }
    }
    Ok(())
}

/// Reads the runs of the ring that this node has not heard of; tells whether all could be read.
async fn learn(core: &Arc<Core>) -> Result<bool, Fault> {
    let gathered = scatter::records(core, Kind::Run, SlotSet::all()).await;
    let read = gathered.answers.iter().filter_map(|r| r.read::<Run>().ok());
    let (found, runs): (Vec<Run>, _) = (read.collect(), Arc::clone(&core.runs));
    working(move || runs.learn(found)).await?;
    Ok(gathered.missing.is_empty())
}

/// Finds out whether what this node is to leave alone was wanted again while it was away.
async fn hear(core: &Arc<Core>) -> Result<(), Fault> {
    let runs = Arc::clone(&core.runs);
    let mut known = working(move || runs.known()).await?;
    known.retain(|known| known.wished.wish != Wish::Go);
    for known in known {
        let name = &known.run.name;
        let (answers, _) = fates(core, name, Vec::new()).await;
        let latest = answers.iter().map(|fates| fates.wished).max();
        let Some(latest) = latest.filter(|latest| *latest > known.wished) else {
            continue;
        };
        let done = match latest.wish {
            Wish::Go => elsewhere(core, name).await?,
            Wish::Pause | Wish::Cancel => BTreeSet::new(),
        };
        steer(core, name, latest, done).await?;
    }
    Ok(())
}

/// Returns the cells of a run that need no job here: they have a model, or a job elsewhere.
async fn elsewhere(core: &Arc<Core>, run: &str) -> Result<BTreeSet<String>, Fault> {
    let jobs = view(core, run)
        .await?
        .map_or_else(Vec::new, |view| view.jobs);
    let open = jobs
        .into_iter()
        .filter(|job| job.node != core.me.as_str() && job.state != JobState::Cancelled);
    let mut cells: BTreeSet<String> = open.map(|job| job.geocode).collect();
    let (published, _) = published(core, run, SlotSet::all()).await;
    cells.extend(published.into_keys());
    Ok(cells)
}

/// Slots of a run that this node has not planned.
struct Left {
    run: Arc<Run>,
    slots: SlotSet,
}

impl Left {
    /// Plans what nobody else has planned; tells whether nothing is left.
    async fn take(mut self, core: &Arc<Core>, collections: &[Collection]) -> Result<bool, Fault> {
        self.slots.intersect(&reach(&self.run, collections)?);
        if self.slots.is_empty() {
            return Ok(true);
        }
        let (answers, complete) = fates(core, &self.run.name, Vec::new()).await;
        let latest = answers.iter().map(|fates| fates.wished).max();
        let latest = latest.unwrap_or_default();
        if latest.wish == Wish::Cancel {
            steer(core, &self.run.name, latest, BTreeSet::new()).await?;
            // Not settled: a user may have it tried again.
            return Ok(false);
        }
        for theirs in &answers {
            self.slots.subtract(&theirs.slots);
        }
        if self.slots.is_empty() || !complete {
            return Ok(complete);
        }
        let (published, is_all) = published(core, &self.run.name, self.slots.clone()).await;
        if !is_all {
            return Ok(false);
        }
        if latest.wish == Wish::Pause {
            steer(core, &self.run.name, latest, BTreeSet::new()).await?;
        }
        self.plan(core, published).await.map(|()| true)
    }

    async fn plan(
        self,
        core: &Arc<Core>,
        published: BTreeMap<String, Published>,
    ) -> Result<(), Fault> {
        let of = Arc::clone(core);
        let Self { run, slots } = self;
        let name = run.name.clone();
        let living = core.look(living);
        let planned = working(move || {
            let planned = jobs::take_over(&of, (&run, &slots), &published)?;
            let is_there = |node: &str| NodeId::parse(node).is_ok_and(|n| living.contains(&n));
            of.runs.forget_ceded(&run.name, &slots, is_there)?;
            Ok::<_, Fault>(planned)
        });
        let cells = planned.await??;
        if cells > 0 {
            tracing::info!(
                run = name,
                cells,
                "took over the cells of a node that is gone"
            );
        }
        Ok(())
    }
}

/// Returns what the ring holds of a run's models in some slots, by cell; tells whether that is all.
pub(super) async fn published(
    core: &Arc<Core>,
    run: &str,
    slots: SlotSet,
) -> (BTreeMap<String, Published>, bool) {
    let gathered = scatter::records(core, Kind::Model, slots).await;
    let published = gathered.answers.iter().filter_map(|record| {
        let (of, cell) = record.key.id.split_once('/')?;
        let published = (of == run).then(|| record.read().ok())??;
        Some((cell.to_owned(), published))
    });
    (published.collect(), gathered.missing.is_empty())
}

/// Does what users want of a run on this node, too.
async fn steer(
    core: &Arc<Core>,
    run: &str,
    wished: Wished,
    done: BTreeSet<String>,
) -> Result<(), Fault> {
    let (runs, run) = (Arc::clone(&core.runs), run.to_owned());
    working(move || runs.steer(&run, wished, &done)).await??;
    Ok(())
}

#[cfg(test)]
mod tests;
