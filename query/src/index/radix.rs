//! A radix trie over geocodes: rows by cell, and what is known of each region without its rows.
//!
//! ```text
//!            9xj ·· aggregate                a branch is a common prefix, never of one child only
//!           ╱  │  ╲
//!      9xj2   9xj5k   9xjq ·· aggregate      a leaf is a cell; rows may lie at branches too
//!                    ╱    ╲
//!                 9xjq1  9xjq7
//! ```
//! *Invariants*: children are ordered and share their parent's prefix; a node has rows or at least
//! two children; a branch's aggregate is the merge of all that lies at and below it.
//!
//! *Not here*: what a region is (`space`).

mod aggregate;

use earth::geocode::Geocode;

pub use aggregate::{Aggregate, BUCKETS};

use super::bplus::RowNumber;
use super::rows::Rows;
use crate::space::{Relation, Space};

/// Most nodes visited to estimate how many rows a region holds: a tenth of a millisecond; past
/// that, whole branches are counted as if they lay inside.
const ESTIMATE_NODES_MAX: usize = 1_024;

/// A radix trie over the geocodes of rows, one tree a first character.
#[derive(Debug, Default)]
pub(super) struct Trie {
    roots: Vec<Node>,
}

/// A cell, the rows exactly there and what lies below.
#[derive(Debug)]
struct Node {
    cell: Geocode,
    rows: Vec<RowNumber>,
    branch: Option<Box<Branch>>,
}

#[derive(Debug, Default)]
struct Branch {
    /// Ordered by cell; each shares one more character with the cells below it than with this one.
    children: Vec<Node>,
    aggregate: Aggregate,
}

impl Trie {
    /// Puts a row at a cell.
    pub(super) fn insert(&mut self, cell: Geocode, row: RowNumber, rows: &Rows) {
        insert_into(&mut self.roots, 1, (cell, row), rows);
    }

    /// Takes a row from a cell.
    pub(super) fn remove(&mut self, cell: Geocode, row: RowNumber, rows: &Rows) {
        remove_from(&mut self.roots, 1, (cell, row), rows);
    }

    /// Returns the rows exactly at a cell.
    pub(super) fn rows_at(&self, cell: &Geocode) -> &[RowNumber] {
        let node = self.below(cell).filter(|node| node.cell == *cell);
        node.map_or(&[], |node| &node.rows)
    }

    /// Hands over all rows of a region.
    pub(super) fn read(&self, space: &Space, take: &mut dyn FnMut(RowNumber)) {
        let mut open = self.starts(space);
        while let Some(node) = open.pop() {
            match space.relation(&node.cell) {
                Relation::Disjoint => {}
                Relation::Inside => node.take_all(take),
                Relation::Meets => {
                    if !node.rows.is_empty() && space.holds(&node.cell) {
                        node.rows.iter().for_each(|row| take(*row));
                    }
                    open.extend(node.children());
                }
            }
        }
    }

    /// Returns how many rows a region holds at most.
    pub(super) fn estimate(&self, space: &Space) -> u64 {
        let mut open = self.starts(space);
        let (mut rows, mut visited) = (0, 0);
        while let Some(node) = open.pop() {
            visited += 1;
            let relation = if visited > ESTIMATE_NODES_MAX {
                Relation::Inside
            } else {
                space.relation(&node.cell)
            };
            match relation {
                Relation::Disjoint => {}
                Relation::Inside => rows += node.count(),
                Relation::Meets => {
                    rows += node.rows.len() as u64;
                    open.extend(node.children());
                }
            }
        }
        rows
    }

    /// Returns what is known of all rows at and below a cell.
    pub(super) fn aggregate(&self, cell: &Geocode, rows: &Rows) -> Aggregate {
        self.below(cell)
            .map(|node| node.aggregate(rows))
            .unwrap_or_default()
    }

    /// Returns the cells one character below a cell that hold rows, in order.
    pub(super) fn drill_down(&self, cell: &Geocode, rows: &Rows) -> Vec<(Geocode, Aggregate)> {
        let Some(node) = self.below(cell) else {
            return Vec::new();
        };
        let precision = cell.precision() + 1;
        let part = |node: &Node| (node.cell.prefix(precision), node.aggregate(rows));
        if node.cell.precision() >= precision {
            return vec![part(node)];
        }
        node.children().iter().map(part).collect()
    }

    /// Returns the nodes from which a region is searched: below its geocodes, if it names any.
    fn starts(&self, space: &Space) -> Vec<&Node> {
        let Some(codes) = &space.codes else {
            return self.roots.iter().collect();
        };
        let mut starts: Vec<&Node> = codes
            .codes
            .iter()
            .filter_map(|code| self.below(code))
            .collect();
        // Of two that lie in one another the outer comes first and holds the inner.
        starts.sort_by_key(|node| node.cell);
        starts.dedup_by(|inner, outer| outer.cell.contains(&inner.cell));
        starts
    }

    /// Returns the node that holds exactly the rows at and below a cell.
    fn below(&self, cell: &Geocode) -> Option<&Node> {
        let (mut nodes, mut depth) = (&self.roots[..], 1);
        loop {
            let node = &nodes[position(nodes, depth, cell).ok()?];
            if cell.contains(&node.cell) {
                return Some(node);
            }
            if !node.cell.contains(cell) {
                return None;
            }
            nodes = node.children();
            depth = node.cell.precision() + 1;
        }
    }
}

impl Node {
    fn children(&self) -> &[Self] {
        self.branch.as_ref().map_or(&[], |b| &b.children)
    }

    fn count(&self) -> u64 {
        let branch = self.branch.as_ref();
        branch.map_or(self.rows.len() as u64, |b| b.aggregate.count)
    }

    fn aggregate(&self, rows: &Rows) -> Aggregate {
        match &self.branch {
            Some(branch) => branch.aggregate.clone(),
            None => Aggregate::of(self.rows.iter().filter_map(|row| rows.row(*row))),
        }
    }

    fn take_all(&self, take: &mut dyn FnMut(RowNumber)) {
        self.rows.iter().for_each(|row| take(*row));
        self.children().iter().for_each(|node| node.take_all(take));
    }

    /// Puts a row at or below this node's cell.
    fn insert(&mut self, cell: Geocode, row: RowNumber, rows: &Rows) {
        if cell == self.cell {
            self.rows.push(row);
        } else if let Some(branch) = &mut self.branch {
            let depth = self.cell.precision() + 1;
            insert_into(&mut branch.children, depth, (cell, row), rows);
        } else {
            let aggregate = self.aggregate(rows);
            let children = vec![Self::leaf(cell, row)];
            self.branch = Some(Box::new(Branch {
                children,
                aggregate,
            }));
        }
        if let (Some(branch), Some(row)) = (&mut self.branch, rows.row(row)) {
            branch.aggregate.add(&row);
        }
    }

    /// Makes this node the child of a new one at a prefix of its cell.
    fn lift(&mut self, prefix: Geocode, rows: &Rows) {
        let aggregate = self.aggregate(rows);
        let above = Self {
            cell: prefix,
            rows: Vec::new(),
            branch: None,
        };
        let below = std::mem::replace(self, above);
        self.branch = Some(Box::new(Branch {
            children: vec![below],
            aggregate,
        }));
    }

    /// Takes a row from at or below this node's cell; tells whether nothing is left.
    fn remove(&mut self, cell: Geocode, row: RowNumber, rows: &Rows) -> bool {
        if cell == self.cell {
            self.rows.retain(|r| *r != row);
        } else if let Some(branch) = &mut self.branch {
            let depth = self.cell.precision() + 1;
            remove_from(&mut branch.children, depth, (cell, row), rows);
        }
        self.settle(rows);
        self.rows.is_empty() && self.branch.is_none()
    }

    /// Restores the invariants after a row below has gone.
    fn settle(&mut self, rows: &Rows) {
        let Some(branch) = &mut self.branch else {
            return;
        };
        if branch.children.is_empty() {
            self.branch = None;
        } else if branch.children.len() == 1 && self.rows.is_empty() {
            if let Some(only) = branch.children.pop() {
                *self = only;
            }
        } else {
            let mut aggregate = Aggregate::of(self.rows.iter().filter_map(|row| rows.row(*row)));
            for child in &branch.children {
                aggregate.merge(&child.aggregate(rows));
            }
            branch.aggregate = aggregate;
        }
    }

    fn leaf(cell: Geocode, row: RowNumber) -> Self {
        Self {
            cell,
            rows: vec![row],
            branch: None,
        }
    }
}

/// Puts a row below the one of these siblings that shares `depth` characters with its cell.
fn insert_into(nodes: &mut Vec<Node>, depth: u8, (cell, row): (Geocode, RowNumber), rows: &Rows) {
    match position(nodes, depth, &cell) {
        Err(at) => nodes.insert(at, Node::leaf(cell, row)),
        Ok(at) => {
            let node = &mut nodes[at];
            if !node.cell.contains(&cell) {
                node.lift(common(&node.cell, &cell), rows);
            }
            node.insert(cell, row, rows);
        }
    }
}

/// Takes a row from below the one of these siblings that shares `depth` characters with its cell.
fn remove_from(nodes: &mut Vec<Node>, depth: u8, (cell, row): (Geocode, RowNumber), rows: &Rows) {
    let Ok(at) = position(nodes, depth, &cell) else {
        return;
    };
    let node = &mut nodes[at];
    if node.cell.contains(&cell) && node.remove(cell, row, rows) {
        nodes.remove(at);
    }
}

/// Finds the sibling that shares `depth` characters with a cell, or where it would stand.
fn position(nodes: &[Node], depth: u8, cell: &Geocode) -> Result<usize, usize> {
    let wanted = cell.prefix(depth);
    nodes.binary_search_by(|node| node.cell.prefix(depth).cmp(&wanted))
}

/// Returns the longest common prefix of two cells that share their first character.
fn common(a: &Geocode, b: &Geocode) -> Geocode {
    let shared = (1..=a.precision().min(b.precision()))
        .take_while(|n| a.prefix(*n) == b.prefix(*n))
        .last();
    a.prefix(shared.unwrap_or(1))
}
