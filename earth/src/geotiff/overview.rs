//! Overviews: the image at half its size, again and again until it fits one tile.
//!
//! *Invariants*: fill has no weight; an overview pixel is fill only if all its pixels are.
//!
//! *Not here*: resampling between grids (`raster::resample`).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::geotiff::{Image, TILE_MAX};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::reproject::Kernel;
use crate::raster::{Raster, each_sample_type};

/// Rows that are worth a thread's while.
const ROWS_MIN: usize = 64;

/// Returns the overviews of all bands, finest first.
pub(super) fn overviews(image: &Image<'_>) -> Vec<Vec<Raster>> {
    let mut levels: Vec<Vec<Raster>> = Vec::new();
    let (mut width, mut height) = (image.georef.width, image.georef.height);
    while width.max(height) > TILE_MAX {
        let bands = image.bands.iter().enumerate().map(|(i, band)| {
            let finer = levels.last().map_or(band.raster, |level| &level[i]);
            half(finer, image.fill, band.overview)
        });
        let level = bands.collect();
        levels.push(level);
        (width, height) = (width.div_ceil(2), height.div_ceil(2));
    }
    levels
}

/// Returns a band at half its size, rounded up.
pub(super) fn half(raster: &Raster, fill: Option<f64>, kernel: Kernel) -> Raster {
    let (width, height) = (raster.width().div_ceil(2), raster.height().div_ceil(2));
    let samples = each_sample_type!(raster.samples(), values => {
        let fill = fill.and_then(|f| exactly_like(values, f));
        let size = (raster.width() as usize, raster.height() as usize);
        Pixel::into_samples(half_of(values, size, |four| merge(four, fill, kernel)))
    });
    // Both sides are halved and rounded up, in `half_of` as here.
    Raster::counted(width, height, samples)
}

/// Returns the fill value in the type of the samples.
fn exactly_like<T: Pixel>(_values: &[T], fill: f64) -> Option<T> {
    T::exactly(fill)
}

/// Applies `merge` to each block of at most 2 × 2 pixels.
fn half_of<T: Pixel>(
    values: &[T],
    (width, height): (usize, usize),
    merge: impl Fn(&[T]) -> T + Sync,
) -> Vec<T> {
    let across = width.div_ceil(2);
    let mut out = vec![T::default(); across * height.div_ceil(2)];
    let rows = out.par_chunks_mut(across.max(1)).with_min_len(ROWS_MIN);
    rows.enumerate().for_each(|(row, out)| {
        let upper = &values[2 * row * width..(2 * row + 1) * width];
        let lower = values
            .get((2 * row + 1) * width..(2 * row + 2) * width)
            .unwrap_or(upper);
        let blocks = upper.chunks(2).zip(lower.chunks(2));
        for (out, (a, b)) in out.iter_mut().zip(blocks) {
            *out = merge(&[a[0], a[a.len() - 1], b[0], b[b.len() - 1]]);
        }
    });
    out
}

/// Returns the mean of valid pixels, or the first of them.
fn merge<T: Pixel>(four: &[T], fill: Option<T>, kernel: Kernel) -> T {
    let mut valid = four.iter().filter(|s| !is_fill(**s, fill));
    let Some(first) = valid.next() else {
        return four[0];
    };
    if kernel == Kernel::Nearest {
        return *first;
    }
    let (sum, count) = valid.fold((first.to_f64(), 1.0), |(sum, count), s| {
        (sum + s.to_f64(), count + 1.0)
    });
    let mean = T::nearest(sum / count);
    if fill == Some(mean) {
        mean.beside()
    } else {
        mean
    }
}
