//! GeoTIFF files in cloud-optimised layout: our one subset, written and read.
//!
//! Little-endian classic TIFF; tiles of at most 512 × 512, band after band; ZSTD with predictor 2
//! (integers) or 3 (floats); directories before data, overviews halved until 512 pixels; pixel
//! data of the coarsest overview first. Drawn in `docs/FORMATS.md`.
//!
//! *Invariants*: the same image gives the same bytes; every offset fits 32 bits.
//!
//! *Not here*: metadata and checksums of splits (`split::codec`), files of others (ingest).

mod directory;
mod overview;
mod predictor;
mod read;
mod scroll;
mod tile;
mod window;

pub use read::{GeoTiff, Physical, ReadError};
pub use scroll::{Piece, Scroll, Sheet, SheetBand};

use crate::crs::Crs;
use crate::geotiff::directory::{Extras, Facts, Measured, lay_out};
use crate::geotiff::overview::overviews;
use crate::geotiff::tile::{Level, compress_level};
use crate::raster::Raster;
use crate::raster::georef::Georef;
use crate::raster::reproject::Kernel;

/// Greatest side of an image in pixels: a geohash-4 cell at 0.3 m.
pub const SIDE_MAX: u32 = 1 << 17;

/// Most bands of one file: hyperspectral sensors have below 300.
pub const BANDS_MAX: usize = 1024;

/// Greatest file: offsets of classic TIFF have 32 bits.
pub const FILE_BYTES_MAX: u64 = u32::MAX as u64;

/// Side from which an image has overviews, and the greatest side of a tile.
const TILE_MAX: u32 = 512;

/// One band of an image to write.
#[derive(Debug, Clone, Copy)]
pub struct BandImage<'a> {
    /// The name, seen as the band's description.
    pub name: &'a str,
    /// The pixels.
    pub raster: &'a Raster,
    /// Physical value = stored value × scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// How overviews are made: means of valid pixels, or one of the pixels.
    pub overview: Kernel,
}

/// An image to write: bands of one shape and sample type.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Where it lies.
    pub georef: &'a Georef,
    /// The bands, at least one.
    pub bands: &'a [BandImage<'a>],
    /// The value that means "nothing"; for floats NaN is written where this is `None`.
    pub fill: Option<f64>,
    /// Metadata items shown by GDAL, name and value.
    pub items: &'a [(&'a str, String)],
}

/// Why an image cannot be written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// No band, or more than `BANDS_MAX`.
    #[error("{0} bands; a file holds 1..={BANDS_MAX}")]
    Bands(usize),
    /// A side is 0 or above `SIDE_MAX`.
    #[error("{width} x {height} pixels; a side holds 1..={SIDE_MAX}")]
    Side {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A band has another shape or sample type than the image.
    #[error("band '{0}' differs from the image in shape or sample type")]
    Unlike(String),
    /// The coordinate system has no EPSG code to write.
    #[error("'{0}' has no EPSG code, which GeoTIFF needs")]
    NoEpsg(Crs),
    /// The file would pass `FILE_BYTES_MAX`.
    #[error("{0} bytes do not fit classic TIFF's {FILE_BYTES_MAX}; cut finer cells")]
    TooLarge(u64),
    /// The compressor gave up.
    #[error("compression failed: {0}")]
    Compress(String),
}

/// Returns a GeoTIFF's bytes.
///
/// # Errors
/// See [`WriteError`].
pub fn encode_geotiff(image: &Image<'_>) -> Result<Vec<u8>, WriteError> {
    let pixels = compress(image)?;
    let mut bytes = lay_out(&Facts::of(image), &pixels.measured(), &Extras::default())?;
    pixels.append_to(&mut bytes);
    Ok(bytes)
}

/// The compressed tiles of an image and its overviews, full resolution first.
#[derive(Debug)]
pub(crate) struct Pixels {
    levels: Vec<Level>,
}

impl Pixels {
    /// Returns the shapes of all levels and the bytes of their tiles, full resolution first.
    fn measured(&self) -> Vec<Measured> {
        let measure = |level: &Level| Measured {
            shape: level.shape,
            lengths: level.tiles.iter().map(Vec::len).collect(),
        };
        self.levels.iter().map(measure).collect()
    }

    /// Visits all tiles in file order: coarsest level first, then band by band, row by row.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = &[u8]> {
        self.levels
            .iter()
            .rev()
            .flat_map(|l| l.tiles.iter().map(Vec::as_slice))
    }

    /// Appends all tiles in file order.
    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.reserve(self.tiles().map(<[u8]>::len).sum());
        self.tiles().for_each(|t| bytes.extend_from_slice(t));
    }
}

/// Lays out everything before the pixel data, with a split's extras.
pub(crate) fn header(
    image: &Image<'_>,
    pixels: &Pixels,
    ghost: &str,
    json: &[u8],
) -> Result<Vec<u8>, WriteError> {
    lay_out(
        &Facts::of(image),
        &pixels.measured(),
        &Extras { ghost, json },
    )
}

/// Checks an image and compresses its tiles and those of its overviews.
pub(crate) fn compress(image: &Image<'_>) -> Result<Pixels, WriteError> {
    check(image)?;
    let rasters: Vec<&Raster> = image.bands.iter().map(|b| b.raster).collect();
    let mut levels = vec![compress_level(&rasters)?];
    for coarse in overviews(image) {
        levels.push(compress_level(&coarse.iter().collect::<Vec<_>>())?);
    }
    Ok(Pixels { levels })
}

fn check(image: &Image<'_>) -> Result<(), WriteError> {
    let Some(first) = image
        .bands
        .first()
        .filter(|_| image.bands.len() <= BANDS_MAX)
    else {
        return Err(WriteError::Bands(image.bands.len()));
    };
    let (width, height) = (image.georef.width, image.georef.height);
    if !(1..=SIDE_MAX).contains(&width) || !(1..=SIDE_MAX).contains(&height) {
        return Err(WriteError::Side { width, height });
    }
    let unlike = image.bands.iter().find(|b| {
        (b.raster.width(), b.raster.height()) != (width, height)
            || b.raster.sample_type() != first.raster.sample_type()
    });
    match unlike {
        Some(band) => Err(WriteError::Unlike(band.name.to_owned())),
        None => Ok(()),
    }
}
