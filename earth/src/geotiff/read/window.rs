//! A window of a band: only the tiles it touches are decompressed.
//!
//! *Not here*: whole bands (`read`).

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::geotiff::read::{BAND_BYTES_MAX, GeoTiff, Picture, ReadError};
use crate::geotiff::tile::decompress;
use crate::raster::georef::PixelWindow;
use crate::raster::pixel::Pixel;
use crate::raster::{Raster, Samples};
use crate::split::meta::SampleType;

impl GeoTiff<'_> {
    /// Decodes a window of a band at full resolution from the whole file's bytes.
    ///
    /// # Errors
    /// A band that is not there, a window that reaches over the image, damaged tiles.
    pub fn decode_window(
        &self,
        bytes: &[u8],
        band: usize,
        window: PixelWindow,
    ) -> Result<Raster, ReadError> {
        let picture = self.levels.first().ok_or(ReadError::Limit("the level"))?;
        picture.window(bytes, band, window)
    }
}

impl Picture {
    fn window(&self, bytes: &[u8], band: usize, at: PixelWindow) -> Result<Raster, ReadError> {
        if band >= self.bands {
            return Err(ReadError::NoBand {
                band,
                bands: self.bands,
            });
        }
        let within = |first: u32, length: u32, all: u32| {
            length > 0 && u64::from(first) + u64::from(length) <= u64::from(all)
        };
        if !within(at.column, at.width, self.shape.width)
            || !within(at.row, at.height, self.shape.height)
        {
            return Err(ReadError::Limit("the window"));
        }
        let samples = match self.kind {
            SampleType::U8 => Samples::U8(self.part(bytes, band, at)?),
            SampleType::U16 => Samples::U16(self.part(bytes, band, at)?),
            SampleType::I16 => Samples::I16(self.part(bytes, band, at)?),
            SampleType::U32 => Samples::U32(self.part(bytes, band, at)?),
            SampleType::I32 => Samples::I32(self.part(bytes, band, at)?),
            SampleType::F32 => Samples::F32(self.part(bytes, band, at)?),
            SampleType::F64 => Samples::F64(self.part(bytes, band, at)?),
        };
        Raster::new(at.width, at.height, samples).map_err(|_| ReadError::Limit("the window"))
    }

    fn part<T: Pixel>(
        &self,
        bytes: &[u8],
        band: usize,
        at: PixelWindow,
    ) -> Result<Vec<T>, ReadError> {
        let pixels = at.width as usize * at.height as usize;
        if (pixels * size_of::<T>()) as u64 > BAND_BYTES_MAX {
            return Err(ReadError::Limit("the size of a decoded band"));
        }
        let (tile_width, tile_height) = (self.shape.tile_width, self.shape.tile_height);
        let columns = at.column / tile_width..(at.column + at.width).div_ceil(tile_width);
        let rows = at.row / tile_height..(at.row + at.height).div_ceil(tile_height);
        let places: Vec<(u32, u32)> = rows
            .flat_map(|row| columns.clone().map(move |column| (column, row)))
            .collect();
        let first = band * self.shape.tiles();
        let tiles = { places.into_par_iter() }
            .map(|(column, row)| {
                let number = first + row as usize * self.shape.across() + column as usize;
                let tile = self.tile(bytes, number)?;
                let samples = decompress::<T>(tile, &self.shape);
                let corner = (column * tile_width, row * tile_height);
                Ok((corner, samples.ok_or(ReadError::Tile(number))?))
            })
            .collect::<Result<Vec<_>, ReadError>>()?;
        let mut out = vec![T::default(); pixels];
        for (corner, samples) in tiles {
            self.copy(corner, &samples, (at, &mut out));
        }
        Ok(out)
    }

    /// Copies the part of a tile that lies in the window.
    fn copy<T: Pixel>(
        &self,
        (left, top): (u32, u32),
        samples: &[T],
        (at, out): (PixelWindow, &mut [T]),
    ) {
        let right = (left + self.shape.tile_width).min(at.column + at.width);
        let bottom = (top + self.shape.tile_height).min(at.row + at.height);
        let left_in = left.max(at.column);
        for row in top.max(at.row)..bottom {
            let from = (row - top) as usize * self.shape.tile_width as usize;
            let from = from + (left_in - left) as usize;
            let to = (row - at.row) as usize * at.width as usize;
            let to = to + (left_in - at.column) as usize;
            let length = (right - left_in) as usize;
            out[to..to + length].copy_from_slice(&samples[from..from + length]);
        }
    }
}
