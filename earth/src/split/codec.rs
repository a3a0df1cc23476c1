//! The files of a split: GeoTIFFs that hold the pixels, everything that is known about the split,
//! and checksums over every byte. Drawn in `docs/FORMATS.md`, "Split files".
//!
//! Two checksums, both BLAKE3: the *seal* in the structural lines covers the head, in which the
//! metadata stand; the metadata hold the checksum of each file's pixel data.
//!
//! *Invariants*: the same split gives the same bytes; a file of which any bit has changed, or
//! that was cut or lengthened, does not verify; reading never panics.
//!
//! *Not here*: where files lie (node), cutting and measuring (`split::{cut, measure}`).

mod seal;

use serde::{Deserialize, Serialize};

use crate::geotiff::{self, BandImage, GeoTiff, Image, Physical, ReadError, WriteError};
use crate::raster::Raster;
use crate::raster::georef::{Georef, PixelWindow};
use crate::raster::reproject::Kernel;
use crate::split::codec::seal::Seal;
use crate::split::cut::AssetRaster;
use crate::split::meta::{AssetMeta, BandMeta, META_VERSION, SplitMeta};

/// Longest metadata of a split in bytes: 1,024 bands of 3 KiB, with their
/// histograms. A record travels between nodes in one frame of 4 MiB.
pub const META_BYTES_MAX: usize = 3 << 20;

/// Bytes from the start of a file that tell how long its head is (`head_length`).
pub const SEAL_END: usize = seal::END;

/// A split, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The metadata with files and checksums filled in.
    pub meta: SplitMeta,
    /// File names and bytes, in the order of `meta.assets`.
    pub files: Vec<(String, Vec<u8>)>,
}

/// What the private tag holds: the split, and which of its files this is.
#[derive(Debug, Serialize, Deserialize)]
struct Private {
    asset: String,
    split: SplitMeta,
}

/// Why a split cannot be encoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// A file cannot be written.
    #[error("file '{name}' cannot be written")]
    File {
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: WriteError,
    },
    /// Metadata and rasters do not speak of the same bands.
    #[error("file '{name}' has {rasters} bands, the metadata name {named}")]
    Bands {
        /// The file.
        name: String,
        /// Rasters given.
        rasters: usize,
        /// Bands that the metadata place in the file.
        named: usize,
    },
    /// The metadata are longer than `META_BYTES_MAX` or cannot be written as JSON.
    #[error("metadata cannot be written: {0}")]
    Meta(String),
}

/// Why a file of a split cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Not one of our GeoTIFFs.
    #[error("the file cannot be read")]
    File(#[from] ReadError),
    /// A GeoTIFF, yet of no split.
    #[error("no file of a split: {0}")]
    NoSplit(&'static str),
    /// The head does not match its seal.
    #[error("the head of the file is damaged")]
    Head,
    /// The pixel data do not match their checksum.
    #[error("the pixels of '{0}' are damaged or cut off")]
    Pixels(String),
    /// Written by a version that this one does not know.
    #[error("metadata of version {0}; this software reads up to {META_VERSION}")]
    Version(u32),
    /// The metadata cannot be understood.
    #[error("metadata cannot be understood: {0}")]
    Meta(String),
}

/// Encodes a split; `assets` and `checksum`s of the metadata are filled in.
///
/// # Errors
/// Rasters that do not fit the metadata or a file.
pub fn encode(mut meta: SplitMeta, assets: &[AssetRaster]) -> Result<Encoded, EncodeError> {
    let items = [
        ("GLEBE_SPLIT", meta.id.to_string()),
        ("ACQUISITION_TIME", meta.acquired.to_string()),
    ];
    let mut written = Vec::new();
    meta.assets.clear();
    for asset in assets {
        let file = File::of(asset, &meta.bands)?;
        let pixels = file.with(&items, geotiff::compress)?;
        meta.assets.push(AssetMeta {
            name: asset.name.clone(),
            resolution_m: asset.resolution_m,
            width: asset.grid.width(),
            height: asset.grid.height(),
            checksum: checksum(pixels.tiles()),
        });
        written.push((file.asset, pixels));
    }
    let mut files = Vec::new();
    for (asset, pixels) in written {
        let private = Private {
            asset: asset.name.clone(),
            split: meta.clone(),
        };
        let json = serde_json::to_vec(&private).map_err(|e| EncodeError::Meta(e.to_string()))?;
        if json.len() > META_BYTES_MAX {
            return Err(EncodeError::Meta(format!(
                "{} bytes of {META_BYTES_MAX}",
                json.len()
            )));
        }
        let file = File::of(asset, &meta.bands)?;
        let lay_out = |image: &Image<'_>| geotiff::header(image, &pixels, seal::BLANK, &json);
        let mut bytes = file.with(&items, lay_out)?;
        Seal::write(&mut bytes);
        pixels.append_to(&mut bytes);
        files.push((asset.name.clone(), bytes));
    }
    Ok(Encoded { meta, files })
}

/// An asset with the metadata of its bands.
struct File<'a> {
    asset: &'a AssetRaster,
    georef: Georef,
    bands: Vec<&'a BandMeta>,
}

impl<'a> File<'a> {
    fn of(asset: &'a AssetRaster, bands: &'a [BandMeta]) -> Result<Self, EncodeError> {
        let mut named: Vec<_> = bands.iter().filter(|b| b.asset == asset.name).collect();
        named.sort_by_key(|b| b.index);
        let matching = named
            .iter()
            .zip(0..)
            .all(|(band, index)| band.index == index);
        if named.len() != asset.rasters.len() || !matching {
            return Err(EncodeError::Bands {
                name: asset.name.clone(),
                rasters: asset.rasters.len(),
                named: named.len(),
            });
        }
        Ok(Self {
            asset,
            georef: Georef::from(&asset.grid),
            bands: named,
        })
    }

    /// Runs a step over the image that the file shows.
    fn with<R>(
        &self,
        items: &[(&str, String)],
        step: impl FnOnce(&Image<'_>) -> Result<R, WriteError>,
    ) -> Result<R, EncodeError> {
        let image_of = |(band, raster): (&&'a BandMeta, &'a Raster)| BandImage {
            name: &band.name,
            raster,
            scale: band.scale,
            offset: band.offset,
            overview: if band.categorical {
                Kernel::Nearest
            } else {
                Kernel::Bilinear
            },
        };
        let bands: Vec<_> = self
            .bands
            .iter()
            .zip(&self.asset.rasters)
            .map(image_of)
            .collect();
        let fill = self.asset.fill;
        let image = Image {
            georef: &self.georef,
            bands: &bands,
            fill,
            items,
        };
        step(&image).map_err(|source| EncodeError::File {
            name: self.asset.name.clone(),
            source,
        })
    }
}

/// Returns the BLAKE3 of parts one after another, in hex.
fn checksum<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hasher = blake3::Hasher::new();
    parts.for_each(|part| {
        hasher.update(part);
    });
    hasher.finalize().to_hex().to_string()
}

/// Returns how many bytes from the start hold everything but pixels; `SEAL_END` bytes are enough.
///
/// # Errors
/// Bytes that begin no file of a split.
pub fn head_length(bytes: &[u8]) -> Result<usize, DecodeError> {
    Ok(Seal::read(bytes)?.head)
}

/// Reads the metadata of a split from any of its files; the head is enough and is checked.
///
/// # Errors
/// Bytes that are no file of a split, or whose head is damaged.
pub fn read_meta(bytes: &[u8]) -> Result<SplitMeta, DecodeError> {
    Ok(read_private(bytes)?.split)
}

fn read_private(bytes: &[u8]) -> Result<Private, DecodeError> {
    let seal = Seal::read(bytes)?;
    let head = bytes
        .get(..seal.head)
        .ok_or(ReadError::Truncated(bytes.len()))?;
    if !seal.matches(head) {
        return Err(DecodeError::Head);
    }
    let json = GeoTiff::open(head)?.split_json();
    let json = json.ok_or(DecodeError::NoSplit("it has no metadata of a split"))?;
    if json.len() > META_BYTES_MAX {
        return Err(DecodeError::Meta(format!("{} bytes", json.len())));
    }
    parse(json)
}

/// Parses the private tag, the version first: a later one may have other fields.
fn parse(json: &[u8]) -> Result<Private, DecodeError> {
    #[derive(Deserialize)]
    struct Versioned {
        split: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let wrong = |e: serde_json::Error| DecodeError::Meta(e.to_string());
    let found: Versioned = serde_json::from_slice(json).map_err(wrong)?;
    if found.split.version > META_VERSION {
        return Err(DecodeError::Version(found.split.version));
    }
    serde_json::from_slice(json).map_err(wrong)
}

/// Checks every byte of a file and returns the split's metadata.
///
/// # Errors
/// A file that is not whole.
pub fn verify(bytes: &[u8]) -> Result<SplitMeta, DecodeError> {
    let head = head_length(bytes)?;
    let Private { asset, split } = read_private(bytes)?;
    let data = bytes.get(head..).unwrap_or_default();
    let found = checksum(std::iter::once(data));
    if split
        .assets
        .iter()
        .any(|a| a.name == asset && a.checksum == found)
    {
        Ok(split)
    } else {
        Err(DecodeError::Pixels(asset))
    }
}

/// Tells which file of its split these bytes are.
///
/// # Errors
/// Bytes that are no file of a split, or whose head is damaged.
pub fn asset_name(bytes: &[u8]) -> Result<String, DecodeError> {
    Ok(read_private(bytes)?.asset)
}

/// Decodes bands by index, as in `BandMeta.index`; checksums are `verify`'s matter.
///
/// # Errors
/// Bytes that are not one of our GeoTIFFs, a band that is not there, damaged tiles.
pub fn decode(bytes: &[u8], bands: &[usize]) -> Result<Vec<Raster>, DecodeError> {
    Ok(GeoTiff::open(bytes)?.decode(bytes, bands, 0)?)
}

/// Decodes a window of one band, and no more of the file than it touches.
///
/// # Errors
/// As `decode`; a window that reaches over the image.
pub fn decode_window(
    bytes: &[u8],
    band: usize,
    window: PixelWindow,
) -> Result<Raster, DecodeError> {
    Ok(GeoTiff::open(bytes)?.decode_window(bytes, band, window)?)
}

/// Decodes bands as 32-bit physical values with NaN for fill, band after band, row by row: what
/// models take. `window` of `None` is the whole.
///
/// # Errors
/// As `decode_window`.
pub fn decode_physical(
    bytes: &[u8],
    bands: &[&BandMeta],
    window: Option<PixelWindow>,
) -> Result<Vec<f32>, DecodeError> {
    let file = GeoTiff::open(bytes)?;
    let (width, height) = file.size();
    let window = window.unwrap_or(PixelWindow {
        column: 0,
        row: 0,
        width,
        height,
    });
    let wanted: Vec<Physical> = bands
        .iter()
        .map(|band| Physical {
            band: band.index as usize,
            scale: band.scale,
            offset: band.offset,
            fill: band.fill,
        })
        .collect();
    Ok(file.physical(bytes, &wanted, window)?)
}
