//! The rows themselves, side by side in memory.
//!
//! *Invariants*: some 70 bytes a row; names are kept once; numbers of dropped rows are reused.
//!
//! *Not here*: finding a row (`radix`, `bitmap`, `bplus`).

use std::collections::HashMap;

use earth::geocode::Geocode;
use earth::split::placement::Slot;
use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::bplus::RowNumber;
use crate::row::Row;

/// Number of a name within one node.
pub(super) type Label = u32;

/// The names of one row, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Labels {
    pub(super) collection: Label,
    pub(super) dataset: Label,
    /// A scene within its collection.
    pub(super) scene: Label,
}

/// The rows of one node.
#[derive(Debug, Default)]
pub(super) struct Rows {
    entries: Vec<Entry>,
    live: RoaringBitmap,
    free: Vec<RowNumber>,
    collections: Vocabulary,
    datasets: Vocabulary,
    /// `COLLECTION/SCENE`.
    scenes: Vocabulary,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    labels: Labels,
    slot: Slot,
    geocode: Geocode,
    acquired: Timestamp,
    /// NaN if unknown: eight bytes less than an option.
    cloud: f64,
    coverage: f64,
    bytes: u64,
}

/// Texts with their numbers.
#[derive(Debug, Default)]
struct Vocabulary {
    texts: Vec<Box<str>>,
    labels: HashMap<Box<str>, Label>,
    /// The last one interned: rows come scene by scene.
    last: Label,
}

impl Rows {
    pub(super) fn insert(&mut self, row: &Row<'_>) -> RowNumber {
        let entry = Entry {
            labels: Labels {
                collection: self.collections.intern(row.collection),
                dataset: self.datasets.intern(row.dataset),
                scene: self.scenes.intern(&scene_text(row.collection, row.scene)),
            },
            slot: row.slot,
            geocode: row.geocode,
            acquired: row.acquired,
            cloud: row.cloud.unwrap_or(f64::NAN),
            coverage: row.coverage,
            bytes: row.bytes,
        };
        let number = match self.free.pop() {
            Some(number) => number,
            None => RowNumber::try_from(self.entries.len())
                .expect("four billion rows take more memory than a node has"),
        };
        match self.entries.get_mut(at(number)) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        self.live.insert(number);
        number
    }

    pub(super) fn remove(&mut self, number: RowNumber) {
        if self.live.remove(number) {
            self.free.push(number);
        }
    }

    pub(super) fn row(&self, number: RowNumber) -> Option<Row<'_>> {
        if !self.live.contains(number) {
            return None;
        }
        self.entries.get(at(number)).map(|entry| self.view(entry))
    }

    /// Returns the names of a row, as numbers; of a dropped row those it had.
    pub(super) fn labels(&self, number: RowNumber) -> Labels {
        let entry = self.entries.get(at(number));
        entry.map(|entry| entry.labels).unwrap_or_default()
    }

    pub(super) fn collection(&self, name: &str) -> Option<Label> {
        self.collections.label(name)
    }

    pub(super) fn dataset(&self, name: &str) -> Option<Label> {
        self.datasets.label(name)
    }

    pub(super) fn scene(&self, collection: &str, scene: &str) -> Option<Label> {
        self.scenes.label(&scene_text(collection, scene))
    }

    /// Returns the names of all collections that ever had a row.
    pub(super) fn collection_names(&self) -> impl Iterator<Item = &str> {
        self.collections.texts.iter().map(AsRef::as_ref)
    }

    pub(super) fn live(&self) -> &RoaringBitmap {
        &self.live
    }

    pub(super) fn len(&self) -> u64 {
        self.live.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.live.iter().filter_map(|number| self.row(number))
    }

    fn view(&self, entry: &Entry) -> Row<'_> {
        let scene = self.scenes.text(entry.labels.scene);
        let (collection, scene) = scene.split_once('/').unwrap_or(("", scene));
        Row {
            collection,
            scene,
            dataset: self.datasets.text(entry.labels.dataset),
            geocode: entry.geocode,
            slot: entry.slot,
            acquired: entry.acquired,
            cloud: (!entry.cloud.is_nan()).then_some(entry.cloud),
            coverage: entry.coverage,
            bytes: entry.bytes,
        }
    }
}

impl Vocabulary {
    fn intern(&mut self, text: &str) -> Label {
        let label = self.label(text).unwrap_or_else(|| {
            let label = Label::try_from(self.texts.len()).expect("names are fewer than rows");
            self.texts.push(text.into());
            self.labels.insert(text.into(), label);
            label
        });
        self.last = label;
        label
    }

    fn label(&self, text: &str) -> Option<Label> {
        if self
            .texts
            .get(at(self.last))
            .is_some_and(|last| **last == *text)
        {
            return Some(self.last);
        }
        self.labels.get(text).copied()
    }

    fn text(&self, label: Label) -> &str {
        self.texts.get(at(label)).map_or("", AsRef::as_ref)
    }
}

/// Names hold no `/`, so the text is unique.
fn scene_text(collection: &str, scene: &str) -> String {
    [collection, "/", scene].concat()
}

/// Returns a row number or label as an index.
pub(super) fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
