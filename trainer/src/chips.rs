//! Model-ready cuts of splits.
//!
//! *Invariants*: a chip has no fill in any band used; chips of one cell lie at the same places on
//! every date; order is that of cells, then of split ids, then rows, then columns.
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
pub mod pins;
pub mod planes;
pub mod stock;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::chips::stock::Stock;
use crate::recipe::Task;

/// Where a chip lies in its cell's grid, counted in chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Row of chips, from the north.
    pub row: u32,
    /// Column of chips, from the west.
    pub column: u32,
}

/// Chips with labels, in physical values.
#[derive(Debug)]
pub struct ChipSet {
    stock: Stock,
    /// Which chips of the stock have labels.
    kept: Vec<usize>,
    /// Labels of a chip: 1, or as many a band as it has pixels.
    pub labels_a_chip: usize,
    /// All labels, chip by chip; NaN where a pixel has none.
    pub labels: Vec<f32>,
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
    /// Labels the chips of a stock.
    pub fn labelled(stock: Stock, task: &dyn Task) -> Self {
        let mut set = Self {
            labels_a_chip: task.answer().len(stock.form.chip_px),
            left_out: stock.about.left_out,
            kept: Vec::new(),
            labels: Vec::new(),
            stock,
        };
        for chip in 0..set.stock.len() {
            if let Some(label) = label(&set.stock, chip, task) {
                set.labels.extend(label);
                set.kept.push(chip);
            } else {
                set.left_out.no_label += 1;
            }
        }
        set
    }

    /// Returns the number of chips.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Tells whether there is no chip.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Returns the side of a chip in pixels.
    pub fn chip_px(&self) -> usize {
        self.stock.form.chip_px
    }

    /// Returns the bands of a chip.
    pub fn channels(&self) -> usize {
        self.stock.form.inputs
    }

    /// Returns where a chip lies.
    pub fn position(&self, index: usize) -> Position {
        self.stock.about.positions[self.kept[index]]
    }

    /// Returns the number of the source, a split or a pair, that a chip came from.
    pub fn source(&self, index: usize) -> usize {
        self.stock.source(self.kept[index])
    }

    /// Returns how many numbers a chip has.
    pub fn chip_len(&self) -> usize {
        self.channels() * self.stock.form.area()
    }

    /// Returns the pixels of one chip: band, row, column.
    pub fn chip(&self, index: usize) -> Cow<'_, [f32]> {
        self.stock.planes(self.kept[index], 0, self.channels())
    }

    /// Returns the pixels of one band of one chip: row, column.
    pub fn band(&self, index: usize, band: usize) -> Cow<'_, [f32]> {
        self.stock.planes(self.kept[index], band, 1)
    }

    /// Returns the side of a chip's label: 1, or that of the chip.
    pub fn label_side(&self) -> usize {
        if self.labels_a_chip.is_multiple_of(self.stock.form.area()) {
            self.chip_px()
        } else {
            1
        }
    }

    /// Returns where the inputs of one chip hide the ground, 1 or 0 a pixel; `None` unless they are
    /// of pairs.
    pub fn veil(&self, index: usize) -> Option<Cow<'_, [f32]>> {
        let form = self.stock.form;
        let at = form.inputs + form.others + 1;
        { form.paired }.then(|| self.stock.planes(self.kept[index], at, 1))
    }

    /// Returns the labels of one chip.
    pub fn label(&self, index: usize) -> &[f32] {
        &self.labels[index * self.labels_a_chip..][..self.labels_a_chip]
    }
}

/// Computes the label of a chip; of a map, pixels under cloud have none in any band.
fn label(stock: &Stock, chip: usize, task: &dyn Task) -> Option<Vec<f32>> {
    let form = stock.form;
    let others = stock.planes(chip, form.inputs, form.others + 1);
    let (others, cloud) = others.split_at(form.others * form.area());
    let bands: Vec<Vec<f32>> = { others.chunks_exact(form.area()) }
        .map(<[f32]>::to_vec)
        .collect();
    let mut label = task.label(&bands)?;
    for band in label.chunks_exact_mut(form.area()) {
        for (value, _) in band.iter_mut().zip(cloud).filter(|(_, c)| **c > 0.0) {
            *value = f32::NAN;
        }
    }
    label.iter().any(|v| !v.is_nan()).then_some(label)
}

#[cfg(test)]
impl ChipSet {
    /// Makes a set of chips one after the other, each with its label and place.
    pub(crate) fn held(
        (chip_px, inputs): (usize, usize),
        (pixels, labels): (&[f32], Vec<f32>),
        positions: &[Position],
    ) -> Self {
        use crate::chips::stock::{Cutting, Form};

        let form = Form {
            chip_px,
            inputs,
            others: 0,
            paired: false,
        };
        let mut cutting = Cutting::held(form);
        let chips = pixels.chunks_exact(inputs * form.area());
        for (chip, position) in chips.zip(positions) {
            let record = [chip, &vec![0.0; form.area()]].concat();
            cutting.push(*position, &record).expect("in memory");
        }
        cutting.end_source();
        Self {
            stock: cutting.finish().expect("in memory"),
            kept: (0..positions.len()).collect(),
            labels_a_chip: labels.len() / positions.len(),
            labels,
            left_out: LeftOut::default(),
        }
    }

    /// Says after how many chips each source ends.
    pub(crate) fn of_sources(mut self, ends: &[usize]) -> Self {
        self.stock.about.ends = ends.to_vec();
        self
    }

    /// Leaves the first chips.
    pub(crate) fn first(mut self, chips: usize) -> Self {
        self.kept.truncate(chips);
        self.labels.truncate(chips * self.labels_a_chip);
        self
    }
}
