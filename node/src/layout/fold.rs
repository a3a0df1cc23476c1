//! Folds membership changes, moving as few slots as balance allows.
//!
//! Every rank (first owners, second owners, …) is balanced by itself: a node that joins takes its
//! share of each rank from those above theirs, and nothing moves between the others.
//!
//! *Invariants*: each rank's quotas add up to the number of slots; a slot's owners are distinct;
//! a slot moves beyond the minimum only to part two owners on one host.
//!
//! *Not here*: the order of the changes (`change`).

use std::collections::BTreeMap;

use earth::split::placement::SLOTS;

use super::{Change, Layout, Member, Stamp, What};

/// Slots looked at, as a multiple of all, to part owners on one host: bounds a hopeless search.
const PARTING_ROUNDS: usize = 8;
/// Passes over the slots that a leaver left: balance is even after three or four.
const FILLING_ROUNDS: usize = 8;
/// Odd, so that it permutes the slots: donors give slots spread over the ring, not neighbours.
const STRIDE: usize = 6_367;

/// A node that is or was a member.
#[derive(Debug)]
struct Seat {
    member: Member,
    host: usize,
    here: bool,
}

/// Owners of all slots while changes are applied.
#[derive(Debug)]
pub(super) struct Fold {
    replicas: usize,
    seats: Vec<Seat>,
    hosts: BTreeMap<String, usize>,
    /// Rank → slot → seat.
    ranks: Vec<Vec<u16>>,
}

/// How far each seat is below its quota in one rank; above it if negative.
type Deficits = Vec<i32>;

impl Fold {
    /// Returns the fold of no change.
    pub(super) fn new() -> Self {
        Self {
            replicas: 1,
            seats: Vec::new(),
            hosts: BTreeMap::new(),
            ranks: Vec::new(),
        }
    }

    /// Applies one change; one that changes nothing is passed over.
    pub(super) fn apply(&mut self, change: &Change) {
        let seat = self
            .seats
            .iter()
            .position(|s| s.here && s.member.node == change.node);
        match (&change.what, seat) {
            (What::Replicas(replicas), _) => self.set_replicas(usize::from(*replicas)),
            (What::Join { host, weight }, None) => self.join(Member {
                node: change.node.clone(),
                host: host.clone(),
                weight: *weight,
            }),
            (What::Leave, Some(seat)) if self.present() > 1 => self.leave(seat),
            (What::Weight(weight) | What::Join { weight, .. }, Some(seat)) => {
                self.seats[seat].member.weight = *weight;
                self.level_by_moves();
            }
            (What::Leave, _) | (What::Weight(_), None) => {}
        }
        self.part_hosts();
    }

    /// Returns the layout.
    pub(super) fn finish(self, stamp: Stamp) -> Layout {
        let mut order: Vec<usize> = self.here().collect();
        order.sort_by(|a, b| self.seats[*a].member.node.cmp(&self.seats[*b].member.node));
        let mut index = vec![0; self.seats.len()];
        for (i, seat) in order.iter().enumerate() {
            index[*seat] = small(i);
        }
        let slots = 0..usize::from(SLOTS);
        let owners = slots.flat_map(|slot| self.ranks.iter().map(move |rank| rank[slot]));
        Layout {
            stamp,
            replicas: u8::try_from(self.replicas).unwrap_or(super::REPLICAS_MAX),
            owners: owners.map(|seat| index[usize::from(seat)]).collect(),
            members: order
                .iter()
                .map(|s| self.seats[*s].member.clone())
                .collect(),
            width: self.ranks.len(),
        }
    }

    fn here(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.seats.len()).filter(|seat| self.seats[*seat].here)
    }

    fn present(&self) -> usize {
        self.here().count()
    }

    fn join(&mut self, member: Member) {
        let seat = self.seats.len();
        let own = format!("node {}", member.node);
        let label = member.host.as_ref().map_or(own, |h| format!("host {h}"));
        let next = self.hosts.len();
        let host = *self.hosts.entry(label).or_insert(next);
        self.seats.push(Seat {
            member,
            host,
            here: true,
        });
        if self.present() <= self.replicas {
            self.ranks.push(vec![small(seat); usize::from(SLOTS)]);
            self.level_by_swaps();
        } else {
            self.level_by_moves();
        }
    }

    fn leave(&mut self, seat: usize) {
        self.seats[seat].here = false;
        if self.present() < self.ranks.len() {
            self.drop_owner(small(seat));
        } else {
            self.fill(small(seat));
        }
        self.level_by_swaps();
    }

    fn set_replicas(&mut self, replicas: usize) {
        self.replicas = replicas;
        self.ranks.truncate(replicas);
        while self.ranks.len() < replicas.min(self.present()) {
            self.ranks.push(vec![u16::MAX; usize::from(SLOTS)]);
            self.fill(u16::MAX);
        }
        self.level_by_swaps();
    }

    /// Takes one owner, who owns every slot, out of all of them; the ranks behind it move up.
    fn drop_owner(&mut self, gone: u16) {
        for slot in 0..usize::from(SLOTS) {
            let at = self.ranks.iter().position(|rank| rank[slot] == gone);
            for rank in at.unwrap_or(self.ranks.len())..self.ranks.len() - 1 {
                self.ranks[rank][slot] = self.ranks[rank + 1][slot];
            }
        }
        self.ranks.pop();
    }

    /// Gives the slots that `gone` held to those furthest below their quota over all ranks; the
    /// ranks are balanced by swaps afterwards. Later rounds even out what the first, which sees
    /// one slot at a time, gave away too soon.
    fn fill(&mut self, gone: u16) {
        let by_rank = (0..self.ranks.len()).map(|rank| self.deficits(rank));
        let mut deficits = vec![0; self.seats.len()];
        for rank in by_rank {
            deficits.iter_mut().zip(rank).for_each(|(sum, d)| *sum += d);
        }
        let takers: Vec<usize> = self.here().collect();
        let places = (0..self.ranks.len()).flat_map(|r| slots_for(r).map(move |s| (r, s)));
        let orphaned = |(rank, slot): &(usize, usize)| self.ranks[*rank][*slot] == gone;
        let orphans: Vec<(usize, usize)> = places.filter(orphaned).collect();
        for _ in 0..FILLING_ROUNDS {
            let mut settled = true;
            for &(rank, slot) in &orphans {
                let able = takers.iter().filter(|t| !self.owns(**t, slot));
                let best = able.max_by_key(|t| (self.apart(**t, slot, rank), deficits[**t]));
                let Some(&taker) = best else { continue };
                let holder = usize::from(self.ranks[rank][slot]);
                if self.ranks[rank][slot] != gone {
                    if deficits[taker] < deficits[holder] + 2 {
                        continue;
                    }
                    deficits[holder] += 1;
                }
                self.ranks[rank][slot] = small(taker);
                deficits[taker] -= 1;
                settled = false;
            }
            if settled {
                return;
            }
        }
    }

    /// Moves slots from seats above their quota to seats below it, rank by rank.
    fn level_by_moves(&mut self) {
        for rank in 0..self.ranks.len() {
            let mut deficits = self.deficits(rank);
            let wants = |d: &Deficits| d.iter().any(|d| *d > 0);
            for apart in [true, false] {
                if wants(&deficits) {
                    self.move_some(rank, &mut deficits, apart);
                }
            }
        }
        self.level_by_swaps();
    }

    fn move_some(&mut self, rank: usize, deficits: &mut Deficits, apart: bool) {
        let mut takers: Vec<usize> = self.here().filter(|s| deficits[*s] > 0).collect();
        for slot in slots_for(rank) {
            let donor = usize::from(self.ranks[rank][slot]);
            if deficits[donor] >= 0 {
                continue;
            }
            let able = takers.iter().filter(|t| !self.owns(**t, slot));
            let able = able.filter(|t| !apart || self.apart(**t, slot, rank));
            let Some(taker) = able.copied().max_by_key(|t| deficits[*t]) else {
                continue;
            };
            self.ranks[rank][slot] = small(taker);
            deficits[donor] += 1;
            deficits[taker] -= 1;
            takers.retain(|t| deficits[*t] > 0);
            if takers.is_empty() {
                return;
            }
        }
    }

    /// Exchanges ranks within slots until each rank is balanced; no data moves by it.
    fn level_by_swaps(&mut self) {
        for rank in 0..self.ranks.len().saturating_sub(1) {
            let mut deficits = self.deficits(rank);
            for slot in slots_for(rank) {
                let over = usize::from(self.ranks[rank][slot]);
                if deficits[over] >= 0 {
                    continue;
                }
                let behind = rank + 1..self.ranks.len();
                let best = behind.max_by_key(|r| deficits[usize::from(self.ranks[*r][slot])]);
                let Some(other) = best else { continue };
                let under = usize::from(self.ranks[other][slot]);
                if deficits[under] > 0 {
                    self.swap(slot, rank, other);
                    deficits[over] += 1;
                    deficits[under] -= 1;
                }
            }
        }
    }

    fn swap(&mut self, slot: usize, one: usize, other: usize) {
        let seat = self.ranks[one][slot];
        self.ranks[one][slot] = self.ranks[other][slot];
        self.ranks[other][slot] = seat;
    }

    /// Exchanges owners between slots until no slot has two on one host, where hosts suffice.
    fn part_hosts(&mut self) {
        let labelled = self.here().any(|s| self.seats[s].member.host.is_some());
        if !labelled || self.hosts_here() < self.ranks.len() {
            return;
        }
        let mut steps = PARTING_ROUNDS * usize::from(SLOTS);
        for rank in 1..self.ranks.len() {
            let mut others = slots_for(rank).cycle();
            for slot in 0..usize::from(SLOTS) {
                let seat = usize::from(self.ranks[rank][slot]);
                while steps > 0 && !self.apart(seat, slot, rank) {
                    steps -= 1;
                    let Some(other) = others.next() else { return };
                    if self.may_exchange(rank, slot, other) {
                        self.ranks[rank].swap(slot, other);
                        break;
                    }
                }
            }
        }
    }

    fn hosts_here(&self) -> usize {
        let mut hosts: Vec<usize> = self.here().map(|s| self.seats[s].host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.len()
    }

    fn may_exchange(&self, rank: usize, slot: usize, other: usize) -> bool {
        let mine = usize::from(self.ranks[rank][slot]);
        let theirs = usize::from(self.ranks[rank][other]);
        let fits = |seat: usize, slot| !self.owns(seat, slot) && self.apart(seat, slot, rank);
        fits(theirs, slot) && fits(mine, other)
    }

    fn owns(&self, seat: usize, slot: usize) -> bool {
        self.ranks.iter().any(|rank| rank[slot] == small(seat))
    }

    /// Tells whether a seat in that rank of a slot shares its host with none of the other ranks.
    fn apart(&self, seat: usize, slot: usize, rank: usize) -> bool {
        let others = (0..self.ranks.len()).filter(|r| *r != rank);
        let mut owners = others.map(|r| usize::from(self.ranks[r][slot]));
        owners.all(|o| o >= self.seats.len() || self.seats[o].host != self.seats[seat].host)
    }

    /// Returns how far each seat is below its quota in a rank.
    fn deficits(&self, rank: usize) -> Deficits {
        let mut counts = vec![0_i32; self.seats.len()];
        for seat in &self.ranks[rank] {
            if let Some(count) = counts.get_mut(usize::from(*seat)) {
                *count += 1;
            }
        }
        let quotas = self.quotas(&counts);
        quotas.iter().zip(&counts).map(|(q, c)| q - c).collect()
    }

    /// Splits the slots of a rank by weight; what is left over goes first to those that hold most,
    /// so that rounding moves nothing.
    fn quotas(&self, counts: &[i32]) -> Vec<i32> {
        let shares = self.shares();
        let mut quotas = vec![0_i32; self.seats.len()];
        let mut rests = Vec::with_capacity(shares.len());
        for (seat, share) in shares {
            let exact = share * f64::from(SLOTS);
            quotas[seat] = whole(exact);
            rests.push((exact - f64::from(quotas[seat]), counts[seat], seat));
        }
        let given: i32 = quotas.iter().sum();
        let left = usize::try_from(i32::from(SLOTS) - given).unwrap_or(0);
        let by_rest = |a: &(f64, i32, usize), b: &(f64, i32, usize)| {
            b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2))
        };
        rests.sort_by(by_rest);
        for (_, _, seat) in rests.iter().cycle().take(left) {
            quotas[*seat] += 1;
        }
        quotas
    }

    /// Returns each present seat's share of a rank; none above one of the ranks' number, for a
    /// slot is held by a node in one rank only.
    fn shares(&self) -> Vec<(usize, f64)> {
        let cap = 1.0 / self.ranks.len().max(1) as f64;
        let weight = |seat: usize| f64::from(self.seats[seat].member.weight);
        let mut capped = vec![false; self.seats.len()];
        loop {
            let free = || self.here().filter(|s| !capped[*s]);
            let total: f64 = free().map(weight).sum();
            let rest = 1.0 - cap * capped.iter().filter(|c| **c).count() as f64;
            let share = |seat: usize| weight(seat) / total * rest;
            let over: Vec<usize> = free().filter(|s| share(*s) > cap + 1e-12).collect();
            if over.is_empty() {
                let of = |s: usize| if capped[s] { cap } else { share(s) };
                return self.here().map(|s| (s, of(s))).collect();
            }
            for seat in over {
                capped[seat] = true;
            }
        }
    }
}

/// Returns all slots in an order of the rank's own, so that ranks give up different slots.
fn slots_for(rank: usize) -> impl Iterator<Item = usize> + Clone {
    let slots = usize::from(SLOTS);
    (0..slots).map(move |i| (i * (STRIDE + 2 * 1_009 * rank) + 4_099 * rank) % slots)
}

fn small(seat: usize) -> u16 {
    u16::try_from(seat).expect("changes and members are bounded well below 65,536 seats")
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share of 16,384 slots, floored"
)]
fn whole(exact: f64) -> i32 {
    // A share such as 1/3 × 3 may come out a hair below the whole number it is.
    (exact + 1e-9).floor() as i32
}
