//! Reading of our own GeoTIFF subset, from bytes that may be damaged or hostile.
//!
//! *Invariants*: never panics; allocates no more than named limits and the bytes given allow.
//!
//! *Not here*: GeoTIFFs of others (ingest reads those with GDAL), checksums (`split::codec`).

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::geotiff::directory::{SEPARATE, ZSTD, format_of, tag};
use crate::geotiff::predictor::predictor_of;
use crate::geotiff::tile::{Shape, TILE_STEP};
use crate::geotiff::window::Strips;
use crate::geotiff::{BANDS_MAX, SIDE_MAX, TILE_MAX};
use crate::raster::georef::PixelWindow;
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
    /// A window that leaves the image.
    #[error("the window leaves the image of {width} x {height} pixels")]
    Window {
        /// Columns of the image.
        width: u32,
        /// Rows of the image.
        height: u32,
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
        let picture = self.level(level)?;
        let whole = picture.whole();
        let band = |band: &usize| picture.raster(bytes, *band, whole);
        bands.par_iter().map(band).collect()
    }

    /// Decodes a window of a band at full resolution; only the tiles that it touches are unpacked.
    ///
    /// # Errors
    /// As `decode`; a window that leaves the image.
    pub fn decode_window(
        &self,
        bytes: &[u8],
        band: usize,
        window: PixelWindow,
    ) -> Result<Raster, ReadError> {
        self.level(0)?.raster(bytes, band, window)
    }

    /// Decodes a window of bands as 32-bit physical values, band after band, row by row; fill is
    /// NaN. No array of stored numbers is made on the way.
    ///
    /// # Errors
    /// As `decode_window`.
    pub fn physical(
        &self,
        bytes: &[u8],
        bands: &[Physical],
        window: PixelWindow,
    ) -> Result<Vec<f32>, ReadError> {
        let picture = self.level(0)?;
        let plane = window.width as usize * window.height as usize;
        if (plane * bands.len() * size_of::<f32>()) as u64 > BAND_BYTES_MAX {
            return Err(ReadError::Limit("the size of the decoded bands"));
        }
        // Slices are found before anything is allocated: a short file costs nothing.
        let found: Vec<_> = bands
            .iter()
            .map(|b| picture.strips(bytes, b.band, window))
            .collect::<Result<_, _>>()?;
        let mut values = vec![0.0; plane * bands.len()];
        values
            .par_chunks_mut(plane.max(1))
            .zip(found)
            .zip(bands)
            .try_for_each(|((out, strips), band)| picture.physical(strips, band, out))?;
        Ok(values)
    }

    fn level(&self, level: usize) -> Result<&Picture, ReadError> {
        self.levels.get(level).ok_or(ReadError::Limit("the level"))
    }
}

/// A band to read as physical values: stored value × scale + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Physical {
    /// Its place in the file, from 0.
    pub band: usize,
    /// See above.
    pub scale: f64,
    /// See above.
    pub offset: f64,
    /// The stored value that means "nothing".
    pub fill: Option<f64>,
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
    fn whole(&self) -> PixelWindow {
        PixelWindow {
            column: 0,
            row: 0,
            width: self.shape.width,
            height: self.shape.height,
        }
    }

    fn raster(&self, bytes: &[u8], band: usize, window: PixelWindow) -> Result<Raster, ReadError> {
        let strips = self.strips(bytes, band, window)?;
        let samples = match self.kind {
            SampleType::U8 => Samples::U8(strips.samples()?),
            SampleType::U16 => Samples::U16(strips.samples()?),
            SampleType::I16 => Samples::I16(strips.samples()?),
            SampleType::U32 => Samples::U32(strips.samples()?),
            SampleType::I32 => Samples::I32(strips.samples()?),
            SampleType::F32 => Samples::F32(strips.samples()?),
            SampleType::F64 => Samples::F64(strips.samples()?),
        };
        Raster::new(window.width, window.height, samples).map_err(|_| ReadError::Limit("the image"))
    }

    fn physical(
        &self,
        strips: Strips<'_>,
        band: &Physical,
        out: &mut [f32],
    ) -> Result<(), ReadError> {
        match self.kind {
            SampleType::U8 => strips.physical::<u8>(band, out),
            SampleType::U16 => strips.physical::<u16>(band, out),
            SampleType::I16 => strips.physical::<i16>(band, out),
            SampleType::U32 => strips.physical::<u32>(band, out),
            SampleType::I32 => strips.physical::<i32>(band, out),
            SampleType::F32 => strips.physical::<f32>(band, out),
            SampleType::F64 => strips.physical::<f64>(band, out),
        }
    }

    /// Finds the tiles of a band that a window touches; nothing is decoded yet.
    fn strips<'b>(
        &self,
        bytes: &'b [u8],
        band: usize,
        window: PixelWindow,
    ) -> Result<Strips<'b>, ReadError> {
        if band >= self.bands {
            return Err(ReadError::NoBand {
                band,
                bands: self.bands,
            });
        }
        let (width, height) = (self.shape.width, self.shape.height);
        let inside = |start: u32, length: u32, side: u32| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= side)
        };
        if !inside(window.column, window.width, width) || !inside(window.row, window.height, height)
        {
            return Err(ReadError::Window { width, height });
        }
        let size = self.kind.bytes() as u64;
        if u64::from(window.width) * u64::from(window.height) * size > BAND_BYTES_MAX {
            return Err(ReadError::Limit("the size of a decoded band"));
        }
        Strips::find(self.shape, window, |tile| {
            let number = band * self.shape.tiles() + tile;
            Ok((number, self.tile(bytes, number)?))
        })
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
