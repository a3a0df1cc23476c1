//! This node's part in jobs that move between nodes: as their host, and as their home.
//!
//! *Invariants*: a job is taken only if its imagery lies here whole, or if what lacks is here
//! before its turn at home would come; only the node that a job was lent to says what became of it.
//!
//! *Not here*: offering jobs, and telling homes of them (`cluster::lend`).

use std::path::PathBuf;
use std::sync::Arc;

use earth::split::collection::is_name;
use earth::split::meta::SplitId;
use wire::bundle::Kind;
use wire::fault::{Fault, FaultKind};
use wire::run::{Failure, Run};
use wire::transfer::Legacy;

use super::working;
use crate::cluster::core::Core;
use crate::cluster::tend;
use crate::identity::NodeId;
use crate::meters::Purpose;
use crate::peer::{GuestWord, HostRequest, Request, Response, Version};
use crate::runs::Guest;
use crate::runs::book::{JobKey, Published, WORTH_MS};
use crate::scatter::PAGE_LIMIT;
use crate::store::{ObjectKey, Store, StoreError};
use crate::sync::pull_one;

/// Most splits of a job that may lack here: one with more is far from whole, and repair is at it.
const LACKING_MAX: usize = 64;

/// Returns how many jobs of others could be begun here now.
pub(super) async fn spare(core: &Arc<Core>, run: String) -> Result<u32, Fault> {
    let runs = Arc::clone(&core.runs);
    let spare = working(move || runs.spare(&run)).await?;
    Ok(u32::try_from(spare).unwrap_or(u32::MAX))
}

/// Takes in jobs of another node; answers of each how many bytes travel for it, if it is taken.
pub(super) async fn host(
    core: &Arc<Core>,
    home: &NodeId,
    offer: HostRequest,
) -> Result<Vec<Option<u64>>, Fault> {
    let run: Run = read(&offer.run)?;
    let guests: Vec<Guest> = read(&offer.jobs)?;
    // Both are names of files here.
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_name(&run.name) || !guests.iter().all(|guest| is_plain(&guest.geocode)) {
        return Err(Fault::new(FaultKind::Usage, "that names no job"));
    }
    // What the owner of one node allows there, that of another may not.
    let is_ours = run.module.is_none() && !run.is_programs();
    if !is_ours || spare(core, run.name.clone()).await? == 0 {
        return Ok(vec![None; guests.len()]);
    }
    let (run, mut taken) = (Arc::new(run), Vec::new());
    for guest in guests {
        let one = take(core, (home, offer.wait_ms), &run, guest).await;
        taken.push(one.unwrap_or_else(|fault| {
            tracing::warn!(%fault, "a job of another node is not taken");
            None
        }));
    }
    Ok(taken)
}

/// Takes in one job.
async fn take(
    core: &Arc<Core>,
    (home, wait_ms): (&NodeId, u64),
    run: &Arc<Run>,
    guest: Guest,
) -> Result<Option<u64>, Fault> {
    let splits = guest.splits.clone();
    let lacking = core.blocking(move |store| lacking(store, &splits)).await?;
    let mut bytes = 0_u64;
    let mut wanted = Vec::new();
    let is_settled = !guest
        .heritage
        .as_ref()
        .is_some_and(|h| h.legacy == Legacy::Awaited);
    if guest.splits.is_empty() || !is_settled || lacking.len() > LACKING_MAX {
        return Ok(None);
    }
    for key in lacking {
        let request = Request::Describe(Purpose::Pixels, key.clone());
        let Response::Described(Some(record)) = core.ask(home, request, PAGE_LIMIT).await? else {
            return Ok(None);
        };
        // What this node does not own, it would give up again.
        if !core.look(|view| {
            view.ring
                .read()
                .owners(record.slot())
                .any(|n| *n == core.me)
        }) {
            return Ok(None);
        }
        bytes = { record.files.iter() }.fold(bytes, |sum, file| sum.saturating_add(file.bytes));
        wanted.push((key, record.version()));
    }
    let runs = Arc::clone(&core.runs);
    let shipping_ms = working(move || runs.shipping_ms(bytes)).await?;
    if shipping_ms.saturating_add(WORTH_MS) > wait_ms {
        return Ok(None);
    }
    let key = JobKey {
        run: run.name.clone(),
        geocode: guest.geocode.clone(),
    };
    let (runs, of, run) = (Arc::clone(&core.runs), home.clone(), Arc::clone(run));
    let splits = guest.splits.clone();
    let folders = if wanted.is_empty() {
        Some(folders(core, splits.clone()).await?)
    } else {
        None
    };
    let taken = working(move || runs.welcome(&of, &run, guest, (folders, bytes))).await?;
    if taken && !wanted.is_empty() {
        let (core, home) = (Arc::clone(core), home.clone());
        let (stop, tasks) = (core.stop.clone(), core.tasks.clone());
        let bring = async move { bring(&core, (&home, bytes), wanted, (key, splits)).await };
        tasks.spawn(stop.run_until_cancelled_owned(bring));
    }
    Ok(taken.then_some(bytes))
}

/// Brings here what a job learns from and this node lacks.
async fn bring(
    core: &Arc<Core>,
    (home, bytes): (&NodeId, u64),
    wanted: Vec<(ObjectKey, Version)>,
    (job, splits): (JobKey, Vec<SplitId>),
) {
    let began = core.now();
    let brought = async {
        for (key, version) in &wanted {
            pull_one(core, (home, Purpose::Pixels), key, *version).await?;
        }
        folders(core, splits).await
    };
    let brought = brought.await;
    let (runs, took) = (Arc::clone(&core.runs), core.now().saturating_sub(began));
    let noted = working(move || match brought {
        Ok(folders) => {
            runs.shipped_in(bytes, took);
            runs.arrived(&job, folders);
        }
        Err(fault) => {
            tracing::warn!(run = job.run, %fault, "a job goes home: its imagery cannot be had");
            runs.turn_away(&job);
        }
    });
    if let Err(fault) = noted.await {
        tracing::warn!(%fault, "a job waits for what was brought for it");
    }
}

/// Returns which splits are not here.
fn lacking(store: &Store, splits: &[SplitId]) -> Result<Vec<ObjectKey>, StoreError> {
    let mut lacking = Vec::new();
    for split in splits {
        let key = key_of(split);
        if store.record(&key)?.is_none() {
            lacking.push(key);
        }
    }
    Ok(lacking)
}

fn key_of(split: &SplitId) -> ObjectKey {
    ObjectKey::new(Kind::Split, split.as_str())
}

/// Returns where splits lie here, all of them.
async fn folders(core: &Arc<Core>, splits: Vec<SplitId>) -> Result<Vec<PathBuf>, Fault> {
    let found = core.blocking(move |store| {
        let folder = |split| Ok(store.record(&key_of(split))?.map(|r| store.folder(&r)));
        splits
            .iter()
            .map(folder)
            .collect::<Result<Option<Vec<_>>, StoreError>>()
    });
    found
        .await?
        .ok_or_else(|| Fault::new(FaultKind::Nothing, "a split is not here"))
}

/// Does what a node says of jobs that were lent to it.
pub(super) async fn heed(
    core: &Arc<Core>,
    from: &NodeId,
    word: GuestWord,
) -> Result<Response, Fault> {
    let (runs, by) = (Arc::clone(&core.runs), from.to_string());
    match word {
        GuestWord::Renew(leases) => {
            let granted = working(move || runs.renew_moved(&leases, &by)).await?;
            return Ok(Response::Granted(granted));
        }
        GuestWord::Publishing(lease, put_ms) => {
            let granted = working(move || runs.publishing_moved(&lease, &by, put_ms)).await?;
            return Ok(Response::Granted(vec![granted]));
        }
        GuestWord::Published(lease, published) => {
            let (published, run): (Published, _) = (read(&published)?, lease.run.clone());
            let ended = move || {
                runs.is_moved_to(&lease, &by)
                    .then(|| runs.published(&lease, published))
            };
            if working(ended).await?.transpose()?.ok_or_else(not_theirs)? {
                tend::announce_later(core, &run);
            }
        }
        GuestWord::Failed(failure) => {
            let failure: Failure = read(&failure)?;
            let run = failure.lease.run.clone();
            let ended = move || {
                runs.is_moved_to(&failure.lease, &by)
                    .then(|| runs.failed_away(failure))
            };
            if working(ended).await?.transpose()?.ok_or_else(not_theirs)? {
                tend::announce_later(core, &run);
            }
        }
        GuestWord::Untried(leases) => working(move || runs.come_home(&leases, &by)).await??,
    }
    Ok(Response::Done)
}

fn not_theirs() -> Fault {
    Fault::new(FaultKind::Refused, "the job is not lent to this node")
        .because("it was lent again, cancelled or is done; only the newest lease counts")
}

fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, Fault> {
    serde_json::from_str(json)
        .map_err(|e| Fault::new(FaultKind::Usage, "a job cannot be read").because(e.to_string()))
}
