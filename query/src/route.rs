//! Which slots can hold an answer, so that nobody else is asked.
//!
//! *Invariants*: the slot of every split that matches is in the set, whatever the query; the cost
//! is bounded, and past the bound the set is every slot.
//!
//! *Not here*: who owns a slot (node).

use std::collections::BTreeSet;

use earth::geocode::{Geocode, Scheme};
use earth::split::collection::Collection;
use earth::split::placement::PlacementRule;

use crate::predicate::Predicate;
use crate::slots::SlotSet;
use crate::space::{Relation, Space, roots};

/// Most placement keys looked up for one query: 8,192 keys reach 40 % of all slots and, with three
/// nodes or three hundred, all of these; asking everyone then costs less than hashing more.
pub const KEYS_MAX: usize = 8_192;
/// Most tests of a cell against an edge: a tenth of a second of work, whatever the polygon's shape.
pub const EFFORT_MAX: u64 = 10_000_000;

/// Returns the slots that can hold a split that matches.
///
/// `collections` are all that the cluster holds; a split of any other collection is not looked
/// for. The dataset is no guide: it belongs to splits, not to places.
pub fn route(predicate: &Predicate, collections: &[Collection]) -> SlotSet {
    let names = &predicate.collections;
    let asks = |c: &&Collection| names.is_empty() || names.contains(&c.name);
    let asked: Vec<&Collection> = collections.iter().filter(asks).collect();
    let mut slots = if asked.is_empty() {
        SlotSet::none()
    } else if predicate.space.is_everywhere() {
        SlotSet::all()
    } else {
        slots_of_space(&predicate.space, &asked)
    };
    if !predicate.ids.is_empty() {
        slots.intersect(&slots_of_ids(predicate, &asked));
    }
    slots
}

/// Returns the slots of the listed ids whose collections are asked.
fn slots_of_ids(predicate: &Predicate, asked: &[&Collection]) -> SlotSet {
    let slot = |id: &earth::split::meta::SplitId| {
        let collection = asked.iter().find(|c| c.name == id.collection())?;
        let cell = Geocode::parse(collection.scheme, id.geocode()).ok()?;
        Some(collection.placement.key(&cell).slot())
    };
    predicate.ids.iter().filter_map(slot).collect()
}

/// Returns the slots of all cells of a region, for every way in which collections place them.
fn slots_of_space(space: &Space, asked: &[&Collection]) -> SlotSet {
    let placings: BTreeSet<Placing> = asked.iter().map(|c| Placing::of(c)).collect();
    let mut slots = SlotSet::none();
    for placing in placings {
        match placing.slots(space) {
            Some(some) => slots.union(&some),
            None => return SlotSet::all(),
        }
    }
    slots
}

/// How a collection names and places its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Placing {
    scheme: Scheme,
    /// Characters of a cell.
    precision: u8,
    /// Characters of its placement key.
    key_length: u8,
}

impl Placing {
    fn of(collection: &Collection) -> Self {
        Self {
            scheme: collection.scheme,
            precision: collection.precision,
            key_length: collection.placement.length(collection.precision),
        }
    }

    /// Returns the slots of a region's cells; `None` if looking them up passes a limit.
    fn slots(self, space: &Space) -> Option<SlotSet> {
        let mut slots = SlotSet::none();
        let (mut keys, mut tests) = (0, 0_u64);
        let tests_max = EFFORT_MAX / space.edges();
        let mut open = self.starts(space);
        while let Some(cell) = open.pop() {
            tests += 1;
            if keys > KEYS_MAX || tests > tests_max {
                return None;
            }
            if space.relation(&cell) == Relation::Disjoint {
                continue;
            }
            if cell.precision() == self.key_length {
                keys += 1;
                slots.insert(PlacementRule::Whole.key(&cell).slot());
            } else {
                open.extend(cell.children());
            }
        }
        Some(slots)
    }

    /// Returns cells, none longer than a key, that together hold all cells of the region.
    fn starts(self, space: &Space) -> Vec<Geocode> {
        let Some(codes) = &space.codes else {
            return roots(self.scheme);
        };
        let can_match = |code: &&Geocode| {
            let length_fits = if codes.exact {
                code.precision() == self.precision
            } else {
                code.precision() <= self.precision
            };
            code.scheme() == self.scheme && length_fits
        };
        let heads = codes.codes.iter().filter(can_match);
        let heads: BTreeSet<Geocode> = heads.map(|c| c.prefix(self.key_length)).collect();
        heads.into_iter().collect()
    }
}
