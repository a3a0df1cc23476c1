//! Pieces of a scene's rasters in memory: whole blocks of the files, decoded once.
//!
//! Strips of cells meet in the middle of blocks. A piece is one or several blocks of all bands
//! that are wanted of a file; it stays until the last strip that needs it, so that no block is
//! decoded twice (unless the pieces of a very wide scene pass `PIECES_BYTES_MAX`).
//!
//! *Invariants*: pixels are as delivered; a piece that cannot be read fails the scene.
//!
//! *Not here*: which strip needs what and when it is read (`cutting`), decoding (`source::image`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use earth::raster::georef::PixelWindow;
use earth::raster::veil::veiled;
use earth::raster::{Raster, parts};
use rayon::prelude::*;
use wire::fault::{Fault, FaultKind};

use crate::source::image::Image;
use crate::source::{Layer, Scene};

/// Bytes of pieces that are read ahead of the strip being cut. Two rows of JPEG 2000 blocks of a
/// 13-band tile have about 350 MB: the row that strips meet in, and the one that comes.
pub const PIECES_BYTES_MAX: u64 = 384 << 20;

/// Pixels of a piece, all bands: a tenth of a second of decoding, so that cores end together.
const PIECE_PIXELS: u64 = 1 << 20;

/// Least rows of a piece: a file in strips of one row is read in fewer, larger steps.
const PIECE_ROWS_MIN: u32 = 256;

/// Blocks above this many pixels are no unit to read in: files in one block.
const BLOCK_PIXELS_MAX: u64 = 1 << 26;

/// Names a piece: image, then rows and columns of pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    image: usize,
    row: u32,
    column: u32,
}

/// One file of a scene and how it is divided.
struct Division {
    image: Arc<Image>,
    /// Numbers of the bands that are wanted.
    bands: Vec<usize>,
    /// Their fill values: what a pixel becomes that a mask of the file calls void.
    fills: Vec<Option<f64>>,
    /// Columns and rows of a piece.
    size: (u32, u32),
    bytes_per_pixel: u64,
}

/// The pieces that are in memory.
pub struct Pieces {
    divisions: Vec<Division>,
    held: BTreeMap<Key, Vec<Raster>>,
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces")
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

impl Pieces {
    /// Divides the files of a scene; nothing is read.
    pub fn new(scene: &Scene) -> Result<Self, Fault> {
        let mut divisions: Vec<Division> = Vec::new();
        let masks = scene.mask.iter().map(|m| &m.layer);
        for layer in scene.layers.iter().chain(masks) {
            let known = divisions
                .iter_mut()
                .find(|d| Arc::ptr_eq(&d.image, &layer.image));
            let bytes = bytes_of(layer)?;
            match known {
                Some(known) if known.bands.contains(&layer.band) => {}
                Some(known) => {
                    known.bands.push(layer.band);
                    known.fills.push(layer.fill);
                    known.bytes_per_pixel += bytes;
                }
                None => divisions.push(Division {
                    image: Arc::clone(&layer.image),
                    bands: vec![layer.band],
                    fills: vec![layer.fill],
                    size: (0, 0),
                    bytes_per_pixel: bytes,
                }),
            }
        }
        for division in &mut divisions {
            division.size = size(&division.image, division.bands.len() as u64);
        }
        Ok(Self {
            divisions,
            held: BTreeMap::new(),
        })
    }

    /// Adds the pieces that a window of a layer needs.
    pub fn need(&self, layer: &Layer, window: PixelWindow, keys: &mut BTreeSet<Key>) {
        if let Some(image) = self.image(layer) {
            keys.extend(self.divisions[image].keys(image, window));
        }
    }

    fn image(&self, layer: &Layer) -> Option<usize> {
        self.divisions
            .iter()
            .position(|d| Arc::ptr_eq(&d.image, &layer.image))
    }

    /// Returns the bytes of a piece once it is in memory.
    pub fn bytes(&self, key: &Key) -> u64 {
        let division = &self.divisions[key.image];
        let place = division.place(key);
        u64::from(place.width) * u64::from(place.height) * division.bytes_per_pixel
    }

    /// Tells whether a piece is in memory.
    pub fn holds(&self, key: &Key) -> bool {
        self.held.contains_key(key)
    }

    /// Reads pieces side by side.
    pub fn read(&self, keys: &[Key]) -> Result<Vec<(Key, Vec<Raster>)>, Fault> {
        let read = |key: &Key| {
            let division = &self.divisions[key.image];
            let place = division.place(key);
            Ok((*key, division.read(place)?))
        };
        // One by one: pieces of several files decode at once, and the last ones end together.
        keys.par_iter().with_max_len(1).map(read).collect()
    }

    /// Keeps pieces that were read.
    pub fn hold(&mut self, pieces: Vec<(Key, Vec<Raster>)>) {
        self.held.extend(pieces);
    }

    /// Drops the pieces that are not wanted any more.
    pub fn keep(&mut self, wanted: impl Fn(&Key) -> bool) {
        self.held.retain(|key, _| wanted(key));
    }

    /// Returns the bytes in memory.
    pub fn bytes_held(&self) -> u64 {
        self.held.keys().map(|k| self.bytes(k)).sum()
    }

    /// Returns a window of a layer from pieces that are in memory.
    pub fn window(&self, layer: &Layer, window: PixelWindow) -> Result<Raster, Fault> {
        let lost = || {
            let what = format!("a window of '{}' is not in memory", layer.name);
            Fault::new(FaultKind::Internal, what)
        };
        let image = self.image(layer).ok_or_else(lost)?;
        let division = &self.divisions[image];
        let band = division.bands.iter().position(|b| *b == layer.band);
        let band = band.ok_or_else(lost)?;
        let held = |key: Key| Some((division.place(&key), self.held.get(&key)?.get(band)?));
        let keys = division.keys(image, window);
        let found: Option<Vec<_>> = keys.map(held).collect();
        found
            .and_then(|found| parts::join(window, &found))
            .ok_or_else(lost)
    }
}

impl Division {
    /// Reads all bands of a piece; pixels that a mask of the file calls void become so.
    fn read(&self, place: PixelWindow) -> Result<Vec<Raster>, Fault> {
        let rasters = self.image.read_bands(&self.bands, place)?;
        let bands = rasters.into_iter().zip(&self.bands).zip(&self.fills);
        let veil = |((raster, band), fill): ((Raster, &usize), &Option<f64>)| {
            Ok(match self.image.read_mask(*band, place)? {
                Some(valid) => veiled(raster, &valid, *fill),
                None => raster,
            })
        };
        bands.map(veil).collect()
    }

    /// Returns the names of the pieces under a window.
    fn keys(&self, image: usize, window: PixelWindow) -> impl Iterator<Item = Key> + use<> {
        let span =
            |start: u32, length: u32, size: u32| start / size..=(start + length.max(1) - 1) / size;
        let columns = span(window.column, window.width, self.size.0);
        let rows = span(window.row, window.height, self.size.1);
        rows.flat_map(move |row| {
            columns
                .clone()
                .map(move |column| Key { image, row, column })
        })
    }

    /// Returns where a piece lies.
    fn place(&self, key: &Key) -> PixelWindow {
        let whole = self.image.georef().whole();
        let (column, row) = (key.column * self.size.0, key.row * self.size.1);
        PixelWindow {
            column,
            row,
            width: self.size.0.min(whole.width.saturating_sub(column)),
            height: self.size.1.min(whole.height.saturating_sub(row)),
        }
    }
}

/// Returns the bytes of a layer's pixel in memory: veiled pixels without a fill value are f64.
fn bytes_of(layer: &Layer) -> Result<u64, Fault> {
    let veiled = layer.image.is_masked(layer.band) && layer.fill.is_none();
    let sample = layer.image.sample_type(layer.band)?;
    let bytes = if veiled {
        size_of::<f64>()
    } else {
        sample.bytes()
    };
    Ok(bytes as u64)
}

/// Returns the columns and rows of a file's pieces: whole blocks.
fn size(image: &Image, bands: u64) -> (u32, u32) {
    let whole = image.georef().whole();
    let (width, height) = image.block();
    if u64::from(width) * u64::from(height) > BLOCK_PIXELS_MAX {
        return (whole.width, PIECE_ROWS_MIN);
    }
    let rows = (height * (PIECE_ROWS_MIN / height).max(1)).min(whole.height.max(1));
    let of_block = u64::from(width) * u64::from(rows) * bands;
    let blocks = u32::try_from(PIECE_PIXELS / of_block.max(1))
        .unwrap_or(1)
        .max(1);
    (width.saturating_mul(blocks).min(whole.width.max(1)), rows)
}
