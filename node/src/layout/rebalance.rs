//! Plans which slots to move so that measured loads, not only slot counts, are even.
//!
//! ```text
//! move       from the fullest to the emptiest, the largest slot that overshoots neither
//! exchange   what is left: one slot, or two against each other, that lessens the worse of the two
//! ```
//! As long as nothing overshoots, no plan moves fewer bytes. With few large slots (short placement
//! prefixes: some hundred slots hold everything) the second step is what bounds the greatest load.
//!
//! *Invariants*: a slot moves at most once; owners stay apart as the layout has them; the same
//! layout and loads give the same plan.
//!
//! *Not here*: measuring loads (`cluster`), carrying the plan out (`fold`).

use std::collections::BTreeMap;

use earth::split::placement::Slot;

use super::spread::Rule;
use super::{Layout, Loads, Shift, apart};
use crate::identity::NodeId;

/// How far from its share a node may stay, as a part of it: far below what the next ingest upsets.
const TOLERANCE: f64 = 0.002;

/// Returns the slots to move; none if loads are even.
pub fn even_out(layout: &Layout, loads: &Loads) -> Vec<Shift> {
    let mut plan = Plan::new(layout, loads);
    plan.shift();
    plan.refine();
    plan.shifts()
}

/// A slot that a node owns.
#[derive(Debug, Clone, Copy)]
struct Held {
    bytes: f64,
    slot: Slot,
}

/// Owners on their way to even loads.
struct Plan<'a> {
    layout: &'a Layout,
    rule: Rule,
    /// Bytes by which each node is above its share; below it if negative.
    over: Vec<f64>,
    share: Vec<f64>,
    /// Slots that may still move away from each node, heaviest first.
    held: Vec<Vec<Held>>,
    owners: Vec<Vec<u16>>,
    /// Slot → who gave it to whom.
    moved: BTreeMap<Slot, (usize, usize)>,
}

impl<'a> Plan<'a> {
    fn new(layout: &'a Layout, loads: &Loads) -> Self {
        let by_member = loads.by_member(layout);
        let total: u64 = by_member.iter().sum();
        let shares = apart::members_shares(layout);
        let share: Vec<f64> = shares.iter().map(|s| s * total as f64).collect();
        let over = by_member
            .iter()
            .zip(&share)
            .map(|(held, share)| *held as f64 - share);
        let mut held = vec![Vec::new(); share.len()];
        for (slot, load) in loads.iter().filter(|(_, load)| load.bytes > 0) {
            for owner in layout.owner_indexes(slot) {
                let bytes = load.bytes as f64;
                held[usize::from(*owner)].push(Held { bytes, slot });
            }
        }
        let heaviest = |a: &Held, b: &Held| b.bytes.total_cmp(&a.bytes).then(a.slot.cmp(&b.slot));
        for held in &mut held {
            held.sort_by(heaviest);
        }
        Self {
            layout,
            rule: apart::rule(layout),
            over: over.collect(),
            share,
            held,
            owners: Slot::all()
                .map(|s| layout.owner_indexes(s).to_vec())
                .collect(),
            moved: BTreeMap::new(),
        }
    }

    /// Moves slots that overshoot neither end, from the fullest on, until none is left.
    fn shift(&mut self) {
        let mut stuck = vec![false; self.over.len()];
        while let Some(from) = self.worst(&stuck, |over| over) {
            match self.fitting_move(from) {
                Some((slot, to)) => self.give(slot, from, to),
                None => stuck[from] = true,
            }
        }
    }

    /// Returns the node furthest beyond the tolerance by that measure.
    fn worst(&self, stuck: &[bool], measure: impl Fn(f64) -> f64) -> Option<usize> {
        let beyond = |i: &usize| !stuck[*i] && measure(self.over[*i]) > TOLERANCE * self.share[*i];
        let sharing = (0..self.over.len())
            .filter(|i| self.share[*i] > 0.0)
            .filter(beyond);
        let by_part = |i: &usize| measure(self.over[*i]) / self.share[*i];
        sharing.max_by(|a, b| by_part(a).total_cmp(&by_part(b)).then(b.cmp(a)))
    }

    /// Returns the other nodes that share, emptiest first.
    fn emptiest(&self, but: usize) -> Vec<usize> {
        let others = (0..self.over.len()).filter(|i| *i != but && self.share[*i] > 0.0);
        let mut others: Vec<usize> = others.collect();
        others.sort_by(|a, b| self.over[*a].total_cmp(&self.over[*b]).then(a.cmp(b)));
        others
    }

    fn fitting_move(&self, from: usize) -> Option<(Slot, usize)> {
        let takers = self.emptiest(from).into_iter();
        let mut wanting = takers.take_while(|to| self.over[*to] < 0.0);
        wanting.find_map(|to| {
            let most = self.over[from].min(-self.over[to]);
            let start = self.held[from].partition_point(|h| h.bytes > most);
            let mut able = self.held[from][start..].iter();
            let slot = able.find(|h| self.may_take(to, from, h.slot))?.slot;
            Some((slot, to))
        })
    }

    /// Lessens what is left beyond the tolerance, the worst first.
    fn refine(&mut self) {
        let mut stuck = vec![false; self.over.len()];
        while let Some(worst) = self.worst(&stuck, f64::abs) {
            let better = if self.over[worst] > 0.0 {
                let takers = self.emptiest(worst).into_iter();
                let pairs = takers.map(|to| (worst, to));
                self.best_of(pairs)
            } else {
                let givers = self.emptiest(worst).into_iter().rev();
                let pairs = givers.map(|from| (from, worst));
                self.best_of(pairs)
            };
            let Some((from, to, there, back)) = better else {
                stuck[worst] = true;
                continue;
            };
            self.give(there, from, to);
            if let Some(back) = back {
                self.give(back, to, from);
            }
        }
    }

    /// Returns the first pair of nodes between which something lessens the worse of the two, with
    /// what goes there and what comes back.
    fn best_of(
        &self,
        pairs: impl Iterator<Item = (usize, usize)>,
    ) -> Option<(usize, usize, Slot, Option<Slot>)> {
        for (from, to) in pairs {
            let (over, under) = (self.over[from], -self.over[to]);
            if over + under <= 0.0 {
                return None;
            }
            let worse = |bytes: f64| (over - bytes).abs().max((under - bytes).abs());
            let now = over.abs().max(under.abs());
            let mut best: Option<(f64, Slot, Option<Slot>)> = None;
            for there in self.held[from]
                .iter()
                .filter(|h| self.may_take(to, from, h.slot))
            {
                let mut offer = |bytes: f64, back: Option<Slot>| {
                    let left = worse(bytes);
                    if left < now * 0.95 && best.is_none_or(|(least, ..)| left < least) {
                        best = Some((left, there.slot, back));
                    }
                };
                offer(there.bytes, None);
                let wanted = there.bytes - f64::midpoint(over, under);
                let at = self.held[to].partition_point(|h| h.bytes > wanted);
                for back in self.held[to][at.saturating_sub(1)..].iter().take(2) {
                    if back.slot != there.slot && self.may_take(from, to, back.slot) {
                        offer(there.bytes - back.bytes, Some(back.slot));
                    }
                }
            }
            if let Some((_, there, back)) = best {
                return Some((from, to, there, back));
            }
        }
        None
    }

    /// Tells whether a node can own a slot in the place of another.
    fn may_take(&self, to: usize, from: usize, slot: Slot) -> bool {
        let owners = self.owners[usize::from(slot.number())]
            .iter()
            .map(|o| usize::from(*o));
        self.rule.fits(to, owners.filter(|o| *o != from))
    }

    fn give(&mut self, slot: Slot, from: usize, to: usize) {
        let bytes = |held: &[Held]| {
            held.iter()
                .find(|h| h.slot == slot)
                .map_or(0.0, |h| h.bytes)
        };
        let bytes = bytes(&self.held[from]);
        self.over[from] -= bytes;
        self.over[to] += bytes;
        for owner in &mut self.owners[usize::from(slot.number())] {
            if usize::from(*owner) == from {
                *owner = u16::try_from(to).unwrap_or(*owner);
            }
        }
        // It has moved: whoever else owns it keeps it, too, so that the plan applies in any order.
        for held in &mut self.held {
            let at = held.partition_point(|h| h.bytes > bytes);
            let same = held[at..].iter().take_while(|h| h.bytes >= bytes);
            if let Some(i) = same.into_iter().position(|h| h.slot == slot) {
                held.remove(at + i);
            }
        }
        self.moved.insert(slot, (from, to));
    }

    fn shifts(&self) -> Vec<Shift> {
        let mut by_pair: BTreeMap<(usize, usize), Vec<u16>> = BTreeMap::new();
        for (slot, pair) in &self.moved {
            by_pair.entry(*pair).or_default().push(slot.number());
        }
        let node = |i: usize| -> NodeId { self.layout.members()[i].node.clone() };
        let shift = |((from, to), slots): ((usize, usize), Vec<u16>)| Shift {
            from: node(from),
            to: node(to),
            slots,
        };
        by_pair.into_iter().map(shift).collect()
    }
}

#[cfg(test)]
mod tests {
    use earth::split::placement::PlacementKey;

    use super::*;
    use crate::layout::{ChangeSet, Load, Member, Place, What};

    fn node(i: usize) -> NodeId {
        NodeId::parse(&format!("n{i:03}")).unwrap()
    }

    fn cluster(nodes: usize, replicas: u8, place: impl Fn(usize) -> Place) -> ChangeSet {
        let first = Member {
            node: node(0),
            place: place(0),
            draining: false,
        };
        let set = ChangeSet::found(replicas, &first).unwrap();
        let join = |set: ChangeSet, i| set.with(node(i), What::Join(place(i))).unwrap();
        (1..nodes).fold(set, join)
    }

    /// Keys of pseudo-random size, some of them large.
    fn loads(keys: u64, bytes: impl Fn(u64) -> u64) -> Loads {
        let mut loads = Loads::none();
        for key in 0..keys {
            let slot = PlacementKey::named("key", &key.to_string()).slot();
            let bytes = bytes(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
            loads.add(slot, Load { splits: 1, bytes });
        }
        loads
    }

    fn check(set: &ChangeSet, loads: &Loads) -> (Layout, Layout) {
        let before = set.layout();
        let shifts = even_out(&before, loads);
        let planned: usize = shifts.iter().map(|s| s.slots.len()).sum();
        let after = set.with(node(0), What::Rebalance(shifts)).unwrap().layout();
        let flows = loads.flows(&before, &after);
        let moved: u64 = flows.values().map(|f| f.slots).sum();
        assert_eq!(moved, planned as u64, "the fold carries the whole plan out");
        (before, after)
    }

    #[test]
    fn many_slots_of_uneven_size_are_evened_to_a_fifth_of_a_percent_with_few_moves() {
        let loads = loads(100_000, |dice| 500 + dice % 1_000);
        for (nodes, replicas) in [(10, 1), (20, 2), (7, 3)] {
            let set = cluster(nodes, replicas, |_| Place::default());
            let (before, after) = check(&set, &loads);
            let (was, is) = (loads.balance(&before), loads.balance(&after));
            assert!(is.cv <= 0.002 && is.max <= 1.0021, "{was:?} → {is:?}");
            let held = loads.by_member(&before);
            let mean = held.iter().sum::<u64>() / nodes as u64;
            let ideal: u64 = held.iter().map(|h| h.saturating_sub(mean)).sum();
            let flows = loads.flows(&before, &after);
            let moved: u64 = flows.values().map(|f| f.load.bytes).sum();
            assert!(
                moved as f64 <= 1.15 * ideal as f64,
                "moved {moved} of {ideal}"
            );
        }
    }

    #[test]
    fn few_large_slots_are_spread_to_a_tenth_above_the_mean() {
        let loads = loads(480, |_| 1_024);
        let set = cluster(50, 1, |_| Place::default());
        let (before, after) = check(&set, &loads);
        assert!(loads.balance(&before).max > 1.4);
        assert!(
            loads.balance(&after).max <= 1.10,
            "{:?}",
            loads.balance(&after)
        );
    }

    #[test]
    fn weights_and_zones_are_kept() {
        let zones = ["a", "b", "c"];
        let place = |i: usize| Place {
            zone: Some(zones[i % 3].to_owned()),
            weight: 1 + u32::try_from(i / 3).unwrap(),
            ..Place::default()
        };
        let loads = loads(50_000, |dice| 100 + dice % 500);
        let (_, after) = check(&cluster(9, 2, place), &loads);
        assert!(
            loads.balance(&after).cv <= 0.002,
            "{:?}",
            loads.balance(&after)
        );
        for slot in Slot::all() {
            let zone = |i: &u16| after.members()[usize::from(*i)].place.zone.clone();
            let owners: Vec<_> = after.owner_indexes(slot).iter().map(zone).collect();
            assert_ne!(owners[0], owners[1], "slot {slot}");
        }
    }

    #[test]
    fn an_even_cluster_is_left_alone() {
        let mut even = Loads::none();
        for slot in Slot::all() {
            even.add(
                slot,
                Load {
                    splits: 1,
                    bytes: 7,
                },
            );
        }
        let layout = cluster(8, 2, |_| Place::default()).layout();
        assert_eq!(even_out(&layout, &even), []);
        assert_eq!(even_out(&layout, &Loads::none()), []);
    }
}
