//! The indexes of one node: B+-trees over time, cloud and coverage, a radix trie over geocodes,
//! bitmaps over names.
//!
//! ```text
//! Predicate ─plan→ narrowest index ─read→ candidates ∧ bitmaps of names ─matches→ rows ─▶ Answer
//! ```
//! *Invariants*: whatever index is read, every answer is what looking at each row would give;
//! indexes only bound the rows that are looked at. Row numbers are dense and reused.
//!
//! *Not here*: the records themselves and their durability (node), which slots to ask (`route`).

mod bitmap;
pub mod bplus;
mod plan;
mod radix;
mod rows;

use std::convert::Infallible;

use earth::geocode::Geocode;
use earth::split::meta::SplitId;
use roaring::RoaringBitmap;

use crate::page::{Order, Page, Position};
use crate::pairs::taking_part;
use crate::predicate::Predicate;
use crate::row::Row;
use crate::slots::SlotSet;
use crate::space::SCHEMES;

use bitmap::Names;
use bplus::{Keys, MemoryScan, OrderedScan, RowNumber, Scans};
use plan::Tallies;
use radix::Trie;
pub use radix::{Aggregate, BUCKETS};
use rows::{Label, Rows};

/// How a question was answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Explain {
    /// The index that was read: `geocode`, `time`, `cloud`, `coverage`, `names`, `ids` or `rows`.
    pub index: String,
    /// Rows that it promised, at most.
    pub rows_estimated: u64,
    /// Rows that were looked at.
    pub rows_read: u64,
}

/// The rows that match, and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Numbers of the rows.
    pub rows: RoaringBitmap,
    /// How they were found.
    pub explain: Explain,
}

/// The indexes of one node; its ordered scans stand in memory or in the node's own tables.
#[derive(Debug, Default)]
pub struct IndexSet<S> {
    rows: Rows,
    trie: Trie,
    names: Names,
    tallies: Tallies,
    scans: Scans<S>,
}

/// Indexes that stand in memory as a whole, made at start from the node's records.
pub type Catalog = IndexSet<MemoryScan>;

impl<S> IndexSet<S> {
    /// Builds indexes over scans that are kept elsewhere; rows are then told by `admit`.
    pub fn over(scans: Scans<S>) -> Self {
        Self {
            rows: Rows::default(),
            trie: Trie::default(),
            names: Names::default(),
            tallies: Tallies::default(),
            scans,
        }
    }

    /// Takes up a row and returns its number and the keys under which scans must list it.
    ///
    /// A row of the same id must be dismissed first; it is an error of the caller to have two.
    pub fn admit(&mut self, row: &Row<'_>) -> (RowNumber, Keys) {
        let number = self.rows.insert(row);
        let labels = self.rows.labels(number);
        self.names.insert(number, labels);
        self.tallies.add(row);
        self.trie.insert(row.geocode, number, &self.rows);
        (number, Keys::of(row))
    }

    /// Drops a row; returns its number and the keys under which scans list it.
    pub fn dismiss(&mut self, id: &SplitId) -> Option<(RowNumber, Keys)> {
        let number = self.number(id)?;
        self.drop_row(number)
    }

    fn drop_row(&mut self, number: RowNumber) -> Option<(RowNumber, Keys)> {
        let row = self.rows.row(number)?;
        let (keys, geocode) = (Keys::of(&row), row.geocode);
        self.tallies.subtract(&row);
        self.names.remove(number, self.rows.labels(number));
        self.trie.remove(geocode, number, &self.rows);
        self.rows.remove(number);
        Some((number, keys))
    }

    /// Returns the scans, for their keeper to list and strike rows in.
    pub fn scans_mut(&mut self) -> &mut Scans<S> {
        &mut self.scans
    }

    /// Returns the row of that number.
    pub fn row(&self, number: RowNumber) -> Option<Row<'_>> {
        self.rows.row(number)
    }

    /// Returns the row of that id.
    pub fn get(&self, id: &SplitId) -> Option<Row<'_>> {
        self.rows.row(self.number(id)?)
    }

    /// Returns the number of the row of that id: it lies at the id's cell.
    fn number(&self, id: &SplitId) -> Option<RowNumber> {
        let scene = self.rows.scene(id.collection(), id.scene())?;
        SCHEMES.iter().find_map(|scheme| {
            let cell = Geocode::parse(*scheme, id.geocode()).ok()?;
            self.number_at(&cell, scene)
        })
    }

    /// Returns the number of the row of a scene at a cell.
    fn number_at(&self, cell: &Geocode, scene: Label) -> Option<RowNumber> {
        let mut rows = self.trie.rows_at(cell).iter();
        rows.find(|row| self.rows.labels(**row).scene == scene)
            .copied()
    }

    /// Returns all rows, in no promised order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter()
    }

    /// Returns the number of rows.
    pub fn len(&self) -> u64 {
        self.rows.len()
    }

    /// Tells whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns what is known of all rows at and below a cell without looking at them.
    pub fn aggregate(&self, cell: &Geocode) -> Aggregate {
        self.trie.aggregate(cell, &self.rows)
    }

    /// Returns the cells one character below a cell that hold rows, each with its aggregate.
    pub fn drill_down(&self, cell: &Geocode) -> Vec<(Geocode, Aggregate)> {
        self.trie.drill_down(cell, &self.rows)
    }
}

impl<S: OrderedScan> IndexSet<S> {
    /// Returns the rows in those slots that match.
    pub fn find(&self, predicate: &Predicate, slots: &SlotSet) -> Result<Found, S::Error> {
        let plan = plan::plan(self, predicate);
        let rows_estimated = plan.rows;
        let index = plan.source.name().to_owned();
        let candidates = self.read(&plan.source, predicate)?;
        let candidates = self.names.narrow(predicate, &self.rows, candidates);
        let rows_read = candidates.len();
        let hit = |number: &RowNumber| {
            let row = self.rows.row(*number);
            row.is_some_and(|row| slots.contains(row.slot) && predicate.matches(&row))
        };
        Ok(Found {
            rows: candidates.iter().filter(hit).collect(),
            explain: Explain {
                index,
                rows_estimated,
                rows_read,
            },
        })
    }

    /// Returns one page of the rows in those slots that match: in order, after a position. Where
    /// pairs are asked for, of the rows that make one among those that match.
    pub fn page(&self, predicate: &Predicate, turn: &Turn<'_>) -> Result<Page<'_>, S::Error> {
        let found = self.find(predicate, turn.slots)?;
        let rows = found.rows.iter().filter_map(|n| self.rows.row(n));
        let Some(rule) = predicate.paired else {
            return Ok(Page::select(rows, turn, found.explain));
        };
        let (rows, tally) = taking_part(rows, rule);
        let page = Page::select(rows.into_iter(), turn, found.explain);
        Ok(Page {
            pairs: Some(tally),
            ..page
        })
    }
}

/// Which part of an answer is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// Slots to look in.
    pub slots: &'a SlotSet,
    /// The order of the whole answer.
    pub order: &'a Order,
    /// The last row that the asker has; the page starts behind it.
    pub after: Option<&'a Position>,
    /// Most rows of the page.
    pub rows_max: usize,
}

impl Catalog {
    /// Builds an empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a row; a row of the same id is replaced. Tells whether the id is new.
    pub fn insert(&mut self, row: &Row<'_>) -> bool {
        let scene = self.rows.scene(row.collection, row.scene);
        let old = scene.and_then(|scene| self.number_at(&row.geocode, scene));
        let dropped = old.and_then(|number| self.drop_row(number));
        if let Some((number, keys)) = &dropped {
            self.scans.remove(*number, keys);
        }
        let (number, keys) = self.admit(row);
        self.scans.insert(number, &keys);
        dropped.is_none()
    }

    /// Drops a row; tells whether it was there.
    pub fn remove(&mut self, id: &SplitId) -> bool {
        let Some((number, keys)) = self.dismiss(id) else {
            return false;
        };
        self.scans.remove(number, &keys);
        true
    }

    /// Returns the rows in those slots that match.
    pub fn matches(&self, predicate: &Predicate, slots: &SlotSet) -> Found {
        infallible(self.find(predicate, slots))
    }

    /// Returns one page of the rows in those slots that match: in order, after a position.
    pub fn answer(&self, predicate: &Predicate, turn: &Turn<'_>) -> Page<'_> {
        infallible(self.page(predicate, turn))
    }
}

fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
