//! A set of slots: which part of the ring a question is about.
//!
//! *Invariants*: a fixed bitmap of 16,384 bits; some 2 KiB on the wire whatever it holds.
//!
//! *Not here*: which slots a query can match (`route`), who owns them (node).

use std::fmt;

use earth::split::placement::{SLOTS, Slot};
use serde::{Deserialize, Serialize, Serializer};

/// Words of the bitmap.
const WORDS: usize = SLOTS as usize / 64;

/// A set of slots.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<u64>")]
pub struct SlotSet {
    words: Box<[u64; WORDS]>,
}

/// Why a list of words is no set of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a set of slots has {WORDS} words, not {found}")]
pub struct SlotSetError {
    found: usize,
}

impl SlotSet {
    /// Returns the set without a slot.
    pub fn none() -> Self {
        Self {
            words: Box::new([0; WORDS]),
        }
    }

    /// Returns the set of every slot.
    pub fn all() -> Self {
        Self {
            words: Box::new([u64::MAX; WORDS]),
        }
    }

    /// Returns the set of the slots for which something holds; it is asked for each, in order.
    #[inline]
    pub fn of(mut holds: impl FnMut(Slot) -> bool) -> Self {
        let mut set = Self::none();
        let mut slots = Slot::all();
        for word in set.words.iter_mut() {
            for (bit, slot) in slots.by_ref().take(64).enumerate() {
                *word |= u64::from(holds(slot)) << bit;
            }
        }
        set
    }

    /// Puts a slot into the set.
    pub fn insert(&mut self, slot: Slot) {
        let i = usize::from(slot.number());
        self.words[i / 64] |= 1 << (i % 64);
    }

    /// Tells whether the slot is in the set.
    #[inline]
    pub fn contains(&self, slot: Slot) -> bool {
        let i = usize::from(slot.number());
        self.words[i / 64] >> (i % 64) & 1 == 1
    }

    /// Takes a slot out of the set.
    pub fn remove(&mut self, slot: Slot) {
        let i = usize::from(slot.number());
        self.words[i / 64] &= !(1 << (i % 64));
    }

    /// Keeps only the slots that the other set holds too.
    pub fn intersect(&mut self, other: &Self) {
        for (word, theirs) in self.words.iter_mut().zip(other.words.iter()) {
            *word &= theirs;
        }
    }

    /// Takes out the slots that the other set holds.
    pub fn subtract(&mut self, other: &Self) {
        let pairs = self.words.iter_mut().zip(other.words.iter());
        pairs.for_each(|(word, theirs)| *word &= !theirs);
    }

    /// Adds the slots of the other set.
    pub fn union(&mut self, other: &Self) {
        for (word, theirs) in self.words.iter_mut().zip(other.words.iter()) {
            *word |= theirs;
        }
    }

    /// Tells whether the other set holds all slots of this one.
    pub fn is_subset(&self, other: &Self) -> bool {
        let mut pairs = self.words.iter().zip(other.words.iter());
        pairs.all(|(word, theirs)| word & !theirs == 0)
    }

    /// Returns how many slots the set holds.
    pub fn len(&self) -> u64 {
        self.words.iter().map(|w| u64::from(w.count_ones())).sum()
    }

    /// Tells whether the set holds no slot.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// Tells whether the set holds every slot.
    pub fn is_all(&self) -> bool {
        self.words.iter().all(|w| *w == u64::MAX)
    }

    /// Returns the slots in order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        let words = self.words.iter().zip(0_u16..);
        words.flat_map(|(word, at)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = u16::try_from(rest.trailing_zeros()).ok()?;
                rest &= rest.checked_sub(1)?;
                Slot::new(64 * at + bit)
            })
        })
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotSet({} of {SLOTS})", self.len())
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::none();
        for slot in slots {
            set.insert(slot);
        }
        set
    }
}

impl TryFrom<Vec<u64>> for SlotSet {
    type Error = SlotSetError;

    fn try_from(words: Vec<u64>) -> Result<Self, SlotSetError> {
        let found = words.len();
        let words = words.into_boxed_slice().try_into();
        words
            .map(|words| Self { words })
            .map_err(|_| SlotSetError { found })
    }
}

/// As the list of its words.
impl Serialize for SlotSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.words.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_exactly_what_was_put_in() {
        let some: Vec<Slot> = [0, 63, 64, 16_383]
            .into_iter()
            .filter_map(Slot::new)
            .collect();
        let set: SlotSet = some.iter().copied().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), some);
        assert_eq!(set.len(), 4);
        assert!(!set.is_empty() && !set.is_all());
        assert!(SlotSet::all().is_all() && SlotSet::none().is_empty());
        assert_eq!(SlotSet::of(|slot| some.contains(&slot)), set);
    }

    #[test]
    fn sets_meet_and_join_slot_by_slot() {
        let even: SlotSet = Slot::all().step_by(2).collect();
        let third: SlotSet = Slot::all().step_by(3).collect();
        let (mut both, mut either) = (even.clone(), even.clone());
        both.intersect(&third);
        either.union(&third);
        assert!(both.is_subset(&even) && even.is_subset(&either) && !even.is_subset(&both));
        for slot in Slot::all() {
            let (a, b) = (even.contains(slot), third.contains(slot));
            assert_eq!(both.contains(slot), a && b);
            assert_eq!(either.contains(slot), a || b);
        }
        for slot in Slot::all() {
            either.remove(slot);
        }
        assert!(either.is_empty());
    }

    #[test]
    fn a_set_survives_the_wire_and_a_short_one_is_refused() {
        let set: SlotSet = Slot::all().step_by(7).collect();
        let bytes = serde_json::to_vec(&set).unwrap();
        assert_eq!(serde_json::from_slice::<SlotSet>(&bytes).unwrap(), set);
        let short = serde_json::to_vec(&vec![0_u64; 3]).unwrap();
        assert!(serde_json::from_slice::<SlotSet>(&short).is_err());
    }
}
