//! Who owns which slot while changes are applied, seen from both sides.
//!
//! ```text
//! place = slot × width + rank      owners[place] = seat      held[seat] = its places, in any order
//! ```
//! *Invariants*: both sides agree; changing the owner of one place takes constant time.
//!
//! *Not here*: who should own it (`level`).

use earth::split::placement::SLOTS;

use super::kinds::Kinds;

/// A seat: index of a node that is or was a member.
pub(super) type Seat = u16;
/// The seat on which nobody sits: it owns what has no owner yet.
pub(super) const NOBODY: Seat = 0;

/// Owners of all slots.
#[derive(Debug, Clone)]
pub(super) struct Table {
    width: usize,
    owners: Vec<Seat>,
    /// Where each place stands in its owner's list.
    stands: Vec<u32>,
    held: Vec<Vec<u32>>,
    /// Which of them are first owners' places.
    kinds: Vec<Kinds>,
    primaries: Vec<usize>,
}

impl Table {
    /// Returns the table of no rank and nobody.
    pub(super) fn new() -> Self {
        Self {
            width: 0,
            owners: Vec::new(),
            stands: Vec::new(),
            held: vec![Vec::new()],
            kinds: vec![Kinds::default()],
            primaries: vec![0],
        }
    }

    /// Adds a seat that owns nothing.
    pub(super) fn seat(&mut self) {
        self.held.push(Vec::new());
        self.kinds.push(Kinds::default());
        self.primaries.push(0);
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Returns all owners, slot by slot, first owners first.
    pub(super) fn owners(&self) -> &[Seat] {
        &self.owners
    }

    pub(super) fn places(&self) -> usize {
        self.owners.len()
    }

    /// Returns the owners of a slot, first owner first.
    pub(super) fn of(&self, slot: usize) -> &[Seat] {
        &self.owners[slot * self.width..(slot + 1) * self.width]
    }

    /// Returns the owner of a place.
    pub(super) fn at(&self, place: usize) -> usize {
        usize::from(self.owners[place])
    }

    /// Returns the places that a seat holds.
    pub(super) fn held(&self, seat: usize) -> &[u32] {
        &self.held[seat]
    }

    /// Returns the places of a seat that are first owners', or the others, in the order of its list
    /// from somewhere on and around.
    pub(super) fn of_kind(
        &self,
        seat: usize,
        first: bool,
        start: usize,
    ) -> impl Iterator<Item = usize> {
        let (held, kinds) = (&self.held[seat], &self.kinds[seat]);
        let within = move |from: usize, to: usize| {
            let next = move |at: usize| kinds.find(first, at, to);
            std::iter::successors(next(from), move |at| next(at + 1))
        };
        let around = within(start, held.len()).chain(within(0, start));
        around.map(|at| held[at] as usize)
    }

    /// Returns how many slots a seat is first owner of.
    pub(super) fn primaries(&self, seat: usize) -> usize {
        self.primaries[seat]
    }

    /// Gives a place to a seat.
    pub(super) fn give(&mut self, place: usize, to: usize) {
        let from = self.at(place);
        let stand = self.stands[place] as usize;
        let first = place.is_multiple_of(self.width);
        self.held[from].swap_remove(stand);
        self.kinds[from].swap_remove(stand);
        if let Some(moved) = self.held[from].get(stand) {
            self.stands[*moved as usize] = small(stand);
        }
        self.stands[place] = small(self.held[to].len());
        self.held[to].push(small(place));
        self.kinds[to].push(first);
        self.owners[place] = narrow(to);
        if first {
            self.primaries[from] -= 1;
            self.primaries[to] += 1;
        }
    }

    /// Exchanges the owners of two places.
    pub(super) fn exchange(&mut self, one: usize, other: usize) {
        let (a, b) = (self.at(one), self.at(other));
        self.give(one, b);
        self.give(other, a);
    }

    /// Makes the table that wide: new ranks belong to nobody, of ranks too many the last go.
    pub(super) fn widen(&mut self, width: usize) {
        let old = std::mem::take(&mut self.owners);
        let before = self.width;
        let rank = |slot: usize, r: usize| {
            if r < before {
                old[slot * before + r]
            } else {
                NOBODY
            }
        };
        let slots = 0..usize::from(SLOTS);
        let owners = slots.flat_map(|slot| (0..width).map(move |r| rank(slot, r)));
        self.owners = owners.collect();
        self.width = width;
        self.index();
    }

    /// Takes a seat that owns every slot out of all of them; the ranks behind it move up.
    pub(super) fn drop_rank_of(&mut self, gone: usize) {
        let width = self.width;
        for slot in 0..usize::from(SLOTS) {
            let owners = &mut self.owners[slot * width..(slot + 1) * width];
            if let Some(at) = owners.iter().position(|o| usize::from(*o) == gone) {
                owners[at..].rotate_left(1);
            }
        }
        self.widen(width - 1);
    }

    /// Remakes lists and counts from the owners.
    fn index(&mut self) {
        self.held.iter_mut().for_each(Vec::clear);
        self.kinds.iter_mut().for_each(Kinds::clear);
        self.primaries.fill(0);
        self.stands = vec![0; self.owners.len()];
        for (place, owner) in self.owners.iter().enumerate() {
            let owner = usize::from(*owner);
            let first = place.is_multiple_of(self.width);
            self.stands[place] = small(self.held[owner].len());
            self.held[owner].push(small(place));
            self.kinds[owner].push(first);
            self.primaries[owner] += usize::from(first);
        }
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("seven replicas of 16,384 slots are far below 2^32")
}

/// Returns a seat's number as it is kept.
pub(super) fn narrow(seat: usize) -> Seat {
    Seat::try_from(seat).expect("changes are bounded well below 65,536 seats")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_whatever_is_given() {
        let mut table = Table::new();
        table.seat();
        table.seat();
        table.widen(2);
        for place in 0..table.places() {
            table.give(place, 1 + place % 2);
        }
        for slot in (0..usize::from(SLOTS)).step_by(3) {
            table.exchange(slot * 2, slot * 2 + 1);
        }
        let held = |seat: usize| {
            let mut held: Vec<usize> = table.held(seat).iter().map(|p| *p as usize).collect();
            held.sort_unstable();
            held
        };
        for seat in 0..3 {
            let owned: Vec<usize> = (0..table.places())
                .filter(|p| table.at(*p) == seat)
                .collect();
            assert_eq!(held(seat), owned);
            let first = owned.iter().filter(|p| **p % 2 == 0).count();
            assert_eq!(table.primaries(seat), first);
            for (first, start) in [(true, 0), (false, 0), (true, 77), (false, 9_000)] {
                let held = table.held(seat);
                let start = start.min(held.len());
                let around = held[start..].iter().chain(&held[..start]);
                let alike = around
                    .map(|p| *p as usize)
                    .filter(|p| (p % 2 == 0) == first);
                let found: Vec<usize> = table.of_kind(seat, first, start).collect();
                assert_eq!(found, alike.collect::<Vec<_>>());
            }
        }
        assert_eq!(table.of(0), [2, 1]);
        table.drop_rank_of(2);
        assert!(table.owners().iter().all(|o| *o == 1));
    }
}
