//! One ordered answer from those of several nodes.
//!
//! *Invariants*: what comes out is ordered if every source is, and each id comes out once; at most
//! the pages that were pushed are held.
//!
//! *Not here*: fetching pages (node), order within a node (`page`).

use std::collections::VecDeque;

use earth::split::meta::SplitId;

use crate::page::{Order, Position};

/// Merges ordered sources without waiting for any: it says which one it needs next.
#[derive(Debug)]
pub struct Merge<T> {
    order: Order,
    sources: Vec<Source<T>>,
    last: Option<SplitId>,
}

#[derive(Debug)]
struct Source<T> {
    items: VecDeque<(Position, T)>,
    ended: bool,
}

/// What a merge does next.
#[derive(Debug, PartialEq)]
pub enum Step<T> {
    /// The next item, with its position.
    Item(Position, T),
    /// The source of that number must give its next page, or end.
    Needs(usize),
    /// Every source has ended.
    Done,
}

impl<T> Merge<T> {
    /// Builds a merge of that many sources.
    pub fn new(order: Order, sources: usize) -> Self {
        let source = |_| Source {
            items: VecDeque::new(),
            ended: false,
        };
        Self {
            order,
            sources: (0..sources).map(source).collect(),
            last: None,
        }
    }

    /// Adds a source, which gives only what stands behind all that came out; returns its number.
    pub fn add(&mut self) -> usize {
        self.sources.push(Source {
            items: VecDeque::new(),
            ended: false,
        });
        self.sources.len() - 1
    }

    /// Takes the next page of a source.
    pub fn push(&mut self, source: usize, page: impl IntoIterator<Item = (Position, T)>) {
        if let Some(source) = self.sources.get_mut(source) {
            source.items.extend(page);
        }
    }

    /// Learns that a source gives no more.
    pub fn end(&mut self, source: usize) {
        if let Some(source) = self.sources.get_mut(source) {
            source.ended = true;
        }
    }

    /// Returns the next item, or what is needed before there is one.
    pub fn step(&mut self) -> Step<T> {
        loop {
            let needy = |s: &Source<T>| s.items.is_empty() && !s.ended;
            if let Some(source) = self.sources.iter().position(needy) {
                return Step::Needs(source);
            }
            let Some((position, item)) = self.pop_least() else {
                return Step::Done;
            };
            if self.last.as_ref() != Some(&position.id) {
                self.last = Some(position.id.clone());
                return Step::Item(position, item);
            }
        }
    }

    fn pop_least(&mut self) -> Option<(Position, T)> {
        let order = &self.order;
        let heads = self.sources.iter_mut().filter(|s| !s.items.is_empty());
        let least = heads.min_by(|a, b| match (a.items.front(), b.items.front()) {
            (Some((a, _)), Some((b, _))) => order.compare_positions(a, b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        });
        least?.items.pop_front()
    }
}
