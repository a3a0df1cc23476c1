//! Tiles: cut from rasters and compressed.
//!
//! *Invariants*: tiles past the edge repeat the last column and row; tiles of a level are ordered
//! band by band, row by row.
//!
//! *Not here*: where tiles lie in the file (`directory`), unpacking them (`window`).

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::geotiff::predictor::apply;
use crate::geotiff::{TILE_MAX, WriteError};
use crate::raster::pixel::Pixel;
use crate::raster::{Raster, each_sample_type};

/// ZSTD level: past it files shrink by some percent and writing takes several times as long.
const LEVEL: i32 = 3;

/// TIFF wants tile sides that are multiples of 16.
pub(super) const TILE_STEP: u32 = 16;

/// Shape of an image and its tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Columns.
    pub(super) width: u32,
    /// Rows.
    pub(super) height: u32,
    /// Columns of a tile.
    pub(super) tile_width: u32,
    /// Rows of a tile.
    pub(super) tile_height: u32,
}

impl Shape {
    /// Returns the shape that we write: tiles no larger than they need to be.
    pub(super) fn of(width: u32, height: u32) -> Self {
        let side = |pixels: u32| pixels.next_multiple_of(TILE_STEP).min(TILE_MAX);
        Self {
            width,
            height,
            tile_width: side(width),
            tile_height: side(height),
        }
    }

    /// Returns the number of tiles in a row of tiles.
    pub(super) fn across(&self) -> usize {
        self.width.div_ceil(self.tile_width) as usize
    }

    /// Returns the number of tiles of one band.
    pub(super) fn tiles(&self) -> usize {
        self.across() * self.height.div_ceil(self.tile_height) as usize
    }

    /// Returns the samples of one tile.
    pub(super) fn tile_samples(&self) -> usize {
        self.tile_width as usize * self.tile_height as usize
    }

    /// Returns the upper left pixel of a tile of a band.
    fn corner(&self, tile: usize) -> (usize, usize) {
        let (row, column) = (tile / self.across(), tile % self.across());
        (
            column * self.tile_width as usize,
            row * self.tile_height as usize,
        )
    }
}

/// The compressed tiles of one resolution.
#[derive(Debug)]
pub(super) struct Level {
    /// Image and tile shape.
    pub(super) shape: Shape,
    /// Tiles band by band, row by row.
    pub(super) tiles: Vec<Vec<u8>>,
}

/// Compresses bands of one shape.
pub(super) fn compress_level(bands: &[&Raster]) -> Result<Level, WriteError> {
    let (width, height) = bands.first().map_or((1, 1), |b| (b.width(), b.height()));
    let shape = Shape::of(width, height);
    let tiles = (0..bands.len() * shape.tiles())
        .into_par_iter()
        // A thread that took many at once would have the others wait for it at the end.
        .with_max_len(1)
        .map(|number| {
            let band = bands[number / shape.tiles()];
            each_sample_type!(band.samples(), v => compress(v, &shape, number % shape.tiles()))
        })
        .collect::<Result<_, _>>()?;
    Ok(Level { shape, tiles })
}

/// Compresses one tile of a band.
pub(super) fn compress<T: Pixel>(
    values: &[T],
    shape: &Shape,
    tile: usize,
) -> Result<Vec<u8>, WriteError> {
    let (left, top) = shape.corner(tile);
    let (width, height) = (shape.width as usize, shape.height as usize);
    let mut samples = Vec::with_capacity(shape.tile_samples());
    for row in top..top + shape.tile_height as usize {
        let start = row.min(height - 1) * width;
        let right = (left + shape.tile_width as usize).min(width);
        let line = &values[start + left..start + right];
        samples.extend_from_slice(line);
        let last = line.last().copied().unwrap_or_default();
        samples.resize(samples.len() + shape.tile_width as usize - line.len(), last);
    }
    let bytes = apply(&samples, shape.tile_width as usize);
    zstd::bulk::compress(&bytes, LEVEL).map_err(|e| WriteError::Compress(e.to_string()))
}
