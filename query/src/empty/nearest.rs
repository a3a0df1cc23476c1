//! The value of a predicate nearest to the given one with which a row would match.
//!
//! *Invariants*: of two values the one at less distance wins, of equal ones the lesser text, so
//! that merging in any order gives the same value.
//!
//! *Not here*: which predicate it is (`empty`).

use earth::extent::LonLatBox;
use earth::geocode::Geocode;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::predicate::{Clause, Predicate};
use crate::row::Row;
use crate::share::SHARE_SLACK;

/// Parts into which a degree is rounded in a box: a tenth of a millimetre, finer than any cell.
const DEGREE_PARTS: f64 = 1e9;

/// A value of a predicate, as text for its flag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nearest {
    /// How far it is from what was asked for, in whatever the predicate counts.
    pub distance: f64,
    /// The value.
    pub text: String,
}

impl Nearest {
    /// Takes the place of another if it is nearer.
    pub(super) fn improve(self, best: &mut Option<Self>) {
        let worse = best.as_ref().is_none_or(|best| {
            let distance = self.distance.total_cmp(&best.distance);
            distance.then_with(|| self.text.cmp(&best.text)).is_lt()
        });
        if worse {
            *best = Some(self);
        }
    }

    /// Offers the value with which a row, failing that predicate alone, would match.
    pub(super) fn offer(
        clause: Clause,
        predicate: &Predicate,
        row: &Row<'_>,
        best: &mut Option<Self>,
    ) {
        let distance = distance(clause, predicate, row);
        let Some(distance) = distance else {
            return;
        };
        // The text is costly, and most rows are farther away than the best so far.
        if best.as_ref().is_some_and(|best| distance > best.distance) {
            return;
        }
        if let Some(text) = text(clause, row) {
            Self { distance, text }.improve(best);
        }
    }
}

/// Returns how far a row is from what was asked for; `None` if there is no such measure.
fn distance(clause: Clause, predicate: &Predicate, row: &Row<'_>) -> Option<f64> {
    let names = |asked: &std::collections::BTreeSet<String>, name: &str| {
        asked.iter().map(|a| edits(a, name)).min().map(|d| d as f64)
    };
    match clause {
        Clause::Collection => names(&predicate.collections, row.collection),
        Clause::Dataset => names(&predicate.datasets, row.dataset),
        Clause::Scene => names(&predicate.scenes, row.scene),
        Clause::Id => None,
        Clause::Geocode => code_distance(predicate, &row.geocode),
        Clause::Bbox | Clause::Intersects => area_distance(predicate, row),
        Clause::Datetime => {
            let before = predicate.time.start.filter(|start| row.acquired < *start);
            let bound = before.or(predicate.time.end)?;
            let apart = bound.as_second() - row.acquired.as_second();
            Some(apart.unsigned_abs() as f64)
        }
        Clause::MinCloud => Some(1.0 - row.cloud?),
        Clause::MaxCloud => row.cloud,
        Clause::MinCoverage => Some(1.0 - row.coverage),
        Clause::MaxCoverage => Some(row.coverage),
    }
}

/// Returns the value for the flag.
fn text(clause: Clause, row: &Row<'_>) -> Option<String> {
    Some(match clause {
        Clause::Collection => row.collection.to_owned(),
        Clause::Dataset => row.dataset.to_owned(),
        Clause::Scene => row.scene.to_owned(),
        // No id or file comes near another.
        Clause::Id | Clause::Intersects => return None,
        Clause::Geocode => row.geocode.to_string(),
        Clause::Bbox => box_text(&row.geocode.bounds()),
        Clause::Datetime => row.acquired.to_zoned(TimeZone::UTC).date().to_string(),
        Clause::MinCloud => percent_below(row.cloud?),
        Clause::MaxCloud => percent_above(row.cloud?),
        Clause::MinCoverage => percent_below(row.coverage),
        Clause::MaxCoverage => percent_above(row.coverage),
    })
}

/// Returns the least whole percent that a share does not exceed.
fn percent_above(share: f64) -> String {
    format!("{}", ((share - SHARE_SLACK) * 100.0).ceil().max(0.0))
}

/// Returns the greatest whole percent that does not exceed a share.
fn percent_below(share: f64) -> String {
    format!("{}", ((share + SHARE_SLACK) * 100.0).floor().max(0.0))
}

/// Returns how many characters of the nearest asked geocode a cell does not share.
fn code_distance(predicate: &Predicate, cell: &Geocode) -> Option<f64> {
    let codes = &predicate.space.codes.as_ref()?.codes;
    let unshared = |code: &Geocode| {
        let same = |n: &u8| cell.prefix(*n) == code.prefix(*n);
        let longest = cell.precision().min(code.precision());
        let shared = (1..=longest).take_while(same).count();
        usize::from(code.precision()) - shared
    };
    codes.iter().map(unshared).min().map(|d| d as f64)
}

/// Returns the degrees between a cell's centre and that of the asked box or polygon.
fn area_distance(predicate: &Predicate, row: &Row<'_>) -> Option<f64> {
    let space = &predicate.space;
    let asked = match (&space.bbox, &space.polygon) {
        (Some(bbox), _) => bbox.centre(),
        (None, Some(polygon)) => *polygon
            .parts()
            .first()?
            .rings()
            .first()?
            .corners()
            .first()?,
        (None, None) => return None,
    };
    let centre = row.geocode.centre();
    let around = (centre.lon - asked.lon).abs() % 360.0;
    let east_west = around.min(360.0 - around) * asked.lat.to_radians().cos();
    Some(east_west.hypot(centre.lat - asked.lat))
}

/// Returns a box as text, rounded inward so that it still overlaps the cell.
fn box_text(area: &LonLatBox) -> String {
    let up = |degrees: f64| (degrees * DEGREE_PARTS).ceil() / DEGREE_PARTS;
    let down = |degrees: f64| (degrees * DEGREE_PARTS).floor() / DEGREE_PARTS;
    format!(
        "{},{},{},{}",
        up(area.west()),
        up(area.south()),
        down(area.east()),
        down(area.north())
    )
}

/// Returns how many letters must be put in, taken out or changed to turn one name into another.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_as_levenshtein_did() {
        for (a, b, count) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("sentinel-2-l2a", "sentinel2-l2a", 1),
            ("naip", "naip", 0),
        ] {
            assert_eq!(edits(a, b), count, "{a} {b}");
            assert_eq!(edits(b, a), count, "{b} {a}");
        }
    }

    #[test]
    fn percent_is_rounded_to_the_side_that_still_matches() {
        assert_eq!(percent_above(0.032), "4");
        assert_eq!(percent_above(0.07), "7");
        assert_eq!(percent_above(0.0), "0");
        assert_eq!(percent_below(0.999), "99");
        assert_eq!(percent_below(0.29), "29");
        assert_eq!(percent_below(1.0), "100");
    }
}
