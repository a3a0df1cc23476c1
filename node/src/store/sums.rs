//! What a store holds, summed so that replicas find differences without listing what they share.
//!
//! ```text
//! place of an object   u64: slot 14 bits ‖ first 50 bits of BLAKE3(kind u8 ‖ id)
//! term of an object    BLAKE3(kind u8 ‖ id length u32 LE ‖ id ‖ revision u32 LE ‖ content hash)
//! sum of a span        number of objects, and their terms added as four u64 LE, each modulo 2^64
//! ```
//! A span of places is a node of a tree with sixteen children each: its sixteenths.
//!
//! *Invariants*: sums of slots are kept as objects come and go, equal to those made anew; a sum
//! does not depend on the order in which objects came.
//!
//! *Not here*: asking others (`upkeep`).

use std::collections::BTreeMap;

use earth::split::placement::Slot;
use serde::{Deserialize, Serialize};

use super::keys::kind_byte;
use super::object::ObjectKey;
use super::record::Held;
use crate::slots::SlotSet;

/// Bits of a place that name the slot.
const SLOT_BITS: u32 = 14;
/// Bits by which a span is longer than its children.
const FAN_BITS: u32 = 4;

/// A number of objects and the sum of their terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sum {
    /// Objects.
    pub count: u64,
    terms: [u64; 4],
}

/// A span of places that begin with the same bits, and the sum of what lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its first place.
    pub first: u64,
    /// Bits that all its places have in common.
    pub bits: u32,
    /// What lies in it.
    pub sum: Sum,
}

/// The sum of each slot in which something lies.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    slots: BTreeMap<Slot, Sum>,
}

impl Sum {
    fn of(held: &Held) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(&[kind_byte(held.key.kind)])
            .update(
                &u32::try_from(held.key.id.len())
                    .unwrap_or(u32::MAX)
                    .to_le_bytes(),
            )
            .update(held.key.id.as_bytes())
            .update(&held.revision.to_le_bytes())
            .update(held.hash.as_bytes());
        let hash = hasher.finalize();
        let mut terms = [0; 4];
        for (term, bytes) in terms.iter_mut().zip(hash.as_bytes().as_chunks::<8>().0) {
            *term = u64::from_le_bytes(*bytes);
        }
        Self { count: 1, terms }
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        for (term, more) in self.terms.iter_mut().zip(other.terms) {
            *term = term.wrapping_add(more);
        }
    }

    fn take(&mut self, other: &Self) {
        self.count = self.count.saturating_sub(other.count);
        for (term, less) in self.terms.iter_mut().zip(other.terms) {
            *term = term.wrapping_sub(less);
        }
    }
}

impl Span {
    /// The span of all places, to be summed.
    pub fn all() -> Self {
        Self {
            first: 0,
            bits: 0,
            sum: Sum::default(),
        }
    }

    /// Tells whether it is one that a tree has.
    pub fn is_whole(&self) -> bool {
        self.bits <= u64::BITS
            && self.bits.is_multiple_of(FAN_BITS)
            && self.first & self.free() == 0
    }

    /// Tells whether a place lies in it.
    pub fn contains(&self, place: u64) -> bool {
        place & !self.free() == self.first
    }

    /// Returns its sixteenths, to be summed; none of a single place.
    pub fn children(&self) -> Vec<Self> {
        let bits = self.bits + FAN_BITS;
        if bits > u64::BITS {
            return Vec::new();
        }
        let child = |i: u64| Self {
            first: self.first | (i << (u64::BITS - bits)),
            bits,
            sum: Sum::default(),
        };
        (0..1 << FAN_BITS).map(child).collect()
    }

    /// Returns the first and the last slot that it touches.
    fn ends(&self) -> Option<(Slot, Slot)> {
        let slot = |place: u64| Slot::new(u16::try_from(place >> (u64::BITS - SLOT_BITS)).ok()?);
        Some((slot(self.first)?, slot(self.first | self.free())?))
    }

    /// Tells whether it consists of whole slots.
    pub(super) fn is_of_slots(&self) -> bool {
        self.bits <= SLOT_BITS
    }

    /// The bits in which its places differ.
    fn free(&self) -> u64 {
        u64::MAX.checked_shr(self.bits).unwrap_or(0)
    }
}

impl Sums {
    /// Counts an object in.
    pub(super) fn add(&mut self, held: &Held) {
        self.slots.entry(held.slot).or_default().add(&Sum::of(held));
    }

    /// Counts an object out.
    pub(super) fn take(&mut self, held: &Held) {
        if let Some(sum) = self.slots.get_mut(&held.slot) {
            sum.take(&Sum::of(held));
            if *sum == Sum::default() {
                self.slots.remove(&held.slot);
            }
        }
    }

    /// Returns which of some slots something is held in, of those that a span touches, with sums.
    pub(super) fn held<'a>(
        &'a self,
        span: &Span,
        slots: &'a SlotSet,
    ) -> impl Iterator<Item = (Slot, &'a Sum)> {
        let held = span
            .ends()
            .map(|(first, last)| self.slots.range(first..=last));
        let held = held.into_iter().flatten();
        held.filter(|(slot, _)| slots.contains(**slot))
            .map(|(slot, sum)| (*slot, sum))
    }

    /// Returns the sum of what is held in some slots, of those that a span touches.
    pub(super) fn of(&self, span: &Span, slots: &SlotSet) -> Sum {
        let mut sum = Sum::default();
        self.held(span, slots).for_each(|(_, more)| sum.add(more));
        sum
    }
}

/// Returns the place of an object.
pub fn place(slot: Slot, key: &ObjectKey) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&[kind_byte(key.kind)])
        .update(key.id.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    let within = u64::from_be_bytes(first) >> SLOT_BITS;
    (u64::from(slot.number()) << (u64::BITS - SLOT_BITS)) | within
}

/// Returns the sum of items.
pub(super) fn sum_of<'a>(items: impl Iterator<Item = &'a Held>) -> Sum {
    let mut sum = Sum::default();
    for held in items {
        sum.add(&Sum::of(held));
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::bundle::Kind;

    use super::super::object::ContentHash;
    use super::*;

    fn held(slot: u16, name: u8, revision: u32) -> Held {
        Held {
            slot: Slot::new(slot).unwrap(),
            key: ObjectKey::new(Kind::Run, format!("r{name}")),
            hash: ContentHash::from_bytes([name; 32]),
            revision,
            bytes: 0,
        }
    }

    fn sum_of_all(sums: &Sums) -> Sum {
        sums.of(&Span::all(), &SlotSet::all())
    }

    proptest! {
        #[test]
        fn sums_depend_on_what_is_held_and_not_on_how_it_came(
            items in proptest::collection::vec((0_u16..4, any::<u8>(), 1_u32..3), 0..30),
            gone in 0_usize..30,
        ) {
            let all: Vec<Held> = items.iter().map(|(s, n, r)| held(*s, *n, *r)).collect();
            let gone = gone.min(all.len());
            let mut kept = Sums::default();
            for held in &all {
                kept.add(held);
            }
            for held in &all[..gone] {
                kept.take(held);
            }
            let mut fresh = Sums::default();
            for held in all[gone..].iter().rev() {
                fresh.add(held);
            }
            prop_assert_eq!(sum_of_all(&kept), sum_of_all(&fresh));
            prop_assert_eq!(sum_of_all(&kept), sum_of(all[gone..].iter()));
        }

        #[test]
        fn each_place_lies_in_one_child_of_each_span_that_holds_it(place: u64) {
            let mut span = Span::all();
            loop {
                prop_assert!(span.is_whole() && span.contains(place));
                let children = span.children();
                let mut holding = children.into_iter().filter(|c| c.contains(place));
                match holding.next() {
                    Some(child) => span = child,
                    None => break,
                }
                prop_assert!(holding.next().is_none());
            }
            prop_assert_eq!(span.bits, 64);
        }
    }

    #[test]
    fn a_changed_revision_changes_the_sum() {
        let mut sums = Sums::default();
        sums.add(&held(5, 1, 1));
        let before = sum_of_all(&sums);
        sums.take(&held(5, 1, 1));
        sums.add(&held(5, 1, 2));
        assert_ne!(sum_of_all(&sums), before);
        sums.take(&held(5, 1, 2));
        assert_eq!(sum_of_all(&sums), Sum::default());
    }

    #[test]
    fn a_span_sums_the_slots_asked_for_that_it_touches() {
        let mut sums = Sums::default();
        for slot in [0, 1_023, 1_024, 2_047, 16_383] {
            sums.add(&held(slot, 1, 1));
        }
        let odd: SlotSet = Slot::all().skip(1).step_by(2).collect();
        let children = Span::all().children();
        let counts = |slots: &SlotSet| {
            let count = |span: &Span| sums.of(span, slots).count;
            [0, 1, 2, 15].map(|i: usize| count(&children[i]))
        };
        assert_eq!(counts(&SlotSet::all()), [2, 2, 0, 1]);
        assert_eq!(counts(&odd), [1, 1, 0, 1]);
        assert_eq!(sums.of(&Span::all(), &odd).count, 3);
    }

    #[test]
    fn spans_know_their_slots() {
        let slots = |span: &Span| {
            let (first, last) = span.ends().unwrap();
            first.number()..=last.number()
        };
        assert_eq!(slots(&Span::all()), 0..=16_383);
        let key = ObjectKey::new(Kind::Run, "r");
        let slot = Slot::new(0x2a7f).unwrap();
        let here = place(slot, &key);
        let mut span = Span::all();
        while let Some(child) = span.children().into_iter().find(|c| c.contains(here)) {
            span = child;
            assert!(slots(&span).contains(&slot.number()), "{span:?}");
        }
        assert_eq!(slots(&span), 0x2a7f..=0x2a7f);
    }
}
