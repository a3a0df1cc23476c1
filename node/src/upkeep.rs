//! Keeps replicas whole and alike without being asked.
//!
//! ```text
//! at the start, and look for files that are gone ─▶ heal
//! every interval    compare with each other owner, sums first ─▶ pull what is newer there ─▶ trust
//!                   an index that was doubtful, for which a round comes at once
//!                   bury tombstones that every node knows
//!                   set aside damaged folders that no record names and nobody needs
//! at the start      compare folders and records ─▶ remake an index that lacks some
//! all the time      read everything against its checksums, at a bounded rate, and rest ─▶ heal
//! at once           what was found harmed when it was read, for whomever ─▶ heal
//! ```
//! *Invariants*: each node brings back its own replicas: it pulls, nobody pushes; what is healed
//! comes from a replica whose bytes were checked; what cannot be healed is left as it is and named.
//!
//! *Not here*: handing over what owners missed (`sync`), what is compared (`store::tree`).

mod bury;
mod compare;
mod doubt;
mod heal;
mod leftover;
mod plan;
mod scrub;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use wire::cluster::{NodeState, RepairReport};
use wire::fault::{Fault, FaultKind};

use crate::cluster::core::{AskError, Core, View};
use crate::identity::NodeId;
use crate::peer::{RepairJob, Request, Response};
use crate::slots::SlotSet;
use crate::store::ObjectKey;

use doubt::{Clearing, Rounds};

pub(crate) use compare::answer;
pub(crate) use doubt::waits_for;

/// Longest that a node waits before it answers that a repair is under way.
const REPAIR_ANSWER: Duration = Duration::from_secs(5);
/// Longest that such an answer may take.
const REPAIR_LIMIT: Duration = Duration::from_secs(15);
/// Objects found harmed by readers that wait to be healed.
const SUSPECTS_MAX: usize = 4_096;

/// How a node keeps its replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Time from the start to the first comparison with other owners. While not all of them could
    /// be compared with, the next comes after twice the time, until that is the usual one.
    pub first: Duration,
    /// Time between two comparisons.
    pub every: Duration,
    /// Bytes read a second to check them.
    pub scrub_bytes_per_second: u64,
    /// Pause after all were read, so that a small store is not read without end; before the first
    /// time it is five minutes at most.
    pub rest: Duration,
    /// How long a tombstone stays after every node was seen to know it: longer than any message
    /// with what was deleted is on its way.
    pub buried_after: Duration,
    /// How long a layout must have been the only one before anything is let go that others own:
    /// longer than any page of a search that began under the layout before.
    pub let_go_after: Duration,
}

impl Default for Pace {
    /// A second, in which nodes have heard each other; ten minutes, for some 200 bytes a second
    /// among fifty nodes; a tenth of what a hard disk reads, and an hour's rest; longer than an
    /// object takes to arrive; three times as long as a page may take.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            every: Duration::from_mins(10),
            scrub_bytes_per_second: 16 << 20,
            rest: Duration::from_hours(1),
            buried_after: Duration::from_mins(10),
            let_go_after: Duration::from_secs(30),
        }
    }
}

/// What a node knows of its own upkeep.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    state: Mutex<State>,
    /// Rung when there is something to do before the interval is over.
    nudge: Notify,
}

#[derive(Debug, Default)]
struct State {
    suspects: BTreeSet<ObjectKey>,
    /// Nodes that refused what they were handed over.
    resting: BTreeMap<NodeId, Duration>,
    /// Tombstones that every node knows, since when.
    known_everywhere: BTreeMap<(ObjectKey, u32), Duration>,
    repairs: BTreeMap<u64, Option<RepairReport>>,
    /// Who was compared with last for a doubt.
    compared: Option<(u64, BTreeSet<NodeId>)>,
    /// The last object of which a damaged folder without a record was looked at.
    looked_at: Option<ObjectKey>,
}

impl Upkeep {
    /// Notes an object whose replica here could not be read; it is healed soon.
    pub(crate) fn suspect(&self, key: ObjectKey) {
        let mut state = self.state();
        if state.suspects.len() < SUSPECTS_MAX {
            state.suspects.insert(key);
            drop(state);
            self.nudge.notify_one();
        }
    }

    /// Has the owners be compared with soon, should the index be doubtful.
    pub(crate) fn hurry(&self) {
        self.nudge.notify_one();
    }

    /// Leaves a node alone until then.
    pub(crate) fn rest(&self, node: &NodeId, until: Duration) {
        self.state().resting.insert(node.clone(), until);
    }

    /// Tells whether a node is to be left alone now.
    pub(crate) fn rests(&self, node: &NodeId, now: Duration) -> bool {
        self.state()
            .resting
            .get(node)
            .is_some_and(|until| now < *until)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, pace: Pace) {
    let scrubbing = scrub::run(&core, &pace);
    let rounds = async {
        let mut rounds = Rounds::new(&pace);
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(rounds.next) => {
                    let complete = round(&core, &pace).await;
                    rounds.done(complete, core.store.doubt());
                }
                () = core.upkeep.nudge.notified() => heal_suspects(&core).await,
            }
            rounds.hurry(core.store.doubt());
        }
    };
    tokio::select! {
        biased;
        () = core.stop.cancelled() => {}
        () = scrubbing => {}
        () = rounds => {}
    }
}

/// Returns the time to the next round, after that of the last.
fn next_wait(wait: Duration, complete: bool, every: Duration) -> Duration {
    if complete { every } else { every.min(wait * 2) }
}

/// Looks for what is gone, compares with every other owner, buries tombstones; tells whether all of
/// them could be compared with.
async fn round(core: &Arc<Core>, pace: &Pace) -> bool {
    let mut report = RepairReport {
        complete: true,
        ..RepairReport::default()
    };
    heal_missing(core, &mut report).await;
    compare_all(core, &mut report).await;
    bury::run(core, pace.buried_after).await;
    leftover::run(core).await;
    if report.healed + report.pulled > 0 || !report.left.is_empty() {
        tracing::info!(
            healed = report.healed,
            pulled = report.pulled,
            "replicas were repaired"
        );
    }
    report.complete
}

async fn heal_suspects(core: &Arc<Core>) {
    let suspects = std::mem::take(&mut core.upkeep.state().suspects);
    let mut report = RepairReport::default();
    for key in suspects {
        heal::heal(core, &key, &mut report).await;
    }
}

async fn heal_missing(core: &Arc<Core>, report: &mut RepairReport) {
    let missing = match core.blocking(crate::store::Store::missing).await {
        Ok(missing) => missing,
        Err(fault) => return report.left.push(fault.to_string()),
    };
    for key in missing {
        heal::heal(core, &key, report).await;
    }
}

/// Compares with every other owner that is up, and pulls what is newer there; if all were compared
/// with, the index is doubtful no more.
async fn compare_all(core: &Arc<Core>, report: &mut RepairReport) {
    let (doubt, mut met) = (core.store.doubt(), BTreeSet::new());
    let mut clearing = Clearing::begin(core);
    if !core.look(|view| view.ring.settled()) {
        // Slots are on their way: `sync` pulls what this node lacks.
        report.complete = false;
        if clearing.is_none() {
            return;
        }
    }
    for node in core.look(View::others) {
        let compared = compare_with(core, &node, report).await;
        report.complete &= matches!(compared, Compared::Whole);
        let counts = match compared {
            Compared::Whole => true,
            // What nobody can bring here keeps no doubt, if that node is asked for it.
            Compared::ButFor(slots) => {
                clearing.is_none() || doubt::marked(core, &node, &slots).await
            }
            Compared::No => false,
        };
        if counts {
            met.insert(node);
        } else {
            clearing = clearing.filter(|_| !core.look(|view| doubt::is_needed(view, &node)));
        }
    }
    core.upkeep.state().compared = doubt.map(|doubt| (doubt, met));
    if let Some(clearing) = clearing {
        clearing.end(core).await;
    }
}

/// Whether a node was compared with, and what was newer there was pulled.
enum Compared {
    Whole,
    /// All but what nobody can bring here, in these slots.
    ButFor(SlotSet),
    No,
}

/// Compares with a node and pulls what is newer there.
async fn compare_with(core: &Arc<Core>, node: &NodeId, report: &mut RepairReport) -> Compared {
    if core.look(|view| view.table.state(node)) != NodeState::Up {
        return Compared::No;
    }
    let failed = match compare::pull_newer(core, node).await {
        Ok(pulled) => {
            report.pulled += pulled.count;
            report.left.extend(pulled.left);
            match pulled.failed {
                None if pulled.slots.is_empty() => return Compared::Whole,
                None => return Compared::ButFor(pulled.slots),
                Some(fault) => fault,
            }
        }
        Err(fault) => fault,
    };
    tracing::debug!(%node, fault = %failed, "could not compare replicas");
    Compared::No
}

/// Checks and heals all that this node holds, as fast as it can.
async fn repair_here(core: &Arc<Core>) -> RepairReport {
    let mut report = RepairReport {
        node: core.me.to_string(),
        complete: true,
        ..RepairReport::default()
    };
    heal_missing(core, &mut report).await;
    compare_all(core, &mut report).await;
    leftover::run(core).await;
    scrub::pass(core, None, &mut report).await;
    report
}

/// Has a node repair itself, or say what it would do; `None` if it is none of this cluster.
pub(crate) async fn repair(
    core: &Arc<Core>,
    name: &str,
    dry_run: bool,
) -> Result<Option<RepairReport>, Fault> {
    let mut nodes: Vec<NodeId> = core.look(View::others);
    nodes.push(core.me.clone());
    let fits = |node: &&NodeId| node.as_str().ends_with(name) || node.as_str().starts_with(name);
    let Some(node) = nodes.iter().find(fits) else {
        return Ok(None);
    };
    let number = u64::from_be_bytes(number(core, node));
    let job = RepairJob { number, dry_run };
    loop {
        match core.ask(node, Request::Repair(job), REPAIR_LIMIT).await? {
            Response::Repaired(None) => {}
            Response::Repaired(Some(text)) => {
                let report = serde_json::from_str(&text);
                return report
                    .map(Some)
                    .map_err(|_| AskError::senseless(node).into());
            }
            _ => return Err(AskError::senseless(node).into()),
        }
    }
}

/// Returns a number that tells this repair from others.
fn number(core: &Core, node: &NodeId) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(core.me.as_str().as_bytes())
        .update(node.as_str().as_bytes())
        .update(&core.now().as_nanos().to_le_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    first
}

/// Answers whoever asks for a repair of this node: starts it, or says how it went.
pub(crate) async fn repaired(core: &Arc<Core>, job: RepairJob) -> Result<Option<String>, Fault> {
    let number = job.number;
    let known = core.upkeep.state().repairs.contains_key(&number);
    if !known {
        start_repair(core, job)?;
    }
    let deadline = Instant::now() + REPAIR_ANSWER;
    while Instant::now() < deadline {
        let ended = {
            let mut state = core.upkeep.state();
            match state.repairs.get(&number) {
                Some(Some(_)) => state.repairs.remove(&number).flatten(),
                _ => None,
            }
        };
        if let Some(report) = ended {
            let text = serde_json::to_string(&report);
            return text
                .map(Some)
                .map_err(|e| Fault::new(FaultKind::Internal, e.to_string()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(None)
}

fn start_repair(core: &Arc<Core>, RepairJob { number, dry_run }: RepairJob) -> Result<(), Fault> {
    let mut state = core.upkeep.state();
    // What nobody fetched is forgotten by the next.
    state.repairs.retain(|_, report| report.is_none());
    if !state.repairs.is_empty() {
        return Err(
            Fault::new(FaultKind::Refused, "the node is being repaired already")
                .try_("the same command again later"),
        );
    }
    state.repairs.insert(number, None);
    drop(state);
    let running = Arc::clone(core);
    let stop = core.stop.clone();
    core.tasks.spawn(stop.run_until_cancelled_owned(async move {
        let report = if dry_run {
            plan::plan(&running).await
        } else {
            repair_here(&running).await
        };
        running.upkeep.state().repairs.insert(number, Some(report));
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_come_soon_until_one_was_complete() {
        let every = Duration::from_secs(10);
        let seconds = |complete: bool| {
            let mut wait = Duration::from_secs(1);
            let next = move |_| {
                wait = next_wait(wait, complete, every);
                wait.as_secs()
            };
            (0..5).map(next).collect::<Vec<u64>>()
        };
        assert_eq!(seconds(false), [2, 4, 8, 10, 10]);
        assert_eq!(seconds(true), [10; 5]);
    }
}
