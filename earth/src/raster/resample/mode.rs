//! Values that are chosen, not averaged: the nearest, and the one with the greatest area.
//!
//! *Invariants*: every valid target pixel holds a value of the source.
//!
//! *Not here*: means (`separable`).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::raster::Raster;
use crate::raster::pixel::Pixel;
use crate::raster::reproject::Warped;
use crate::raster::resample::{Alignment, View};

/// Areas that differ by less are equal: far above rounding, far below a pixel.
const AREA_SLACK: f64 = 1e-9;

/// Takes the pixel under each centre.
pub(super) fn nearest<T: Pixel>(view: &View<'_, T>, alignment: &Alignment) -> Warped {
    let width = alignment.across.source() as usize;
    let columns: Vec<_> = { 0..alignment.across.target() }
        .map(|column| alignment.across.under(column))
        .collect();
    choose(view, alignment, |row, column, _| {
        let at = alignment.down.under(row)? * width + columns[column as usize]?;
        let sample = view.values[at];
        (!view.is_fill(sample)).then_some(sample)
    })
}

/// Takes the value with the greatest area under each pixel, the least of equals.
pub(super) fn mode<T: Pixel>(view: &View<'_, T>, alignment: &Alignment) -> Warped {
    let width = alignment.across.source() as usize;
    choose(view, alignment, |row, column, areas| {
        areas.clear();
        for y in alignment.down.shared(row) {
            let height = alignment.down.share(row, y);
            for x in alignment.across.shared(column) {
                let sample = view.values[y * width + x];
                if view.is_fill(sample) {
                    continue;
                }
                let area = height * alignment.across.share(column, x);
                match areas.iter_mut().find(|(value, _)| *value == sample) {
                    Some((_, sum)) => *sum += area,
                    None => areas.push((sample, area)),
                }
            }
        }
        greatest(areas)
    })
}

fn greatest<T: Pixel>(areas: &[(T, f64)]) -> Option<T> {
    let mut best: Option<(T, f64)> = None;
    for (value, area) in areas {
        let wins = best.is_none_or(|(least, most)| {
            let equal = (area - most).abs() <= AREA_SLACK;
            (equal && value.to_f64() < least.to_f64()) || (!equal && *area > most)
        });
        if wins {
            best = Some((*value, *area));
        }
    }
    best.map(|(value, _)| value)
}

/// Fills a target with what `find` gives at a row and a column, with a vector that
/// calls may use again.
fn choose<T: Pixel>(
    view: &View<'_, T>,
    alignment: &Alignment,
    find: impl Fn(u32, u32, &mut Vec<(T, f64)>) -> Option<T> + Sync,
) -> Warped {
    let (width, height) = (alignment.across.target(), alignment.down.target());
    let pixels = width as usize * height as usize;
    let mut out = vec![view.void(); pixels];
    let mut valid = vec![false; pixels];
    out.par_chunks_mut(width as usize)
        .zip(valid.par_chunks_mut(width as usize))
        .enumerate()
        .for_each_init(Vec::new, |areas, (row, (out, valid))| {
            let row = u32::try_from(row).expect("rows are counted in 32 bits");
            for (column, (out, valid)) in (0..).zip(out.iter_mut().zip(valid)) {
                if let Some(sample) = find(row, column, areas) {
                    *out = sample;
                    *valid = true;
                }
            }
        });
    let inside = |axis: &super::Axis| {
        let under = (0..axis.target()).filter(|i| axis.under(*i).is_some());
        under.count() as u64
    };
    Warped {
        raster: Raster::counted(width, height, T::into_samples(out)),
        valid,
        in_footprint: inside(&alignment.across) * inside(&alignment.down),
    }
}
