//! Cutting a whole scene, strip by strip, into encoded splits.
//!
//! *Invariants*: nothing is handed on before every band of every strip was read; memory holds one
//! strip at a time; sums do not depend on what was cut before.
//!
//! *Not here*: where the splits go (`put`, `cut_scene`).

use std::collections::BTreeMap;

use earth::geocode::Geocode;
use earth::split::collection::Collection;
use earth::split::meta::{MaskCounts, PixelCounts};
use rayon::prelude::*;
use wire::fault::Fault;

use crate::encode;
use crate::plan::Plan;
use crate::source::Scene;
use crate::spool::{Spool, Waiting};
use crate::strip::{self, CellCut};

/// A scene that was cut.
#[derive(Debug)]
pub struct CutScene {
    /// The files of its splits.
    pub spool: Spool,
    /// Its splits, in the order of strips.
    pub splits: Vec<Waiting>,
    /// Cells without a valid pixel.
    pub empty: u64,
    /// Sums over all cells cut, empty ones included.
    pub counts: PixelCounts,
    /// Pixels written, classes included.
    pub pixels: u64,
}

/// A strip that was cut: cells and pixels done.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Cells done.
    pub cells: u64,
    /// Pixels done, pooled over bands.
    pub pixels: u64,
}

/// Cuts some cells of a scene; `each` hears of every strip.
pub fn cut(
    scene: &Scene,
    plan: &Plan,
    (collection, cells): (&Collection, &[Geocode]),
    each: &mut dyn FnMut(Step),
) -> Result<CutScene, Fault> {
    let mut done = CutScene {
        spool: Spool::new()?,
        splits: Vec::new(),
        empty: 0,
        counts: PixelCounts::default(),
        pixels: 0,
    };
    for cells in plan.strips(cells)? {
        let found = strip::cut(scene, plan, &cells)?;
        let step = Step {
            cells: found.len() as u64,
            pixels: found.iter().map(pixels).sum(),
        };
        done.take(scene, collection, found)?;
        done.pixels += step.pixels;
        each(step);
    }
    Ok(done)
}

fn pixels(cell: &CellCut) -> u64 {
    let assets = cell.cut.assets.iter();
    assets
        .map(|a| a.grid.pixels() * a.rasters.len() as u64)
        .sum()
}

impl CutScene {
    fn take(
        &mut self,
        scene: &Scene,
        collection: &Collection,
        found: Vec<CellCut>,
    ) -> Result<(), Fault> {
        for cell in &found {
            self.counts = add(self.counts, cell.measured.counts);
        }
        let (full, empty): (Vec<_>, Vec<_>) = found.into_iter().partition(|c| c.cut.has_pixels());
        self.empty += empty.len() as u64;
        let encode = |cell| encode::split(scene, collection, cell);
        let encoded = full
            .into_par_iter()
            .map(encode)
            .collect::<Result<Vec<_>, Fault>>()?;
        for split in encoded {
            self.splits.push(self.spool.push(split.meta, split.files)?);
        }
        Ok(())
    }
}

/// Adds two cells' counts.
pub fn add(a: PixelCounts, b: PixelCounts) -> PixelCounts {
    PixelCounts {
        pixels: a.pixels + b.pixels,
        in_footprint: a.in_footprint + b.in_footprint,
        valid: a.valid + b.valid,
        mask: match (a.mask, b.mask) {
            (Some(a), Some(b)) => Some(add_masks(a, b)),
            (a, b) => a.or(b),
        },
    }
}

fn add_masks(a: MaskCounts, b: MaskCounts) -> MaskCounts {
    let both = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
    };
    MaskCounts {
        valid: a.valid + b.valid,
        cloudy: a.cloudy + b.cloudy,
        shadow: both(a.shadow, b.shadow),
        snow: both(a.snow, b.snow),
    }
}

/// Counts and bytes of splits that are stored already, by geocode text.
pub type Known = BTreeMap<String, (PixelCounts, u64)>;
