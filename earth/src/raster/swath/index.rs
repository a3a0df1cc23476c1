//! Boxes in space around blocks of quads, and around four boxes each up to one around all.
//!
//! *Invariants*: a box holds every ray that meets a quad in it.
//!
//! *Not here*: whether a quad holds a point (`quad`).

use super::quad::Vector;
use super::{Nodes, Spot};

/// Quads along a side of the smallest block: few enough to try one by one.
const LEAF: usize = 8;

/// Boxes by level, finest first.
#[derive(Debug)]
pub(super) struct Index {
    levels: Vec<Level>,
}

/// The boxes of one level, row by row.
#[derive(Debug)]
struct Level {
    columns: usize,
    rows: usize,
    boxes: Vec<Bounds>,
}

/// Least and greatest coordinates; without any point the least are the greater.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    least: [f64; 3],
    most: [f64; 3],
}

impl Bounds {
    const NONE: Self = Self {
        least: [f64::INFINITY; 3],
        most: [f64::NEG_INFINITY; 3],
    };

    fn add(&mut self, other: &Self) {
        for i in 0..3 {
            self.least[i] = self.least[i].min(other.least[i]);
            self.most[i] = self.most[i].max(other.most[i]);
        }
    }

    fn add_point(&mut self, point: &Vector, slack: f64) {
        self.add(&Self {
            least: point.0.map(|x| x - slack),
            most: point.0.map(|x| x + slack),
        });
    }

    fn holds(&self, point: &Vector) -> bool {
        (0..3).all(|i| (self.least[i]..=self.most[i]).contains(&point.0[i]))
    }
}

impl Index {
    /// Bounds all quads; `None` if there is none.
    pub(super) fn new(nodes: &Nodes) -> Option<Self> {
        let (columns, rows) = (
            (nodes.columns - 1).div_ceil(LEAF),
            (nodes.rows - 1).div_ceil(LEAF),
        );
        let leaf = |i: usize| leaf(nodes, i % columns, i / columns);
        let boxes = (0..columns * rows).map(leaf).collect();
        let mut levels = vec![Level {
            columns,
            rows,
            boxes,
        }];
        while let Some(upper) = levels.last().and_then(Level::halved) {
            levels.push(upper);
        }
        let all = levels.last()?.boxes.first()?;
        (all.least[0] <= all.most[0]).then_some(Self { levels })
    }

    /// Finds the quad that holds a point.
    pub(super) fn search(&self, nodes: &Nodes, at: &Vector) -> Option<Spot> {
        let top = self.levels.len() - 1;
        let mut open = vec![(top, 0, 0)];
        while let Some((level, column, row)) = open.pop() {
            let boxes = &self.levels[level];
            if column >= boxes.columns
                || row >= boxes.rows
                || !boxes.boxes[row * boxes.columns + column].holds(at)
            {
                continue;
            }
            if level > 0 {
                let (column, row) = (2 * column, 2 * row);
                let below = [(0, 0), (1, 0), (0, 1), (1, 1)];
                open.extend(below.map(|(x, y)| (level - 1, column + x, row + y)));
                continue;
            }
            let mut quads =
                (0..LEAF * LEAF).map(|i| (column * LEAF + i % LEAF, row * LEAF + i / LEAF));
            if let Some(spot) = quads.find_map(|(c, r)| nodes.spot(c, r, at)) {
                return Some(spot);
            }
        }
        None
    }
}

/// Bounds the quads of one block.
fn leaf(nodes: &Nodes, column: usize, row: usize) -> Bounds {
    let mut bounds = Bounds::NONE;
    for row in row * LEAF..(row + 1) * LEAF {
        for column in column * LEAF..(column + 1) * LEAF {
            let Some(quad) = nodes.quad(column, row) else {
                continue;
            };
            // The surface sags below the sphere by no more than its longest side squared.
            let longest = quad.sides().into_iter().fold(0.0, f64::max);
            for corner in &quad.0 {
                bounds.add_point(corner, longest * longest + 1e-9);
            }
        }
    }
    bounds
}

impl Level {
    /// Bounds four boxes each; `None` from a single one.
    fn halved(&self) -> Option<Self> {
        if self.boxes.len() == 1 {
            return None;
        }
        let (columns, rows) = (self.columns.div_ceil(2), self.rows.div_ceil(2));
        let mut boxes = vec![Bounds::NONE; columns * rows];
        for row in 0..self.rows {
            for column in 0..self.columns {
                let below = &self.boxes[row * self.columns + column];
                boxes[row / 2 * columns + column / 2].add(below);
            }
        }
        Some(Self {
            columns,
            rows,
            boxes,
        })
    }
}
