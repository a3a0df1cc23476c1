//! Splits on disk: the only place that knows their file format.
//!
//! *Invariants*: a split's metadata come from its own files; every file is checked against its
//! checksum before a pixel is used.
//!
//! *Not here*: the format itself (`earth::split::codec`), maps (`infer::chart`).

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use earth::raster::Raster;
use earth::split::codec::{self, DecodeError};
use earth::split::meta::{BandMeta, SplitMeta};

/// Greatest file of a split: a bundle's, so that what was stored can be read.
const FILE_BYTES_MAX: u64 = wire::bundle::BUNDLE_BYTES_MAX as u64;
/// Bands of one file in physical values, NaN for fill.
pub type AssetPlanes = Vec<Vec<f32>>;

/// Why a split's file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system says no.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder holds no split's file.
    #[error("{} holds no file of a split", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The file is larger than any split's.
    #[error("{} has {bytes} bytes, more than {FILE_BYTES_MAX}", path.display())]
    Large {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The bytes are no split's, or damaged.
    #[error("{} is damaged or no file of a split", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DecodeError,
    },
    /// The file belongs to another split.
    #[error("{} belongs to {found}, not to {wanted}", path.display())]
    Stranger {
        /// The file.
        path: PathBuf,
        /// The split it names.
        found: String,
        /// The split asked for.
        wanted: String,
    },
    /// The split's metadata name a band that its file does not hold.
    #[error("{file} has no band {index}")]
    NoBand {
        /// The file.
        file: String,
        /// Index of the band, from 0.
        index: u32,
    },
}

/// Reads a split's metadata from the first of its files, by name; the head of the file is enough.
pub fn read_meta(folder: &Path) -> Result<SplitMeta, ReadError> {
    let io = |source| ReadError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|e| e == "tif") {
            files.push(path);
        }
    }
    files.sort();
    let path = files.into_iter().next().ok_or_else(|| ReadError::Empty {
        path: folder.to_owned(),
    })?;
    let bytes = head(&path)?;
    codec::read_meta(&bytes).map_err(|source| ReadError::Content { path, source })
}

/// Reads the head of a split's file: all that stands before its pixels.
fn head(path: &Path) -> Result<Vec<u8>, ReadError> {
    let io = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    let seal = (&file).take(codec::SEAL_END as u64).read_to_end(&mut bytes);
    seal.map_err(io)?;
    let length = codec::head_length(&bytes).map_err(|source| ReadError::Content {
        path: path.to_owned(),
        source,
    })?;
    let rest = (length as u64).min(FILE_BYTES_MAX);
    let rest = rest.saturating_sub(bytes.len() as u64);
    file.take(rest).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// Reads a file of a split, every byte of it checked.
pub fn read_whole(folder: &Path, meta: &SplitMeta, asset: &str) -> Result<Vec<u8>, ReadError> {
    let path = folder.join(asset);
    let bytes = read(&path)?;
    let found = codec::verify(&bytes).map_err(|source| ReadError::Content {
        path: path.clone(),
        source,
    })?;
    if found.id != meta.id {
        return Err(ReadError::Stranger {
            path,
            found: found.id.to_string(),
            wanted: meta.id.to_string(),
        });
    }
    Ok(bytes)
}

/// Reads all bands of one file of a split, after checking every byte of it.
pub fn read_asset(folder: &Path, meta: &SplitMeta, asset: &str) -> Result<AssetPlanes, ReadError> {
    let bytes = read_whole(folder, meta, asset)?;
    let content = |source| ReadError::Content {
        path: folder.join(asset),
        source,
    };
    let mut bands: Vec<&BandMeta> = meta.bands.iter().filter(|b| b.asset == asset).collect();
    bands.sort_by_key(|b| b.index);
    let indexes: Vec<usize> = bands.iter().map(|b| index(b.index)).collect();
    let rasters = codec::decode(&bytes, &indexes).map_err(content)?;
    Ok(rasters
        .iter()
        .zip(bands)
        .map(|(raster, band)| physical(raster, band))
        .collect())
}

/// Reads one band of a split as it is stored, after checking every byte of its file.
pub fn read_stored(folder: &Path, meta: &SplitMeta, band: &BandMeta) -> Result<Raster, ReadError> {
    let bytes = read_whole(folder, meta, &band.asset)?;
    let content = |source| ReadError::Content {
        path: folder.join(&band.asset),
        source,
    };
    let decoded = codec::decode(&bytes, &[index(band.index)]).map_err(content)?;
    decoded.into_iter().next().ok_or_else(|| ReadError::NoBand {
        file: band.asset.clone(),
        index: band.index,
    })
}

/// Turns stored numbers into physical values; fill becomes NaN.
fn physical(raster: &Raster, band: &BandMeta) -> Vec<f32> {
    let valid = raster.validity(band.fill);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "networks compute in 32-bit floats; 24 bits hold every 16-bit number"
    )]
    let value = |(stored, valid): (f64, bool)| {
        if valid {
            (stored * band.scale + band.offset) as f32
        } else {
            f32::NAN
        }
    };
    raster
        .samples()
        .to_f64()
        .into_iter()
        .zip(valid)
        .map(value)
        .collect()
}

/// Reads a file of a split.
fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let io = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::metadata(path).map_err(io)?.len();
    if bytes > FILE_BYTES_MAX {
        let path = path.to_owned();
        return Err(ReadError::Large { path, bytes });
    }
    fs::read(path).map_err(io)
}

/// Widens an index.
fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
