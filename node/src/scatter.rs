//! Asks the nodes that can hold an answer, and puts their answers together.
//!
//! *Invariants*: owners (and nodes that must be asked besides) are asked, nobody else; a node that
//! fails is replaced by other owners; what nobody could answer for is named.
//!
//! *Not here*: what one node answers (`answer`), order of hits within a node (query).

pub(crate) mod coverage;
mod find;
mod fresh;
mod room;
mod search;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;
use wire::bundle::Kind;

use crate::cluster::core::{AskError, Core};
use crate::cluster::gossip;
use crate::identity::NodeId;
use crate::meters::Purpose;
use crate::peer::{Listing, Request, Response};
use crate::slots::SlotSet;
use crate::store::{Held, ObjectKey, Record};
use coverage::{Coverage, Holders};

pub(crate) use find::{Fetched, fetch, fetch_into, known, record, replica, replica_at};
pub(crate) use room::{ANSWERS_MEBIBYTES_MAX, Room};
pub(crate) use search::search;

/// Longest that a page may take; a node that takes longer is replaced.
pub(crate) const PAGE_LIMIT: Duration = Duration::from_secs(10);
/// Longest that a page of hashed files may take: 256 MiB at 10 MB/s.
const VERIFY_LIMIT: Duration = Duration::from_secs(30);

/// What several nodes answered.
#[derive(Debug)]
pub(crate) struct Gathered<T> {
    /// Their answers.
    pub answers: Vec<T>,
    /// Slots that nobody answered for.
    pub missing: SlotSet,
}

/// Asks the owners of slots, and others in place of those that fail or are slow.
pub(crate) async fn gather<T, F>(
    mut coverage: Coverage,
    ask: impl Fn(NodeId, SlotSet) -> F,
) -> Gathered<T>
where
    F: Future<Output = Result<T, AskError>>,
{
    let mut asked = FuturesUnordered::new();
    let mut answers = Vec::new();
    loop {
        for (node, slots) in coverage.assign() {
            let patience = coverage.patience(&node);
            let answer = ask(node.clone(), slots);
            asked.push(async move {
                match patience {
                    Some(patience) => timeout(patience, answer).await.map_err(|_| node),
                    None => Ok(answer.await),
                }
            });
        }
        match asked.next().await {
            Some(Err(slow)) => coverage.slow(&slow),
            Some(Ok(Ok(answer))) => answers.push(answer),
            Some(Ok(Err(error))) => {
                tracing::warn!(%error, "a node did not answer");
                coverage.fail(error.node());
            }
            None => break,
        }
    }
    Gathered {
        answers,
        missing: coverage.missing(),
    }
}

/// Plans a question about slots, after a majority said who must be asked besides owners.
pub(crate) async fn cover(core: &Arc<Core>, slots: SlotSet) -> Coverage {
    let unheard = gossip::confirm(core).await;
    let mut holders = core.look(Holders::of);
    holders.unheard = unheard;
    Coverage::new(holders, slots)
}

/// Returns the records of a kind in some slots, by id, each once.
pub(crate) async fn records(core: &Arc<Core>, kind: Kind, slots: SlotSet) -> Gathered<Record> {
    let gathered = gather(cover(core, slots).await, |node, slots| {
        records_of(core, kind, node, slots)
    })
    .await;
    let mut records: Vec<Record> = gathered.answers.into_iter().flatten().collect();
    let newest_first = |r: &Record| (r.key.id.clone(), std::cmp::Reverse(r.revision), r.hash);
    records.sort_by_cached_key(newest_first);
    records.dedup_by(|a, b| a.key == b.key);
    records.retain(|record| !record.is_tombstone());
    Gathered {
        answers: records,
        missing: gathered.missing,
    }
}

async fn records_of(
    core: &Arc<Core>,
    kind: Kind,
    node: NodeId,
    slots: SlotSet,
) -> Result<Vec<Record>, AskError> {
    let mut listing = listing(kind, slots, Purpose::Query);
    let mut records: Vec<Record> = Vec::new();
    loop {
        let request = Request::Records(listing.clone());
        let Response::Records(page) = core.ask(&node, request, PAGE_LIMIT).await? else {
            return Err(AskError::senseless(&node));
        };
        let (more, last) = (page.more, page.records.last().map(|r| r.key.id.clone()));
        records.extend(page.records);
        match last {
            Some(id) if more => listing.after = Some((0, id)),
            _ => return Ok(records),
        }
    }
}

/// What one node holds of one kind.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// The items.
    pub items: Vec<Held>,
    /// Those that are not what was put.
    pub corrupt: Vec<(ObjectKey, String)>,
}

/// Lists what one node holds of a kind in some slots.
pub(crate) async fn held(
    core: &Arc<Core>,
    node: &NodeId,
    mut listing: Listing,
) -> Result<Holding, AskError> {
    let limit = if listing.verify {
        VERIFY_LIMIT
    } else {
        PAGE_LIMIT
    };
    let mut held = Holding::default();
    loop {
        let request = Request::List(listing.clone());
        let Response::Listed(page) = core.ask(node, request, limit).await? else {
            return Err(AskError::senseless(node));
        };
        let last = page.items.last();
        let last = last.map(|item| (item.slot.number(), item.key.id.clone()));
        held.items.extend(page.items);
        held.corrupt.extend(page.corrupt);
        match last {
            Some(last) if page.more => listing.after = Some(last),
            _ => return Ok(held),
        }
    }
}

/// Returns the first page of a listing.
pub(crate) fn listing(kind: Kind, slots: SlotSet, purpose: Purpose) -> Listing {
    Listing {
        kind,
        slots,
        after: None,
        verify: false,
        purpose,
    }
}
