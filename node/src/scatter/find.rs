//! Finds one object by its name, and reads it from whoever holds it.
//!
//! *Invariants*: the own store comes first; bytes from another node are checked against the record
//! they belong to; a corrupt or lost replica makes the next holder be asked, until all were; what
//! is corrupt where it was read is called so only if all that may hold it have answered.
//!
//! *Not here*: finding many (`search`, `records`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use earth::geocode::{Geocode, Scheme};
use earth::split::meta::SplitId;
use earth::split::placement::{PlacementKey, PlacementRule, Slot};
use tokio::sync::OwnedSemaphorePermit;
use wire::bundle::{BUNDLE_BYTES_MAX, FILES_MAX, Kind};
use wire::fault::{Fault, FaultKind};
use wire::hit::FileEntry;
use wire::model::GLOBAL;

use super::coverage::Coverage;
use super::room::{Room, Share};
use super::{PAGE_LIMIT, cover, gather};
use crate::cluster::core::{AskError, Core};
use crate::identity::NodeId;
use crate::meters::Purpose;
use crate::peer::{Piece, Request, Response};
use crate::refusals::Refused;
use crate::rope::Rope;
use crate::slots::SlotSet;
use crate::store::{ContentHash, Hashed, Object, ObjectFile, ObjectKey, Record};
use crate::swarm::CHUNK_BYTES_MAX;

/// An object's record and a node that holds it.
type Found = (NodeId, Record);

/// Returns the record of an object; `None` if no node has it, an error if that is not known.
pub(crate) async fn record(core: &Arc<Core>, key: &ObjectKey) -> Result<Option<Record>, Fault> {
    let known = known(core, key).await?;
    Ok(known.filter(|record| !record.is_tombstone()))
}

/// Returns what is known of an object, its tombstone too.
pub(crate) async fn known(core: &Arc<Core>, key: &ObjectKey) -> Result<Option<Record>, Fault> {
    let mut asked = Asked::new(cover(core, slots_of(core, key).await).await);
    let found = holders(core, key, &mut asked, Purpose::Query).await?;
    Ok(found.into_iter().next().map(|(_, record)| record))
}

/// A file that was read, as its record has it.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    /// BLAKE3 (hex) of these bytes, to which they were held.
    pub(crate) blake3: String,
    /// The room that they take, if they had to have some.
    pub(crate) share: Option<Share>,
}

/// Returns one file of an object, from this node or else from whichever is near and has it.
pub(crate) async fn fetch(core: &Arc<Core>, key: &ObjectKey, name: &str) -> Result<Bytes, Fault> {
    Ok(fetch_into(core, (key, name), None).await?.bytes)
}

/// Returns one file of an object as soon as there is room for it.
pub(crate) async fn fetch_into(
    core: &Arc<Core>,
    (key, name): (&ObjectKey, &str),
    room: Option<&Room>,
) -> Result<Fetched, Fault> {
    let own = fetch_own(core, (key, name), room).await?;
    if let Some(fetched) = own {
        return Ok(fetched);
    }
    let purpose = match key.kind {
        Kind::Split => Purpose::Pixels,
        Kind::Model | Kind::Module => Purpose::Model,
        Kind::Run | Kind::Ledger | Kind::Collection | Kind::Tag => Purpose::Query,
    };
    let nothing = |what: String| Fault::new(FaultKind::Nothing, what);
    let mut last = nothing(format!("there is no {key}"));
    let mut asked = Asked::new(cover(core, slots_of(core, key).await).await);
    let mut download: Option<Download<'_>> = None;
    let mut share = None;
    loop {
        let heard = asked.heard.len();
        let found = match holders(core, key, &mut asked, purpose).await {
            Err(fault) if last.kind == FaultKind::Nothing => return Err(fault),
            found => found.unwrap_or_default(),
        };
        if found.is_empty() {
            if last.kind != FaultKind::Nothing && asked.heard.len() > heard {
                // Those that answered lack it; others may hold it.
                continue;
            }
            return Err(asked.in_vain(key, last));
        }
        if found[0].1.is_tombstone() {
            return Err(nothing(format!("there is no {key}")));
        }
        asked.slot = Some(found[0].1.slot());
        for (node, record) in found {
            let Some(entry) = record.file(name) else {
                last = nothing(format!("{key} has no file '{name}'"));
                continue;
            };
            let same = download.take().filter(|d| d.entry == *entry);
            let mut going = same.unwrap_or_else(|| Download::new(key, entry.clone(), purpose));
            share = sized(share, room, entry.bytes).await?;
            match going.take_from(core, &node).await {
                Ok(()) => return Ok(going.ended(share)),
                Err(fault) => last = asked.failed(&node, fault, last),
            }
            download = Some(going);
        }
    }
}

/// Who was asked for an object, and what came of it.
struct Asked {
    coverage: Coverage,
    /// Those that said what they know of it.
    heard: BTreeSet<NodeId>,
    /// Those of them that were not there any more when it was read.
    lost: BTreeSet<NodeId>,
    /// Where it lies, once somebody knew.
    slot: Option<Slot>,
}

impl Asked {
    fn new(coverage: Coverage) -> Self {
        Self {
            coverage,
            heard: BTreeSet::new(),
            lost: BTreeSet::new(),
            slot: None,
        }
    }

    /// Notes why a node's replica could not be read; returns what is to be told of that one and
    /// those before.
    fn failed(&mut self, node: &NodeId, fault: Fault, before: Fault) -> Fault {
        if fault.kind == FaultKind::Nothing && before.kind != FaultKind::Nothing {
            // It was let go of there meanwhile: that says nothing of others.
            return before;
        }
        if !matches!(fault.kind, FaultKind::Data | FaultKind::Nothing) {
            self.lost.insert(node.clone());
        }
        fault
    }

    /// Returns what is told when nobody is left to be asked: what is corrupt where it was read may
    /// be whole at those that did not answer.
    fn in_vain(&self, key: &ObjectKey, last: Fault) -> Fault {
        let Some(slot) = self.slot.filter(|_| last.kind == FaultKind::Data) else {
            return last;
        };
        let may_hold = self.coverage.may_hold(slot).into_iter();
        let silent = |node: &NodeId| !self.heard.contains(node) || self.lost.contains(node);
        let silent: Vec<String> = may_hold.filter(silent).map(|n| n.to_string()).collect();
        if silent.is_empty() {
            return last;
        }
        let what = format!("{key} cannot be read at the moment");
        Fault::new(FaultKind::Partial, what)
            .because(last.what)
            .because(format!(
                "who may hold it does not answer: {}",
                silent.join(", ")
            ))
            .try_("glebe status, and the same command when they are back")
    }
}

/// Returns room for that many bytes: what there is already, if that is enough.
async fn sized(
    share: Option<Share>,
    room: Option<&Room>,
    bytes: u64,
) -> Result<Option<Share>, Fault> {
    let share = share.filter(|share| share.fits(bytes));
    match room {
        Some(room) if share.is_none() => room.take(bytes).await.map(Some),
        _ => Ok(share),
    }
}

/// Returns a file from this node's own store, if it has it and nobody may know better.
async fn fetch_own(
    core: &Arc<Core>,
    (key, name): (&ObjectKey, &str),
    room: Option<&Room>,
) -> Result<Option<Fetched>, Fault> {
    let own = key.clone();
    let record = core.blocking(move |store| store.record(&own)).await?;
    let slot = record.as_ref().map(Record::slot);
    let doubted = |slot| {
        core.look(|view| {
            let unconfirmed = view.unconfirmed();
            let mut others = unconfirmed.iter().filter(|(node, _)| **node != core.me);
            others.any(|(_, slots)| slots.contains(slot))
        })
    };
    if slot.is_some_and(doubted) {
        return Ok(None);
    }
    let Some(entry) = record.as_ref().and_then(|record| record.file(name)) else {
        return Ok(None);
    };
    let share = sized(None, room, entry.bytes).await?;
    let (own, file) = (key.clone(), name.to_owned());
    let read = core.blocking(move |store| store.entry(&own, &file));
    match read.await {
        Ok((entry, bytes)) => {
            let blake3 = entry.blake3;
            return Ok(Some(Fetched {
                bytes,
                blake3,
                share,
            }));
        }
        Err(fault) if fault.kind == FaultKind::Nothing => {}
        Err(fault) => {
            tracing::warn!(%fault, object = %key, "the own replica cannot be read");
            core.upkeep.suspect(key.clone());
        }
    }
    Ok(None)
}

/// A file on its way: what has arrived is kept when its sender dies, and another goes on.
struct Download<'a> {
    key: &'a ObjectKey,
    entry: FileEntry,
    purpose: Purpose,
    /// It is a replica that nobody waits for: whoever waits for an answer goes first.
    can_wait: bool,
    bytes: Rope,
}

impl<'a> Download<'a> {
    fn new(key: &'a ObjectKey, entry: FileEntry, purpose: Purpose) -> Self {
        Self {
            key,
            entry,
            purpose,
            can_wait: false,
            bytes: Rope::default(),
        }
    }

    /// Waits until the next part may be on its way; returns how long it may be.
    async fn next(
        &self,
        core: &Core,
        node: &NodeId,
        left: u64,
    ) -> (Option<OwnedSemaphorePermit>, u32) {
        if !self.can_wait {
            return (None, u32::try_from(CHUNK_BYTES_MAX).unwrap_or(u32::MAX));
        }
        let budget = core.pulling.of(node);
        (budget.take(left).await, budget.bytes())
    }

    /// Reads from a node what is missing yet, and checks the whole.
    async fn take_from(&mut self, core: &Arc<Core>, node: &NodeId) -> Result<(), Fault> {
        if self.entry.bytes > BUNDLE_BYTES_MAX as u64 {
            let what = format!("node {node} tells of a file that is larger than any may be");
            core.refusals.note(Refused::Object, node, &what);
            return Err(Fault::new(FaultKind::Data, what));
        }
        let continued = self.bytes.length() > 0;
        self.read_on(core, node).await?;
        if self.is_whole() {
            return Ok(());
        }
        self.bytes = Rope::default();
        if continued {
            // What another node sent before may be what is wrong.
            self.read_on(core, node).await?;
            if self.is_whole() {
                return Ok(());
            }
            self.bytes = Rope::default();
        }
        let what = format!("node {node} sent other bytes of {} than were put", self.key);
        core.refusals.note(Refused::Object, node, &what);
        Err(Fault::new(FaultKind::Data, what).try_("glebe cluster verify"))
    }

    /// Reads from a node what is missing yet.
    async fn read_on(&mut self, core: &Arc<Core>, node: &NodeId) -> Result<(), Fault> {
        while (self.bytes.length() as u64) < self.entry.bytes {
            let left = self.entry.bytes - self.bytes.length() as u64;
            let (_share, length) = self.next(core, node, left).await;
            let piece = Piece {
                key: self.key.clone(),
                file: self.entry.name.clone(),
                offset: self.bytes.length() as u64,
                length,
                purpose: self.purpose,
            };
            match core.ask(node, Request::Fetch(piece), PAGE_LIMIT).await? {
                Response::Bytes(part) if part.length() as u64 == left.min(length.into()) => {
                    self.bytes.append(part);
                }
                _ => return Err(AskError::senseless(node).into()),
            }
        }
        Ok(())
    }

    /// Returns the file, once it is whole.
    fn ended(self, share: Option<Share>) -> Fetched {
        Fetched {
            bytes: self.bytes.joined(),
            blake3: self.entry.blake3,
            share,
        }
    }

    fn is_whole(&self) -> bool {
        let mut hasher = blake3::Hasher::new();
        for part in self.bytes.pieces() {
            hasher.update(part);
        }
        hasher.finalize().to_hex().as_str() == self.entry.blake3
    }
}

/// Reads all files of an object from a node that holds it, and checks them against its record.
pub(crate) async fn replica(
    core: &Arc<Core>,
    (node, purpose): (&NodeId, Purpose),
    record: &Record,
) -> Result<Hashed, Fault> {
    let lengths = record.files.iter().map(|entry| entry.bytes);
    let total = lengths.fold(0, u64::saturating_add);
    if record.files.len() > FILES_MAX || total > BUNDLE_BYTES_MAX as u64 {
        let what = format!("node {node} tells of an object that is larger than any may be");
        core.refusals.note(Refused::Object, node, &what);
        return Err(Fault::new(FaultKind::Data, what));
    }
    let mut files = Vec::with_capacity(record.files.len());
    for entry in &record.files {
        let mut download = Download::new(&record.key, entry.clone(), purpose);
        download.can_wait = true;
        download.take_from(core, node).await?;
        files.push(ObjectFile {
            name: entry.name.clone(),
            bytes: download.bytes.joined(),
        });
    }
    let object = Object {
        key: record.key.clone(),
        placement_key: record.placement_key.clone(),
        files,
    };
    Ok(Hashed::checked(object, record.files.clone()))
}

/// Reads what a node holds of an object.
pub(crate) async fn replica_at(
    core: &Arc<Core>,
    (node, purpose): (&NodeId, Purpose),
    key: &ObjectKey,
) -> Result<(Record, Hashed), Fault> {
    let request = Request::Describe(purpose, key.clone());
    let answer = core.ask(node, request, PAGE_LIMIT).await?;
    let Response::Described(Some(record)) = answer else {
        return Err(AskError::senseless(node).into());
    };
    if record.key != *key || record.hash != ContentHash::of(&record.files) {
        return Err(AskError::senseless(node).into());
    }
    let replica = replica(core, (node, purpose), &record).await?;
    Ok((*record, replica))
}

/// Asks for an object those that were not asked before; returns who holds it, newest first.
async fn holders(
    core: &Arc<Core>,
    key: &ObjectKey,
    asked: &mut Asked,
    purpose: Purpose,
) -> Result<Vec<Found>, Fault> {
    let gathered = gather(asked.coverage.clone(), |node, _| {
        describe(core, node, key, purpose)
    })
    .await;
    let mut found: Vec<Found> = Vec::new();
    for (node, record) in gathered.answers {
        asked.coverage.fail(&node);
        asked.heard.insert(node.clone());
        found.extend(record.map(|record| (node, record)));
    }
    if found.is_empty() && !gathered.missing.is_empty() {
        let what = format!("nobody who may hold {key} answers");
        return Err(Fault::new(FaultKind::Partial, what).try_("glebe status"));
    }
    let far = core.look(|view| view.distances.clone());
    order(&mut found, &core.me, &far);
    Ok(found)
}

/// Orders holders: the newest first, of alike ones the nearest.
fn order(found: &mut [Found], me: &NodeId, far: &BTreeMap<NodeId, Duration>) {
    let far = |node: &NodeId| (node != me, far.get(node).copied().unwrap_or_default());
    found.sort_by_key(|(node, r)| (std::cmp::Reverse(r.revision), r.hash, far(node)));
}

async fn describe(
    core: &Arc<Core>,
    node: NodeId,
    key: &ObjectKey,
    purpose: Purpose,
) -> Result<(NodeId, Option<Record>), AskError> {
    match core
        .ask(&node, Request::Describe(purpose, key.clone()), PAGE_LIMIT)
        .await?
    {
        Response::Described(record) => Ok((node, record.map(|record| *record))),
        _ => Err(AskError::senseless(&node)),
    }
}

/// Returns the slots where an object of that name can be.
async fn slots_of(core: &Arc<Core>, key: &ObjectKey) -> SlotSet {
    let named = |kind, id| std::iter::once(PlacementKey::named(kind, id).slot()).collect();
    match key.kind {
        Kind::Run | Kind::Ledger | Kind::Collection | Kind::Tag | Kind::Module => {
            named(key.kind.word(), &key.id)
        }
        Kind::Model => match key.id.rsplit_once('/') {
            Some((run, GLOBAL)) => named(GLOBAL, run),
            Some((_, code)) => slots_of_prefixes(code),
            None => SlotSet::none(),
        },
        Kind::Split => match SplitId::parse(&key.id) {
            Ok(id) => slots_of_split(core, &id).await,
            Err(_) => SlotSet::none(),
        },
    }
}

async fn slots_of_split(core: &Arc<Core>, id: &SplitId) -> SlotSet {
    let catalog = core.catalog().await;
    let collection = catalog
        .collections
        .iter()
        .find(|c| c.name == id.collection());
    let cell = collection.and_then(|c| Some((c, Geocode::parse(c.scheme, id.geocode()).ok()?)));
    match cell {
        Some((c, cell)) => std::iter::once(c.placement.key(&cell).slot()).collect(),
        None => slots_of_prefixes(id.geocode()),
    }
}

/// Returns the slots of all that a geocode's text may be placed by, in either scheme.
fn slots_of_prefixes(text: &str) -> SlotSet {
    let schemes = [Scheme::Geohash, Scheme::QuadTile];
    let cells = schemes.iter().filter_map(|s| Geocode::parse(*s, text).ok());
    let keys = cells.flat_map(|cell| {
        let lengths = 1..=cell.precision();
        lengths.map(move |n| PlacementRule::First(n).key(&cell).slot())
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_that_hold_the_newest_the_nearest_is_read_from() {
        let node = |name: &str| NodeId::parse(name).unwrap();
        let held = |name: &str, revision: u32| {
            let record = Record {
                key: ObjectKey::new(Kind::Tag, "t"),
                placement_key: PlacementKey::named("tag", "t"),
                hash: ContentHash::of(&[]),
                files: Vec::new(),
                revision,
                document: String::new(),
            };
            (node(name), record)
        };
        let revisions = [("far", 2), ("near", 2), ("here", 1), ("old", 1)];
        let mut found = revisions.map(|(name, revision)| held(name, revision));
        let far = [("far", 90), ("near", 2), ("here", 0), ("old", 1)];
        let far = far.map(|(name, ms)| (node(name), Duration::from_millis(ms)));
        order(&mut found, &node("here"), &far.into());
        let names: Vec<&str> = found.iter().map(|(node, _)| node.as_str()).collect();
        assert_eq!(names, ["near", "far", "here", "old"]);
    }
}
