//! Which nodes to ask for which slots, and what their answers are worth together.
//!
//! A slot is asked of one owner and of every node that may hold what owners lack (`unconfirmed`).
//! It is answered for if one owner and all those nodes answered, and a majority said which nodes
//! those are; or if fewer than W of all that may hold something did not answer: then no W of them
//! can hold something that nobody told.
//!
//! Who is forsaken is never asked. For what it held with others, these are waited for; what it held
//! alone, or with other forsaken ones, is given up: their silence alone leaves no slot open.
//!
//! All of it is worked out for sets of slots at once; `tests::by_slot` says the same of one slot.
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

/// Up to here a node is near: what a beat takes within a room, also from one that is busy. Nodes
/// are as far as each other while their distances, in fours of this, are: a few milliseconds are no
/// reason to have one node answer for another.
const NEAR: Duration = Duration::from_millis(5);

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
    /// Nodes whose removal gave up what only they held.
    pub forsaken: BTreeSet<NodeId>,
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
            forsaken: view.ring.newest().forsaken().clone(),
        }
    }
}

/// What it costs to ask a node for one more slot, dearer things first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    slow: bool,
    who: Who,
    /// How far away it is, roughly.
    reach: u32,
    /// Number of slots asked.
    load: u64,
    distance: Duration,
}

/// Returns how far a distance is: 0 up to `NEAR`, one more with each fourfold of it.
fn reach(distance: Duration) -> u32 {
    let times = distance.as_nanos().div_ceil(NEAR.as_nanos());
    times.max(1).next_power_of_two().ilog2().div_ceil(2)
}

/// Who would be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Me,
    Up,
    Away,
    /// It cannot answer.
    Nobody,
}

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
    /// Places of members that may hold anything, unknown to this node.
    unheard: Vec<usize>,
    /// Places of those that are never asked, and whose silence alone leaves no slot open.
    forsaken: Vec<usize>,
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

    /// Orders owners: who is not slow, this node itself, then who is up, then who is not far, then
    /// who is asked for least, then who answers soonest.
    fn cost(&self) -> Cost {
        let who = match self.state {
            _ if !self.can_answer() => Who::Nobody,
            _ if self.me => Who::Me,
            NodeState::Up => Who::Up,
            NodeState::Suspect | NodeState::Down => Who::Away,
        };
        Cost {
            slow: self.slow || who == Who::Nobody,
            who,
            reach: reach(self.distance),
            load: self.load,
            distance: self.distance,
        }
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
            state: match known.states.get(node) {
                Some(state) if !known.forsaken.contains(node) => *state,
                _ => NodeState::Down,
            },
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
        let forsaken = (0..holders.len()).filter(|i| known.forsaken.contains(&holders[*i].node));
        // What a forsaken one shared with who is not heard is no more known than what that one has.
        let unheard = (0..holders.len()).filter(|i| {
            let node = &holders[*i].node;
            let is_forsaken = known.forsaken.contains(node) && !known.unheard.is_empty();
            is_forsaken || known.unheard.contains(node)
        });
        Self {
            unheard: unheard.collect(),
            forsaken: forsaken.collect(),
            extras: extras.collect(),
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
        let (due, open) = self.due();
        let chosen = self.choose(&open, &due);
        let mut assignment = Assignment::new();
        for (holder, (mut more, chosen)) in self.holders.iter_mut().zip(due.into_iter().zip(chosen))
        {
            more.union(&chosen);
            if !more.is_empty() {
                holder.asked.union(&more);
                holder.load += more.len();
                assignment.insert(holder.node.clone(), more);
            }
        }
        assignment
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
        let mut rivals: BTreeSet<usize> = BTreeSet::new();
        for (i, owned) in self.layout.owned().iter().enumerate() {
            let mut both = owned.clone();
            both.intersect(&vague);
            if !both.is_empty() {
                rivals.insert(i);
            }
        }
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
            // One owner has answered for a slot if all did that must be asked besides.
            let mut answered = SlotSet::none();
            let mut awaited = SlotSet::none();
            for (i, holder) in self.holders.iter().enumerate() {
                let mut extra = holder.extra.clone();
                if !holder.failed {
                    extra.subtract(&holder.asked);
                    if let Some(owned) = self.layout.owned().get(i) {
                        let mut asked = holder.asked.clone();
                        asked.intersect(owned);
                        answered.union(&asked);
                    }
                }
                awaited.union(&extra);
            }
            answered.subtract(&awaited);
            open.subtract(&answered);
        }
        if open.is_empty() {
            return open;
        }
        let silent = self.silent_at_quorum();
        open.intersect(&silent);
        open
    }

    /// Returns the nodes that may hold something in a slot: its owners, those that must be asked
    /// besides, and those of which nobody knows; none that is forsaken.
    pub(crate) fn may_hold(&self, slot: Slot) -> Vec<NodeId> {
        let holders = self.holders.iter().enumerate();
        let may = |i: usize, holder: &Holder| {
            let owned = self.layout.owned().get(i);
            let owns = owned.is_some_and(|owned| owned.contains(slot));
            let may = owns || holder.extra.contains(slot) || self.unheard.contains(&i);
            may && !self.forsaken.contains(&i)
        };
        let may = holders.filter(|(i, holder)| may(*i, holder));
        may.map(|(_, holder)| holder.node.clone()).collect()
    }

    /// Returns what each holder must be asked that it has not been, and the slots for which one
    /// owner is yet to be chosen.
    fn due(&self) -> (Vec<SlotSet>, SlotSet) {
        // Where somebody who must be asked is silent, all owners are asked.
        let mut of_all = SlotSet::none();
        for holder in &self.holders {
            if !holder.can_answer() {
                of_all.union(&holder.extra);
            }
        }
        if !self.unheard.is_empty() {
            of_all = SlotSet::all();
        }
        let mut open = self.slots.clone();
        open.subtract(&of_all);
        let mut all_due = Vec::with_capacity(self.holders.len());
        for (i, holder) in self.holders.iter().enumerate() {
            let mut due = SlotSet::none();
            if holder.can_answer() {
                due.union(&holder.extra);
                if let Some(owned) = self.layout.owned().get(i) {
                    let mut asked = holder.asked.clone();
                    asked.union(&holder.extra);
                    asked.intersect(owned);
                    open.subtract(&asked);
                    let mut as_owner = owned.clone();
                    as_owner.intersect(&of_all);
                    due.union(&as_owner);
                }
                due.intersect(&self.slots);
                due.subtract(&holder.asked);
            }
            all_due.push(due);
        }
        (all_due, open)
    }

    /// Chooses for each slot, in order, the owner that costs least when what is due before is
    /// asked, too; returns what is chosen of each holder.
    fn choose(&self, open: &SlotSet, due: &[SlotSet]) -> Vec<SlotSet> {
        let mut chosen = vec![SlotSet::none(); self.holders.len()];
        let mut open = open.clone();
        // What this node owns itself it is asked, whatever else it is.
        let mine = |h: &Holder| h.me && h.can_answer() && !h.slow;
        let mine = self.holders.iter().position(mine);
        if let Some((i, owned)) = mine.and_then(|i| Some((i, self.layout.owned().get(i)?))) {
            chosen[i] = open.clone();
            chosen[i].intersect(owned);
            open.subtract(owned);
        }
        if open.is_empty() {
            return chosen;
        }
        let mut costs: Vec<Cost> = self.holders.iter().map(Holder::cost).collect();
        let also: Vec<usize> = (0..due.len()).filter(|i| !due[*i].is_empty()).collect();
        let mut walked = open.clone();
        for i in &also {
            walked.union(&due[*i]);
        }
        for slot in walked.iter() {
            let owners = self.layout.owner_indexes(slot).iter();
            let owners = owners.map(|i| usize::from(*i));
            let best = owners.filter(|_| open.contains(slot));
            let best = best.min_by_key(|i| costs[*i]);
            let best = best.filter(|i| costs[*i].who != Who::Nobody);
            for i in also.iter().filter(|i| due[**i].contains(slot)) {
                costs[*i].load += 1;
            }
            if let Some(best) = best {
                costs[best].load += 1;
                chosen[best].insert(slot);
            }
        }
        chosen
    }

    /// Returns the slots of which W of those that may hold something did not answer, not all of
    /// them forsaken.
    fn silent_at_quorum(&self) -> SlotSet {
        let quorum = self.layout.write_quorum().min(self.layout.members().len());
        // At k: the slots of which more than k are silent.
        let mut silent = vec![SlotSet::none(); quorum.max(1)];
        let (lost, others): (Vec<usize>, Vec<usize>) =
            (0..self.holders.len()).partition(|i| self.forsaken.contains(i));
        for i in others.iter().chain(&lost).copied() {
            let holder = &self.holders[i];
            let mut may_hold = holder.extra.clone();
            if let Some(owned) = self.layout.owned().get(i) {
                may_hold.union(owned);
            }
            if self.unheard.contains(&i) {
                may_hold = SlotSet::all();
            }
            if !holder.failed {
                may_hold.subtract(&holder.asked);
            }
            for k in (1..silent.len()).rev() {
                let mut both = silent[k - 1].clone();
                both.intersect(&may_hold);
                silent[k].union(&both);
            }
            // Who is forsaken counts only beside somebody who is silent and may come back.
            if !self.forsaken.contains(&i) {
                silent[0].union(&may_hold);
            }
        }
        silent.pop().unwrap_or_else(SlotSet::none)
    }
}

#[cfg(test)]
mod tests;
