//! What a node does for runs under way without being asked: it tells heirs what their donors left,
//! and plans the cells whose planner is gone.
//!
//! *Invariants*: what another node says unasked is only a reason to look; what counts is the model
//! in the ring and what nodes answer, so that neither a lost message nor a restart leaves an heir
//! waiting; a cell whose model is published is not trained again; no imagery moves.
//!
//! *Not here*: jobs and leases (`runs`), the first planning of a run (`training`).

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

use super::core::{Core, View};
use super::report::acting_primaries;
use super::training::reach;
use crate::answer::{jobs, working};
use crate::identity::NodeId;
use crate::peer::{Fates, FatesRequest, Request, Response};
use crate::runs::book::{JobKey, Published};
use crate::scatter::{self, PAGE_LIMIT};
use crate::slots::SlotSet;
use crate::store::ObjectKey;

/// Time between looks when nobody told of anything: a lost message costs an heir no more.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long nobody may know of a donor before its heirs start cold: while one owner of its cell
/// lives, the cell is planned again within seconds of a loss.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// The file of a model whose weights heirs start from.
const WEIGHTS_FILE: &str = "model.safetensors";

/// What was seen at earlier looks.
#[derive(Debug, Default)]
struct Memory {
    /// Since when nobody has known of a donor.
    silent: BTreeMap<JobKey, Instant>,
    /// The nodes among whom the runs were learned of, and the collections that there were.
    learned: Option<(BTreeSet<NodeId>, Arc<Vec<Collection>>)>,
    /// Of each run the slots in which nothing was left to be taken over since.
    settled: BTreeMap<String, SlotSet>,
}

/// Looks after runs until it is dropped.
pub(super) async fn run(core: Arc<Core>) {
    let mut memory = Memory::default();
    loop {
        if let Err(fault) = look(&core, &mut memory).await {
            tracing::warn!(%fault, "runs under way are looked after later");
        }
        // A timeout is no error here: others may have ended without a word.
        drop(tokio::time::timeout(LOOK_EVERY, core.runs.tidings.notified()).await);
    }
}

/// Tells all others that a donor of a run has ended; who does not hear it finds out by looking.
pub(super) async fn announce(core: &Arc<Core>, run: &str) {
    let others = core.look(View::others_up);
    let heed = || Request::Heed(run.to_owned());
    let told = others.iter().map(|node| core.ask(node, heed(), PAGE_LIMIT));
    for failed in join_all(told).await.into_iter().filter_map(Result::err) {
        tracing::debug!(%failed, "a node was not told that a donor has ended");
    }
}

async fn look(core: &Arc<Core>, memory: &mut Memory) -> Result<(), Fault> {
    if core.link.is_some() {
        take_over(core, memory).await?;
    }
    tell_heirs(core, memory).await
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
        let mut open = Vec::new();
        for geocode in donors {
            let run = run.clone();
            let donor = JobKey { run, geocode };
            match weights(core, &donor).await {
                Some(legacy) => bequeath(core, donor, legacy).await?,
                None => open.push(donor),
            }
        }
        if open.is_empty() {
            continue;
        }
        let cells: Vec<String> = open.iter().map(|donor| donor.geocode.clone()).collect();
        let (answers, _) = fates(core, &run, cells).await;
        for (i, donor) in open.into_iter().enumerate() {
            let known = answers
                .iter()
                .filter_map(|fates| fates.cells.get(i)?.as_ref());
            match judge(&donor.geocode, &known) {
                Fate::Open => drop(memory.silent.remove(&donor)),
                Fate::Ended(reason) => bequeath(core, donor, Legacy::Lost(reason)).await?,
                Fate::Unknown(reason) => {
                    let since = memory.silent.entry(donor.clone());
                    if since.or_insert_with(Instant::now).elapsed() > SILENCE_MAX {
                        bequeath(core, donor, Legacy::Lost(reason)).await?;
                    }
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

async fn bequeath(core: &Arc<Core>, donor: JobKey, legacy: Legacy) -> Result<(), Fault> {
    if let Legacy::Lost(reason) = &legacy {
        tracing::warn!(run = donor.run, %reason, "heirs start cold");
    }
    let runs = Arc::clone(&core.runs);
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
    let catalog = core.catalog().await;
    let now = (core.look(living), Arc::clone(&catalog.collections));
    if memory.learned.as_ref() != Some(&now) {
        memory.settled.clear();
        if !learn(core).await? || !catalog.missing.is_empty() {
            return Ok(());
        }
        memory.learned = Some(now);
    }
    let acting = core.look(acting_primaries).remove(&core.me);
    let Some(acting) = acting else { return Ok(()) };
    let runs = Arc::clone(&core.runs);
    for known in working(move || runs.known()).await? {
        let mut slots = acting.clone();
        slots.subtract(&known.slots);
        if known.wish == Wish::Cancel || slots.is_empty() {
            continue;
        }
        if memory.settled.get(&known.run.name) == Some(&slots) {
            continue;
        }
        let name = known.run.name.clone();
        let left = Left {
            run: known.run,
            slots: slots.clone(),
        };
        if left.take(core, &catalog.collections).await? {
            memory.settled.insert(name, slots);
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

/// Slots of a run that this node has not planned.
struct Left {
    run: Run,
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
        let wished = |wish: Wish| answers.iter().any(|fates| fates.wish == wish);
        if wished(Wish::Cancel) {
            steer(core, &self.run.name, Wish::Cancel).await?;
            // Not settled: a user may have it tried again.
            return Ok(false);
        }
        let is_paused = wished(Wish::Pause);
        for theirs in &answers {
            self.slots.subtract(&theirs.slots);
        }
        if self.slots.is_empty() || !complete {
            return Ok(complete);
        }
        match self.published(core).await {
            Some(published) => {
                if is_paused {
                    steer(core, &self.run.name, Wish::Pause).await?;
                }
                self.plan(core, published).await.map(|()| true)
            }
            None => Ok(false),
        }
    }

    /// Returns what the ring holds of the run's models there; `None` if that is not known.
    async fn published(&self, core: &Arc<Core>) -> Option<BTreeMap<String, Published>> {
        let gathered = scatter::records(core, Kind::Model, self.slots.clone()).await;
        let published = gathered.answers.iter().filter_map(|record| {
            let (run, cell) = record.key.id.split_once('/')?;
            let published = (run == self.run.name).then(|| record.read().ok())??;
            Some((cell.to_owned(), published))
        });
        gathered.missing.is_empty().then(|| published.collect())
    }

    async fn plan(
        self,
        core: &Arc<Core>,
        published: BTreeMap<String, Published>,
    ) -> Result<(), Fault> {
        let (store, runs) = (Arc::clone(&core.store), Arc::clone(&core.runs));
        let Self { run, slots } = self;
        let name = run.name.clone();
        let planned = working(move || jobs::take_over((&store, &runs), (&run, &slots), &published));
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

/// Does what users want of a run on this node, too.
async fn steer(core: &Arc<Core>, run: &str, wish: Wish) -> Result<(), Fault> {
    let (runs, run) = (Arc::clone(&core.runs), run.to_owned());
    working(move || runs.steer(&run, wish, &BTreeSet::new())).await??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(known: &[(JobState, Option<&str>)]) -> Fate {
        let owned = |(state, why): &(JobState, Option<&str>)| (*state, why.map(str::to_owned));
        let known: Vec<_> = known.iter().map(owned).collect();
        judge("9xj5k", &known.iter())
    }

    #[test]
    fn an_heir_waits_while_anybody_may_still_train_its_donor() {
        let gone = (JobState::Quarantined, Some("no chips"));
        assert_eq!(judged(&[gone, (JobState::Waiting, None)]), Fate::Open);
        assert_eq!(judged(&[(JobState::Running, None), gone]), Fate::Open);
        assert_eq!(judged(&[(JobState::Paused, None), gone]), Fate::Open);
    }

    #[test]
    fn heirs_of_a_donor_without_a_model_are_told_why() {
        let ended = |why: &str| Fate::Ended(why.to_owned());
        assert_eq!(
            judged(&[(JobState::Quarantined, Some("no chips"))]),
            ended("donor 9xj5k has no model: no chips")
        );
        assert_eq!(
            judged(&[(JobState::Cancelled, None)]),
            ended("donor 9xj5k was cancelled")
        );
    }

    #[test]
    fn what_nobody_knows_and_a_model_that_is_gone_are_waited_for_but_not_for_ever() {
        assert!(matches!(judged(&[]), Fate::Unknown(_)));
        assert!(matches!(
            judged(&[(JobState::Done, None)]),
            Fate::Unknown(_)
        ));
    }
}
