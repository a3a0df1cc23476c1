//! What an ingest worker tells while it works: one JSON line an event, on its standard output.
//!
//! *Invariants*: `begin` comes first; a scene that started ends in exactly one of `scene-done`,
//! `scene-failed` or `skipped`; a `split` line is printed only once the split is acknowledged.
//!
//! *Not here*: how events are shown (cli).

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::ledger::Ledger;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The worker knows what lies before it.
    Begin {
        /// Scenes found.
        scenes: u64,
        /// Nothing will be stored.
        #[serde(default)]
        dry_run: bool,
    },
    /// A scene is opened.
    SceneStarted {
        /// Scene name.
        scene: String,
        /// Cells that it touches.
        cells: u64,
        /// Bytes delivered.
        #[serde(default)]
        bytes: u64,
    },
    /// A split is stored and acknowledged.
    Split(SplitStored),
    /// The scene's ledger says that it is done already.
    Skipped {
        /// Scene name.
        scene: String,
        /// What was done then.
        ledger: Ledger,
    },
    /// Every cell of a scene is stored and its ledger is written.
    SceneDone {
        /// What was done.
        ledger: Ledger,
        /// Seconds of wall time.
        seconds: f64,
    },
    /// A scene could not be ingested.
    SceneFailed {
        /// File or folder name of the source, without its path.
        source: String,
        /// Why.
        fault: Fault,
    },
    /// How far the worker is.
    Progress(Progress),
}

/// A split that is stored and acknowledged (would be, in a dry run).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitStored {
    /// `COLLECTION/SCENE~GEOCODE`.
    pub id: String,
    /// Geocode text.
    pub geocode: String,
    /// False if it was there already.
    pub new: bool,
    /// Bytes of one replica.
    pub bytes: u64,
    /// Cloud cover in percent of judged pixels; null if unknown.
    pub cloud_cover: Option<f64>,
    /// Valid pixels in percent of all.
    pub pixel_coverage: f64,
    /// Ids of the nodes that hold it in the stead of owners, and hand it over later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standins: Vec<String>,
    /// Ids of its owners that did not take it, where others stand in for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners_absent: Vec<String>,
}

/// How far a worker is; sums over all scenes so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Scenes that ended, in whatever way.
    pub scenes: u64,
    /// Cells that are stored or found empty.
    pub cells: u64,
    /// Cells of the scenes opened so far.
    pub cells_total: u64,
    /// Pixels written, pooled over bands.
    pub pixels: u64,
    /// Bytes stored, one replica.
    pub bytes: u64,
    /// Seconds since the start.
    pub seconds: f64,
}
