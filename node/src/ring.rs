//! The layouts that are live at once: the one read from and those that came after it.
//!
//! ```text
//! history:  [ L₀ … Lᵣ … Lₙ ]     Lᵣ read from · Lₙ newest · writes go to the owners of all
//! ```
//! A node reads from a layout once every member of it holds what it should (`synced`); it writes to
//! all from the oldest that a live member still reads from. So a read meets every acknowledged
//! write, whichever node took either. (Garage's rule, after its consistency test failed without.)
//!
//! A member that is draining owns nothing, so it is not waited for. What one node reads from was
//! synced on all members, so another may read from it, too.
//!
//! *Invariants*: never empty, so there always is an owner; layouts only grow newer; no I/O.
//!
//! *Not here*: moving data (`sync`), who is alive (`membership`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;
use crate::layout::{ChangeSet, ChangeSetError, Layout, Stamp, folded};

/// What a member says about layouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The member.
    pub node: NodeId,
    /// The newest layout it knows.
    pub known: Stamp,
    /// The newest layout of which it holds all that it should.
    pub synced: Stamp,
    /// The layout it reads from.
    pub reading: Stamp,
    /// It may answer: who is down holds up no write.
    pub live: bool,
}

/// The live layouts.
#[derive(Debug, Clone)]
pub struct Ring {
    changes: ChangeSet,
    history: Vec<Arc<Layout>>,
    /// The changes of each layout in the history.
    sets: Vec<ChangeSet>,
    reading: usize,
}

/// Which layouts are live, told by the changes that each lacks: what a node writes down, and what
/// a newcomer hears. Their versions would not do, for rival changes order themselves anew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standpoint {
    /// Place of the layout read from, counted from the oldest.
    pub reading: u32,
    /// Of each layout but the newest, the places of the changes that it lacks; oldest first.
    pub behind: Vec<Vec<u32>>,
}

impl Ring {
    /// Returns the ring of one layout.
    pub fn new(changes: ChangeSet) -> Self {
        let layout = folded::of(&changes);
        Self {
            sets: vec![changes.clone()],
            changes,
            history: vec![layout],
            reading: 0,
        }
    }

    /// Returns the ring of all changes that stands where this node did, or another does.
    pub fn standing(changes: ChangeSet, at: &Standpoint) -> Self {
        let mut ring = Self::new(changes);
        let older = at
            .behind
            .iter()
            .filter_map(|lacking| ring.changes.without(lacking));
        let mut sets: Vec<ChangeSet> = older.filter(|set| set.len() < ring.changes.len()).collect();
        let newest = ring.history.pop();
        ring.history = sets.iter().map(folded::of).collect();
        ring.history.extend(newest);
        sets.push(ring.changes.clone());
        ring.reading = (at.reading as usize).min(sets.len() - 1);
        ring.sets = sets;
        ring
    }

    /// Returns where the ring stands.
    pub fn standpoint(&self) -> Standpoint {
        let older = &self.sets[..self.sets.len().saturating_sub(1)];
        Standpoint {
            reading: u32::try_from(self.reading).unwrap_or(0),
            behind: older.iter().map(|set| self.changes.beyond(set)).collect(),
        }
    }

    /// Returns all changes known.
    pub fn changes(&self) -> &ChangeSet {
        &self.changes
    }

    /// Returns the layout that answers are read from.
    pub fn read(&self) -> &Arc<Layout> {
        &self.history[self.reading]
    }

    /// Returns the newest layout.
    pub fn newest(&self) -> &Arc<Layout> {
        self.history.last().unwrap_or(&self.history[self.reading])
    }

    /// Returns the layouts whose owners all get what is written.
    pub fn writes(&self) -> &[Arc<Layout>] {
        &self.history
    }

    /// Tells whether there is one layout only.
    pub fn settled(&self) -> bool {
        self.history.len() == 1
    }

    /// Tells whether the node is a member of a live layout.
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.history.iter().any(|layout| layout.contains(node))
    }

    /// Takes in changes; returns whether there was news.
    pub fn merge(&mut self, changes: &ChangeSet) -> Result<bool, ChangeSetError> {
        let merged = self.changes.merged(changes)?;
        if merged == self.changes {
            return Ok(false);
        }
        self.history.push(folded::of(&merged));
        self.sets.push(merged.clone());
        self.changes = merged;
        Ok(true)
    }

    /// Reads from the newest layout of which every member is synced, and forgets those that no
    /// live member reads from any more; returns whether anything changed.
    pub fn advance(&mut self, reports: &[Report]) -> bool {
        let before = (self.reading, self.history.len());
        let synced = |layout: &Arc<Layout>| {
            let stamp = layout.stamp();
            layout
                .members()
                .iter()
                .filter(|m| !m.draining)
                .all(|member| {
                    let said = reports.iter().find(|r| r.node == member.node);
                    said.is_some_and(|r| r.synced == stamp)
                })
        };
        let newer = self.history.iter().rposition(synced);
        let read = |layout: &Arc<Layout>| reports.iter().any(|r| r.reading == layout.stamp());
        let others = self.history.iter().rposition(read);
        self.reading = newer.max(others).unwrap_or(0).max(self.reading);
        let place = |r: &Report| {
            let found = self.history.iter().position(|l| l.stamp() == r.reading);
            // Unknown and newer: it reads what this node is about to hear of.
            let newer = r.reading.version > self.newest().version();
            found.unwrap_or(if newer { self.history.len() - 1 } else { 0 })
        };
        let live = reports.iter().filter(|r| r.live).map(place);
        let oldest = live.min().unwrap_or(0).min(self.reading);
        self.history.drain(..oldest);
        self.sets.drain(..oldest);
        self.reading -= oldest;
        before != (self.reading + oldest, self.history.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Member, Place, What};

    fn node(i: u64) -> NodeId {
        NodeId::parse(&format!("n{i}")).unwrap()
    }

    fn one() -> ChangeSet {
        let first = Member {
            node: node(1),
            place: Place::default(),
            draining: false,
        };
        ChangeSet::found(2, &first).unwrap()
    }

    fn join(set: &ChangeSet, i: u64) -> ChangeSet {
        let what = What::Join(Place::default());
        set.with(node(i), what).unwrap()
    }

    fn says(i: u64, synced: Stamp, reading: Stamp) -> Report {
        Report {
            node: node(i),
            known: synced,
            synced,
            reading,
            live: true,
        }
    }

    #[test]
    fn reads_move_on_when_all_members_are_synced_and_writes_when_all_have_moved() {
        let (old, new) = (one(), join(&one(), 2));
        let (o, n) = (old.stamp(), new.stamp());
        let mut ring = Ring::new(old);
        assert_eq!(ring.merge(&new), Ok(true));
        assert_eq!(ring.merge(&new), Ok(false));
        assert!(!ring.advance(&[says(1, n, o), says(2, o, o)]));
        assert_eq!((ring.read().stamp(), ring.writes().len()), (o, 2));
        assert!(ring.advance(&[says(1, n, o), says(2, n, o)]));
        assert_eq!((ring.read().stamp(), ring.writes().len()), (n, 2));
        assert!(!ring.advance(&[says(1, n, n), says(2, n, o)]));
        assert!(ring.advance(&[says(1, n, n), says(2, n, n)]));
        assert!(ring.settled());
        assert_eq!(ring.read().stamp(), n);
    }

    #[test]
    fn a_member_that_is_down_is_waited_for_by_reads_and_not_by_writes() {
        let (old, new) = (one(), join(&one(), 2));
        let (o, n) = (old.stamp(), new.stamp());
        let mut ring = Ring::new(old);
        ring.merge(&new).unwrap();
        let mut down = says(2, o, o);
        down.live = false;
        assert!(!ring.advance(&[says(1, n, o), down.clone()]));
        assert_eq!(ring.read().stamp(), o);
        down.synced = n;
        assert!(ring.advance(&[says(1, n, n), down]));
        assert!(ring.settled());
    }

    #[test]
    fn rivals_merge_and_neither_alone_is_read() {
        let (a, b) = (join(&one(), 2), join(&one(), 3));
        let mut ring = Ring::new(one());
        ring.merge(&a).unwrap();
        ring.merge(&b).unwrap();
        let both = a.merged(&b).unwrap();
        assert_eq!(ring.newest().stamp(), both.stamp());
        assert_eq!(ring.newest().members().len(), 3);
        let o = one().stamp();
        ring.advance(&[
            says(1, both.stamp(), o),
            says(2, a.stamp(), o),
            says(3, b.stamp(), o),
        ]);
        assert_eq!(ring.read().stamp(), o);
        let all: Vec<Report> = (1..4)
            .map(|i| says(i, both.stamp(), both.stamp()))
            .collect();
        ring.advance(&all);
        assert!(ring.settled());
    }

    #[test]
    fn a_newcomer_reads_from_where_the_others_do() {
        let mut ring = Ring::new(one());
        ring.merge(&join(&one(), 2)).unwrap();
        let ring = Ring::standing(ring.changes().clone(), &ring.standpoint());
        assert_eq!(ring.read().stamp(), one().stamp());
        assert_eq!(ring.newest().stamp(), join(&one(), 2).stamp());
        let now = Standpoint::default();
        assert!(Ring::standing(ring.changes().clone(), &now).settled());
    }

    /// A node once wrote down the version of the layout that it read from. Rival changes order
    /// themselves among those it knew, so the first so many of all were another layout.
    #[test]
    fn who_comes_back_after_rivals_met_stands_where_it_stood() {
        let (mine, theirs) = (join(&one(), 7), join(&one(), 3));
        let mut ring = Ring::new(mine.clone());
        ring.merge(&theirs).unwrap();
        let more = join(ring.changes(), 5);
        ring.merge(&more).unwrap();
        assert_eq!(ring.read().stamp(), mine.stamp());
        assert_ne!(ring.changes().prefix(3).unwrap().stamp(), mine.stamp());
        let back = Ring::standing(ring.changes().clone(), &ring.standpoint());
        let stamps = |ring: &Ring| ring.writes().iter().map(|l| l.stamp()).collect::<Vec<_>>();
        assert_eq!(stamps(&back), stamps(&ring));
        assert_eq!(back.read(), ring.read());
    }

    #[test]
    fn what_another_reads_from_may_be_read_from() {
        let (old, new) = (one(), join(&one(), 2));
        let mut ring = Ring::new(old.clone());
        ring.merge(&new).unwrap();
        let me = says(1, old.stamp(), old.stamp());
        assert!(ring.advance(&[me, says(2, new.stamp(), new.stamp())]));
        assert_eq!(ring.read().stamp(), new.stamp());
    }

    #[test]
    fn nobody_waits_for_a_member_that_is_draining() {
        let two = join(&one(), 2);
        let drained = two.with(node(2), What::Drain(true)).unwrap();
        let (o, n) = (two.stamp(), drained.stamp());
        let mut ring = Ring::new(two);
        ring.merge(&drained).unwrap();
        let mut down = says(2, o, o);
        down.live = false;
        assert!(ring.advance(&[says(1, n, o), down]));
        assert_eq!(ring.read().stamp(), n);
    }
}
