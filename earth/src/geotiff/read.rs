//! Reading of our own GeoTIFF subset, from bytes that may be damaged or hostile.
//!
//! *Invariants*: never panics; allocates no more than named limits and the bytes given allow.
//!
//! *Not here*: GeoTIFFs of others (ingest reads those with GDAL), checksums (`split::codec`).

mod window;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use crate::geotiff::directory::{SEPARATE, ZSTD, format_of, tag};
use crate::geotiff::predictor::predictor_of;
use crate::geotiff::tile::{Shape, TILE_STEP, decompress, place};
use crate::geotiff::{BANDS_MAX, SIDE_MAX, TILE_MAX};
use crate::raster::pixel::Pixel;
use crate::raster::{Raster, Samples};
use crate::split::meta::SampleType;

/// Most tags of a directory: we write below 30.
const TAGS_MAX: u16 = 64;

/// Most directories: `SIDE_MAX` halves eight times to `TILE_MAX`.
const DIRECTORIES_MAX: usize = 16;

/// Most decoded bytes of one band: what a classic TIFF could hold uncompressed.
const BAND_BYTES_MAX: u64 = u32::MAX as u64;

/// Longest text of a fill value.
const FILL_TEXT_MAX: usize = 64;

/// Bytes of the TIFF header.
const HEADER_BYTES: usize = 8;

/// Why bytes cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bytes end too early.
    #[error("the file ends too early, at byte {0}")]
    Truncated(usize),
    /// No GeoTIFF, or one that we did not write.
    #[error("not a GeoTIFF of this software: {0}")]
    Foreign(&'static str),
    /// A size passes a limit.
    #[error("{0} passes its limit")]
    Limit(&'static str),
    /// A band that the file does not hold.
    #[error("band {band} of a file with {bands}")]
    NoBand {
        /// The band asked for, from 0.
        band: usize,
        /// The bands of the file.
        bands: usize,
    },
    /// A tile is damaged.
    #[error("tile {0} is damaged")]
    Tile(usize),
}

/// A file's directories, read; its tiles are decoded on demand.
#[derive(Debug, Clone)]
pub struct GeoTiff<'a> {
    levels: Vec<Picture>,
    fill: Option<f64>,
    json: Option<&'a [u8]>,
}

impl<'a> GeoTiff<'a> {
    /// Reads the directories; the head of the file is enough.
    ///
    /// # Errors
    /// Bytes that are not of our subset or pass a limit.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ReadError> {
        if bytes.get(..4) != Some(b"II\x2a\x00") {
            return Err(ReadError::Foreign("no little-endian classic TIFF"));
        }
        let mut at = Head(bytes).long(4)? as usize;
        let mut found = Self {
            levels: Vec::new(),
            fill: None,
            json: None,
        };
        while at != 0 {
            if found.levels.len() == DIRECTORIES_MAX {
                return Err(ReadError::Limit("the number of directories"));
            }
            let (directory, next) = Directory::read(bytes, at)?;
            if found.levels.is_empty() {
                found.fill = directory.fill();
                found.json = directory.data(tag::SPLIT_JSON);
            }
            found.levels.push(directory.picture()?);
            at = next;
        }
        if found.levels.is_empty() {
            return Err(ReadError::Foreign("no directory"));
        }
        Ok(found)
    }

    /// Returns columns and rows at full resolution.
    pub fn size(&self) -> (u32, u32) {
        self.levels
            .first()
            .map_or((0, 0), |l| (l.shape.width, l.shape.height))
    }

    /// Returns the number of bands.
    pub fn bands(&self) -> usize {
        self.levels.first().map_or(0, |l| l.bands)
    }

    /// Returns the number of resolutions, full one included.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Returns the sample type.
    pub fn sample_type(&self) -> SampleType {
        self.levels.first().map_or(SampleType::U8, |l| l.kind)
    }

    /// Returns the fill value; NaN of floats is implied and not told.
    pub fn fill(&self) -> Option<f64> {
        self.fill.filter(|f| !f.is_nan())
    }

    /// Returns a split's private metadata, if there is any.
    pub fn split_json(&self) -> Option<&'a [u8]> {
        self.json
    }

    /// Decodes bands at a level (0: full resolution) from the whole file's bytes.
    ///
    /// # Errors
    /// A band or level that is not there, damaged tiles, sizes past a limit.
    pub fn decode(
        &self,
        bytes: &[u8],
        bands: &[usize],
        level: usize,
    ) -> Result<Vec<Raster>, ReadError> {
        let picture = self
            .levels
            .get(level)
            .ok_or(ReadError::Limit("the level"))?;
        bands
            .iter()
            .map(|band| picture.band(bytes, *band))
            .collect()
    }
}

/// What one directory says.
#[derive(Debug, Clone)]
struct Picture {
    shape: Shape,
    bands: usize,
    kind: SampleType,
    offsets: Vec<u32>,
    lengths: Vec<u32>,
}

impl Picture {
    fn band(&self, bytes: &[u8], band: usize) -> Result<Raster, ReadError> {
        if band >= self.bands {
            return Err(ReadError::NoBand {
                band,
                bands: self.bands,
            });
        }
        let samples = match self.kind {
            SampleType::U8 => Samples::U8(self.samples(bytes, band)?),
            SampleType::U16 => Samples::U16(self.samples(bytes, band)?),
            SampleType::I16 => Samples::I16(self.samples(bytes, band)?),
            SampleType::U32 => Samples::U32(self.samples(bytes, band)?),
            SampleType::I32 => Samples::I32(self.samples(bytes, band)?),
            SampleType::F32 => Samples::F32(self.samples(bytes, band)?),
            SampleType::F64 => Samples::F64(self.samples(bytes, band)?),
        };
        Raster::new(self.shape.width, self.shape.height, samples)
            .map_err(|_| ReadError::Limit("the image"))
    }

    fn samples<T: Pixel>(&self, bytes: &[u8], band: usize) -> Result<Vec<T>, ReadError> {
        let pixels = self.shape.width as usize * self.shape.height as usize;
        if (pixels * size_of::<T>()) as u64 > BAND_BYTES_MAX {
            return Err(ReadError::Limit("the size of a decoded band"));
        }
        let tiles = self.shape.tiles();
        // All slices are found before the image is allocated: a short file costs nothing.
        let parts = (band * tiles..(band + 1) * tiles)
            .map(|number| self.tile(bytes, number))
            .collect::<Result<Vec<_>, _>>()?;
        let mut image = vec![T::default(); pixels];
        let strip = self.shape.width as usize * self.shape.tile_height as usize;
        let across = self.shape.across();
        image
            .par_chunks_mut(strip)
            .zip(parts.par_chunks(across))
            .enumerate()
            .try_for_each(|(row, (strip, parts))| {
                for (column, part) in parts.iter().enumerate() {
                    let number = band * tiles + row * across + column;
                    let samples = decompress::<T>(part, &self.shape);
                    let samples = samples.ok_or(ReadError::Tile(number))?;
                    place(&samples, &self.shape, column, strip);
                }
                Ok(())
            })?;
        Ok(image)
    }

    fn tile<'b>(&self, bytes: &'b [u8], number: usize) -> Result<&'b [u8], ReadError> {
        let damaged = ReadError::Tile(number);
        let start = *self.offsets.get(number).ok_or(damaged.clone())? as usize;
        let length = *self.lengths.get(number).ok_or(damaged)? as usize;
        bytes
            .get(start..start + length)
            .ok_or(ReadError::Truncated(bytes.len()))
    }
}

/// The entries of a directory.
struct Directory<'a> {
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    tag: u16,
    kind: u16,
    data: &'a [u8],
}

impl<'a> Directory<'a> {
    /// Reads the directory at a position; returns where the next one stands.
    fn read(bytes: &'a [u8], at: usize) -> Result<(Self, usize), ReadError> {
        let head = Head(bytes);
        if at < HEADER_BYTES {
            return Err(ReadError::Foreign("a directory inside the header"));
        }
        let count = head.short(at)?;
        if count > TAGS_MAX {
            return Err(ReadError::Limit("the number of tags"));
        }
        let first = at + 2;
        let entries = (0..usize::from(count))
            .map(|i| Entry::read(head, first + 12 * i))
            .collect::<Result<_, _>>()?;
        let next = head.long(first + 12 * usize::from(count))? as usize;
        // We write directories in order; a loop would never end.
        if next != 0 && next <= at {
            return Err(ReadError::Foreign("directories out of order"));
        }
        Ok((Self { entries }, next))
    }

    fn data(&self, tag: u16) -> Option<&'a [u8]> {
        self.entries.iter().find(|e| e.tag == tag).map(|e| e.data)
    }

    /// Returns the whole numbers of a tag; empty if it is absent or of another kind.
    fn numbers(&self, tag: u16) -> Vec<u32> {
        let Some(entry) = self.entries.iter().find(|e| e.tag == tag) else {
            return Vec::new();
        };
        match entry.kind {
            3 => entry
                .data
                .chunks_exact(2)
                .map(|b| u32::from(u16::get_bytes(b)))
                .collect(),
            4 => entry.data.chunks_exact(4).map(u32::get_bytes).collect(),
            _ => Vec::new(),
        }
    }

    fn number(&self, tag: u16) -> Option<u32> {
        self.numbers(tag).first().copied()
    }

    fn fill(&self) -> Option<f64> {
        let data = self
            .data(tag::GDAL_NODATA)
            .filter(|d| d.len() <= FILL_TEXT_MAX)?;
        let text = std::str::from_utf8(data).ok()?;
        text.trim_end_matches('\0').trim().parse().ok()
    }

    fn picture(&self) -> Result<Picture, ReadError> {
        let (shape, bands) = (
            self.shape()?,
            self.number(tag::SAMPLES).unwrap_or(0) as usize,
        );
        if !(1..=BANDS_MAX).contains(&bands) {
            return Err(ReadError::Limit("the number of bands"));
        }
        let kind = self
            .kind(bands)
            .ok_or(ReadError::Foreign("unknown sample type"))?;
        let planar = self.number(tag::PLANAR);
        if bands > 1 && planar != Some(u32::from(SEPARATE)) {
            return Err(ReadError::Foreign("bands are interleaved"));
        }
        if self.number(tag::COMPRESSION) != Some(u32::from(ZSTD)) {
            return Err(ReadError::Foreign("not compressed with ZSTD"));
        }
        if self.number(tag::PREDICTOR) != Some(u32::from(predictor_of(kind.is_integer()))) {
            return Err(ReadError::Foreign("another predictor"));
        }
        let (offsets, lengths) = (
            self.numbers(tag::TILE_OFFSETS),
            self.numbers(tag::TILE_BYTES),
        );
        if offsets.len() != bands * shape.tiles() || lengths.len() != offsets.len() {
            return Err(ReadError::Foreign("tiles are missing"));
        }
        Ok(Picture {
            shape,
            bands,
            kind,
            offsets,
            lengths,
        })
    }

    fn shape(&self) -> Result<Shape, ReadError> {
        let side = |tag| self.number(tag).unwrap_or(0);
        let shape = Shape {
            width: side(tag::WIDTH),
            height: side(tag::HEIGHT),
            tile_width: side(tag::TILE_WIDTH),
            tile_height: side(tag::TILE_HEIGHT),
        };
        let image = |side: u32| (1..=SIDE_MAX).contains(&side);
        let tile = |side: u32| (1..=TILE_MAX).contains(&side) && side.is_multiple_of(TILE_STEP);
        if !image(shape.width) || !image(shape.height) {
            return Err(ReadError::Limit("the size of the image"));
        }
        if !tile(shape.tile_width) || !tile(shape.tile_height) {
            return Err(ReadError::Limit("the size of a tile"));
        }
        Ok(shape)
    }

    /// Returns the one sample type of all bands.
    fn kind(&self, bands: usize) -> Option<SampleType> {
        let uniform = |tag| {
            let numbers = self.numbers(tag);
            let first = *numbers.first()?;
            (numbers.len() == bands && numbers.iter().all(|n| *n == first)).then_some(first)
        };
        let (bits, format) = (uniform(tag::BITS)?, uniform(tag::SAMPLE_FORMAT)?);
        let all = [
            SampleType::U8,
            SampleType::U16,
            SampleType::I16,
            SampleType::U32,
            SampleType::I32,
            SampleType::F32,
            SampleType::F64,
        ];
        all.into_iter()
            .find(|k| k.bytes() * 8 == bits as usize && u32::from(format_of(*k)) == format)
    }
}

impl<'a> Entry<'a> {
    fn read(head: Head<'a>, at: usize) -> Result<Self, ReadError> {
        let (tag, kind) = (head.short(at)?, head.short(at + 2)?);
        let count = head.long(at + 4)? as usize;
        let size = match kind {
            1 | 2 | 7 => 1,
            3 => 2,
            4 => 4,
            12 => 8,
            _ => return Err(ReadError::Foreign("a tag of unknown kind")),
        };
        let bytes = count * size;
        let start = if bytes <= 4 {
            at + 8
        } else {
            head.long(at + 8)? as usize
        };
        Ok(Self {
            tag,
            kind,
            data: head.part(start, bytes)?,
        })
    }
}

/// Bytes read with their end in view.
#[derive(Clone, Copy)]
struct Head<'a>(&'a [u8]);

impl<'a> Head<'a> {
    fn part(self, at: usize, length: usize) -> Result<&'a [u8], ReadError> {
        let end = at.checked_add(length);
        let part = end.and_then(|end| self.0.get(at..end));
        part.ok_or(ReadError::Truncated(self.0.len()))
    }

    fn short(self, at: usize) -> Result<u16, ReadError> {
        Ok(u16::get_bytes(self.part(at, 2)?))
    }

    fn long(self, at: usize) -> Result<u32, ReadError> {
        Ok(u32::get_bytes(self.part(at, 4)?))
    }
}
