//! Model-ready cuts of splits.
//!
//! *Invariants*: a chip has no fill in any band used; chips of one cell lie at the same places on
//! every date; order is that of sorted split ids, then rows, then columns.
//!
//! *Not here*: how files become planes (`planes`), what is learned (`recipe`, `fit`).

pub mod blocks;
pub mod choose;
pub mod clouds;
pub mod cut;
pub mod envelope;
pub mod normal;
pub mod onto;
pub mod pair;
pub mod planes;

use serde::{Deserialize, Serialize};

/// Where a chip lies in its cell's grid, counted in chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Row of chips, from the north.
    pub row: u32,
    /// Column of chips, from the west.
    pub column: u32,
}

/// Chips with labels, in physical values.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipSet {
    /// Side in pixels.
    pub chip_px: usize,
    /// Bands of a chip.
    pub channels: usize,
    /// All pixels: chip, band, row, column.
    pub pixels: Vec<f32>,
    /// Labels of a chip: 1, or as many a band as it has pixels.
    pub labels_a_chip: usize,
    /// All labels, chip by chip; NaN where a pixel has none.
    pub labels: Vec<f32>,
    /// Where the inputs hide the ground, 1 or 0, one a pixel; only of pairs, else empty.
    pub veils: Vec<f32>,
    /// One position a chip.
    pub positions: Vec<Position>,
    /// What was left out.
    pub left_out: LeftOut,
}

/// Chips that were left out, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// A band had fill.
    pub fill: u64,
    /// Too much cloud.
    pub cloud: u64,
    /// The label has no meaning there (all pixels dark).
    pub no_label: u64,
}

impl ChipSet {
    /// Opens an empty set.
    pub fn new(chip_px: usize, channels: usize, labels_a_chip: usize) -> Self {
        Self {
            chip_px,
            channels,
            pixels: Vec::new(),
            labels_a_chip,
            labels: Vec::new(),
            veils: Vec::new(),
            positions: Vec::new(),
            left_out: LeftOut::default(),
        }
    }

    /// Returns the number of chips.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Tells whether there is no chip.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Returns how many numbers a chip has.
    pub fn chip_len(&self) -> usize {
        self.channels * self.chip_px * self.chip_px
    }

    /// Returns the pixels of one chip: band, row, column.
    pub fn chip(&self, index: usize) -> &[f32] {
        &self.pixels[index * self.chip_len()..][..self.chip_len()]
    }

    /// Returns the side of a chip's label: 1, or that of the chip.
    pub fn label_side(&self) -> usize {
        if self.labels_a_chip.is_multiple_of(self.chip_px.pow(2)) {
            self.chip_px
        } else {
            1
        }
    }

    /// Returns where the inputs of one chip hide the ground; `None` unless they are of pairs.
    pub fn veil(&self, index: usize) -> Option<&[f32]> {
        let area = self.chip_px * self.chip_px;
        self.veils.get(index * area..(index + 1) * area)
    }

    /// Returns the labels of one chip.
    pub fn label(&self, index: usize) -> &[f32] {
        &self.labels[index * self.labels_a_chip..][..self.labels_a_chip]
    }
}
