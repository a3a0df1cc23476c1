//! An image made from the top down, for rasters that do not fit in memory.
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
use crate::raster::Raster;
use crate::raster::georef::Georef;
use crate::raster::pixel::Pixel;
use crate::raster::reproject::Kernel;

/// What is known of an image before its pixels.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// Where it lies, and its shape.
    pub georef: Georef,
    /// Its bands, at least one.
    pub bands: Vec<SheetBand>,
    /// The value that means "nothing"; for floats NaN is, where this is `None`.
    pub fill: Option<f64>,
    /// Metadata items shown by GDAL, name and value.
    pub items: Vec<(String, String)>,
}

/// One band of an image to come.
#[derive(Debug, Clone)]
pub struct SheetBand {
    /// The name, seen as the band's description.
    pub name: String,
    /// Physical value = stored value × scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// How overviews are made.
    pub overview: Kernel,
}

impl SheetBand {
    fn facts(&self) -> BandFacts<'_> {
        BandFacts {
            name: &self.name,
            scale: self.scale,
            offset: self.offset,
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

/// An image of one sample type on its way.
#[derive(Debug)]
pub struct Scroll<T> {
    sheet: Sheet,
    rolls: Vec<Roll<T>>,
}

/// One resolution on its way.
#[derive(Debug)]
struct Roll<T> {
    shape: Shape,
    /// Rows that left as tiles.
    done: u32,
    /// Rows that wait for their tiles to be full, a band each.
    held: Vec<Vec<T>>,
}

impl<T: Pixel> Scroll<T> {
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
    pub fn push(&mut self, bands: &[&[T]]) -> Result<Vec<Piece>, WriteError> {
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
        let of = |roll: &Roll<T>| roll.shape.tiles() * bands;
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
        let items = self.sheet.items.iter();
        let items: Vec<(&str, String)> = items
            .map(|(name, text)| (name.as_str(), text.clone()))
            .collect();
        let facts = Facts {
            georef: &self.sheet.georef,
            bands: self.sheet.bands.iter().map(SheetBand::facts).collect(),
            kind: T::KIND,
            fill: self.sheet.fill,
            items: &items,
        };
        lay_out(&facts, &levels, &Extras::default())
    }

    fn take(
        &mut self,
        level: usize,
        bands: &[&[T]],
        done: &mut Vec<Piece>,
    ) -> Result<(), WriteError> {
        for (held, rows) in self.rolls[level].held.iter_mut().zip(bands) {
            held.extend_from_slice(rows);
        }
        while let Some((row, strip)) = self.rolls[level].full() {
            done.extend(self.rolls[level].pieces((level, row), &strip)?);
            if level + 1 < self.rolls.len() {
                let kernels = self.sheet.bands.iter().map(|b| b.overview);
                let coarse: Vec<Raster> = { strip.iter().zip(kernels) }
                    .map(|(raster, kernel)| half(raster, self.sheet.fill, kernel))
                    .collect();
                let coarse: Vec<&[T]> = coarse.iter().map(values).collect();
                self.take(level + 1, &coarse, done)?;
            }
        }
        Ok(())
    }
}

impl<T: Pixel> Roll<T> {
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
        let raster = |held: &mut Vec<T>| {
            let rest = held.split_off(pixels);
            let full = std::mem::replace(held, rest);
            Raster::counted(width, rows, T::into_samples(full))
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
                bytes: compress(values::<T>(&strip[band]), &shape, column)?,
            })
        };
        let numbers = (0..strip.len() * across).into_par_iter().with_max_len(1);
        numbers.map(piece).collect()
    }
}

/// Returns the values of a scroll's raster, which has its sample type.
fn values<T: Pixel>(raster: &Raster) -> &[T] {
    T::of(raster.samples()).unwrap_or_default()
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

    /// Numbers of scenes, 0 here and there.
    fn numbers(width: u32, height: u32) -> Vec<u16> {
        let value = |i: u32| u16::try_from(i / 97 % 5).unwrap();
        (0..width * height).map(value).collect()
    }

    fn check(width: u32, height: u32, step: usize) {
        let floats = [band(width, height, 0.0), band(width, height, 3.0)];
        let names = [("answer", Kernel::Bilinear), ("outside", Kernel::Nearest)];
        check_of(&floats, (&names, None), (width, step));
        let numbers = [numbers(width, height)];
        check_of(
            &numbers,
            (&[("from", Kernel::Nearest)], Some(0.0)),
            (width, step),
        );
    }

    fn check_of<T: Pixel>(
        values: &[Vec<T>],
        (names, fill): (&[(&str, Kernel)], Option<f64>),
        (width, step): (u32, usize),
    ) {
        let across = width as usize;
        let height = u32::try_from(values[0].len() / across).unwrap();
        let georef = Georef {
            crs: Crs::wgs84(),
            affine: Affine::new([7.0, 1e-4, 0.0, 48.0, 0.0, -1e-4]).unwrap(),
            width,
            height,
        };
        let rasters = values.iter();
        let rasters: Vec<Raster> = rasters
            .map(|v| Raster::counted(width, height, T::into_samples(v.clone())))
            .collect();
        let bands: Vec<BandImage<'_>> = { rasters.iter().zip(names) }
            .map(|(raster, (name, overview))| BandImage {
                name,
                raster,
                scale: 0.5,
                offset: -1.0,
                overview: *overview,
            })
            .collect();
        let whole = encode_geotiff(&Image {
            georef: &georef,
            bands: &bands,
            fill,
            items: &[("GLEBE_SCENE", "one & all".to_owned())],
        });
        let sheet = |(name, overview): &(&str, Kernel)| SheetBand {
            name: (*name).to_owned(),
            scale: 0.5,
            offset: -1.0,
            overview: *overview,
        };
        let mut scroll = Scroll::new(Sheet {
            georef,
            bands: names.iter().map(sheet).collect(),
            fill,
            items: vec![("GLEBE_SCENE".to_owned(), "one & all".to_owned())],
        })
        .unwrap();
        let mut tiles: Vec<Vec<Vec<u8>>> = scroll
            .tiles()
            .into_iter()
            .map(|n| vec![Vec::new(); n])
            .collect();
        for first in (0..height as usize).step_by(step) {
            let last = (first + step).min(height as usize);
            let rows: Vec<&[T]> = values
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
        let past = vec![T::default(); across];
        let past: Vec<&[T]> = values.iter().map(|_| past.as_slice()).collect();
        assert!(scroll.push(&past).is_err(), "a row too many");
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
