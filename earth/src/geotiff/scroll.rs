//! An image of 32-bit floats made from the top down, for rasters that do not fit in memory.
//!
//! Rows go in, compressed tiles come out as soon as a row of them is full, of overviews too. Who
//! keeps them puts the head before them once all are there: the file is then that of
//! `encode_geotiff`, byte for byte.
//!
//! *Invariants*: memory holds a row of tiles a level; every pixel goes in once, in order.
//!
//! *Not here*: where tiles wait (the caller's disk).

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::geotiff::directory::{BandFacts, Extras, Facts, Measured, lay_out};
use crate::geotiff::overview::half;
use crate::geotiff::tile::{Shape, compress};
use crate::geotiff::{BANDS_MAX, SIDE_MAX, TILE_MAX, WriteError};
use crate::raster::georef::Georef;
use crate::raster::reproject::Kernel;
use crate::raster::{Raster, Samples};
use crate::split::meta::SampleType;

/// What is known of an image before its pixels.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// Where it lies, and its shape.
    pub georef: Georef,
    /// Its bands, at least one; NaN is fill.
    pub bands: Vec<SheetBand>,
}

/// One band of an image to come.
#[derive(Debug, Clone)]
pub struct SheetBand {
    /// The name, seen as the band's description.
    pub name: String,
    /// How overviews are made.
    pub overview: Kernel,
}

impl SheetBand {
    fn facts(&self) -> BandFacts<'_> {
        BandFacts {
            name: &self.name,
            scale: 1.0,
            offset: 0.0,
        }
    }
}

/// A compressed tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its resolution, 0 the full one.
    pub level: usize,
    /// Its place among that resolution's tiles: band by band, row by row.
    pub place: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An image on its way.
#[derive(Debug)]
pub struct Scroll {
    sheet: Sheet,
    rolls: Vec<Roll>,
}

/// One resolution on its way.
#[derive(Debug)]
struct Roll {
    shape: Shape,
    /// Rows that left as tiles.
    done: u32,
    /// Rows that wait for their tiles to be full, a band each.
    held: Vec<Vec<f32>>,
}

impl Scroll {
    /// Opens an image without rows.
    ///
    /// # Errors
    /// A shape or number of bands that no file holds.
    pub fn new(sheet: Sheet) -> Result<Self, WriteError> {
        let (mut width, mut height) = (sheet.georef.width, sheet.georef.height);
        if sheet.bands.is_empty() || sheet.bands.len() > BANDS_MAX {
            return Err(WriteError::Bands(sheet.bands.len()));
        }
        if !(1..=SIDE_MAX).contains(&width) || !(1..=SIDE_MAX).contains(&height) {
            return Err(WriteError::Side { width, height });
        }
        let held = vec![Vec::new(); sheet.bands.len()];
        let roll = |width, height| Roll {
            shape: Shape::of(width, height),
            done: 0,
            held: held.clone(),
        };
        let mut rolls = vec![roll(width, height)];
        while width.max(height) > TILE_MAX {
            (width, height) = (width.div_ceil(2), height.div_ceil(2));
            rolls.push(roll(width, height));
        }
        Ok(Self { sheet, rolls })
    }

    /// Takes whole rows, a slice a band; returns the tiles that they filled.
    ///
    /// # Errors
    /// Rows of another width, of more or fewer bands, or past the image's end.
    pub fn push(&mut self, bands: &[&[f32]]) -> Result<Vec<Piece>, WriteError> {
        let roll = &self.rolls[0];
        let width = roll.shape.width as usize;
        let held = roll.held[0].len() / width + roll.done as usize;
        let rows = bands.first().map_or(0, |b| b.len() / width);
        let alike = bands.iter().all(|b| b.len() == rows * width);
        if bands.len() != roll.held.len() || !alike || held + rows > roll.shape.height as usize {
            return Err(WriteError::Unlike("rows".to_owned()));
        }
        let mut done = Vec::new();
        self.take(0, bands, &mut done)?;
        Ok(done)
    }

    /// Returns the number of tiles of each resolution, the full one first.
    pub fn tiles(&self) -> Vec<usize> {
        let bands = self.sheet.bands.len();
        let of = |roll: &Roll| roll.shape.tiles() * bands;
        self.rolls.iter().map(of).collect()
    }

    /// Returns what stands before the tiles, whose bytes are given by resolution and place; they
    /// follow in the order of places, the coarsest resolution first.
    ///
    /// # Errors
    /// A file that would pass `FILE_BYTES_MAX`, a system without a code.
    pub fn head(&self, lengths: Vec<Vec<usize>>) -> Result<Vec<u8>, WriteError> {
        let levels: Vec<Measured> = { self.rolls.iter().zip(lengths) }
            .map(|(roll, lengths)| Measured {
                shape: roll.shape,
                lengths,
            })
            .collect();
        let facts = Facts {
            georef: &self.sheet.georef,
            bands: self.sheet.bands.iter().map(SheetBand::facts).collect(),
            kind: SampleType::F32,
            fill: None,
            items: &[],
        };
        lay_out(&facts, &levels, &Extras::default())
    }

    fn take(
        &mut self,
        level: usize,
        bands: &[&[f32]],
        done: &mut Vec<Piece>,
    ) -> Result<(), WriteError> {
        for (held, rows) in self.rolls[level].held.iter_mut().zip(bands) {
            held.extend_from_slice(rows);
        }
        while let Some((row, strip)) = self.rolls[level].full() {
            done.extend(self.rolls[level].pieces((level, row), &strip)?);
            if level + 1 < self.rolls.len() {
                let kernels = self.sheet.bands.iter().map(|b| b.overview);
                let coarse: Vec<Samples> = { strip.iter().zip(kernels) }
                    .map(|(raster, kernel)| half(raster, None, kernel).into_samples())
                    .collect();
                let coarse: Vec<&[f32]> = coarse.iter().map(floats).collect();
                self.take(level + 1, &coarse, done)?;
            }
        }
        Ok(())
    }
}

impl Roll {
    /// Takes the next row of tiles out, if all of it is there: which one, and its pixels.
    fn full(&mut self) -> Option<(usize, Vec<Raster>)> {
        let rows = self.shape.tile_height.min(self.shape.height - self.done);
        let pixels = rows as usize * self.shape.width as usize;
        if rows == 0 || self.held[0].len() < pixels {
            return None;
        }
        let row = (self.done / self.shape.tile_height) as usize;
        self.done += rows;
        let width = self.shape.width;
        let raster = |held: &mut Vec<f32>| {
            let rest = held.split_off(pixels);
            let full = std::mem::replace(held, rest);
            Raster::counted(width, rows, Samples::F32(full))
        };
        Some((row, self.held.iter_mut().map(raster).collect()))
    }

    /// Compresses a row of tiles.
    fn pieces(
        &self,
        (level, row): (usize, usize),
        strip: &[Raster],
    ) -> Result<Vec<Piece>, WriteError> {
        let across = self.shape.across();
        let shape = Shape {
            height: strip.first().map_or(1, Raster::height),
            ..self.shape
        };
        let piece = |number: usize| {
            let (band, column) = (number / across, number % across);
            Ok(Piece {
                level,
                place: band * self.shape.tiles() + row * across + column,
                bytes: compress(floats(strip[band].samples()), &shape, column)?,
            })
        };
        let numbers = (0..strip.len() * across).into_par_iter().with_max_len(1);
        numbers.map(piece).collect()
    }
}

/// Returns the values of a scroll's samples, which are 32-bit floats.
fn floats(samples: &Samples) -> &[f32] {
    match samples {
        Samples::F32(values) => values,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crs::Crs;
    use crate::geotiff::{BandImage, Image, encode_geotiff};
    use crate::raster::georef::Affine;

    /// Values with fill here and there.
    fn band(width: u32, height: u32, seed: f32) -> Vec<f32> {
        let value = |i: u32| {
            if i % 97 < 9 {
                f32::NAN
            } else {
                (i as f32 * 0.37).sin() + seed
            }
        };
        (0..width * height).map(value).collect()
    }

    fn check(width: u32, height: u32, step: usize) {
        let georef = Georef {
            crs: Crs::wgs84(),
            affine: Affine::new([7.0, 1e-4, 0.0, 48.0, 0.0, -1e-4]).unwrap(),
            width,
            height,
        };
        let names = [("answer", Kernel::Bilinear), ("outside", Kernel::Nearest)];
        let values = [band(width, height, 0.0), band(width, height, 3.0)];
        let rasters = values
            .clone()
            .map(|v| Raster::counted(width, height, Samples::F32(v)));
        let bands: Vec<BandImage<'_>> = { rasters.iter().zip(names) }
            .map(|(raster, (name, overview))| BandImage {
                name,
                raster,
                scale: 1.0,
                offset: 0.0,
                overview,
            })
            .collect();
        let whole = encode_geotiff(&Image {
            georef: &georef,
            bands: &bands,
            fill: None,
            items: &[],
        });
        let sheet = names.map(|(name, overview)| SheetBand {
            name: name.to_owned(),
            overview,
        });
        let mut scroll = Scroll::new(Sheet {
            georef,
            bands: sheet.to_vec(),
        })
        .unwrap();
        let mut tiles: Vec<Vec<Vec<u8>>> = scroll
            .tiles()
            .into_iter()
            .map(|n| vec![Vec::new(); n])
            .collect();
        let across = width as usize;
        for first in (0..height as usize).step_by(step) {
            let last = (first + step).min(height as usize);
            let rows: Vec<&[f32]> = values
                .iter()
                .map(|v| &v[first * across..last * across])
                .collect();
            for piece in scroll.push(&rows).unwrap() {
                tiles[piece.level][piece.place] = piece.bytes;
            }
        }
        let lengths = tiles
            .iter()
            .map(|l| l.iter().map(Vec::len).collect())
            .collect();
        let mut bytes = scroll.head(lengths).unwrap();
        bytes.extend(tiles.into_iter().rev().flatten().flatten());
        assert!(whole.unwrap() == bytes, "{width} x {height} by {step}");
        let past = vec![0.0; across];
        assert!(scroll.push(&[&past, &past]).is_err(), "a row too many");
    }

    #[test]
    fn a_scroll_is_the_whole_images_file_whatever_rows_come_at_once() {
        check(1100, 1301, 7);
        check(1100, 1301, 700);
        check(513, 40, 1);
        check(30, 1030, 512);
        check(17, 9, 9);
    }
}
