//! Windows of a band: the tiles that a window touches, unpacked row by row into their place.
//!
//! *Invariants*: a tile that the window does not touch is not unpacked; a tile's context and
//! buffer are reused by the next one of the thread; rows go from the predictor into the result
//! without an image in between.
//!
//! *Not here*: where tiles lie in the file (`read`).

use std::cell::RefCell;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use zstd::bulk::Decompressor;

use crate::geotiff::ReadError;
use crate::geotiff::predictor::undo_row;
use crate::geotiff::read::Physical;
use crate::geotiff::tile::Shape;
use crate::raster::georef::PixelWindow;
use crate::raster::pixel::{Pixel, is_fill};

/// Unpacks one tile after another.
#[derive(Default)]
struct Unpacker {
    zstd: Option<Decompressor<'static>>,
    plain: Vec<u8>,
}

impl Unpacker {
    /// Returns the plain bytes of a tile; `None` if there are not exactly so many.
    fn unpack(&mut self, packed: &[u8], size: usize) -> Option<&[u8]> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => none.insert(Decompressor::new().ok()?),
        };
        self.plain.resize(size, 0);
        let found = zstd.decompress_to_buffer(packed, &mut self.plain[..]);
        found.is_ok_and(|n| n == size).then_some(&self.plain[..])
    }
}

thread_local! {
    static UNPACKER: RefCell<Unpacker> = RefCell::default();
}

/// The tiles of one band that a window touches, one row of tiles after another.
#[derive(Debug)]
pub(super) struct Strips<'a> {
    shape: Shape,
    window: PixelWindow,
    rows: Vec<Strip<'a>>,
}

/// Tiles side by side, and the rows of the image that are wanted of them.
#[derive(Debug)]
struct Strip<'a> {
    top: usize,
    bottom: usize,
    tiles: Vec<Tile<'a>>,
}

/// A compressed tile: its number in the file, its first column of the image, its bytes.
#[derive(Debug, Clone, Copy)]
struct Tile<'a> {
    number: usize,
    left: usize,
    packed: &'a [u8],
}

impl<'a> Strips<'a> {
    /// Finds the tiles; `tile` returns number and bytes by the place in the band.
    pub(super) fn find(
        shape: Shape,
        window: PixelWindow,
        tile: impl Fn(usize) -> Result<(usize, &'a [u8]), ReadError>,
    ) -> Result<Self, ReadError> {
        let (first, last) = (window.row, window.row + window.height - 1);
        let columns = window.column / shape.tile_width
            ..=(window.column + window.width - 1) / shape.tile_width;
        let strip = |row: u32| {
            let top = row * shape.tile_height;
            let one = |column: u32| {
                let (number, packed) = tile(row as usize * shape.across() + column as usize)?;
                let left = column as usize * shape.tile_width as usize;
                Ok(Tile {
                    number,
                    left,
                    packed,
                })
            };
            Ok(Strip {
                top: first.max(top) as usize,
                bottom: (last + 1).min(top + shape.tile_height) as usize,
                tiles: columns.clone().map(one).collect::<Result<_, _>>()?,
            })
        };
        let rows = (first / shape.tile_height..=last / shape.tile_height).map(strip);
        Ok(Self {
            shape,
            window,
            rows: rows.collect::<Result<_, _>>()?,
        })
    }

    /// Unpacks the window's samples.
    pub(super) fn samples<T: Pixel>(self) -> Result<Vec<T>, ReadError> {
        let pixels = self.window.width as usize * self.window.height as usize;
        let mut samples = vec![T::default(); pixels];
        self.unpack(&mut samples, |row: &[T], out| out.copy_from_slice(row))?;
        Ok(samples)
    }

    /// Unpacks the window's physical values; fill becomes NaN.
    pub(super) fn physical<T: Pixel>(
        self,
        band: &Physical,
        out: &mut [f32],
    ) -> Result<(), ReadError> {
        let (scale, offset) = (band.scale, band.offset);
        let fill = band.fill.and_then(T::exactly);
        self.unpack(out, |row: &[T], out| {
            for (sample, out) in row.iter().zip(out) {
                let value = f32::nearest(sample.to_f64() * scale + offset);
                *out = if is_fill(*sample, fill) {
                    f32::NAN
                } else {
                    value
                };
            }
        })
    }

    /// Hands each row of samples and its place to `put`, rows of tiles side by side in threads.
    fn unpack<T: Pixel, U: Send>(
        self,
        out: &mut [U],
        put: impl Fn(&[T], &mut [U]) + Sync,
    ) -> Result<(), ReadError> {
        let width = self.window.width as usize;
        let mut rest = out;
        let mut jobs = Vec::with_capacity(self.rows.len());
        for strip in &self.rows {
            let (own, others) = rest.split_at_mut((strip.bottom - strip.top) * width);
            jobs.push((strip, own));
            rest = others;
        }
        let unpack = |(strip, out): (&Strip<'_>, &mut [U])| self.strip(strip, out, &put);
        if jobs.len() == 1 {
            return jobs.into_iter().try_for_each(unpack);
        }
        jobs.into_par_iter().try_for_each(unpack)
    }

    fn strip<T: Pixel, U>(
        &self,
        strip: &Strip<'_>,
        out: &mut [U],
        put: &(impl Fn(&[T], &mut [U]) + Sync),
    ) -> Result<(), ReadError> {
        let tile_width = self.shape.tile_width as usize;
        let tile_height = self.shape.tile_height as usize;
        let (first, width) = (self.window.column as usize, self.window.width as usize);
        let row_bytes = tile_width * size_of::<T>();
        let mut row = vec![T::default(); tile_width];
        UNPACKER.with_borrow_mut(|unpacker| {
            for tile in &strip.tiles {
                let plain = unpacker.unpack(tile.packed, row_bytes * tile_height);
                let plain = plain.ok_or(ReadError::Tile(tile.number))?;
                // Columns of the image that are wanted of this tile.
                let left = first.max(tile.left);
                let right = (first + width).min(tile.left + tile_width);
                let top = strip.top % tile_height;
                let rows = plain.chunks_exact(row_bytes).skip(top);
                for (stored, line) in rows.zip(out.chunks_exact_mut(width)) {
                    let wanted = &mut row[..right - tile.left];
                    undo_row(stored, wanted);
                    put(
                        &wanted[left - tile.left..],
                        &mut line[left - first..right - first],
                    );
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, proptest};

    use crate::crs::Crs;
    use crate::geotiff::{BandImage, GeoTiff, Image, Physical, ReadError, encode_geotiff};
    use crate::raster::georef::{Affine, Georef, PixelWindow};
    use crate::raster::reproject::Kernel;
    use crate::raster::{Raster, Samples};

    const WIDTH: u32 = 1100;
    const HEIGHT: u32 = 600;

    /// Three columns and two rows of tiles, two bands; every seventh pixel is fill.
    fn rasters() -> [Raster; 2] {
        let band = |step: u32| {
            let value = |i: u32| {
                if i.is_multiple_of(7) {
                    0
                } else {
                    i.wrapping_mul(step) | 1
                }
            };
            let values = (0..WIDTH * HEIGHT).map(|i| u16::try_from(value(i) & 0xffff).unwrap());
            Raster::new(WIDTH, HEIGHT, Samples::U16(values.collect())).unwrap()
        };
        [band(2_654_435_761), band(40_503)]
    }

    fn file(rasters: &[Raster]) -> Vec<u8> {
        let georef = Georef {
            crs: Crs::wgs84(),
            affine: Affine::new([0.0, 1e-4, 0.0, 50.0, 0.0, -1e-4]).unwrap(),
            width: WIDTH,
            height: HEIGHT,
        };
        let band = |raster| BandImage {
            name: "band",
            raster,
            scale: 1e-4,
            offset: -0.1,
            overview: Kernel::Nearest,
        };
        let bands: Vec<_> = rasters.iter().map(band).collect();
        let image = Image {
            georef: &georef,
            bands: &bands,
            fill: Some(0.0),
            items: &[],
        };
        encode_geotiff(&image).unwrap()
    }

    fn window() -> impl Strategy<Value = PixelWindow> {
        let sides = (1..=WIDTH, 1..=HEIGHT);
        let placed = |(width, height)| {
            (
                0..=WIDTH - width,
                0..=HEIGHT - height,
                Just((width, height)),
            )
        };
        sides
            .prop_flat_map(placed)
            .prop_map(|(column, row, (width, height))| PixelWindow {
                column,
                row,
                width,
                height,
            })
    }

    #[test]
    fn a_window_is_that_part_of_the_whole() {
        let rasters = rasters();
        let bytes = file(&rasters);
        let tiff = GeoTiff::open(&bytes).unwrap();
        assert_eq!(tiff.decode(&bytes, &[1, 0], 0).unwrap()[0], rasters[1]);
        proptest!(|(window in window())| {
            let found = tiff.decode_window(&bytes, 1, window).unwrap();
            let wanted = |i: u32| {
                let (x, y) = (window.column + i % window.width, window.row + i / window.width);
                rasters[1].get(x, y)
            };
            let pixels = window.width * window.height;
            prop_assert_eq!((found.width(), found.height()), (window.width, window.height));
            // A prime step sees every column and row of large windows, and all of small ones.
            let step = if pixels > 10_000 { 13 } else { 1 };
            for i in (0..pixels).step_by(step) {
                prop_assert_eq!(found.samples().get(i as usize), wanted(i));
            }
        });
    }

    #[test]
    fn physical_values_are_the_stored_ones_scaled_and_fill_is_nan() {
        let rasters = rasters();
        let bytes = file(&rasters);
        let tiff = GeoTiff::open(&bytes).unwrap();
        let band = |band| Physical {
            band,
            scale: 1e-4,
            offset: -0.1,
            fill: Some(0.0),
        };
        proptest!(|(window in window())| {
            let found = tiff.physical(&bytes, &[band(0), band(1)], window).unwrap();
            let stored = [0, 1].map(|band| tiff.decode_window(&bytes, band, window).unwrap());
            let stored: Vec<f64> = stored.iter().flat_map(|r| r.samples().to_f64()).collect();
            prop_assert_eq!(found.len(), stored.len());
            for (found, stored) in found.iter().zip(stored) {
                if stored.abs() > 0.0 {
                    let wanted = stored * 1e-4 - 0.1;
                    prop_assert!((f64::from(*found) - wanted).abs() < 1e-6);
                } else {
                    prop_assert!(found.is_nan());
                }
            }
        });
    }

    #[test]
    fn a_window_that_leaves_the_image_is_refused() {
        let bytes = file(&rasters());
        let tiff = GeoTiff::open(&bytes).unwrap();
        let window = |column, row, width, height| PixelWindow {
            column,
            row,
            width,
            height,
        };
        for outside in [
            window(1, 0, WIDTH, 1),
            window(0, HEIGHT, 1, 1),
            window(u32::MAX, 0, 2, 1),
            window(0, 0, 0, 1),
        ] {
            let refused = tiff.decode_window(&bytes, 0, outside);
            assert!(
                matches!(refused, Err(ReadError::Window { .. })),
                "{outside:?}"
            );
        }
    }
}
