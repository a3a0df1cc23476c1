//! The order of an answer, and answers in pages.
//!
//! *Invariants*: an order is total, since it ends in the id; unknown cloud shares come last in
//! either direction; a position stays valid whatever is stored or deleted in between: a page starts
//! behind it, so no row is given twice and none that was there all along is left out.
//!
//! *Not here*: pages of several nodes in one order (`merge`).

use std::cmp::Ordering;

use earth::geocode::Geocode;
use earth::split::meta::SplitId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::index::{Explain, Turn};
use crate::model::{SortKey, SortOrder};
use crate::pairs::Tally;
use crate::row::{Row, cmp_codes};

/// The order of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Order {
    /// Keys before the id, the first counts most.
    keys: Vec<SortOrder>,
    /// Ids run backward.
    id_descending: bool,
}

/// What a row is ordered by, under one key.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rank {
    /// Sensing time.
    Time(Timestamp),
    /// Cloud share or coverage; none if unknown.
    Share(Option<f64>),
    /// The cell.
    Code(Geocode),
}

/// Where a row stands in an order: a cursor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Its ranks under the order's keys.
    pub ranks: Vec<Rank>,
    /// Its id.
    pub id: SplitId,
}

impl Order {
    /// Builds the order that sorts by these keys and then by id.
    pub fn new(sort: &[SortOrder]) -> Self {
        let is_id = |order: &SortOrder| order.key == SortKey::Id;
        let id = sort.iter().position(is_id);
        Self {
            keys: sort[..id.unwrap_or(sort.len())].to_vec(),
            id_descending: id.is_some_and(|at| sort[at].descending),
        }
    }

    /// Returns where a row stands; `None` if its names are no names.
    pub fn position(&self, row: &Row<'_>) -> Option<Position> {
        Some(Position {
            ranks: self.keys.iter().map(|order| rank(row, order.key)).collect(),
            id: row.id()?,
        })
    }

    /// Compares two rows.
    pub fn compare(&self, a: &Row<'_>, b: &Row<'_>) -> Ordering {
        let key = |order: &SortOrder| order.compare(rank(a, order.key), rank(b, order.key));
        let by_keys = self.keys.iter().map(key).find(|o| o.is_ne());
        by_keys.unwrap_or_else(|| self.turn(a.cmp_id(b)))
    }

    /// Compares a row with a position.
    pub fn compare_to(&self, row: &Row<'_>, position: &Position) -> Ordering {
        let key =
            |(order, theirs): (&SortOrder, &Rank)| order.compare(rank(row, order.key), *theirs);
        let by_keys = self.keys.iter().zip(&position.ranks).map(key);
        let by_keys = { by_keys }.find(|o| o.is_ne());
        by_keys.unwrap_or_else(|| self.turn(row.cmp_to_id(&position.id)))
    }

    /// Compares two positions.
    pub fn compare_positions(&self, a: &Position, b: &Position) -> Ordering {
        let ranks = a.ranks.iter().zip(&b.ranks);
        let key = |(order, (a, b)): (&SortOrder, (&Rank, &Rank))| order.compare(*a, *b);
        let by_keys = self.keys.iter().zip(ranks).map(key).find(|o| o.is_ne());
        by_keys.unwrap_or_else(|| self.turn(a.id.cmp(&b.id)))
    }

    fn turn(&self, ids: Ordering) -> Ordering {
        if self.id_descending {
            ids.reverse()
        } else {
            ids
        }
    }
}

impl SortOrder {
    fn compare(self, a: Rank, b: Rank) -> Ordering {
        let turn = |order: Ordering| {
            if self.descending {
                order.reverse()
            } else {
                order
            }
        };
        match (a, b) {
            (Rank::Time(a), Rank::Time(b)) => turn(a.cmp(&b)),
            (Rank::Share(Some(a)), Rank::Share(Some(b))) => turn(a.total_cmp(&b)),
            (Rank::Share(a), Rank::Share(b)) => a.is_none().cmp(&b.is_none()),
            (Rank::Code(a), Rank::Code(b)) => turn(cmp_codes(&a, &b)),
            _ => Ordering::Equal,
        }
    }
}

fn rank(row: &Row<'_>, key: SortKey) -> Rank {
    match key {
        SortKey::Time => Rank::Time(row.acquired),
        SortKey::Cloud => Rank::Share(row.cloud),
        SortKey::Coverage => Rank::Share(Some(row.coverage)),
        SortKey::Geocode | SortKey::Id => Rank::Code(row.geocode),
    }
}

/// A page of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<'a> {
    /// Rows, in order.
    pub rows: Vec<Row<'a>>,
    /// The position of the last row, if more rows follow it.
    pub next: Option<Position>,
    /// All rows that match, on whatever page.
    pub matched: u64,
    /// How they were found.
    pub explain: Explain,
    /// Where pairs were asked for, what was counted in all those slots.
    pub pairs: Option<Tally>,
}

impl<'a> Page<'a> {
    /// Picks one page from all rows that match.
    pub(crate) fn select(
        rows: impl Iterator<Item = Row<'a>>,
        turn: &Turn<'_>,
        explain: Explain,
    ) -> Self {
        let (order, mut matched) = (turn.order, 0);
        let behind = |row: &Row<'a>| {
            let after = turn.after;
            after.is_none_or(|after| order.compare_to(row, after).is_gt())
        };
        let mut rows: Vec<Row<'a>> = rows.inspect(|_| matched += 1).filter(behind).collect();
        let more = rows.len() > turn.rows_max;
        if more {
            rows.select_nth_unstable_by(turn.rows_max, |a, b| order.compare(a, b));
            rows.truncate(turn.rows_max);
        }
        rows.sort_unstable_by(|a, b| order.compare(a, b));
        let last = rows.last().filter(|_| more);
        Self {
            next: last.and_then(|row| order.position(row)),
            rows,
            matched,
            explain,
            pairs: None,
        }
    }
}
