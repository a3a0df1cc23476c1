//! The ledger of a scene: what it says, and whether the scene has to be ingested again.
//!
//! *Invariants*: written after every split of the scene is acknowledged, or once it has failed; the
//! same scene gives the same ledger, however often it was interrupted; a failure never replaces
//! the ledger of a scene that is done.
//!
//! *Not here*: where it is kept (node).

use earth::split::collection::Collection;
use earth::split::meta::PixelCounts;
use wire::fault::{Fault, FaultKind};
use wire::ledger::{Ledger, Outcome};

use crate::facts::Facts;

/// What was done with the cells of a scene.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    /// Cells that the scene touches.
    pub cells: u64,
    /// Splits stored.
    pub splits: u64,
    /// Cells without a valid pixel.
    pub empty: u64,
    /// Bytes of the splits, one replica.
    pub bytes: u64,
    /// Sums over all cells.
    pub counts: PixelCounts,
}

/// Returns the ledger of a scene that is done.
pub fn of(scene: &Facts, collection: &str, sums: Sums) -> Ledger {
    Ledger {
        collection: collection.to_owned(),
        scene: scene.name.clone(),
        source: scene.source.clone(),
        source_hash: scene.hash.clone(),
        source_bytes: scene.bytes,
        outcome: Outcome::Done,
        cells: sums.cells,
        splits: sums.splits,
        cells_empty: sums.empty,
        bytes: sums.bytes,
        counts: sums.counts,
        missing_bands: scene.missing.clone(),
        notes: scene.notes.clone(),
    }
}

/// Tells whether a scene is done already; fails if other content has its name.
pub fn is_done(
    scene: &Facts,
    collection: &Collection,
    stored: Option<&Ledger>,
) -> Result<bool, Fault> {
    match stored {
        Some(ledger) if ledger.outcome != Outcome::Done => Ok(false),
        Some(ledger) if ledger.source_hash == scene.hash => Ok(true),
        Some(_) => {
            let what = format!("'{}' is in '{}' already", scene.name, collection.name);
            Err(Fault::new(FaultKind::Data, what)
                .because("it was ingested from files with other content")
                .try_("--overwrite replaces it"))
        }
        None => Ok(false),
    }
}
