//! What a scene's process tells of its scene to whoever puts its splits.
//!
//! *Invariants*: plain values, no path and no handle.
//!
//! *Not here*: the scene itself (`source`).

use serde::{Deserialize, Serialize};

use crate::source::Scene;

/// What is known of a scene that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Name, fit for ids.
    pub name: String,
    /// Name of the dataset it belongs to.
    pub dataset: String,
    /// File or folder name of the source, without its path.
    pub source: String,
    /// BLAKE3 of what was delivered.
    pub hash: String,
    /// Bytes of what was delivered.
    pub bytes: u64,
    /// Bands that the product should have and did not deliver.
    pub missing: Vec<String>,
    /// What a user should know of how it was read.
    pub notes: Vec<String>,
}

impl From<&Scene> for Facts {
    fn from(scene: &Scene) -> Self {
        Self {
            name: scene.name.clone(),
            dataset: scene.dataset.name.to_owned(),
            source: scene.source.clone(),
            hash: scene.delivered.hash.clone(),
            bytes: scene.delivered.bytes,
            missing: scene.missing.clone(),
            notes: scene.notes.clone(),
        }
    }
}
