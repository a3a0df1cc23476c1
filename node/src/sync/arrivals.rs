//! What others put here lately.
//!
//! A node that dies while it puts an object on its owners has perhaps reached one of them only.
//! Nobody acknowledged it, and yet one owner finds it and the other does not, until replicas are
//! compared. So whoever was given something by a node that is gone hands it over.
//!
//! *Invariants*: two sets of slots for each other node, whatever it puts; a put is remembered for
//! at least `UNDER_WAY`.
//!
//! *Not here*: handing over (`hand_over`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use earth::split::placement::Slot;

use crate::cluster::core::View;
use crate::identity::NodeId;
use crate::slots::SlotSet;

/// Longest that a put is under way after one owner has it: the others' chunks have a minute each.
const UNDER_WAY: Duration = Duration::from_mins(2);

/// The life of a node that puts something: another after each start, none while it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life(Option<u64>);

/// What others put here lately.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    by: Mutex<BTreeMap<NodeId, Recent>>,
    strays: AtomicU64,
}

/// Slots in which one node put something, in one life.
#[derive(Debug)]
struct Recent {
    life: Life,
    slots: SlotSet,
    before: SlotSet,
    turned: Duration,
}

impl Life {
    /// Returns the life that a node leads, as far as is known here.
    pub(crate) fn of(view: &View, node: &NodeId) -> Self {
        let beat = view.table.of(node).filter(|_| view.table.may_answer(node));
        Self(beat.map(|beat| beat.age.incarnation))
    }
}

impl Arrivals {
    /// Notes that a node puts something here.
    pub(crate) fn note(&self, from: &NodeId, slot: Slot, life: Life, now: Duration) {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = by.entry(from.clone()).or_insert_with(|| Recent {
            life,
            slots: SlotSet::none(),
            before: SlotSet::none(),
            turned: now,
        });
        recent.turn(now);
        recent.slots.insert(slot);
    }

    /// Returns the slots in which something was put by nodes that lead another life by now; they
    /// are forgotten here.
    pub(crate) fn orphaned(&self, now: Duration, life: impl Fn(&NodeId) -> Life) -> SlotSet {
        let mut orphaned = SlotSet::none();
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        by.retain(|node, recent| {
            recent.turn(now);
            let lives = life(node) == recent.life;
            if !lives {
                orphaned.union(&recent.slots);
                orphaned.union(&recent.before);
            }
            lives && !(recent.slots.is_empty() && recent.before.is_empty())
        });
        orphaned
    }

    /// Notes that an object was kept here whose slot the newest layout gives to others: it is to
    /// go again once they have it.
    pub(crate) fn note_stray(&self) {
        self.strays.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many objects were kept here so far that belong elsewhere.
    pub(crate) fn strays(&self) -> u64 {
        self.strays.load(Ordering::Relaxed)
    }
}

impl Recent {
    /// Forgets what was put long ago.
    fn turn(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.turned);
        if passed >= UNDER_WAY {
            self.before = std::mem::replace(&mut self.slots, SlotSet::none());
            self.turned = now;
        }
        if passed >= 2 * UNDER_WAY {
            self.before = SlotSet::none();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    fn orphaned(arrivals: &Arrivals, seconds: u64, life: Option<u64>) -> Vec<u16> {
        let slots = arrivals.orphaned(Duration::from_secs(seconds), |_| Life(life));
        slots.iter().map(Slot::number).collect()
    }

    #[test]
    fn what_a_node_put_lately_is_orphaned_once_it_is_gone_or_has_started_anew() {
        for gone in [None, Some(8)] {
            let (arrivals, from) = (Arrivals::default(), NodeId::embedded());
            let note = |number, seconds| {
                let now = Duration::from_secs(seconds);
                arrivals.note(&from, slot(number), Life(Some(7)), now);
            };
            note(1, 0);
            note(2, 100);
            note(3, 130);
            assert!(orphaned(&arrivals, 140, Some(7)).is_empty(), "it lives");
            assert_eq!(orphaned(&arrivals, 150, gone), [1, 2, 3]);
            assert!(orphaned(&arrivals, 151, gone).is_empty(), "once is enough");
        }
    }

    #[test]
    fn what_was_put_long_ago_is_no_orphan() {
        let (arrivals, from) = (Arrivals::default(), NodeId::embedded());
        arrivals.note(&from, slot(1), Life(Some(7)), Duration::ZERO);
        assert!(orphaned(&arrivals, 120, Some(7)).is_empty());
        arrivals.note(&from, slot(2), Life(Some(7)), Duration::from_secs(130));
        assert_eq!(orphaned(&arrivals, 245, None), [2]);
    }
}
