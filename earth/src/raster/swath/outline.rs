//! The area of a swath as rings of longitude and latitude.
//!
//! The nodes are divided into blocks. A block all of whose border is known is outlined by points
//! of its border; another is divided again, down to quads.
//!
//! *Invariants*: every quad with four known corners lies in a ring, but for the bend of an edge
//! between two of its points; a ring around a pole goes along it.
//!
//! *Not here*: the cells that rings touch (`geocode::cover`).

use super::Nodes;
use crate::extent::LonLat;

/// Greatest block: its sides bend little between `STEPS` points, and rings stay below a
/// hemisphere.
const BLOCK: usize = 512;
/// Points along a side of a block.
const STEPS: usize = 32;
/// Below this size a block with missing nodes is outlined quad by quad.
const SMALL: usize = 2;

/// Columns and rows of quads.
#[derive(Debug, Clone, Copy)]
struct Block {
    columns: (usize, usize),
    rows: (usize, usize),
}

pub(super) fn rings(nodes: &Nodes) -> Vec<Vec<[f64; 2]>> {
    let mut open = Vec::new();
    for row in (0..nodes.rows - 1).step_by(BLOCK) {
        for column in (0..nodes.columns - 1).step_by(BLOCK) {
            open.push(Block {
                columns: (column, (column + BLOCK).min(nodes.columns - 1)),
                rows: (row, (row + BLOCK).min(nodes.rows - 1)),
            });
        }
    }
    let mut rings = Vec::new();
    while let Some(block) = open.pop() {
        match block.border(nodes) {
            Some(border) => rings.push(ring(&border)),
            None => open.extend(block.halves()),
        }
    }
    rings
}

impl Block {
    /// Returns points along the border, clockwise in the raster; `None` if a node is missing.
    fn border(&self, nodes: &Nodes) -> Option<Vec<LonLat>> {
        let ((left, right), (upper, lower)) = (self.columns, self.rows);
        let known = |column: usize, row: usize| nodes.get(column, row).is_some();
        let whole = (left..=right).all(|c| known(c, upper) && known(c, lower))
            && (upper..=lower).all(|r| known(left, r) && known(right, r));
        if !whole {
            return None;
        }
        let corners = [(left, upper), (right, upper), (right, lower), (left, lower)];
        let mut points = Vec::with_capacity(4 * STEPS);
        for (i, (column, row)) in corners.into_iter().enumerate() {
            let (to_column, to_row) = corners[(i + 1) % 4];
            let length = column.abs_diff(to_column) + row.abs_diff(to_row);
            let steps = length.min(STEPS);
            for step in 0..steps {
                let between = |from: usize, to: usize| (from * (steps - step) + to * step) / steps;
                let node = nodes.get(between(column, to_column), between(row, to_row))?;
                points.push(node.to_lon_lat());
            }
        }
        Some(points)
    }

    /// Halves both sides; nothing of a single quad.
    fn halves(&self) -> Vec<Self> {
        let split = |(low, high): (usize, usize)| {
            if high - low < SMALL {
                vec![(low, high)]
            } else {
                let middle = usize::midpoint(low, high);
                vec![(low, middle), (middle, high)]
            }
        };
        let (columns, rows) = (split(self.columns), split(self.rows));
        if columns.len() * rows.len() == 1 {
            return Vec::new();
        }
        let across = |r: &(usize, usize)| {
            let rows = *r;
            columns
                .clone()
                .into_iter()
                .map(move |columns| Self { columns, rows })
        };
        rows.iter().flat_map(across).collect()
    }
}

/// Closes a ring: continuous in longitude, along the pole if it goes around one.
fn ring(points: &[LonLat]) -> Vec<[f64; 2]> {
    let mut ring: Vec<[f64; 2]> = Vec::with_capacity(points.len() + 3);
    let near = |lon: f64, before: f64| lon + 360.0 * ((before - lon) / 360.0).round();
    for point in points {
        let before = ring.last().map_or(point.lon, |p| p[0]);
        ring.push([near(point.lon, before), point.lat]);
    }
    let (Some(first), Some(last)) = (ring.first().copied(), ring.last().copied()) else {
        return ring;
    };
    let end = near(first[0], last[0]);
    if (end - first[0]).abs() > 180.0 {
        let pole = if first[1] < 0.0 { -90.0 } else { 90.0 };
        ring.extend([[end, first[1]], [end, pole], [first[0], pole]]);
    }
    ring.push(first);
    // Polygons take longitudes within a turn of zero.
    let least = |least: f64, p: &[f64; 2]| least.min(p[0]);
    let most = |most: f64, p: &[f64; 2]| most.max(p[0]);
    let turn = if ring.iter().fold(f64::INFINITY, least) < -360.0 {
        360.0
    } else if ring.iter().fold(f64::NEG_INFINITY, most) > 360.0 {
        -360.0
    } else {
        0.0
    };
    for point in &mut ring {
        point[0] += turn;
    }
    ring
}
