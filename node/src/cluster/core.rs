//! What the parts of a running node have in common: its store, its view of the cluster, its voice.
//!
//! *Invariants*: one lock over ring and table, never held across an await or a call to the store;
//! whoever changes them wakes those that wait.
//!
//! *Not here*: asking others (`ask`), what is done with all this (`replicate`, `scatter`, `sync`,
//! `gossip`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use earth::split::placement::Slot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::cluster::NodeState;
use wire::fault::{Fault, FaultKind};

pub(crate) use super::ask::AskError;
use super::changes::{Changes, Watch};
use super::file::ClusterFile;
use super::marks::Marks;
use super::vouch::Vouchers;
use crate::access::Keyring;
use crate::answer::Transfers;
use crate::budget::{self, Budgets};
use crate::clock::Clock;
use crate::compose::Compositions;
use crate::hands;
use crate::identity::{Identity, NodeId};
use crate::layout::Layout;
use crate::membership::{Beat, Table};
use crate::meters::Meters;
use crate::refusals::Refusals;
use crate::ring::{Report, Ring};
use crate::runs::Runs;
use crate::slots::SlotSet;
use crate::store::{Store, StoreError};
use crate::swarm::Link;
use crate::sync::Arrivals;
use crate::upkeep::Upkeep;

/// Ring, table and writes in flight.
#[derive(Debug)]
pub(crate) struct View {
    /// The live layouts.
    pub ring: Ring,
    /// Who is alive.
    pub table: Table,
    /// Held by every write in flight.
    epoch: Arc<Epoch>,
    /// Writes that began before the newest layout was known.
    older: Vec<Weak<Epoch>>,
    marks: Marks,
    /// How long others took to answer the least of questions, smoothed.
    pub distances: BTreeMap<NodeId, Duration>,
    /// Counts of the own beat: when a mark was added, and of those that a majority has heard.
    grown_at: u64,
    told: u64,
}

/// A stretch of time in which the layouts did not change.
#[derive(Debug)]
pub(crate) struct Epoch;

/// Where a write goes.
#[derive(Debug)]
pub(crate) struct Writes {
    /// The layouts whose owners all get it.
    pub layouts: Vec<Arc<Layout>>,
    /// Until it is dropped, this node does not say that it knows a newer layout.
    _epoch: Arc<Epoch>,
}

/// What the parts of a running node have in common.
pub(crate) struct Core {
    pub me: NodeId,
    pub store: Arc<Store>,
    pub runs: Arc<Runs>,
    pub meters: Meters,
    pub transfers: Transfers,
    pub compositions: Compositions,
    pub upkeep: Upkeep,
    pub arrivals: Arrivals,
    /// Held while a change of the layout is planned: one asks all nodes for all that they hold.
    pub planning: tokio::sync::Mutex<()>,
    /// Held while what stays in the place of an object is put in its turn.
    pub keeping: tokio::sync::Mutex<()>,
    /// Bytes of objects on their way to others.
    pub sending: Budgets,
    /// Bytes of replicas on their way from others, for which nobody waits.
    pub pulling: Budgets,
    /// None without a network.
    pub link: Option<Link>,
    /// `host:port` under which members are looked for that moved while this node was away.
    pub seeds: Option<String>,
    /// What the node signs with; none without a network.
    pub signer: Option<Identity>,
    /// Who vouches for which membership change.
    pub vouchers: Vouchers,
    /// The cluster's tokens.
    pub keyring: Arc<Keyring>,
    pub refusals: Arc<Refusals>,
    pub file: Option<Arc<ClusterFile>>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    pub(super) catalog: Mutex<Option<super::catalog::Known>>,
    view: Mutex<View>,
    changes: Arc<Changes>,
    /// Number of the next object that is sent in parts.
    transfers_sent: AtomicU64,
    pub(super) clock: Clock,
}

impl View {
    pub(crate) fn new(ring: Ring, table: Table) -> Self {
        Self {
            ring,
            table,
            epoch: Arc::new(Epoch),
            older: Vec::new(),
            marks: Marks::none(),
            distances: BTreeMap::new(),
            grown_at: 0,
            told: 0,
        }
    }

    /// Notes that this node must be asked for these slots; tells whether that is new to others.
    pub(crate) fn mark(&mut self, slots: &SlotSet) -> bool {
        self.marks.add(slots);
        let before = self.table.me().unconfirmed.clone();
        let mut after = before.clone();
        after.union(slots);
        let grown = after != before;
        if grown {
            self.table.beat(|me| me.unconfirmed = after);
            self.grown_at = self.table.me().age.count;
        }
        grown
    }

    /// Notes what is to be handed over without anybody else having to know.
    pub(crate) fn adopt(&mut self, slots: &SlotSet) {
        self.marks.adopt(slots);
    }

    /// Returns the slots that this node is to hand over to their owners.
    pub(crate) fn to_hand_over(&self) -> SlotSet {
        let mut slots = self.marks.orphans().clone();
        slots.union(&self.table.me().unconfirmed);
        slots
    }

    /// Returns the count of the own beat that was the first to say all marks so far.
    pub(crate) fn grown_at(&self) -> u64 {
        self.grown_at
    }

    /// Tells whether a majority knows the own beat of that count, or a later one.
    pub(crate) fn is_told(&self, count: u64) -> bool {
        self.told >= count
    }

    /// Notes who has heard the own beat of that count.
    pub(crate) fn note_told(&mut self, count: u64, heard: &BTreeSet<NodeId>) {
        let forsaken = self.ring.newest().forsaken();
        let mut layouts = self.ring.writes().iter();
        if layouts.all(|layout| layout.can_keep(heard, forsaken)) {
            self.told = self.told.max(count);
        }
    }

    /// Tells whether these nodes are a majority of those read from, or all of them but forsaken
    /// ones: what a majority of every live layout was told, one of them knows.
    pub(crate) fn hears_majority(&self, nodes: &BTreeSet<NodeId>) -> bool {
        let forsaken = self.ring.newest().forsaken();
        self.ring.read().can_tell(nodes, forsaken)
    }

    /// Returns the slots that this node owns in a live layout and that the newest gives to somebody
    /// who did not own them under another.
    fn given_away(&self, before: &Layout) -> SlotSet {
        let (me, newest) = (&self.table.me().node, self.ring.newest());
        let mut given = SlotSet::none();
        for member in newest.members().iter().filter(|m| m.node != *me) {
            let mut gained = newest.slots_of(&member.node);
            gained.subtract(&before.slots_of(&member.node));
            given.union(&gained);
        }
        let mut mine = SlotSet::none();
        for layout in self.ring.writes() {
            mine.union(&layout.slots_of(me));
        }
        given.intersect(&mine);
        given
    }

    /// Returns the count of marks so far.
    pub(crate) fn marks(&self) -> u64 {
        self.marks.count()
    }

    /// Takes the mark from slots that were not marked again since that count.
    pub(crate) fn confirm(&mut self, slots: &SlotSet, marks: u64) {
        let old = self.marks.take(slots, marks);
        self.table.beat(|me| me.unconfirmed.subtract(&old));
    }

    /// Takes in membership changes; writes that began before count as older ones.
    pub(crate) fn merge(&mut self, changes: &crate::layout::ChangeSet) -> bool {
        let newest = Arc::clone(self.ring.newest());
        match self.ring.merge(changes) {
            Ok(true) => {
                let before = std::mem::replace(&mut self.epoch, Arc::new(Epoch));
                self.older.push(Arc::downgrade(&before));
                // A new owner may have pulled from others while this node, cut off, took writes.
                let given = self.given_away(&newest);
                if !given.is_empty() {
                    self.mark(&given);
                }
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::warn!(%error, "refused membership changes");
                false
            }
        }
    }

    /// Notes how long a node took to answer one of the least of questions.
    pub(crate) fn measured(&mut self, node: &NodeId, took: Duration) {
        let known = self.distances.entry(node.clone()).or_insert(took);
        *known = (*known * 7 + took) / 8;
    }

    /// Counts up the own beat and says what holds now.
    pub(crate) fn beat(&mut self) {
        self.older.retain(|epoch| epoch.strong_count() > 0);
        let known = self.older.is_empty().then(|| self.ring.newest().stamp());
        let reading = self.ring.read().stamp();
        self.table.beat(|me| {
            me.known = known.unwrap_or(me.known);
            me.reading = reading;
        });
    }

    /// Returns what each node said last about layouts.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let newest = self.ring.newest();
        let report = |beat: &Beat| {
            // Who leaves is a member until all that it holds is where it belongs.
            let leaves = !newest.contains(&beat.node) && !beat.unconfirmed.is_empty();
            let of_it = |l: &&Arc<Layout>| l.contains(&beat.node);
            let last = self.ring.writes().iter().find(of_it).filter(|_| leaves);
            Report {
                node: beat.node.clone(),
                known: beat.known,
                synced: beat.synced,
                reading: last.map_or(beat.reading, |l| l.stamp()),
                live: self.table.may_answer(&beat.node),
            }
        };
        self.table.beats().map(report).collect()
    }

    /// Moves the ring on as far as the reports allow.
    pub(crate) fn advance(&mut self) -> bool {
        let moved = self.ring.advance(&self.reports());
        let ring = &self.ring;
        self.table.retain(|node| ring.is_member(node));
        moved
    }

    /// Returns the other members of all live layouts.
    pub(crate) fn others(&self) -> Vec<NodeId> {
        let me = &self.table.me().node;
        let layouts = self.ring.writes().iter();
        let mut nodes: Vec<NodeId> = layouts
            .flat_map(|l| l.members().iter().map(|m| m.node.clone()))
            .filter(|node| node != me)
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Returns the other members beside those that were heard, but for forsaken ones: nobody waits
    /// for what these alone know.
    pub(crate) fn unheard(&self, heard: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let forsaken = self.ring.newest().forsaken();
        let others = self.others().into_iter();
        others
            .filter(|node| !heard.contains(node) && !forsaken.contains(node))
            .collect()
    }

    /// Returns the other members that are up.
    pub(crate) fn others_up(&self) -> Vec<NodeId> {
        let up = |node: &NodeId| self.table.state(node) == NodeState::Up;
        self.others().into_iter().filter(up).collect()
    }

    /// Returns the nodes that must be asked for a slot beside its owners, alive or not.
    pub(crate) fn unconfirmed(&self) -> BTreeMap<NodeId, SlotSet> {
        let holding = self.table.beats().filter(|b| !b.unconfirmed.is_empty());
        holding
            .map(|b| (b.node.clone(), b.unconfirmed.clone()))
            .collect()
    }

    /// Returns the distinct owners of a slot in all live layouts, owners read from first.
    pub(crate) fn owners(&self, slot: Slot) -> Vec<NodeId> {
        let mut owners: Vec<NodeId> = self.ring.read().owners(slot).cloned().collect();
        for layout in self.ring.writes() {
            for owner in layout.owners(slot) {
                if !owners.contains(owner) {
                    owners.push(owner.clone());
                }
            }
        }
        owners
    }
}

impl Core {
    pub(crate) fn new(
        (store, runs): (Arc<Store>, Arc<Runs>),
        view: View,
        link: Option<Link>,
        file: Option<Arc<ClusterFile>>,
    ) -> Self {
        let compositions = Compositions::new(runs.data());
        Self {
            me: view.table.me().node.clone(),
            store,
            runs,
            meters: Meters::default(),
            transfers: Transfers::default(),
            compositions,
            upkeep: Upkeep::default(),
            arrivals: Arrivals::default(),
            planning: tokio::sync::Mutex::default(),
            keeping: tokio::sync::Mutex::default(),
            sending: Budgets::new(budget::SENT_KIB),
            pulling: Budgets::new(budget::PULLED_KIB),
            link,
            seeds: None,
            signer: None,
            vouchers: Vouchers::default(),
            keyring: Arc::new(Keyring::none()),
            refusals: Arc::default(),
            file,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            catalog: Mutex::new(None),
            view: Mutex::new(view),
            changes: Arc::default(),
            transfers_sent: AtomicU64::new(1),
            clock: Clock::start(),
        }
    }

    /// Looks at the view.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the view and wakes those that wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut View, Duration) -> T) -> T {
        let now = self.now();
        let changed = self.quietly(|view| change(view, now));
        self.wake();
        changed
    }

    /// Changes what nobody waits for.
    pub(crate) fn quietly<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        change(&mut self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Returns the time of day, by which tokens expire.
    pub(crate) fn day(&self) -> jiff::Timestamp {
        self.clock.day()
    }

    /// Returns what tells an object that is sent in parts apart from all sent before.
    pub(crate) fn next_transfer(&self) -> u64 {
        self.transfers_sent.fetch_add(1, Ordering::Relaxed)
    }

    /// Wakes those that wait for a change.
    pub(crate) fn wake(&self) {
        self.changes.note();
    }

    /// Returns what wakes at every change of the view.
    pub(crate) fn changes(&self) -> Watch {
        self.changes.watch()
    }

    /// Begins a write: returns where it goes.
    pub(crate) fn writes(&self) -> Writes {
        self.look(|view| Writes {
            layouts: view.ring.writes().to_vec(),
            _epoch: Arc::clone(&view.epoch),
        })
    }

    /// Runs what blocks on a thread that may.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Fault> {
        let store = Arc::clone(&self.store);
        match hands::work(move || work(&store)).await {
            Ok(done) => done.map_err(Fault::from),
            Err(lost) => Err(Fault::new(FaultKind::Internal, lost.to_string())),
        }
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Core({})", self.me)
    }
}
