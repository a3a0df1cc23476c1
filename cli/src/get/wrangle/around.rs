//! Which other splits belong to a split: of neighbouring cells, of other sensors.
//!
//! *Invariants*: choices depend on ids, times and cells alone, never on the order of answers.
//!
//! *Not here*: their pixels (`plane`).

use std::collections::BTreeSet;

use earth::geocode::Geocode;
use earth::split::collection::Collection;
use jiff::{SignedDuration, Timestamp};
use query::{Query, TimeRange};
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

/// Farthest in time that a neighbour's other scene may be: the next orbit is another sky.
pub(super) const BESIDE_APART_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Returns the query for splits of a collection around some times in some cells.
pub(super) fn query(
    collection: &str,
    (geocodes, exact): (Vec<String>, bool),
    (times, within): (&[Timestamp], SignedDuration),
) -> Query {
    let first = times.iter().min().and_then(|t| t.checked_sub(within).ok());
    let last = times.iter().max().and_then(|t| t.checked_add(within).ok());
    Query {
        collections: vec![collection.to_owned()],
        geocodes,
        exact,
        time: TimeRange {
            start: first,
            end: last,
        },
        ..Query::default()
    }
}

/// Returns the cells around a cell.
pub(super) fn ring(cell: &Geocode) -> Vec<String> {
    let cells = cell.neighbours();
    cells.iter().map(ToString::to_string).collect()
}

/// Returns the cells of another precision that a cell and its surroundings touch, and whether they
/// are meant whole, not as prefixes. Those around count with a halo, and where cells are no
/// smaller: a coarser sensor's pixel at the edge of its cell reaches into the next one.
pub(super) fn cells_of(cell: &Geocode, precision: u8, halo: bool) -> (Vec<String>, bool) {
    let wide = halo || precision <= cell.precision();
    let around = if wide { cell.neighbours() } else { Vec::new() };
    let cells = std::iter::once(*cell).chain(around);
    if precision > cell.precision() {
        return (cells.map(|c| c.to_string()).collect(), false);
    }
    let coarse: BTreeSet<_> = cells.map(|c| c.prefix(precision).to_string()).collect();
    (coarse.into_iter().collect(), true)
}

/// Returns the splits of neighbouring cells that show what a split shows: of its scene first, then
/// by distance in time.
pub(super) fn beside<'h>(hit: &Hit, others: &'h [Hit]) -> Vec<&'h Hit> {
    let near = |other: &&Hit| {
        other.scene == hit.scene || apart(hit.acquired, other.acquired) <= BESIDE_APART_MAX
    };
    let mut found: Vec<&Hit> = others.iter().filter(near).collect();
    found.sort_by_key(|other| {
        let distance = apart(hit.acquired, other.acquired);
        (other.scene != hit.scene, distance, other.id.to_string())
    });
    found
}

/// Returns another sensor's splits nearest in time, one a cell, the earlier of equals; those of the
/// split's own place come first, and without one there is none.
pub(super) fn nearest<'h>(hit: &Hit, others: &'h [Hit], within: SignedDuration) -> Vec<&'h Hit> {
    let here = |other: &Hit| {
        let (own, other) = (hit.geocode.as_str(), other.geocode.as_str());
        own.starts_with(other) || other.starts_with(own)
    };
    let near = |other: &&Hit| apart(hit.acquired, other.acquired) <= within;
    let mut found: Vec<&Hit> = others.iter().filter(near).collect();
    found.sort_by_key(|other| {
        let distance = apart(hit.acquired, other.acquired);
        (!here(other), distance, other.acquired, other.id.to_string())
    });
    let mut seen = BTreeSet::new();
    found.retain(|other| seen.insert(other.geocode.clone()));
    if !found.first().is_some_and(|first| here(first)) {
        found.clear();
    }
    found
}

pub(super) fn apart(a: Timestamp, b: Timestamp) -> SignedDuration {
    a.duration_since(b).abs()
}

/// Refuses collections whose cells cannot lie on one grid.
pub(super) fn check(own: &Collection, other: &Collection) -> Result<(), Fault> {
    if own.scheme == other.scheme {
        return Ok(());
    }
    let what = format!("{} and {} have no common grid", own.name, other.name);
    Err(Fault::new(FaultKind::Usage, what)
        .because(format!(
            "{} is cut along {} cells, {} along {} cells",
            own.name, own.scheme, other.name, other.scheme
        ))
        .try_(format!(
            "glebe ingest --collection NAME --scheme {} with the scenes of {}",
            own.scheme, other.name
        )))
}

#[cfg(test)]
mod tests {
    use earth::geocode::{Geocode, Scheme};

    use super::cells_of;

    #[test]
    fn coarser_cells_are_named_once_and_finer_ones_as_prefixes() {
        let cell = Geocode::parse(Scheme::Geohash, "9xj5k").unwrap();
        let named = |precision, halo| cells_of(&cell, precision, halo);
        assert_eq!(named(4, false), named(4, true));
        assert_eq!(named(5, false).0.len(), 9);
        assert_eq!(named(6, false), (vec!["9xj5k".to_owned()], false));
        let (around, exact) = named(4, true);
        assert!(exact && around.contains(&"9xj5".to_owned()) && around.len() <= 4);
        assert_eq!(named(6, true).0.len(), 9);
    }
}
