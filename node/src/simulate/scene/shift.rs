//! Slots that move at a user's word while everything goes wrong.
//!
//! *Invariants*: one node is drained at a time, and only while enough others have slots.
//!
//! *Not here*: how slots move (`sync`), nodes that come and go (`scene`).

use wire::cluster::LayoutChange;

use super::Scene;
use crate::layout::What;

/// Greatest share that a node is given.
const WEIGHT_MAX: usize = 4;

impl Scene<'_> {
    /// Has a user at one node drain another or end that, change its share, or even out bytes.
    pub(super) fn shift(&mut self, by: usize, i: usize) {
        let Some(user) = self.user_at(by) else { return };
        let drained = self.drained.filter(|i| !self.machines[*i].left);
        let node = self.machines[drained.unwrap_or(i)].id.to_string();
        let change = match (self.fate.place(3), drained) {
            (0, _) => LayoutChange::Rebalance { expect: None },
            (1, _) => return self.weigh(by, i),
            (_, Some(_)) => {
                self.drained = None;
                LayoutChange::Restore { node }
            }
            (_, None) if self.can_spare(i) => {
                self.drained = Some(i);
                LayoutChange::Drain { node }
            }
            (_, None) => return,
        };
        tokio::spawn(user.change(change));
    }

    /// Has one member change another's share, as that node does itself when it starts.
    fn weigh(&mut self, by: usize, i: usize) {
        let weight = u32::try_from(self.fate.place(WEIGHT_MAX) + 1).unwrap_or(1);
        let id = self.machines[i].id.clone();
        let (Some(cluster), false) = (self.machines[by].cluster(), self.machines[i].left) else {
            return;
        };
        cluster.core.change(|view, _| {
            let changes = view.ring.changes().with(id, What::Weight(weight));
            changes.is_ok_and(|changes| view.merge(&changes))
        });
    }
}
