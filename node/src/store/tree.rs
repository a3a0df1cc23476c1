//! What a store tells of itself to be compared, and what it finds when it is told of another.
//!
//! *Invariants*: where two stores hold the same in the slots compared, nothing is listed; what is
//! listed of a span is all of it.
//!
//! *Not here*: sums (`sums`), whom to compare with (`upkeep`).

use earth::split::placement::Slot;

use super::error::StoreError;
use super::files::KINDS;
use super::index::Index;
use super::object::ObjectKey;
use super::record::{Held, Record};
use super::sums::{self, Span, Sum};
use super::{Store, Version};
use crate::slots::SlotSet;

/// Items up to which a span is listed rather than divided: sixteen sums take as many bytes as some
/// eight items.
const LISTED_MAX: u64 = 8;

/// What a store says of a span of which another has told its sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// Both hold the same.
    Same,
    /// Both hold something, and not the same: its own sums of the children.
    Within(Vec<Span>),
    /// All that is held there.
    Items(Vec<Held>),
}

impl Store {
    /// Returns a span with the sum of what is held there in some slots.
    pub fn sum(&self, span: Span, slots: &SlotSet) -> Result<Span, StoreError> {
        self.trusted(|index| {
            let mut summed = span;
            summed.sum = sum(index, &span, slots)?;
            Ok(summed)
        })
    }

    /// Compares with another store's sum over the same slots.
    pub fn compare(&self, theirs: &Span, slots: &SlotSet) -> Result<Compared, StoreError> {
        self.trusted(|index| {
            let mine = sum(index, theirs, slots)?;
            if mine == theirs.sum {
                return Ok(Compared::Same);
            }
            let children = theirs.children();
            if mine.count <= LISTED_MAX || children.is_empty() {
                return items(index, theirs, slots).map(Compared::Items);
            }
            let mut within = children;
            for child in &mut within {
                child.sum = sum(index, child, slots)?;
            }
            Ok(Compared::Within(within))
        })
    }

    /// Returns those of a replica's items that are newer there than here, or not here.
    pub fn lacking(&self, theirs: Vec<Held>) -> Result<Vec<Held>, StoreError> {
        let mut lacking = Vec::new();
        for held in theirs {
            let mine = self.version(&held.key)?;
            if mine.is_none_or(|mine| !mine.covers(&held.version())) {
                lacking.push(held);
            }
        }
        Ok(lacking)
    }

    /// Returns which content of an object is held, a tombstone too.
    pub fn version(&self, key: &ObjectKey) -> Result<Option<Version>, StoreError> {
        Ok(self.known(key)?.as_ref().map(Record::version))
    }
}

fn sum(index: &Index, span: &Span, slots: &SlotSet) -> Result<Sum, StoreError> {
    if span.is_of_slots() {
        return Ok(index.sums().of(span, slots));
    }
    Ok(sums::sum_of(items(index, span, slots)?.iter()))
}

/// Lists a span in some slots.
fn items(index: &Index, span: &Span, slots: &SlotSet) -> Result<Vec<Held>, StoreError> {
    let mut items = Vec::new();
    let common: Vec<Slot> = {
        let sums = index.sums();
        sums.held(span, slots).map(|(slot, _)| slot).collect()
    };
    for slot in common {
        for kind in KINDS {
            items.extend(index.records.held_in(kind, slot)?);
        }
    }
    items.retain(|held| span.contains(sums::place(held.slot, &held.key)));
    Ok(items)
}
