//! What is kept of a scene that failed: a ledger with the reason.
//!
//! *Invariants*: a failure never replaces the ledger of a scene that is done.
//!
//! *Not here*: the ledger of a scene that is done (`ledger`).

use std::path::Path;

use earth::split::collection::is_name;
use earth::split::meta::PixelCounts;
use serde::{Deserialize, Serialize};
use wire::fault::{Fault, FaultKind};
use wire::ledger::{Ledger, Outcome, UNTOLD};

use crate::args::RunArgs;
use crate::name::{file_name, stem_name};
use crate::put::Owners;
use crate::source::{self, Named};

/// Returns where the reason is kept if a scene cannot even be opened.
pub fn spot(args: &RunArgs, path: &Path) -> Spot {
    of_named(args, path, source::named(path))
}

/// Returns where the reason is kept of a scene that cannot be asked its name: by that of its file.
pub fn spot_of_file(args: &RunArgs, path: &Path) -> Spot {
    let named = Named {
        scene: stem_name(path),
        dataset: None,
    };
    of_named(args, path, named)
}

fn of_named(args: &RunArgs, path: &Path, named: Named) -> Spot {
    let given = args.collection.clone().or(args.given.dataset.clone());
    let collection = given.or(named.dataset.map(str::to_owned));
    Spot {
        collection: collection
            .filter(|c| is_name(c))
            .unwrap_or_else(|| UNTOLD.to_owned()),
        scene: named.scene,
        source: file_name(path),
        delivered: None,
    }
}

/// Writes the ledger of a scene that failed, unless it was done before; a folder without any scene
/// has none.
pub async fn keep(owners: &Owners, spot: &Spot, fault: &Fault) -> Result<(), Fault> {
    if fault.kind == FaultKind::Nothing {
        return Ok(());
    }
    let client = owners.conduit();
    let stored = client.ledger(&spot.collection, &spot.scene).await?;
    if stored.is_some_and(|l| l.outcome == Outcome::Done) {
        return Ok(());
    }
    let ledger = of_failed(spot, fault);
    owners.put(&ledger.bundle()?, true).await?;
    Ok(())
}

/// Where the reason is kept if a scene fails: what is known of it so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// The collection it goes into.
    pub collection: String,
    /// Its name.
    pub scene: String,
    /// File or folder name of the source, without its path.
    pub source: String,
    /// Hash and bytes of what was delivered, once it was read.
    pub delivered: Option<(String, u64)>,
}

/// Returns the ledger of a scene that failed.
fn of_failed(spot: &Spot, fault: &Fault) -> Ledger {
    let (source_hash, source_bytes) = spot.delivered.clone().unwrap_or_default();
    Ledger {
        collection: spot.collection.clone(),
        scene: spot.scene.clone(),
        source: spot.source.clone(),
        source_hash,
        source_bytes,
        outcome: Outcome::Failed {
            reason: reason(fault),
        },
        cells: 0,
        splits: 0,
        cells_empty: 0,
        bytes: 0,
        counts: PixelCounts::default(),
        missing_bands: Vec::new(),
        notes: Vec::new(),
    }
}

/// Returns what is wrong and why, on one line.
fn reason(fault: &Fault) -> String {
    let mut parts = vec![fault.what.clone()];
    parts.extend(fault.because.iter().cloned());
    parts.join(": ")
}
