//! Lets jobs move that would wait long here: to another owner of their cells, where their imagery
//! lies, too.
//!
//! ```text
//! home   jobs wait long ─▶ Spare? ─▶ lends, on disk ─▶ Host ─▶ what was not taken waits here again
//! host   worker asks, own jobs first ─▶ learns, the home's lease renewed meanwhile ─▶ publishes ─▶
//!        Published, or Failed: the home counts the attempt
//! ```
//! *Invariants*: the home's book tells what becomes of a job, and its token fences the lease at
//! both nodes: a host that is cut off publishes nothing; a host that is gone loses no job, and one
//! that is publishing is given the time that its put may take; nothing is said while nothing waits.
//!
//! *Not here*: which jobs move (`runs::book`), what a host takes (`answer::guests`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use tokio::sync::Notify;
use tokio::time::Instant;
use wire::fault::{Fault, FaultKind};
use wire::run::Renew;

use super::core::{AskError, Core};
use crate::answer::working;
use crate::identity::NodeId;
use crate::peer::{GuestWord, HostRequest, Request, Response};
use crate::runs::book::{JobKey, Published, Surplus, millis};
use crate::runs::{Guest, Lent};
use crate::scatter::PAGE_LIMIT;

/// Time between looks while jobs wait or are done elsewhere, and between renewals of what is done
/// here for others.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Least time between two looks.
const PACE: Duration = Duration::from_millis(200);
/// How long a node is not asked again that could begin no job.
const REST: Duration = Duration::from_secs(1);
/// Most jobs lent in one message: as many as a host takes in.
const AT_ONCE_MAX: usize = 256;

/// Until when nodes are left alone that could begin no job lately.
type Resting = BTreeMap<NodeId, Instant>;

/// Moves jobs, and looks after those that moved, until it is dropped.
pub(super) async fn run(core: Arc<Core>) {
    join(have_done(&core), do_for_others(&core)).await;
}

/// The home's part.
async fn have_done(core: &Arc<Core>) {
    let mut resting = Resting::new();
    loop {
        if let Err(fault) = look(core, &mut resting).await {
            tracing::warn!(%fault, "jobs are moved later");
        }
        let runs = Arc::clone(&core.runs);
        let more = working(move || runs.has_moving()).await.unwrap_or(true);
        // Every model that is published tells of itself, and a look goes through all jobs.
        tokio::time::sleep(PACE).await;
        wait(&core.runs.moving, more).await;
    }
}

/// The host's part.
async fn do_for_others(core: &Arc<Core>) {
    loop {
        if let Err(fault) = tell_homes(core).await {
            tracing::warn!(%fault, "the homes of jobs that are done here are told later");
        }
        let runs = Arc::clone(&core.runs);
        let more = working(move || runs.has_guests()).await.unwrap_or(true);
        wait(&core.runs.hosting, more).await;
    }
}

/// Waits until it is told of something, or, while there is more to do, until the next look.
async fn wait(told: &Notify, more: bool) {
    if more {
        // A timeout is no error here: workers may have become idle without a word.
        drop(tokio::time::timeout(LOOK_EVERY, told.notified()).await);
    } else {
        told.notified().await;
    }
}

async fn look(core: &Arc<Core>, resting: &mut Resting) -> Result<(), Fault> {
    let (runs, of) = (Arc::clone(&core.runs), Arc::clone(core));
    let is_gone = move |node: &str| !NodeId::parse(node).is_ok_and(|node| is_alive(&of, &node));
    let surplus = working(move || {
        runs.take_back(is_gone)?;
        Ok::<_, Fault>(runs.surplus())
    });
    let surplus = surplus.await??;
    resting.retain(|_, until| Instant::now() < *until);
    for of_run in surplus {
        move_out(core, of_run, resting).await?;
    }
    Ok(())
}

fn is_alive(core: &Core, node: &NodeId) -> bool {
    core.look(|view| view.table.may_answer(node))
}

/// Lends jobs of a run to other owners of their cells that have workers idle.
async fn move_out(core: &Arc<Core>, surplus: Surplus, resting: &mut Resting) -> Result<(), Fault> {
    let mut by_host: BTreeMap<NodeId, Vec<JobKey>> = BTreeMap::new();
    core.look(|view| {
        for (key, slot) in &surplus.jobs {
            let owners = view
                .ring
                .read()
                .owners(*slot)
                .filter(|node| **node != core.me);
            for node in owners.filter(|node| view.table.may_answer(node)) {
                by_host.entry(node.clone()).or_default().push(key.clone());
            }
        }
    });
    let mut lent: BTreeSet<JobKey> = BTreeSet::new();
    for (node, mut keys) in by_host {
        keys.retain(|key| !lent.contains(key));
        let Some(first) = keys.first().filter(|_| !resting.contains_key(&node)) else {
            continue;
        };
        let asked = core.ask(&node, Request::Spare(first.run.clone()), PAGE_LIMIT);
        let spare = match asked.await {
            Ok(Response::Spare(spare)) => usize::try_from(spare).unwrap_or_default(),
            Ok(_) => 0,
            Err(error) => {
                tracing::debug!(%error, "a node does not tell whether it could take jobs");
                0
            }
        };
        if spare == 0 {
            resting.insert(node, Instant::now() + REST);
            continue;
        }
        keys.truncate(spare.saturating_mul(surplus.handful).min(AT_ONCE_MAX));
        lent.extend(keys.iter().cloned());
        lend(core, &node, keys, surplus.wait_ms).await?;
    }
    Ok(())
}

/// Lends jobs to a node; what it does not take waits here again.
async fn lend(
    core: &Arc<Core>,
    node: &NodeId,
    keys: Vec<JobKey>,
    wait_ms: u64,
) -> Result<(), Fault> {
    let (runs, to) = (Arc::clone(&core.runs), node.to_string());
    let Some(Lent { run, guests }) = working(move || runs.move_out(&keys, &to)).await?? else {
        return Ok(());
    };
    let leases: Vec<Renew> = guests.iter().map(|guest| lease(&run.name, guest)).collect();
    let request = Request::Host(HostRequest {
        run: json(&run.for_job())?,
        wait_ms,
        jobs: json(&guests)?,
    });
    let taken = match core.ask(node, request, PAGE_LIMIT).await {
        Ok(Response::Hosted(taken)) if taken.len() == leases.len() => taken,
        Ok(_) => vec![None; leases.len()],
        Err(error) => {
            // It may have taken them, and only its answer is lost: what it renews is its own then.
            tracing::warn!(%error, "a node does not tell whether it takes jobs");
            return match error {
                AskError::Fault { .. } => noted(core, node, leases, None).await,
                _ => Ok(()),
            };
        }
    };
    noted(core, node, leases, Some(taken)).await
}

/// Notes which jobs a node has taken; none if it said so of none.
async fn noted(
    core: &Arc<Core>,
    node: &NodeId,
    leases: Vec<Renew>,
    taken: Option<Vec<Option<u64>>>,
) -> Result<(), Fault> {
    let taken = taken.unwrap_or_else(|| vec![None; leases.len()]);
    let answers: Vec<_> = leases.into_iter().zip(taken).collect();
    let (runs, to) = (Arc::clone(&core.runs), node.to_string());
    working(move || runs.moved_out(&answers, &to)).await?
}

fn lease(run: &str, guest: &Guest) -> Renew {
    Renew {
        run: run.to_owned(),
        geocode: guest.geocode.clone(),
        token: guest.token,
    }
}

/// Tells homes that their jobs are under way here, or that they are not any more.
async fn tell_homes(core: &Arc<Core>) -> Result<(), Fault> {
    let runs = Arc::clone(&core.runs);
    // Those that nobody begins are gone home first.
    let told = working(move || (runs.homes(), runs.gone_home())).await?;
    let (homes, gone) = told;
    let mut words = Vec::new();
    for (home, failure) in gone.failed {
        words.push((home, GuestWord::Failed(json(&failure)?)));
    }
    for (home, lease) in gone.untried {
        words.push((home, GuestWord::Untried(vec![lease])));
    }
    let tell = words.into_iter().map(|(home, word)| async move {
        if let Err(error) = core.ask(&home, Request::Guests(word), PAGE_LIMIT).await {
            // Its lease runs out there.
            tracing::warn!(%error, "a node was not told that its job is not done here");
        }
    });
    let renew = homes.into_iter().map(|(home, leases)| async move {
        let word = Request::Guests(GuestWord::Renew(leases.clone()));
        let granted = granted(core, &home, word).await;
        (leases, granted)
    });
    let ((), renewed) = join(async { drop(join_all(tell).await) }, join_all(renew)).await;
    let runs = Arc::clone(&core.runs);
    working(move || {
        for (leases, granted) in renewed {
            for (i, lease) in leases.iter().enumerate() {
                runs.heard(lease, granted.as_ref().map(|all| all.get(i) == Some(&true)));
            }
        }
    })
    .await
}

/// Asks a home which of its leases still count; `None` if it does not answer.
async fn granted(core: &Arc<Core>, home: &NodeId, word: Request) -> Option<Vec<bool>> {
    match core.ask(home, word, PAGE_LIMIT).await {
        Ok(Response::Granted(granted)) => Some(granted),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "the home of jobs that are done here does not answer");
            None
        }
    }
}

/// Checks with the home of a job that its model may be published, which may take so long: until
/// then the home counts on it.
pub(super) async fn may_publish(
    core: &Arc<Core>,
    home: &NodeId,
    lease: Renew,
    limit: Duration,
) -> Result<(), Fault> {
    let mut word = Request::Guests(GuestWord::Publishing(lease.clone(), millis(limit)));
    if !core.knows(home, &word) {
        word = Request::Guests(GuestWord::Renew(vec![lease]));
    }
    match granted(core, home, word).await.as_deref() {
        Some([true]) => Ok(()),
        Some(_) => Err(Fault::new(
            FaultKind::Refused,
            "the lease is stale at the node that planned the job",
        )
        .because("the job was lent again, cancelled or is done")),
        None => Err(silent(home)),
    }
}

/// The home of a job does not answer now: whoever publishes waits, and renews meanwhile.
fn silent(home: &NodeId) -> Fault {
    let what = format!("node {home}, which planned the job, does not answer");
    Fault::new(FaultKind::Busy, what).try_("glebe status")
}

/// Tells the home of a job that its model is kept.
pub(super) async fn published(
    core: &Arc<Core>,
    home: &NodeId,
    lease: Renew,
    published: &Published,
) -> Result<(), Fault> {
    let word = GuestWord::Published(lease, json(published)?);
    match core.ask(home, Request::Guests(word), PAGE_LIMIT).await {
        Ok(_) => Ok(()),
        Err(AskError::Fault { fault, .. }) => Err(*fault),
        Err(error) => Err(silent(home).because(error.to_string())),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))
}
