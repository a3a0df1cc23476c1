//! Puts an object on all its owners and acknowledges it when enough have it fsynced.
//!
//! ```text
//! ask owners what they hold ─▶ send to those that lack it ─▶ a stand-in for each that failed
//!        ─▶ acknowledged, if W = min(2, R) nodes of every live layout hold it
//! ```
//! *Invariants*: an acknowledged object is held by all owners, or by a node that queries ask for
//! its slot too (a stand-in, or a holder that was marked); whoever asked is told who holds it;
//! below W nothing is acknowledged, nor that other content stays.
//!
//! *Not here*: handing over to owners that were away (`sync`).

mod quorum;
pub(crate) mod send;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use wire::bundle::Kind;
use wire::fault::{Fault, FaultKind};
use wire::object::{PutAck, PutOutcome};

use crate::cluster::core::{AskError, Core, View};
use crate::identity::NodeId;
use crate::layout::Layout;
use crate::meters::Purpose;
use crate::peer::{Request, Response, Stored, Version};
use crate::scatter;
use crate::slots::SlotSet;
use crate::store::{ContentHash, Hashed, Object, ObjectKey, PutMode};

/// Longest that an owner may take to say what it holds.
const VERSIONS_LIMIT: Duration = Duration::from_secs(5);
/// Longest that marking a holder may take, with all others told.
const MARK_LIMIT: Duration = Duration::from_secs(5);
/// Times that what stays is put in its turn, should it be replaced meanwhile.
const STAYS_MAX: u32 = 3;

/// What nodes hold of an object.
type Versions = BTreeMap<NodeId, Option<Version>>;

/// A put under way.
struct Putting<'a> {
    core: &'a Arc<Core>,
    hashed: Arc<Hashed>,
    hash: ContentHash,
    layouts: Vec<Arc<Layout>>,
    purpose: Purpose,
    /// Nodes that hold the object fsynced.
    holders: BTreeSet<NodeId>,
    standins: BTreeSet<NodeId>,
    /// Why owners do not hold it.
    failed: BTreeMap<NodeId, String>,
    /// Nodes that hold the other content that stays.
    others: Vec<NodeId>,
}

/// Returns how long a put may take by its own deadlines, if its chunks wait for nobody else's:
/// asking who holds what, sending it to owners and then to stand-ins, marking one.
pub(crate) fn put_limit(object: &Object) -> Duration {
    let bytes = object.files.iter().map(|file| file.bytes.len() as u64);
    2 * (VERSIONS_LIMIT + send::limit(bytes.sum())) + MARK_LIMIT
}

/// Puts an object on its owners.
pub(crate) async fn put(core: &Arc<Core>, object: Object, mode: PutMode) -> Result<PutAck, Fault> {
    object
        .check()
        .map_err(|e| Fault::new(FaultKind::Data, e.to_string()))?;
    let writes = core.writes();
    let mut putting = Putting::new(core, object.into(), writes.layouts.clone());
    let outcome = putting.run(mode).await?;
    if outcome == PutOutcome::Kept {
        putting = putting.stays().await?;
    }
    drop(writes);
    Ok(putting.acknowledge(outcome))
}

/// Puts a tombstone in the place of an object; as good as a put that is acknowledged. Returns
/// whether there was something to delete.
pub(crate) async fn delete(core: &Arc<Core>, key: &ObjectKey) -> Result<bool, Fault> {
    let Some(known) = scatter::known(core, key).await? else {
        return Ok(false);
    };
    let was_there = !known.is_tombstone();
    let tombstone = Object::tombstone(known.key, known.placement_key);
    let writes = core.writes();
    let mut putting = Putting::new(core, tombstone.into(), writes.layouts.clone());
    putting.run(PutMode::Overwrite).await?;
    Ok(was_there)
}

/// Returns what a node's versions of an object add up to: the one that stays.
pub(crate) fn winner(versions: impl Iterator<Item = Version>) -> Option<Version> {
    versions.reduce(|a, b| if a.covers(&b) { a } else { b })
}

impl<'a> Putting<'a> {
    fn new(core: &'a Arc<Core>, hashed: Hashed, layouts: Vec<Arc<Layout>>) -> Self {
        let purpose = match hashed.object().key.kind {
            Kind::Model => Purpose::Model,
            _ => Purpose::Put,
        };
        Self {
            core,
            hash: hashed.hash(),
            hashed: Arc::new(hashed),
            layouts,
            purpose,
            holders: BTreeSet::new(),
            standins: BTreeSet::new(),
            failed: BTreeMap::new(),
            others: Vec::new(),
        }
    }

    fn object(&self) -> &Object {
        self.hashed.object()
    }

    async fn run(&mut self, mode: PutMode) -> Result<PutOutcome, Fault> {
        let owners = self.owners();
        let held = self.versions(&owners).await;
        let elsewhere = self.elsewhere(&owners).await;
        let there = winner(held.values().chain(elsewhere.values()).copied().flatten());
        let revision = match (there, mode) {
            (Some(there), _) if there.hash == self.hash => Some(there.revision),
            (there, PutMode::Replica(revision)) => {
                let hash = self.hash;
                let mine = Version { revision, hash };
                if let Some(there) = there.filter(|there| there.covers(&mine)) {
                    return Ok(self.keep(there, &held, &elsewhere));
                }
                Some(revision)
            }
            (Some(there), _) if mode == PutMode::Overwrite || there.is_tombstone() => {
                Some(there.revision.saturating_add(1))
            }
            (Some(there), _) => return Ok(self.keep(there, &held, &elsewhere)),
            // A tombstone of what nobody holds any more: the first of all revisions.
            (None, _) => self.object().is_tombstone().then_some(1),
        };
        let lacks = |node: &&NodeId| match held.get(*node) {
            Some(Some(version)) => version.hash != self.hash || Some(version.revision) != revision,
            Some(None) => true,
            None => false,
        };
        let (lacking, holding): (Vec<&NodeId>, Vec<&NodeId>) =
            held.keys().partition(|node| lacks(node));
        self.holders.extend(holding.into_iter().cloned());
        let lacking = lacking.into_iter().cloned().collect();
        if !self.send(lacking, revision, false).await {
            self.holders.clear();
            return Ok(PutOutcome::Kept);
        }
        self.stand_in(revision).await;
        self.check_quorum().inspect_err(|_| self.even_out_later())?;
        self.mark_holder().await;
        self.check_quorum()?;
        let same = there.is_some_and(|there| there.hash == self.hash);
        Ok(if same {
            PutOutcome::Same
        } else {
            PutOutcome::New
        })
    }

    /// Returns the putting of what stays in this one's place, once enough nodes hold it: it may
    /// have been refused to whoever put it, or be on its way.
    async fn stays(mut self) -> Result<Self, Fault> {
        for _ in 0..STAYS_MAX {
            if self.check_quorum().is_ok() {
                self.mark_holder().await;
                return self.check_quorum().map(|()| self);
            }
            // One object at a time: it may be far greater than the one that was put.
            let _turn = self.core.keeping.lock().await;
            let (revision, theirs) = self.theirs().await?;
            self = Self::new(self.core, theirs, self.layouts);
            // As the revision that it is, and no other: it may be deleted meanwhile.
            if self.run(PutMode::Replica(revision)).await? != PutOutcome::Kept {
                return Ok(self);
            }
        }
        self.check_quorum().map(|()| self)
    }

    /// Reads what stays from whoever was found to hold it.
    async fn theirs(&self) -> Result<(u32, Hashed), Fault> {
        let key = &self.object().key;
        let mut last = Fault::new(FaultKind::Partial, format!("who held {key} is away"));
        for node in &self.others {
            match scatter::replica_at(self.core, (node, Purpose::Repair), key).await {
                Ok((record, object)) => return Ok((record.revision, object)),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    fn check_quorum(&self) -> Result<(), Fault> {
        let slot = self.object().slot();
        quorum::check(&self.layouts, slot, &self.holders, &self.standins)
            .map_err(|lack| self.refusal(&lack))
    }

    /// Returns the owners in all live layouts, first owner first.
    fn owners(&self) -> Vec<NodeId> {
        let mut owners = Vec::new();
        for layout in &self.layouts {
            for owner in layout.owners(self.object().slot()) {
                if !owners.contains(owner) {
                    owners.push(owner.clone());
                }
            }
        }
        owners
    }

    /// Asks the owners that may answer what they hold; notes those that do not.
    async fn versions(&mut self, owners: &[NodeId]) -> Versions {
        let mut held = BTreeMap::new();
        let core = self.core;
        let alive = |node: &&NodeId| core.look(|view| view.table.may_answer(node));
        let (asked, down): (Vec<&NodeId>, Vec<&NodeId>) = owners.iter().partition(alive);
        for node in down {
            self.failed.insert(node.clone(), "it is down".to_owned());
        }
        let key = &self.object().key;
        let purpose = self.purpose;
        let ask = |node: NodeId| async move {
            let request = Request::Versions(purpose, vec![key.clone()]);
            let answer = core.ask(&node, request, VERSIONS_LIMIT).await;
            (node, answer)
        };
        for (node, answer) in join_all(asked.into_iter().cloned().map(ask)).await {
            match answer {
                Ok(Response::Versions(versions)) if versions.len() == 1 => {
                    held.insert(node, versions[0]);
                }
                Ok(_) => self.note(&AskError::senseless(&node)),
                Err(error) => self.note(&error),
            }
        }
        held
    }

    /// Asks those that hold what owners may lack; who does not answer is asked by queries, too.
    async fn elsewhere(&self, owners: &[NodeId]) -> Versions {
        let slot = self.object().slot();
        let marked = self.core.look(View::unconfirmed);
        let others = marked.into_iter().filter(|(node, slots)| {
            slots.contains(slot) && !owners.contains(node) && *node != self.core.me
        });
        let ask = |(node, _): (NodeId, SlotSet)| async move {
            let request = Request::Versions(self.purpose, vec![self.object().key.clone()]);
            let version = match self.core.ask(&node, request, VERSIONS_LIMIT).await {
                Ok(Response::Versions(versions)) => versions.into_iter().next().flatten(),
                _ => None,
            };
            (node, version)
        };
        join_all(others.map(ask)).await.into_iter().collect()
    }

    /// Sends the object to nodes; `false` if other content turned out to be there and stays.
    async fn send(&mut self, to: Vec<NodeId>, revision: Option<u32>, standin: bool) -> bool {
        let mut outcomes = self.send_all(to, revision, standin).await;
        let other = |(_, stored): &(NodeId, Stored)| stored.version.hash != self.hash;
        let theirs = winner(outcomes.iter().filter(|o| other(o)).map(|(_, s)| s.version));
        let mut stays = true;
        if let Some(theirs) = theirs {
            // Two put different content at once: the same one wins on every node.
            let mine = Version {
                revision: theirs.revision,
                hash: self.hash,
            };
            let again = outcomes.iter().filter(|o| other(o)).map(|(n, _)| n.clone());
            let again: Vec<NodeId> = again.collect();
            outcomes.retain(|o| !other(o));
            stays = revision.is_none() && mine.covers(&theirs);
            if stays {
                let resent = self.send_all(again, Some(theirs.revision), standin).await;
                outcomes.extend(resent);
            } else {
                self.mark(&again).await;
                self.others = again;
            }
        }
        let held = outcomes
            .into_iter()
            .filter(|(_, s)| s.version.hash == self.hash);
        let held: Vec<NodeId> = held.map(|(node, _)| node).collect();
        if standin {
            self.standins.extend(held.iter().cloned());
        }
        self.holders.extend(held);
        stays
    }

    async fn send_all(
        &mut self,
        to: Vec<NodeId>,
        revision: Option<u32>,
        standin: bool,
    ) -> Vec<(NodeId, Stored)> {
        let shipment = send::Shipment {
            object: Arc::clone(&self.hashed),
            revision,
            standin,
            layout: self.layouts.last().map(|l| l.stamp()),
            purpose: self.purpose,
        };
        let sent = to.iter().map(|node| send::send(self.core, node, &shipment));
        let mut outcomes = Vec::new();
        for (node, answer) in to.iter().zip(join_all(sent).await) {
            match answer {
                Ok(stored) => outcomes.push((node.clone(), stored)),
                Err(error) => self.note(&error),
            }
        }
        outcomes
    }

    /// Finds a stand-in for every owner that does not hold the object.
    async fn stand_in(&mut self, revision: Option<u32>) {
        let slot = self.object().slot();
        let newest = self.layouts.last().map(Arc::clone);
        let order = newest.iter().flat_map(|layout| layout.standins(slot));
        let up = |node: &&NodeId| {
            let up = self.core.look(|v| v.table.may_answer(node));
            up && !self.holders.contains(*node) && !self.failed.contains_key(*node)
        };
        let mut free: Vec<NodeId> = order.filter(up).cloned().collect::<Vec<_>>();
        free.reverse();
        let owners_failed = self.failed.len();
        while self.standins.len() < owners_failed {
            let Some(next) = free.pop() else { break };
            self.send(vec![next], revision, true).await;
        }
        // While slots move, an owner in one layout can stand in for one in another.
        for holder in self.holders.clone() {
            if self.check_quorum().is_ok() {
                break;
            }
            if self
                .layouts
                .iter()
                .any(|layout| !layout.owns(&holder, slot))
                && self.mark(std::slice::from_ref(&holder)).await.is_empty()
            {
                self.standins.insert(holder);
            }
        }
    }

    /// If an owner lacks the object and nobody stands in for it, makes a holder be asked too.
    async fn mark_holder(&mut self) {
        let owners = self.owners();
        let lacking = owners.iter().any(|owner| !self.holders.contains(owner));
        if lacking && self.standins.is_empty() {
            let holders: Vec<NodeId> = self.holders.iter().cloned().collect();
            let unmarked = self.mark(&holders).await;
            // Unmarked, they cannot vouch for what the others lack.
            self.holders.retain(|holder| !unmarked.contains(holder));
            for node in unmarked {
                let why = "it holds it, and no majority could be told so".to_owned();
                self.failed.insert(node, why);
            }
        }
    }

    /// Has a holder hand over what is refused here: else one owner finds it and another does not,
    /// until they compare their replicas.
    fn even_out_later(&self) {
        let (core, holders) = (Arc::clone(self.core), self.holders.clone());
        let slots: SlotSet = std::iter::once(self.object().slot()).collect();
        let stop = core.stop.clone();
        let told = async move {
            for node in holders {
                let mark = Request::Mark(slots.clone());
                let told = core.ask(&node, mark, MARK_LIMIT).await;
                // A holder marks itself, whether or not it can tell a majority so.
                if !matches!(told, Err(AskError::Link { .. })) {
                    return;
                }
            }
        };
        let told = stop.run_until_cancelled_owned(told);
        self.core.tasks.spawn(told);
    }

    /// Makes the first node that can be told be asked for the slot, and hand over what it holds;
    /// returns those that could not be told.
    async fn mark(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let slots: SlotSet = std::iter::once(self.object().slot()).collect();
        let mut untold = Vec::new();
        for node in nodes {
            let request = Request::Mark(slots.clone());
            match self.core.ask(node, request, MARK_LIMIT).await {
                Ok(_) => break,
                Err(_) => untold.push(node.clone()),
            }
        }
        untold
    }

    /// Leaves other content, which was there first, as it is.
    fn keep(&mut self, there: Version, held: &Versions, elsewhere: &Versions) -> PutOutcome {
        let has = |(_, version): &(&NodeId, &Option<Version>)| **version == Some(there);
        let holding = held.iter().filter(has).map(|(node, _)| node.clone());
        self.holders.extend(holding);
        // They are asked for the slot, too.
        let standins = elsewhere.iter().filter(has).map(|(node, _)| node.clone());
        self.standins.extend(standins);
        self.holders.extend(self.standins.iter().cloned());
        self.others = self.holders.iter().cloned().collect();
        PutOutcome::Kept
    }

    fn note(&mut self, error: &AskError) {
        let node = error.node().clone();
        tracing::warn!(%error, object = %self.object().key, "a node could not keep an object");
        self.failed.insert(node, error.to_string());
    }

    fn refusal(&self, lack: &quorum::Lack) -> Fault {
        let what = format!(
            "{} is stored on {} of the {} nodes that an acknowledgement takes",
            self.object().key,
            lack.held,
            lack.needed
        );
        let mut fault = Fault::new(FaultKind::Refused, what);
        for (node, reason) in &self.failed {
            fault = fault.because(format!("owner {node}: {reason}"));
        }
        fault.try_("glebe status, then the same command again once the nodes are back")
    }

    fn acknowledge(self, outcome: PutOutcome) -> PutAck {
        PutAck {
            kind: self.object().key.kind,
            id: self.object().key.id.clone(),
            outcome,
            bytes: self.object().bytes(),
            acked_by: self.holders.iter().map(ToString::to_string).collect(),
            standins: self.standins.iter().map(ToString::to_string).collect(),
        }
    }
}
