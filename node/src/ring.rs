//! The layouts that are live at once: the one read from and those that came after it.
//!
//! ```text
//! history:  [ L₀ … Lᵣ … Lₙ ]     Lᵣ read from · Lₙ newest · writes go to the owners of all
//! ```
//! A node reads from a layout once every member of it holds what it should (`synced`); it writes to
//! all from the oldest that a live member still reads from. So a read meets every acknowledged
//! write, whichever node took either. (Garage's rule, after its consistency test failed without.)
//!
//! *Invariants*: never empty, so there always is an owner; layouts only grow newer; no I/O.
//!
//! *Not here*: moving data (`sync`), who is alive (`membership`).

use std::sync::Arc;

use crate::identity::NodeId;
use crate::layout::{ChangeSet, ChangeSetError, Layout, Stamp};

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
    reading: usize,
}

impl Ring {
    /// Returns the ring of one layout.
    pub fn new(changes: ChangeSet) -> Self {
        let layout = Arc::new(changes.layout());
        Self {
            changes,
            history: vec![layout],
            reading: 0,
        }
    }

    /// Returns the ring of all changes that reads from an earlier layout, as another node does.
    pub fn reading_from(changes: ChangeSet, version: u64) -> Self {
        let mut ring = Self::new(changes);
        if let Some(earlier) = ring.changes.prefix(version)
            && earlier.len() < ring.changes.len()
        {
            ring.history.insert(0, Arc::new(earlier.layout()));
        }
        ring
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
        self.history.push(Arc::new(merged.layout()));
        self.changes = merged;
        Ok(true)
    }

    /// Reads from the newest layout of which every member is synced, and forgets those that no
    /// live member reads from any more; returns whether anything changed.
    pub fn advance(&mut self, reports: &[Report]) -> bool {
        let before = (self.reading, self.history.len());
        let synced = |layout: &Arc<Layout>| {
            let stamp = layout.stamp();
            layout.members().iter().all(|member| {
                let said = reports.iter().find(|r| r.node == member.node);
                said.is_some_and(|r| r.synced == stamp)
            })
        };
        let newer = self.history.iter().rposition(synced);
        self.reading = newer.unwrap_or(0).max(self.reading);
        let place = |r: &Report| {
            let found = self.history.iter().position(|l| l.stamp() == r.reading);
            // Unknown and newer: it reads what this node is about to hear of.
            let newer = r.reading.version > self.newest().version();
            found.unwrap_or(if newer { self.history.len() - 1 } else { 0 })
        };
        let live = reports.iter().filter(|r| r.live).map(place);
        let oldest = live.min().unwrap_or(0).min(self.reading);
        self.history.drain(..oldest);
        self.reading -= oldest;
        before != (self.reading + oldest, self.history.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Member, What};

    fn node(i: u64) -> NodeId {
        NodeId::parse(&format!("n{i}")).unwrap()
    }

    fn one() -> ChangeSet {
        let first = Member {
            node: node(1),
            host: None,
            weight: 1,
        };
        ChangeSet::found(2, &first).unwrap()
    }

    fn join(set: &ChangeSet, i: u64) -> ChangeSet {
        let what = What::Join {
            host: None,
            weight: 1,
        };
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
        let changes = join(&one(), 2);
        let ring = Ring::reading_from(changes.clone(), one().stamp().version);
        assert_eq!(ring.read().stamp(), one().stamp());
        assert_eq!(ring.newest().stamp(), changes.stamp());
        assert!(Ring::reading_from(changes.clone(), changes.stamp().version).settled());
    }
}
