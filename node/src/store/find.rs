//! Finding splits: rows, trie and bitmaps in memory over redb's ordered tables.
//!
//! *Invariants*: a split is found once its record is committed, and no more once it is about to be
//! removed; a scan that meets an ordinal not known here meets a split that is neither.
//!
//! *Not here*: what predicates mean and which index is read (query).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use earth::split::meta::SplitId;
use query::empty::Emptiness;
use query::index::bplus::{Key, OrderedScan, RowNumber, Scans};
use query::index::{Explain, IndexSet, Turn};
use query::page::Position;
use query::pairs::Tally;
use query::predicate::Predicate;
use query::slots::SlotSet;

use super::error::StoreError;
use super::record::Record;
use super::records::Records;
use super::rows::{self, Scan};

/// The rows of one index.
#[derive(Debug)]
pub(super) struct Finder {
    rows: RwLock<IndexSet<TableScan>>,
    numbers: Numbers,
}

/// Ordinal in the tables → number in memory.
type Numbers = Arc<RwLock<HashMap<u32, RowNumber>>>;

/// One of redb's ordered tables.
#[derive(Debug)]
struct TableScan {
    records: Arc<Records>,
    scan: Scan,
    numbers: Numbers,
}

/// One page of splits that match.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundPage {
    /// Splits with their place in the order.
    pub hits: Vec<(Position, Record)>,
    /// Where to go on, if more follow.
    pub next: Option<Position>,
    /// All that match, on whatever page.
    pub matched: u64,
    /// How they were found.
    pub explain: Explain,
    /// What was counted where pairs were asked for.
    pub pairs: Option<Tally>,
}

/// Where the rows of a page stand, without their records.
pub(super) struct Places {
    pub rows: Vec<Position>,
    pub next: Option<Position>,
    pub matched: u64,
    pub explain: Explain,
    pub pairs: Option<Tally>,
}

impl OrderedScan for TableScan {
    type Error = StoreError;

    fn scan(
        &self,
        range: std::ops::RangeInclusive<Key>,
        take: &mut dyn FnMut(RowNumber),
    ) -> Result<(), StoreError> {
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        self.scan.read(&self.records.read()?, range, |ordinal| {
            if let Some(number) = numbers.get(&ordinal) {
                take(*number);
            }
        })
    }
}

impl Finder {
    /// Reads every row.
    pub(super) fn open(records: &Arc<Records>) -> Result<Self, StoreError> {
        let numbers = Numbers::default();
        let scan = |scan| TableScan {
            records: Arc::clone(records),
            scan,
            numbers: Arc::clone(&numbers),
        };
        let rows = IndexSet::over(Scans {
            time: scan(rows::TIME),
            cloud: scan(rows::CLOUD),
            coverage: scan(rows::COVERAGE),
        });
        let finder = Self {
            rows: RwLock::new(rows),
            numbers,
        };
        rows::each(&records.read()?, |ordinal, row| finder.admit(ordinal, row))?;
        Ok(finder)
    }

    fn admit(&self, ordinal: u32, row: &rows::StoredRow) -> Result<(), StoreError> {
        let view = row.view().ok_or(StoreError::Damaged { table: "rows" })?;
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let (number, _) = rows.admit(&view);
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        numbers.insert(ordinal, number);
        Ok(())
    }

    /// Takes up a split whose record has been committed.
    pub(super) fn admit_committed(&self, records: &Records, id: &str) -> Result<(), StoreError> {
        match rows::of(&records.read()?, id)? {
            Some((ordinal, row)) => self.admit(ordinal, &row),
            None => Err(StoreError::Damaged { table: "ordinals" }),
        }
    }

    /// Drops a split whose record is about to be replaced or removed.
    pub(super) fn dismiss(&self, records: &Records, id: &str) -> Result<(), StoreError> {
        let Ok(split) = SplitId::parse(id) else {
            return Ok(());
        };
        let old = rows::of(&records.read()?, id)?;
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        rows.dismiss(&split);
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        old.map(|(ordinal, _)| numbers.remove(&ordinal));
        Ok(())
    }

    /// Returns one page of the rows in some slots that match.
    pub(super) fn places(
        &self,
        predicate: &Predicate,
        turn: &Turn<'_>,
    ) -> Result<Places, StoreError> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let page = rows.page(predicate, turn)?;
        let place = |row| turn.order.position(row);
        Ok(Places {
            rows: page.rows.iter().filter_map(place).collect(),
            next: page.next,
            matched: page.matched,
            explain: page.explain,
            pairs: page.pairs,
        })
    }

    /// Returns what is known about an empty answer.
    pub(super) fn emptiness(&self, predicate: &Predicate, slots: &SlotSet) -> Emptiness {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        Emptiness::of(&rows, predicate, slots)
    }
}
