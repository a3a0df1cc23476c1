//! Bitmaps over names: which rows belong to a collection, a dataset, a scene.
//!
//! *Invariants*: each row stands in exactly one bitmap of each sort; scenes are ingested at a
//! stretch, so their bitmaps are short runs.
//!
//! *Not here*: the texts of the names (`rows`).

use std::collections::BTreeSet;

use roaring::{MultiOps, RoaringBitmap};

use super::bplus::RowNumber;
use super::rows::{Label, Labels, Rows, at};
use crate::predicate::Predicate;

/// Which rows have which names.
#[derive(Debug, Default)]
pub(super) struct Names {
    collections: Vec<RoaringBitmap>,
    datasets: Vec<RoaringBitmap>,
    scenes: Vec<RoaringBitmap>,
}

impl Names {
    pub(super) fn insert(&mut self, row: RowNumber, labels: Labels) {
        bitmap_of(&mut self.collections, labels.collection).insert(row);
        bitmap_of(&mut self.datasets, labels.dataset).insert(row);
        bitmap_of(&mut self.scenes, labels.scene).insert(row);
    }

    pub(super) fn remove(&mut self, row: RowNumber, labels: Labels) {
        bitmap_of(&mut self.collections, labels.collection).remove(row);
        bitmap_of(&mut self.datasets, labels.dataset).remove(row);
        bitmap_of(&mut self.scenes, labels.scene).remove(row);
    }

    /// Returns the rows that have one of the names listed, for each sort of names; `None` if the
    /// predicate lists no names at all.
    pub(super) fn read(&self, predicate: &Predicate, rows: &Rows) -> Option<RoaringBitmap> {
        let sorts = self.listed(predicate, rows);
        (!sorts.is_empty()).then(|| sorts.iter().intersection())
    }

    /// Returns the candidates that have the names listed.
    pub(super) fn narrow(
        &self,
        predicate: &Predicate,
        rows: &Rows,
        mut candidates: RoaringBitmap,
    ) -> RoaringBitmap {
        for listed in self.listed(predicate, rows) {
            candidates &= listed;
        }
        candidates
    }

    fn listed(&self, predicate: &Predicate, rows: &Rows) -> Vec<RoaringBitmap> {
        let mut sorts = Vec::new();
        let mut add = |names: &BTreeSet<String>, bitmaps: &[RoaringBitmap], labels: Vec<Label>| {
            if !names.is_empty() {
                let some = labels.iter().filter_map(|label| bitmaps.get(at(*label)));
                sorts.push(some.union());
            }
        };
        let found = |names: &BTreeSet<String>, label: &dyn Fn(&str) -> Option<Label>| {
            names.iter().filter_map(|name| label(name)).collect()
        };
        let (collections, datasets) = (&predicate.collections, &predicate.datasets);
        let labels = found(collections, &|name| rows.collection(name));
        add(collections, &self.collections, labels);
        let labels = found(datasets, &|name| rows.dataset(name));
        add(datasets, &self.datasets, labels);
        let in_any = |scene: &String| {
            let of = |collection| rows.scene(collection, scene);
            rows.collection_names().filter_map(of).collect::<Vec<_>>()
        };
        let labels = predicate.scenes.iter().flat_map(in_any).collect();
        add(&predicate.scenes, &self.scenes, labels);
        sorts
    }
}

fn bitmap_of(bitmaps: &mut Vec<RoaringBitmap>, label: Label) -> &mut RoaringBitmap {
    let at = at(label);
    if bitmaps.len() <= at {
        bitmaps.resize_with(at + 1, RoaringBitmap::new);
    }
    &mut bitmaps[at]
}
