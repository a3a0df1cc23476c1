//! The ledger of one scene: what ingest did with it.
//!
//! *Invariants*: written when the scene is finished or has failed; the sums are over all its cells,
//! so that nothing is silently skipped; the same scene gives the same ledger.
//!
//! *Not here*: the splits themselves.

use bytes::Bytes;
use earth::split::meta::PixelCounts;
use earth::split::placement::PlacementKey;
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, Kind};
use crate::fault::{Fault, FaultKind};

/// Name of the file that holds a ledger.
pub const FILE: &str = "ledger.json";

/// Where the reason is kept of a scene that failed before it told its dataset, and that no flag
/// gave a collection.
pub const UNTOLD: &str = "unknown";

/// What ingest did with one scene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Collection.
    pub collection: String,
    /// Scene.
    pub scene: String,
    /// File or folder name of the source, without its path.
    pub source: String,
    /// BLAKE3 (hex) of the delivered source.
    pub source_hash: String,
    /// Bytes delivered.
    pub source_bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Cells that the scene touches.
    pub cells: u64,
    /// Splits stored (all of them, also those of an earlier, interrupted ingest).
    pub splits: u64,
    /// Cells without a valid pixel.
    pub cells_empty: u64,
    /// Bytes of the splits, one replica.
    pub bytes: u64,
    /// Sums over all cells, empty ones included.
    pub counts: PixelCounts,
    /// Bands that the product should have and did not deliver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_bands: Vec<String>,
    /// What a user should know of how it was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Ledger {
    /// Returns the ledger as an object to put.
    ///
    /// # Errors
    /// Names that no object can have.
    pub fn bundle(&self) -> Result<Bundle, Fault> {
        let id = format!("{}/{}", self.collection, self.scene);
        let wrong = |e: String| Fault::new(FaultKind::Internal, "no ledger was made").because(e);
        let json = serde_json::to_vec_pretty(self).map_err(|e| wrong(e.to_string()))?;
        let key = PlacementKey::named("ledger", &id);
        let files = vec![(FILE.to_owned(), Bytes::from(json))];
        Bundle::new(Kind::Ledger, id, key, files).map_err(|e| wrong(e.to_string()))
    }

    /// Returns stored bytes of one replica / delivered bytes; `None` where nothing was delivered.
    pub fn amplification(&self) -> Option<f64> {
        (self.source_bytes > 0).then(|| self.bytes as f64 / self.source_bytes as f64)
    }
}

/// How a scene's ingest ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every cell is stored.
    Done,
    /// It could not be ingested, for this reason.
    Failed {
        /// Why.
        reason: String,
    },
}
