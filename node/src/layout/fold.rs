//! Folds membership changes, moving as few slots as balance allows.
//!
//! Every node has a quota of all owned slots, by weight, and one of first owners. A change alters
//! quotas; slots go from those above theirs to those below, and nothing moves between the others.
//! Which slots is drawn from the change.
//!
//! *Invariants*: a slot's owners are distinct nodes, in distinct zones if there are enough zones,
//! else spread evenly over them, on distinct hosts if there are enough hosts; a slot moves beyond
//! the minimum only to part two owners that stand closer than that; a change that would leave
//! nobody to own anything is passed over.
//!
//! *Not here*: the order of the changes (`change`), who stands too close (`spread`).

mod draw;
mod kinds;
pub(super) mod level;
pub(crate) mod quota;
pub(super) mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use earth::split::placement::{SLOTS, Slot};

use super::spread::{Apart, Rule, Stand};
use super::{Change, Layout, Member, Place, Shift, Stamp, What};
use crate::identity::NodeId;
use crate::slots::SlotSet;
use draw::Draw;
use level::Level;
use quota::Claim;
use table::{NOBODY, Table, narrow};

/// A node that is or was a member.
#[derive(Debug, Clone)]
struct Chair {
    member: Member,
    /// Its weight, or what it owned after loads were evened out, in the same unit.
    weight: f64,
    domains: Domains,
    here: bool,
}

/// Numbers of the host and of the zone in which a node stands.
#[derive(Debug, Clone, Copy)]
struct Domains {
    host: usize,
    zone: usize,
}

/// Owners of all slots while changes are applied.
#[derive(Debug, Clone)]
pub(super) struct Fold {
    replicas: usize,
    chairs: Vec<Chair>,
    by_node: HashMap<NodeId, usize>,
    hosts: BTreeMap<String, usize>,
    zones: BTreeMap<Option<String>, usize>,
    table: Table,
    /// Who left for good, with what only they held.
    forsaken: BTreeSet<NodeId>,
    /// Under which rule no slot has owners that must be parted; none if some may.
    parted: Option<Apart>,
    /// What the change that is being applied draws.
    draw: Draw,
}

impl Fold {
    /// Returns the fold of no change.
    pub(super) fn new() -> Self {
        Self {
            replicas: 1,
            chairs: Vec::new(),
            by_node: HashMap::new(),
            hosts: BTreeMap::new(),
            zones: BTreeMap::new(),
            table: Table::new(),
            forsaken: BTreeSet::new(),
            parted: None,
            draw: Draw::default(),
        }
    }

    /// Applies one change; one that changes nothing is passed over.
    pub(super) fn apply(&mut self, change: &Change) {
        self.draw = Draw::of(change);
        let seat = self.by_node.get(&change.node).copied();
        let stays = seat.is_some_and(|seat| self.others_open(seat));
        match (&change.what, seat) {
            (What::Replicas(replicas), _) => self.set_replicas(usize::from(*replicas)),
            // It may hold what was replaced or deleted since, and nobody asks it any more.
            (What::Join(_), _) if self.forsaken.contains(&change.node) => {}
            (What::Join(place), None) => self.join(change.node.clone(), place),
            (What::Join(place), Some(seat)) => self.stand(seat, place),
            (What::Leave, Some(seat)) if stays => self.leave(seat),
            (What::Forsake, Some(seat)) if stays => {
                self.leave(seat);
                self.forsaken.insert(change.node.clone());
            }
            (What::Forsake, None) if self.was_here(&change.node) => {
                self.forsaken.insert(change.node.clone());
            }
            (What::Drain(true), Some(seat)) if stays => self.drain(seat, true),
            (What::Drain(false), Some(seat)) => self.drain(seat, false),
            (What::Weight(weight), Some(seat)) => self.weigh(seat, *weight),
            (What::Rebalance(shifts), _) => self.rebalance(shifts),
            (What::Leave | What::Forsake | What::Weight(_) | What::Drain(_), _) => {}
        }
    }

    /// Returns the layout.
    pub(super) fn finish(self, stamp: Stamp) -> Layout {
        let mut order: Vec<usize> = self.by_node.values().copied().collect();
        order.sort_by(|a, b| self.chair(*a).member.node.cmp(&self.chair(*b).member.node));
        let mut index = vec![0; self.seats()];
        for (i, seat) in order.iter().enumerate() {
            index[*seat] = narrow(i);
        }
        let owners = self.table.owners().iter();
        let owners: Vec<u16> = owners.map(|seat| index[usize::from(*seat)]).collect();
        let width = self.table.width();
        let mut owned = vec![SlotSet::none(); order.len()];
        for (slot, owners) in Slot::all().zip(owners.chunks_exact(width.max(1))) {
            for owner in owners {
                owned[usize::from(*owner)].insert(slot);
            }
        }
        Layout {
            stamp,
            replicas: u8::try_from(self.replicas).unwrap_or(super::REPLICAS_MAX),
            owners,
            owned,
            width,
            forsaken: self.forsaken.clone(),
            members: order
                .iter()
                .map(|s| self.chair(*s).member.clone())
                .collect(),
        }
    }

    /// Returns the number of seats, that of nobody included.
    fn seats(&self) -> usize {
        self.chairs.len() + 1
    }

    fn chair(&self, seat: usize) -> &Chair {
        &self.chairs[seat - 1]
    }

    fn is_open(&self, seat: usize) -> bool {
        seat != usize::from(NOBODY) && {
            let chair = self.chair(seat);
            chair.here && !chair.member.draining
        }
    }

    fn open(&self) -> impl Iterator<Item = usize> + '_ {
        (1..self.seats()).filter(|seat| self.is_open(*seat))
    }

    /// Tells whether somebody else may own slots.
    fn others_open(&self, seat: usize) -> bool {
        self.open().any(|other| other != seat)
    }

    /// Tells whether a node was a member, or is one.
    fn was_here(&self, node: &NodeId) -> bool {
        self.chairs.iter().any(|chair| chair.member.node == *node)
    }

    fn join(&mut self, node: NodeId, place: &Place) {
        let domains = self.domains(&node, place);
        let seat = self.seats();
        self.by_node.insert(node.clone(), seat);
        self.chairs.push(Chair {
            weight: f64::from(place.weight),
            domains,
            here: true,
            member: Member {
                node,
                place: place.clone(),
                draining: false,
            },
        });
        self.table.seat();
        self.settle();
    }

    /// Changes where a member stands.
    fn stand(&mut self, seat: usize, place: &Place) {
        let node = self.chair(seat).member.node.clone();
        let domains = self.domains(&node, place);
        let chair = &mut self.chairs[seat - 1];
        let (host, zone) = (&chair.member.place.host, &chair.member.place.zone);
        if (host, zone) != (&place.host, &place.zone) {
            self.parted = None;
        }
        chair.domains = domains;
        chair.member.place = Place {
            weight: chair.member.place.weight,
            ..place.clone()
        };
        self.weigh(seat, place.weight);
    }

    fn weigh(&mut self, seat: usize, weight: u32) {
        let chair = &mut self.chairs[seat - 1];
        chair.weight *= f64::from(weight) / f64::from(chair.member.place.weight);
        chair.member.place.weight = weight;
        self.settle();
    }

    fn leave(&mut self, seat: usize) {
        self.chairs[seat - 1].here = false;
        self.by_node.remove(&self.chair(seat).member.node.clone());
        self.close(seat);
    }

    fn drain(&mut self, seat: usize, draining: bool) {
        self.chairs[seat - 1].member.draining = draining;
        if draining {
            self.close(seat);
        } else {
            self.settle();
        }
    }

    /// Takes all slots from a seat that may own none any more.
    fn close(&mut self, seat: usize) {
        if self.open().count() < self.table.width() {
            self.table.drop_rank_of(seat);
        }
        self.settle();
    }

    fn set_replicas(&mut self, replicas: usize) {
        self.replicas = replicas;
        while self.table.width() > self.wide() {
            self.narrow();
        }
        self.settle();
    }

    /// Drops the rank behind the others, after bringing into it what is to be dropped: where it
    /// can, what leaves the others apart.
    fn narrow(&mut self) {
        let width = self.table.width();
        let rule = self.rule(width - 1);
        let fits = |table: &Table, place: usize| {
            let slot = place / width * width..(place / width + 1) * width;
            let left = slot.filter(|p| *p != place);
            left.clone().all(|one| {
                let others = left.clone().filter(|p| *p != one);
                rule.fits(table.at(one), others.map(|p| table.at(p)))
            })
        };
        for last in (width - 1..self.table.places()).step_by(width) {
            let mut places = (last + 1 - width..=last).rev();
            if let Some(place) = places
                .find(|p| fits(&self.table, *p))
                .filter(|p| *p != last)
            {
                self.table.exchange(place, last);
            }
        }
        let quotas = self.quotas(width - 1, &rule);
        let counts = self.counts();
        let dropped = counts
            .iter()
            .zip(&quotas)
            .map(|(c, q)| signed(*c) - signed(*q));
        let mut lack: Vec<i64> = dropped.collect();
        for place in (width - 1..self.table.places()).step_by(width) {
            lack[self.table.at(place)] -= 1;
        }
        Level::rank(&mut self.table, width - 1, &mut lack, fits);
        self.table.widen(width - 1);
    }

    /// Moves slots by hand, those that still can be, and keeps shares as they are then.
    fn rebalance(&mut self, shifts: &[Shift]) {
        for shift in shifts {
            let seat = |node: &NodeId| self.by_node.get(node).copied();
            let (Some(from), Some(to)) = (seat(&shift.from), seat(&shift.to)) else {
                continue;
            };
            if !self.is_open(to) {
                continue;
            }
            for slot in &shift.slots {
                let owners = self.table.of(usize::from(*slot));
                let rank = owners.iter().position(|o| usize::from(*o) == from);
                let twice = owners.iter().any(|o| usize::from(*o) == to);
                if let Some(rank) = rank.filter(|_| !twice) {
                    self.table
                        .give(usize::from(*slot) * self.table.width() + rank, to);
                }
            }
        }
        let counts = self.counts();
        let weights: f64 = self.open().map(|s| self.chair(s).weight).sum();
        let scale = weights / self.table.places().max(1) as f64;
        let open: Vec<usize> = self.open().collect();
        for seat in open {
            // Half a slot for who has none, so that its share is not zero for ever.
            self.chairs[seat - 1].weight = (counts[seat] as f64).max(0.5) * scale;
        }
        self.parted = None;
        self.settle();
    }

    /// Brings the table to the quotas that hold now.
    fn settle(&mut self) {
        let wide = self.wide();
        if self.table.width() < wide {
            self.table.widen(wide);
        }
        let rule = self.rule(wide);
        let quotas = self.quotas(wide, &rule);
        let counts = self.counts();
        let lack: Vec<i64> = difference(&quotas, &counts);
        let lack_first = difference(&self.first_quotas(&quotas, &lack), &self.first_counts());
        let open: Vec<bool> = (0..self.seats()).map(|s| self.is_open(s)).collect();
        let parted = self.parted == Some(rule.apart());
        let mut level = Level {
            table: &mut self.table,
            rule: &rule,
            draw: self.draw,
            open: &open,
            lack,
            lack_first,
        };
        let parted = parted || level.part();
        level.shift();
        level.chain();
        let apart_all = level.force() && parted;
        self.parted = apart_all.then_some(rule.apart());
        let lack: Vec<i64> = difference(&quotas, &self.counts());
        let firsts = self.first_quotas(&self.counts(), &lack);
        let mut lack_first = difference(&firsts, &self.first_counts());
        Level::rank(&mut self.table, 0, &mut lack_first, |_, _| true);
    }

    /// Returns the owners that each slot should have.
    fn wide(&self) -> usize {
        self.replicas.min(self.open().count())
    }

    /// Returns what owners of a slot must not share, where there are so many of them.
    fn rule(&self, wide: usize) -> Rule {
        let stand = |seat: usize| {
            let domains = (seat != usize::from(NOBODY)).then(|| self.chair(seat).domains);
            Stand {
                host: domains.map_or(usize::MAX, |d| d.host),
                zone: domains.map_or(usize::MAX, |d| d.zone),
                open: self.is_open(seat),
            }
        };
        let stands: Vec<Stand> = (0..self.seats()).map(stand).collect();
        Rule::of(&stands, wide)
    }

    /// Returns how many places each seat should hold in a table that wide, as near to what it
    /// holds as its share allows.
    fn quotas(&self, width: usize, rule: &Rule) -> Vec<usize> {
        let total = usize::from(SLOTS) * width;
        let open: Vec<usize> = self.open().collect();
        let claim = |seat: &usize| Claim {
            weight: self.chair(*seat).weight,
            domain: rule.domain(*seat),
            zone: rule.zone(*seat),
        };
        let claims: Vec<Claim> = open.iter().map(claim).collect();
        let shares = quota::shares(&claims, width, rule.limit());
        let exact: Vec<f64> = shares.iter().map(|s| s * total as f64).collect();
        let counts: Vec<usize> = open.iter().map(|s| self.table.held(*s).len()).collect();
        let rounded = quota::rounded(&exact, &counts, total);
        let mut quotas = vec![0; self.seats()];
        for (seat, quota) in open.iter().zip(rounded) {
            quotas[*seat] = quota;
        }
        quotas
    }

    /// Splits first owners as all owners are split; who gives slots away gives of these, too.
    fn first_quotas(&self, quotas: &[usize], lack: &[i64]) -> Vec<usize> {
        let width = self.table.width().max(1);
        let mut order: Vec<usize> = (0..self.seats()).collect();
        order.sort_by_key(|seat| lack[*seat] >= 0);
        let exact = |seat: &usize| quotas[*seat] as f64 / width as f64;
        let exact: Vec<f64> = order.iter().map(exact).collect();
        let counts: Vec<usize> = order.iter().map(|s| self.table.primaries(*s)).collect();
        let total = self.table.places() / width;
        let mut firsts = vec![0; self.seats()];
        for (seat, first) in order.iter().zip(quota::rounded(&exact, &counts, total)) {
            firsts[*seat] = first;
        }
        firsts
    }

    fn counts(&self) -> Vec<usize> {
        (0..self.seats())
            .map(|s| self.table.held(s).len())
            .collect()
    }

    fn first_counts(&self) -> Vec<usize> {
        (0..self.seats()).map(|s| self.table.primaries(s)).collect()
    }

    /// Numbers the host and the zone of a node; nodes without a zone stand in one.
    fn domains(&mut self, node: &NodeId, place: &Place) -> Domains {
        let zone = place.zone.as_deref().unwrap_or_default();
        let host = place.host.as_ref().map_or_else(
            || format!("node {node}"),
            |host| format!("host {host} in {zone}"),
        );
        let next = self.hosts.len();
        let host = *self.hosts.entry(host).or_insert(next);
        let next = self.zones.len();
        let zone = *self.zones.entry(place.zone.clone()).or_insert(next);
        Domains { host, zone }
    }
}

fn difference(wanted: &[usize], had: &[usize]) -> Vec<i64> {
    let both = wanted.iter().zip(had);
    both.map(|(wanted, had)| signed(*wanted) - signed(*had))
        .collect()
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
