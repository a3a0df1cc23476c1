//! Positions of all target pixels in a swath, found one by one and kept: a cell has few pixels,
//! and every band needs the same.
//!
//! *Invariants*: NaN where a pixel has no place in the swath.
//!
//! *Not here*: finding one place (`raster::swath`), rasters with a map (`position`).

use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::crs::{Crs, CrsError, Transformer};
use crate::extent::LonLat;
use crate::raster::georef::Georef;
use crate::raster::reproject::position::Bounds;
use crate::raster::swath::{Cursor, Swath};

/// Positions of the centres of all pixels of a target, row by row.
#[derive(Debug)]
pub(super) struct Along {
    columns: usize,
    positions: Vec<(f64, f64)>,
}

impl Along {
    /// Finds the place of every pixel.
    pub(super) fn new(swath: &Swath, target: &Georef) -> Result<Self, CrsError> {
        let degrees = Crs::wgs84();
        let transformer = if target.crs == degrees {
            None
        } else {
            Some(Transformer::new(&target.crs, &degrees)?)
        };
        let columns = target.width as usize;
        let mut positions = vec![(f64::NAN, f64::NAN); columns * target.height as usize];
        let rows = positions.par_chunks_exact_mut(columns.max(1)).enumerate();
        rows.for_each(|(row, positions)| {
            for (column, position) in positions.iter_mut().enumerate() {
                let centre = (column as f64 + 0.5, row as f64 + 0.5);
                *position = target.affine.to_ground(centre.0, centre.1);
            }
            if let Some(transformer) = &transformer {
                transformer.transform_defined(positions);
            }
            let mut cursor = Cursor::default();
            for position in positions {
                let (lon, lat) = *position;
                let found = (lon.is_finite() && lat.is_finite())
                    .then(|| swath.to_pixel_from(&mut cursor, LonLat { lon, lat }));
                *position = found.flatten().unwrap_or((f64::NAN, f64::NAN));
            }
        });
        Ok(Self { columns, positions })
    }

    /// Returns the bounds of all places; `None` if no pixel has one.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        Bounds::of(&self.positions)
    }

    /// Writes the positions of some columns of a row.
    pub(super) fn row(&self, row: usize, xs: &mut [f64], ys: &mut [f64]) {
        let line = &self.positions[row * self.columns..][..self.columns];
        for ((x, y), position) in xs.iter_mut().zip(ys).zip(line) {
            (*x, *y) = *position;
        }
    }

    /// Returns the target pixels per source pixel along both axes of the source: the mean over
    /// all pixels, whichever way the swath is turned.
    pub(super) fn scale(&self) -> (f64, f64) {
        let rows = self.positions.len() / self.columns.max(1);
        // Added up in the order of rows: sums that depend on threads would differ in their last
        // bits.
        let sums: Vec<_> = (0..rows.saturating_sub(1))
            .into_par_iter()
            .map(|row| self.steps(row, 0..self.columns - 1))
            .collect();
        let add = |a: (f64, f64, f64), b: &(f64, f64, f64)| (a.0 + b.0, a.1 + b.1, a.2 + b.2);
        let (x, y, count) = sums.iter().fold((0.0, 0.0, 0.0), add);
        let scale = |sum: f64| (count / sum).sqrt();
        if count > 0.0 {
            (scale(x), scale(y))
        } else {
            (1.0, 1.0)
        }
    }

    /// Sums squared source steps of one target pixel, right and down, with their number.
    fn steps(&self, row: usize, columns: Range<usize>) -> (f64, f64, f64) {
        let at = |column: usize, row: usize| self.positions[row * self.columns + column];
        let step = |column: usize| {
            let (here, right, below) = (at(column, row), at(column + 1, row), at(column, row + 1));
            let squares = |a: f64, b: f64, c: f64| (b - a).powi(2) + (c - a).powi(2);
            let (x, y) = (
                squares(here.0, right.0, below.0),
                squares(here.1, right.1, below.1),
            );
            (x.is_finite() && y.is_finite()).then_some((x, y))
        };
        columns
            .filter_map(step)
            .fold((0.0, 0.0, 0.0), |(x, y, n), (dx, dy)| {
                (x + dx, y + dy, n + 1.0)
            })
    }
}
