//! A set of files in one HTTP body: how splits and models travel from a worker to its node.
//!
//! ```text
//! "GLB1"  u32 LE header length  header (JSON)  file bytes, one after the other, header's order
//! ```
//! *Invariants*: every file's length and BLAKE3 stand in the header and are checked on reading;
//! names are plain and distinct; the id fits the kind and the placement key fits the id; sizes are
//! bounded; nothing follows the last file.
//!
//! *Not here*: how nodes send bundles to each other (node), what a split's file holds (earth).

mod check;
mod decode;

use bytes::Bytes;
use earth::split::placement::PlacementKey;
use serde::{Deserialize, Serialize};

pub use check::HeaderError;
pub use decode::{BundleError, Decoder, Piece, decode};

use crate::hit::FileEntry;

/// First bytes of a bundle.
pub const MAGIC: [u8; 4] = *b"GLB1";
/// Media type of a bundle.
pub const MEDIA_TYPE: &str = "application/x-glebe-bundle";
/// Greatest header: a few kilobytes a file suffice; a megabyte is hostile.
pub const HEADER_BYTES_MAX: usize = 1 << 20;
/// Greatest bundle: a geohash-4 cell of 13 Sentinel-2 bands stays below it.
pub const BUNDLE_BYTES_MAX: usize = 1 << 30;
/// Greatest number of files.
pub const FILES_MAX: usize = 64;
/// Bytes before the header.
const PREFIX_BYTES: usize = MAGIC.len() + size_of::<u32>();

/// What a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A split's GeoTIFFs; id `COLLECTION/SCENE~GEOCODE`.
    Split,
    /// A model folder; id `RUN/GEOCODE`.
    Model,
    /// A run's definition (`run.json`); id the run's name.
    Run,
    /// A scene's ledger (`ledger.json`); id `COLLECTION/SCENE`.
    Ledger,
    /// A collection (`collection.json`); id its name.
    Collection,
    /// A tag of a cell's model (`tag.json`); id `TAG/GEOCODE`.
    Tag,
    /// A module that a user made (`module.json`, `module.pt`); id the BLAKE3 of the latter.
    Module,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 7] = [
        Self::Split,
        Self::Model,
        Self::Run,
        Self::Ledger,
        Self::Collection,
        Self::Tag,
        Self::Module,
    ];

    /// Returns the kind's word, as in JSON and in folder names.
    pub fn word(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Model => "model",
            Self::Run => "run",
            Self::Ledger => "ledger",
            Self::Collection => "collection",
            Self::Tag => "tag",
            Self::Module => "module",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What stands before the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleHeader {
    /// What it is.
    pub kind: Kind,
    /// Its id within the kind.
    pub id: String,
    /// What is hashed to place it.
    pub placement_key: PlacementKey,
    /// Its files, in order.
    pub files: Vec<FileEntry>,
}

impl BundleHeader {
    /// Returns the bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    /// Returns the BLAKE3 (hex) of the lines `HASH  NAME` of the files, in name order: the same
    /// files give the same hash in whatever order they came. `b3sum * | b3sum` prints it, too.
    pub fn content_hash(&self) -> String {
        let mut files: Vec<&FileEntry> = self.files.iter().collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let mut hasher = blake3::Hasher::new();
        for file in files {
            hasher.update(format!("{}  {}\n", file.blake3, file.name).as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// A header with its files' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The header.
    pub header: BundleHeader,
    /// The bytes of each file, in the header's order.
    pub files: Vec<Bytes>,
}

impl Bundle {
    /// Builds a bundle from named files; lengths and hashes are computed here.
    pub fn new(
        kind: Kind,
        id: impl Into<String>,
        placement_key: PlacementKey,
        files: Vec<(String, Bytes)>,
    ) -> Result<Self, HeaderError> {
        let entry = |(name, bytes): &(String, Bytes)| FileEntry {
            name: name.clone(),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        };
        let header = BundleHeader {
            kind,
            id: id.into(),
            placement_key,
            files: files.iter().map(entry).collect(),
        };
        header.check()?;
        let files = files.into_iter().map(|(_, bytes)| bytes).collect();
        Ok(Self { header, files })
    }

    /// Returns the bundle's bytes as a list of chunks; files are shared, not copied.
    pub fn chunks(&self) -> Result<Vec<Bytes>, HeaderError> {
        let mut chunks = vec![self.header.encode()?];
        chunks.extend(self.files.iter().cloned());
        Ok(chunks)
    }

    /// Returns the bundle's bytes in one piece.
    pub fn encode(&self) -> Result<Bytes, HeaderError> {
        Ok(self.chunks()?.concat().into())
    }

    /// Returns a file's bytes by name.
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        let at = self.header.files.iter().position(|f| f.name == name)?;
        self.files.get(at)
    }
}

impl BundleHeader {
    /// Returns magic, length and header: all that stands before the files.
    pub fn encode(&self) -> Result<Bytes, HeaderError> {
        self.check()?;
        let json = serde_json::to_vec(self).map_err(|_| HeaderError::Long)?;
        let length = u32::try_from(json.len()).map_err(|_| HeaderError::Long)?;
        if json.len() > HEADER_BYTES_MAX {
            return Err(HeaderError::Long);
        }
        Ok([&MAGIC[..], &length.to_le_bytes(), &json].concat().into())
    }
}
