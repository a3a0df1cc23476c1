//! Brings every seat to its quota, moving as few slots as that takes.
//!
//! ```text
//! part     slots whose owners stand too close together: one of them gives its place up
//! move     from seats above their quota to seats below it
//! chain    where no such move fits: a gives to b, who gives to c     (shortest first)
//! force    what nobody may own any more goes to whoever fits
//! rank     first owners are evened out by exchanging ranks within slots: no data moves
//! ```
//! *Invariants*: no step gives a slot two owners on one node; none but `force`, for want of a
//! choice, brings two too close together; the same table, quotas and draw give the same answer.
//!
//! *Not here*: the quotas (`quota`), what is too close (`spread`).

use super::draw::Draw;
use super::table::Table;
use crate::layout::spread::Rule;

/// Places looked at to find chains, as a multiple of all: bounds a hopeless search.
const CHAIN_ROUNDS: usize = 64;
/// Places of a donor looked at for one of the kind that it has too many of: more than most nodes
/// of a large cluster hold, and a few of the many in a small one.
const LOOKED_AT_MAX: usize = 64;

/// A table on its way to its quotas.
#[derive(Debug)]
pub(super) struct Level<'a> {
    pub table: &'a mut Table,
    /// Which seats a slot may have beside each other.
    pub rule: &'a Rule,
    /// What the change draws.
    pub draw: Draw,
    /// Seats that may own slots.
    pub open: &'a [bool],
    /// Places by which each seat is below its quota; above it if negative.
    pub lack: Vec<i64>,
    /// The same for slots of which it is the first owner.
    pub lack_first: Vec<i64>,
}

/// A step of a chain: the seat before, and the place that it gives.
type Steps = Vec<Option<(usize, usize)>>;

impl Level<'_> {
    /// Parts owners that stand too close together; tells whether none are left.
    pub(super) fn part(&mut self) -> bool {
        let mut parted = true;
        for slot in 0..self.table.places() / self.table.width().max(1) {
            while let Some(clashing) = self.clash(slot) {
                let Some((place, taker)) = self.parting(&clashing) else {
                    parted = false;
                    break;
                };
                self.give(place, taker);
            }
        }
        parted
    }

    /// Returns the places of a slot whose owners stand too close to the others, if any.
    fn clash(&self, slot: usize) -> Option<Vec<usize>> {
        let width = self.table.width();
        let places = slot * width..(slot + 1) * width;
        let clashes = |place: &usize| {
            let owner = self.table.at(*place);
            self.open[owner] && !self.fits(owner, *place)
        };
        let found: Vec<usize> = places.filter(clashes).collect();
        (!found.is_empty()).then_some(found)
    }

    /// Chooses who gives way to whom: the one furthest above its quota to the one furthest below.
    fn parting(&self, clashing: &[usize]) -> Option<(usize, usize)> {
        let seats = || (0..self.open.len()).filter(|s| self.open[*s]);
        let pairs = clashing.iter().flat_map(|p| seats().map(|s| (*p, s)));
        let fitting = pairs.filter(|(place, seat)| self.fits(*seat, *place));
        fitting.max_by_key(|(place, seat)| {
            let surplus = -self.lack[self.table.at(*place)];
            (
                self.lack[*seat],
                surplus,
                std::cmp::Reverse((*place, *seat)),
            )
        })
    }

    /// Moves places from seats above their quota to seats below it.
    pub(super) fn shift(&mut self) {
        let seats = 0..self.lack.len();
        let mut takers: Vec<usize> = seats.clone().filter(|s| self.wants(*s)).collect();
        for donor in seats {
            while self.lack[donor] < 0 && !takers.is_empty() {
                let Some((place, taker)) = self.pick(donor, &takers) else {
                    break;
                };
                self.give(place, taker);
                if !self.wants(taker) {
                    takers.retain(|t| *t != taker);
                }
            }
        }
    }

    fn wants(&self, seat: usize) -> bool {
        self.open[seat] && self.lack[seat] > 0
    }

    /// Chooses a place that a donor can give to one of the takers: of the kind that it has too
    /// many of, if there is one.
    fn pick(&self, donor: usize, takers: &[usize]) -> Option<(usize, usize)> {
        let held = self.table.held(donor);
        // Anywhere, so that a newcomer's slots come with all kinds of other owners.
        let start = self.draw.among(donor, held.len());
        let (behind, before) = held.split_at(start);
        let places = || before.iter().chain(behind).map(|p| *p as usize);
        let first = |place: &usize| place.is_multiple_of(self.table.width());
        let surplus_first = self.lack_first[donor] < 0;
        let alike = |taker: usize, first: bool| {
            let lack_first = self.lack_first[taker];
            let others = self.lack[taker] - lack_first;
            (if first { lack_first } else { others }) > 0
        };
        let fitting = |place: usize, like: bool| {
            let fitting = takers.iter().filter(|t| self.fits(**t, place));
            let alike = |t: &usize| alike(*t, first(&place));
            let best = fitting.max_by_key(|t| (self.lack[**t], alike(t), std::cmp::Reverse(**t)));
            best.filter(|t| !like || alike(t))
                .map(|taker| (place, *taker))
        };
        // Where nobody wants that kind, no place need be looked at to see so.
        let wanted = takers.iter().any(|taker| alike(*taker, surplus_first));
        let looked_at = if wanted { LOOKED_AT_MAX } else { 0 };
        let of_kind = self.table.of_kind(donor, surplus_first, start);
        let exact = of_kind
            .take(looked_at)
            .find_map(|place| fitting(place, true));
        exact.or_else(|| places().find_map(|place| fitting(place, false)))
    }

    /// Moves places along chains of seats, shortest first, while a seat above its quota reaches one
    /// below it.
    pub(super) fn chain(&mut self) {
        let mut budget = CHAIN_ROUNDS * self.table.places();
        while budget > 0 {
            let donors = (0..self.lack.len()).filter(|s| self.lack[*s] < 0).collect();
            let wanting = (0..self.lack.len()).any(|s| self.wants(s));
            let Some((steps, end)) = wanting.then(|| self.reach(donors, &mut budget)).flatten()
            else {
                return;
            };
            let mut seat = end;
            while let Some((before, place)) = steps[seat] {
                // A step before it may have brought somebody close to it into the slot.
                if !self.fits(seat, place) {
                    break;
                }
                self.give(place, seat);
                seat = before;
            }
        }
    }

    /// Searches, breadth first, from seats to one that wants a place.
    fn reach(&self, from: Vec<usize>, budget: &mut usize) -> Option<(Steps, usize)> {
        let mut steps: Steps = vec![None; self.lack.len()];
        let unseen = |s: &usize| self.open[*s] && !from.contains(s);
        let mut unseen: Vec<usize> = (0..self.lack.len()).filter(unseen).collect();
        let mut queue = std::collections::VecDeque::from(from);
        while let Some(seat) = queue.pop_front() {
            // The last first: what came with this change moves on without moving twice.
            for place in self.table.held(seat).iter().rev().map(|p| *p as usize) {
                *budget = budget.saturating_sub(1);
                let mut at = 0;
                while at < unseen.len() {
                    let next = unseen[at];
                    if !self.fits(next, place) {
                        at += 1;
                        continue;
                    }
                    steps[next] = Some((seat, place));
                    if self.lack[next] > 0 {
                        return Some((steps, next));
                    }
                    queue.push_back(next);
                    unseen.remove(at);
                }
                if unseen.is_empty() || *budget == 0 {
                    break;
                }
            }
        }
        None
    }

    /// Gives what belongs to nobody, or to a seat that may own nothing, to whoever fits; tells
    /// whether no two owners came too close together.
    pub(super) fn force(&mut self) -> bool {
        let mut apart = true;
        for seat in (0..self.lack.len()).filter(|s| !self.open[*s]) {
            for place in self.table.held(seat).to_vec() {
                let place = place as usize;
                let open = (0..self.lack.len()).filter(|s| self.open[*s]);
                let able = open.filter(|s| !self.owns(*s, place));
                let best = able
                    .max_by_key(|s| (self.fits(*s, place), self.lack[*s], std::cmp::Reverse(*s)));
                let Some(taker) = best else { continue };
                apart &= self.fits(taker, place);
                self.give(place, taker);
            }
        }
        apart
    }

    /// Exchanges ranks within slots until that rank has its quotas, each with a place that may have
    /// it; no data moves by it.
    pub(super) fn rank(
        table: &mut Table,
        rank: usize,
        lack: &mut [i64],
        may: impl Fn(&Table, usize) -> bool,
    ) {
        swap_directly(table, rank, lack, &may);
        let mut budget = CHAIN_ROUNDS * table.places();
        while lack.iter().any(|l| *l < 0) && budget > 0 {
            let Some((steps, end)) = reach_in_rank((table, rank), lack, &mut budget, &may) else {
                return;
            };
            let mut seat = end;
            lack[end] -= 1;
            while let Some((before, place)) = steps[seat] {
                let slot = place / table.width();
                table.exchange(place, slot * table.width() + rank);
                seat = before;
            }
            lack[seat] += 1;
        }
    }

    fn give(&mut self, place: usize, to: usize) {
        let from = self.table.at(place);
        self.table.give(place, to);
        self.lack[from] += 1;
        self.lack[to] -= 1;
        if place.is_multiple_of(self.table.width()) {
            self.lack_first[from] += 1;
            self.lack_first[to] -= 1;
        }
    }

    /// Tells whether a seat may stand beside the other owners of a place's slot that are to stay.
    fn fits(&self, seat: usize, place: usize) -> bool {
        let width = self.table.width();
        let first = place / width * width;
        let others = (first..first + width).filter(|p| *p != place);
        let staying = others.map(|p| self.table.at(p)).filter(|o| self.open[*o]);
        self.rule.fits(seat, staying)
    }

    fn owns(&self, seat: usize, place: usize) -> bool {
        let owners = self.table.of(place / self.table.width());
        owners.iter().any(|o| usize::from(*o) == seat)
    }
}

/// Exchanges ranks within slots where one owner has too many of that rank and another too few.
fn swap_directly(
    table: &mut Table,
    rank: usize,
    lack: &mut [i64],
    may: &impl Fn(&Table, usize) -> bool,
) {
    for seat in 0..lack.len() {
        if lack[seat] >= 0 {
            continue;
        }
        for place in table.held(seat).to_vec() {
            let place = place as usize;
            if place % table.width() != rank || lack[seat] >= 0 {
                continue;
            }
            let first = place / table.width() * table.width();
            let others = first..first + table.width();
            let wanting = others.filter(|p| lack[table.at(*p)] > 0 && may(table, *p));
            let best = wanting.max_by_key(|p| (lack[table.at(*p)], std::cmp::Reverse(*p)));
            let Some(other) = best else {
                continue;
            };
            lack[table.at(other)] -= 1;
            lack[seat] += 1;
            table.exchange(place, other);
        }
    }
}

/// Searches, breadth first, from seats with too many of a rank to one with too few: each step is
/// the place at which the next seat stands in a slot where the one before holds the rank.
fn reach_in_rank(
    (table, rank): (&Table, usize),
    lack: &[i64],
    budget: &mut usize,
    may: &impl Fn(&Table, usize) -> bool,
) -> Option<(Steps, usize)> {
    let mut steps: Steps = vec![None; lack.len()];
    let mut queue: std::collections::VecDeque<usize> =
        (0..lack.len()).filter(|s| lack[*s] < 0).collect();
    let mut seen = vec![false; lack.len()];
    for seat in &queue {
        seen[*seat] = true;
    }
    while let Some(seat) = queue.pop_front() {
        for place in table.held(seat).iter().map(|p| *p as usize) {
            if place % table.width() != rank {
                continue;
            }
            *budget = budget.saturating_sub(1);
            let first = place / table.width() * table.width();
            for other in first..first + table.width() {
                let next = table.at(other);
                if seen[next] || !may(table, other) {
                    continue;
                }
                seen[next] = true;
                steps[next] = Some((seat, other));
                if lack[next] > 0 {
                    return Some((steps, next));
                }
                queue.push_back(next);
            }
            if *budget == 0 {
                return None;
            }
        }
    }
    None
}
