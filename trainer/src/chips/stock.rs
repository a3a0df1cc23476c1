//! Chips of bands, before anything is learned from them: what is decoded once.
//!
//! A record is a chip's planes one after the other: bands that enter a network, bands of the label,
//! cloud (1 or 0), and of pairs where cloud hides the ground from the inputs. Nothing of it depends
//! on what is learned, so that it serves every recipe that takes the same bands.
//!
//! *Invariants*: no record holds fill or too much cloud; records are in the order of sources, then
//! rows, then columns; it is known of each which source (split or pair) it came from.
//!
//! *Not here*: labels (`ChipSet`), the file (`pins`).

use std::borrow::Cow;
use std::io;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::chips::pins::Pinning;
use crate::chips::{LeftOut, Position};

/// What planes a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// Side of a chip in pixels.
    pub chip_px: usize,
    /// Bands that enter a network.
    pub inputs: usize,
    /// Bands of the label.
    pub others: usize,
    /// Whether it is of a pair.
    pub paired: bool,
}

/// All chips of a job's splits.
#[derive(Debug)]
pub struct Stock {
    /// What their records are.
    pub form: Form,
    /// Where they lie and came from.
    pub about: About,
    records: Records,
}

/// What is told of records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    /// One position a chip.
    pub positions: Vec<Position>,
    /// Chips up to the end of each source's.
    pub ends: Vec<usize>,
    /// What was left out, but for labels.
    pub left_out: LeftOut,
}

/// Numbers in memory: our own, or those of a file that all workers of a machine share.
#[derive(Debug)]
enum Records {
    Held(Vec<f32>),
    Mapped(Tensor),
}

/// A stock that is being made.
#[derive(Debug)]
pub struct Cutting {
    /// What records are.
    pub form: Form,
    /// Where they lie and came from, so far.
    pub about: About,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Held(Vec<f32>),
    File(Box<Pinning>),
}

impl Form {
    /// Returns the numbers of a plane.
    pub fn area(&self) -> usize {
        self.chip_px * self.chip_px
    }

    /// Returns the numbers of a record.
    pub fn numbers(&self) -> usize {
        (self.inputs + self.others + 1 + usize::from(self.paired)) * self.area()
    }
}

impl About {
    /// Tells whether every chip is one source's.
    pub fn is_whole(&self) -> bool {
        let last = self.ends.last().copied().unwrap_or(0);
        self.ends.is_sorted() && last == self.positions.len()
    }
}

impl Stock {
    /// Joins what is known of records with those in a file.
    pub fn mapped(form: Form, about: About, all: Tensor) -> Self {
        Self {
            form,
            about,
            records: Records::Mapped(all),
        }
    }

    /// Returns the number of chips.
    pub fn len(&self) -> usize {
        self.about.positions.len()
    }

    /// Tells whether there is no chip.
    pub fn is_empty(&self) -> bool {
        self.about.positions.is_empty()
    }

    /// Returns the number of the source that a chip came from.
    pub fn source(&self, chip: usize) -> usize {
        self.about.ends.partition_point(|end| *end <= chip)
    }

    /// Returns so many planes of a chip from one on.
    pub fn planes(&self, chip: usize, from: usize, count: usize) -> Cow<'_, [f32]> {
        let area = self.form.area();
        let (start, len) = (chip * self.form.numbers() + from * area, count * area);
        match &self.records {
            Records::Held(all) => Cow::Borrowed(&all[start..start + len]),
            Records::Mapped(all) => {
                let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
                let mut copy = vec![0.0; len];
                all.narrow(0, whole(start), whole(len))
                    .copy_data(&mut copy, len);
                Cow::Owned(copy)
            }
        }
    }
}

impl Cutting {
    /// Begins a stock in memory.
    pub fn held(form: Form) -> Self {
        Self::new(form, Sink::Held(Vec::new()))
    }

    /// Begins a stock in a file.
    pub fn pinned(form: Form, file: Pinning) -> Self {
        Self::new(form, Sink::File(Box::new(file)))
    }

    fn new(form: Form, sink: Sink) -> Self {
        Self {
            form,
            about: About::default(),
            sink,
        }
    }

    /// Adds a chip.
    pub fn push(&mut self, position: Position, record: &[f32]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Held(all) => all.extend_from_slice(record),
            Sink::File(file) => file.push(record)?,
        }
        self.about.positions.push(position);
        Ok(())
    }

    /// Ends a source: chips from now on are of the next one.
    pub fn end_source(&mut self) {
        self.about.ends.push(self.about.positions.len());
    }

    /// Ends it; one in a file is in its place from then on, and read back.
    pub fn finish(self) -> io::Result<Stock> {
        match self.sink {
            Sink::File(file) => file.finish(self.form, &self.about),
            Sink::Held(all) => Ok(Stock {
                form: self.form,
                about: self.about,
                records: Records::Held(all),
            }),
        }
    }
}
