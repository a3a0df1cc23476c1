//! Pages of what this node holds.
//!
//! *Invariants*: a page fits a message; a page starts behind the item it is told, so nothing is
//! listed twice and nothing that stays is left out.
//!
//! *Not here*: merging pages of several nodes (`scatter`).

use std::collections::BTreeMap;
use std::sync::Arc;

use query::index::Turn;
use query::page::Order;
use query::predicate::Predicate;
use query::{Query, slots::SlotSet};
use tokio::time::Instant;
use wire::bundle::Kind;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use crate::cluster::core::Core;
use crate::peer::{Hits, Listed, Listing, Match, Question, RecordPage, Search, Share, SlotLoad};
use crate::store::{Held, Record, Store, StoreError};
use crate::sync::KINDS;

/// Items of a listing in one message: some 200 bytes each.
const ITEMS_MAX: usize = 8_192;
/// Bytes of files hashed for one message, so that it is answered in time at 50 MB/s.
const VERIFIED_BYTES_MAX: u64 = 256 << 20;
/// Bytes of hits or records after which a page ends.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// Hits in one message.
const ROWS_MAX: u32 = 1_024;

/// Lists what is held of a kind, by slot and id.
pub(super) fn held(store: &Store, listing: &Listing) -> Result<Listed, StoreError> {
    let mut items = store.list(listing.kind, &listing.slots)?;
    let name = |held: &Held| (held.slot.number(), held.key.id.clone());
    items.sort_by_cached_key(name);
    if let Some(after) = &listing.after {
        items.retain(|held| name(held) > *after);
    }
    let mut listed = Listed {
        more: items.len() > ITEMS_MAX,
        ..Listed::default()
    };
    items.truncate(ITEMS_MAX);
    if listing.verify && listing.after.is_none() {
        let left = store.left_out().into_iter();
        let of_kind = left.filter(|left| left.key.kind == listing.kind);
        listed
            .corrupt
            .extend(of_kind.map(|left| (left.key, left.why)));
    }
    let mut hashed = 0;
    for held in items {
        if hashed > VERIFIED_BYTES_MAX {
            listed.more = true;
            break;
        }
        if listing.verify {
            hashed += held.bytes;
            // It may have been overwritten since it was listed, or deleted: then that is read.
            match store.flaw(&held.key) {
                Ok(None) => {}
                Ok(Some(what)) => listed.corrupt.push((held.key.clone(), what)),
                Err(error) => listed.corrupt.push((held.key.clone(), error.to_string())),
            }
        }
        listed.items.push(held);
    }
    Ok(listed)
}

/// Lists records of a kind, by id.
pub(super) fn records(store: &Store, listing: &Listing) -> Result<RecordPage, StoreError> {
    let mut records = store.records_of(listing.kind, &listing.slots)?;
    records.sort_by(|a, b| a.key.id.cmp(&b.key.id));
    let mut page = RecordPage::default();
    let mut bytes = 0;
    for record in records {
        if listing
            .after
            .as_ref()
            .is_some_and(|(_, id)| record.key.id <= *id)
        {
            continue;
        }
        bytes += record.document.len() + 128 * (1 + record.files.len());
        // A record may be longer than a page: then it is one of its own.
        if bytes > PAGE_BYTES_MAX && !page.records.is_empty() {
            page.more = true;
            break;
        }
        page.records.push(record);
    }
    Ok(page)
}

/// Returns a page of hits.
pub(super) async fn hits(core: &Arc<Core>, search: Search) -> Result<Hits, Fault> {
    let layout = core.look(|view| Arc::clone(view.ring.read()));
    let query = parse(&search.question)?;
    let store = Arc::clone(&core.store);
    super::working(move || {
        let started = Instant::now();
        let owners = |record: &Record| {
            let owners = layout.owners(record.slot());
            owners.map(ToString::to_string).collect()
        };
        let mut page = find(&store, &query, &search, owners)?;
        page.micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(page)
    })
    .await?
}

fn find(
    store: &Store,
    query: &Query,
    search: &Search,
    owners: impl Fn(&Record) -> Vec<String>,
) -> Result<Hits, Fault> {
    let predicate = Predicate::compile(query)?;
    let order = Order::new(&query.sort);
    let turn = Turn {
        slots: &search.question.slots,
        order: &order,
        after: search.after.as_ref(),
        rows_max: search.rows_max.min(ROWS_MAX) as usize,
    };
    let found = store.query(&predicate, &turn)?;
    let mut page = Hits {
        next: found.next,
        index: found.explain.index,
        rows_estimated: found.explain.rows_estimated,
        rows_read: found.explain.rows_read,
        pairs: found.pairs,
        ..Hits::default()
    };
    let mut bytes = 0;
    for (position, record) in found.hits {
        if bytes > PAGE_BYTES_MAX {
            page.next = page.hits.last().map(|hit| hit.position.clone());
            break;
        }
        let meta = record.split().map_err(StoreError::from)?;
        let cell = meta.geocode.bounds();
        let bbox = [cell.west(), cell.south(), cell.east(), cell.north()];
        let hit = Hit::new(&meta, bbox, &record.files, owners(&record));
        let json = serde_json::to_string(&hit);
        let json = json.map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
        bytes += json.len();
        page.hits.push(Match {
            position,
            version: record.version(),
            json,
        });
    }
    Ok(page)
}

/// Returns findings about an empty answer, as JSON.
pub(super) async fn emptiness(core: &Arc<Core>, question: Question) -> Result<String, Fault> {
    let predicate = Predicate::compile(&parse(&question)?)?;
    let store = Arc::clone(&core.store);
    let found = super::working(move || store.emptiness(&predicate, &question.slots)).await?;
    serde_json::to_string(&found).map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))
}

/// Counts what is held; jobs and bytes sent are not the store's.
pub(super) fn share(store: &Store, slots: &SlotSet) -> Result<Share, StoreError> {
    let stats = store.stats(slots)?;
    let there = |held: &&Held| !held.is_tombstone();
    Ok(Share {
        splits: stats.splits,
        splits_in_slots: stats.splits_in_slots,
        models: stats.models,
        models_in_slots: store.list(Kind::Model, slots)?.iter().filter(there).count() as u64,
        bytes: stats.bytes,
        ..Share::default()
    })
}

/// Sums up what is held in each slot.
pub(super) fn loads(store: &Store) -> Result<Vec<SlotLoad>, StoreError> {
    let mut loads: BTreeMap<u16, SlotLoad> = BTreeMap::new();
    for kind in KINDS {
        for held in store.list(kind, &SlotSet::all())? {
            let slot = held.slot.number();
            let load = loads.entry(slot).or_insert(SlotLoad {
                slot,
                splits: 0,
                bytes: 0,
            });
            load.splits += u64::from(kind == Kind::Split && !held.is_tombstone());
            load.bytes += held.bytes;
        }
    }
    Ok(loads.into_values().collect())
}

pub(super) fn parse(question: &Question) -> Result<Query, Fault> {
    let query = serde_json::from_str(&question.query);
    query.map_err(|e| {
        Fault::new(FaultKind::Usage, "the query cannot be read").because(e.to_string())
    })
}
