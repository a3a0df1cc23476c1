//! Which nodes to ask for which slots, and what their answers are worth together.
//!
//! A slot is asked of one owner and of every node that may hold what owners lack (`unconfirmed`).
//! It is answered for if one owner and all those nodes answered, and a majority said which nodes
//! those are; or if fewer than W of all that may hold something did not answer: then no W of them
//! can hold something that nobody told.
//!
//! *Invariants*: nobody else is asked; a node that failed is not asked again; pure.
//!
//! *Not here*: asking (`scatter`), what makes a slot unconfirmed (`replicate`, `sync`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use earth::split::placement::Slot;
use wire::cluster::NodeState;

use crate::cluster::core::View;
use crate::identity::NodeId;
use crate::layout::Layout;
use crate::slots::SlotSet;

/// How long a page may take before another owner is asked, too: far above what a page takes, and
/// such that a stopped node costs a query less than a second.
const HEDGE_AFTER: Duration = Duration::from_millis(500);

/// What is asked of whom.
pub(crate) type Assignment = BTreeMap<NodeId, SlotSet>;

/// Who may be asked.
#[derive(Debug, Clone)]
pub(crate) struct Holders {
    pub me: NodeId,
    pub layout: Arc<Layout>,
    pub states: BTreeMap<NodeId, NodeState>,
    pub unconfirmed: BTreeMap<NodeId, SlotSet>,
    /// How long others take to answer the least of questions.
    pub distances: BTreeMap<NodeId, Duration>,
    /// Members of which it is not known what they hold besides, for no majority was heard.
    pub unheard: BTreeSet<NodeId>,
}

impl Holders {
    /// Returns who may be asked, as a node sees it now.
    pub(crate) fn of(view: &View) -> Self {
        let state = |node: NodeId| {
            let state = view.table.state(&node);
            (node, state)
        };
        let me = view.table.me().node.clone();
        let everybody = view.others().into_iter().chain([me.clone()]);
        Self {
            states: everybody.map(state).collect(),
            me,
            layout: Arc::clone(view.ring.read()),
            unconfirmed: view.unconfirmed(),
            distances: view.distances.clone(),
            unheard: BTreeSet::new(),
        }
    }
}

/// What it costs to ask a node for one more slot, dearer things first.
type Cost = (bool, bool, bool, u64, Duration);

/// The state of one question.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    layout: Arc<Layout>,
    slots: SlotSet,
    /// The layout's members in its order, then others that must be asked besides owners.
    holders: Vec<Holder>,
    /// Nobody is replaced for being slow.
    patient: bool,
    /// Every slot is asked of whom it should be, as far as is known.
    assigned: bool,
    /// Places, in `holders`, of those that must be asked for some slots besides owners.
    extras: Vec<usize>,
    /// All those slots.
    extra: SlotSet,
    /// Places of members that may hold anything, unknown to this node.
    unheard: Vec<usize>,
}

/// A node that may be asked.
#[derive(Debug, Clone)]
struct Holder {
    node: NodeId,
    /// It is this node itself.
    me: bool,
    state: NodeState,
    /// Slots for which it must be asked whoever owns them.
    extra: SlotSet,
    asked: SlotSet,
    /// It took longer than a question should; others are asked first.
    slow: bool,
    /// Number of slots asked.
    load: u64,
    /// How long it takes to answer the least of questions.
    distance: Duration,
    failed: bool,
}

impl Holder {
    fn can_answer(&self) -> bool {
        !self.failed && self.state != NodeState::Down
    }

    fn answered(&self, slot: Slot) -> bool {
        !self.failed && self.asked.contains(slot)
    }

    /// Orders owners: who is not slow, this node itself, then who is up, then who is asked for
    /// least, then who answers soonest.
    fn cost(&self) -> Cost {
        let away = self.state != NodeState::Up;
        (self.slow, !self.me, away, self.load, self.distance)
    }
}

impl Coverage {
    /// Plans a question about some slots; nobody has been asked yet.
    pub(crate) fn new(known: Holders, slots: SlotSet) -> Self {
        let layout = known.layout;
        let members = layout.members().iter().map(|m| &m.node);
        let others = known.unconfirmed.keys().filter(|n| !layout.contains(n));
        let holder = |node: &NodeId| Holder {
            me: *node == known.me,
            state: known.states.get(node).copied().unwrap_or(NodeState::Down),
            extra: known
                .unconfirmed
                .get(node)
                .cloned()
                .unwrap_or_else(SlotSet::none),
            asked: SlotSet::none(),
            slow: false,
            load: 0,
            distance: known.distances.get(node).copied().unwrap_or_default(),
            failed: false,
            node: node.clone(),
        };
        let holders: Vec<Holder> = members.chain(others).map(holder).collect();
        let extras = (0..holders.len()).filter(|i| !holders[*i].extra.is_empty());
        let mut extra = SlotSet::none();
        for holder in &holders {
            extra.union(&holder.extra);
        }
        let unheard = (0..holders.len()).filter(|i| known.unheard.contains(&holders[*i].node));
        Self {
            unheard: unheard.collect(),
            extras: extras.collect(),
            extra,
            patient: false,
            assigned: false,
            holders,
            slots,
            layout,
        }
    }

    /// Returns the layout that the question is put under.
    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Returns what is to be asked of whom beyond what has been.
    pub(crate) fn assign(&mut self) -> Assignment {
        if std::mem::replace(&mut self.assigned, true) {
            // Nothing has changed since: an answer came, say.
            return Assignment::new();
        }
        let mut more = vec![SlotSet::none(); self.holders.len()];
        let mut wanted = Vec::new();
        for slot in self.slots.iter() {
            self.want(slot, &mut wanted);
            for i in wanted.drain(..) {
                let holder = &mut self.holders[i];
                if !holder.asked.contains(slot) {
                    holder.asked.insert(slot);
                    holder.load += 1;
                    more[i].insert(slot);
                }
            }
        }
        let named = more
            .into_iter()
            .enumerate()
            .filter(|(_, slots)| !slots.is_empty());
        named
            .map(|(i, slots)| (self.holders[i].node.clone(), slots))
            .collect()
    }

    /// Notes that a node did not answer; `assign` then says who can instead.
    pub(crate) fn fail(&mut self, node: &NodeId) {
        if let Some(holder) = self.holders.iter_mut().find(|h| h.node == *node) {
            holder.failed = true;
            self.assigned = false;
        }
    }

    /// Notes that a node takes long; `assign` then says who can instead, or asks it again if nobody
    /// else can.
    pub(crate) fn slow(&mut self, node: &NodeId) {
        if let Some(holder) = self.holders.iter_mut().find(|h| h.node == *node) {
            holder.slow = true;
            holder.asked = SlotSet::none();
            self.assigned = false;
        }
    }

    /// Returns how long a node may take before others are asked in its place; none if it must be
    /// waited for.
    pub(crate) fn patience(&self, node: &NodeId) -> Option<Duration> {
        let holder = self.holders.iter().find(|h| h.node == *node)?;
        let awaited = self.patient || holder.me || holder.slow || !holder.extra.is_empty();
        (!awaited).then_some(HEDGE_AFTER)
    }

    /// Has every node be waited for: what is asked takes long by itself.
    pub(crate) fn patient(mut self) -> Self {
        self.patient = true;
        self
    }

    /// Lets a node be asked again for all that it was asked.
    pub(crate) fn ask_again(&mut self, node: &NodeId) {
        if let Some(holder) = self.holders.iter_mut().find(|h| h.node == *node) {
            holder.asked = SlotSet::none();
            self.assigned = false;
        }
    }

    /// Returns the other nodes that may know better what became of objects in these slots: those
    /// that hold what owners may lack, and, where that is the node itself or a silent one, the
    /// owners: what was acknowledged, one of them knows.
    pub(crate) fn rivals(&self, node: &NodeId, slots: &SlotSet) -> Vec<NodeId> {
        let marked = |holder: &Holder| {
            let mut both = holder.extra.clone();
            both.intersect(slots);
            both
        };
        let own = self.holders.iter().find(|h| h.node == *node).map(marked);
        let mut vague = own.unwrap_or_else(SlotSet::none);
        for holder in self.extras.iter().map(|i| &self.holders[*i]) {
            if !holder.can_answer() {
                vague.union(&marked(holder));
            }
        }
        if !self.unheard.is_empty() {
            vague = slots.clone();
        }
        let mut rivals: BTreeSet<usize> = vague.iter().flat_map(|s| self.owners_of(s)).collect();
        let extras = self.extras.iter().copied();
        rivals.extend(extras.filter(|i| !marked(&self.holders[*i]).is_empty()));
        let rivals = rivals.into_iter().map(|i| &self.holders[i]);
        let others = rivals.filter(|h| h.node != *node && h.can_answer());
        others.map(|h| h.node.clone()).collect()
    }

    /// Returns the slots that are not answered for.
    pub(crate) fn missing(&self) -> SlotSet {
        let mut open = self.slots.clone();
        if self.unheard.is_empty() {
            // Where nobody but owners must be asked, one that was asked has answered for the slot.
            let mut answered = SlotSet::none();
            for holder in self.holders.iter().filter(|holder| !holder.failed) {
                answered.union(&holder.asked);
            }
            answered.subtract(&self.extra);
            open.subtract(&answered);
        }
        open.iter().filter(|s| !self.is_answered(*s)).collect()
    }

    /// Collects the nodes to ask for a slot.
    fn want(&self, slot: Slot, wanted: &mut Vec<usize>) {
        let mut all_owners = !self.unheard.is_empty();
        for i in self.extras_of(slot) {
            if self.holders[i].can_answer() {
                wanted.push(i);
            } else {
                all_owners = true;
            }
        }
        let mut best: Option<(usize, Cost)> = None;
        for i in self.owners_of(slot) {
            let owner = &self.holders[i];
            if !owner.can_answer() {
                continue;
            }
            if all_owners {
                wanted.push(i);
                continue;
            }
            if owner.asked.contains(slot) || wanted.contains(&i) {
                return;
            }
            let cost = owner.cost();
            if best.is_none_or(|(_, least)| cost < least) {
                best = Some((i, cost));
            }
        }
        wanted.extend(best.map(|(i, _)| i));
    }

    fn is_answered(&self, slot: Slot) -> bool {
        let answered = |i: usize| self.holders[i].answered(slot);
        let heard = self.unheard.is_empty();
        if heard && self.owners_of(slot).any(answered) && self.extras_of(slot).all(answered) {
            return true;
        }
        let owners: Vec<usize> = self.owners_of(slot).collect();
        let unheard = self.unheard.iter().copied();
        let others: BTreeSet<usize> = self.extras_of(slot).chain(unheard).collect();
        let others = others.into_iter().filter(|i| !owners.contains(i));
        let silent = owners
            .iter()
            .copied()
            .chain(others)
            .filter(|i| !answered(*i))
            .count();
        silent < self.layout.write_quorum().min(self.layout.members().len())
    }

    fn owners_of(&self, slot: Slot) -> impl Iterator<Item = usize> {
        self.layout
            .owner_indexes(slot)
            .iter()
            .map(|i| usize::from(*i))
    }

    fn extras_of(&self, slot: Slot) -> impl Iterator<Item = usize> {
        let some = self.extra.contains(slot);
        let extras = if some { self.extras.as_slice() } else { &[] };
        let extras = extras.iter().copied();
        extras.filter(move |i| self.holders[*i].extra.contains(slot))
    }
}

#[cfg(test)]
mod tests;
