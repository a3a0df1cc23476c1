//! A set of files in one HTTP body: how splits and models travel from a worker to its node.
//!
//! ```text
//! "GLB1"  u32 LE header length  header (JSON)  file bytes, one after the other, header's order
//! ```
//! *Invariants*: every file's length and BLAKE3 stand in the header and are checked on reading;
//! names are plain; sizes are bounded.
//!
//! *Not here*: how nodes send bundles to each other (node), what a split's file holds (earth).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hit::FileEntry;

/// First bytes of a bundle.
pub const MAGIC: [u8; 4] = *b"GLB1";
/// Greatest header: a few kilobytes a file suffice; a megabyte is hostile.
pub const HEADER_BYTES_MAX: usize = 1 << 20;
/// Greatest bundle: a geohash-4 cell of 13 Sentinel-2 bands stays below it.
pub const BUNDLE_BYTES_MAX: usize = 1 << 30;
/// Greatest number of files.
pub const FILES_MAX: usize = 64;

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
}

/// What stands before the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleHeader {
    /// What it is.
    pub kind: Kind,
    /// Its id within the kind.
    pub id: String,
    /// What is hashed to place it.
    pub placement_key: earth::split::placement::PlacementKey,
    /// Its files, in order.
    pub files: Vec<FileEntry>,
}

/// A header with its files' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The header.
    pub header: BundleHeader,
    /// The bytes of each file, in the header's order.
    pub files: Vec<Bytes>,
}
