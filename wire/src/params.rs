//! Query strings of the HTTP interface, as both ends read and write them.
//!
//! *Invariants*: absent parameters are absent on the wire.
//!
//! *Not here*: parameters of `PUT /v1/object` (`object`).

use serde::{Deserialize, Serialize};

/// `GET /v1/split?id=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitParams {
    /// `COLLECTION/SCENE~GEOCODE`.
    pub id: String,
}

/// `GET /v1/split/asset?id=&asset=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetParams {
    /// `COLLECTION/SCENE~GEOCODE`.
    pub id: String,
    /// File name inside the split.
    pub asset: String,
}

/// `GET /v1/splits/known?collection=&scene=` and `GET /v1/ledger?collection=&scene=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneParams {
    /// Collection name.
    pub collection: String,
    /// Scene name.
    pub scene: String,
}

/// `GET /v1/ledgers?collection=`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgersParams {
    /// Collection name; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
}

/// `DELETE /v1/collections/{name}?dry_run=` and `POST /v1/runs?dry_run=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DryRun {
    /// Say what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `GET /v1/runs/{name}?jobs=`: whole, unless jobs are not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunParams {
    /// Tell every job; if not, only how many are in which state.
    #[serde(default = "whole")]
    pub jobs: bool,
}

fn whole() -> bool {
    true
}

/// `GET /v1/models?run=&geocode=&tag=&bbox=&lon=&lat=`; all models without parameters.
///
/// With a position (`lon` and `lat`) the answer holds, for each run, the model of the most precise
/// cell around it; with a box, those whose cells overlap it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelsParams {
    /// Run name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Geocode text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geocode: Option<String>,
    /// A tag: `latest`, `best`, or one that a user gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// `WEST,SOUTH,EAST,NORTH` in degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bbox: Option<String>,
    /// Longitude in degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon: Option<f64>,
    /// Latitude in degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat: Option<f64>,
}

/// `DELETE /v1/models?run=&geocode=&dry_run=`: one model, or all of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeleteModelsParams {
    /// Run name.
    pub run: String,
    /// Geocode text; all of the run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geocode: Option<String>,
    /// Say what would be deleted, and delete nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `DELETE /v1/tags?tag=&geocode=`: a tag of one cell, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TagParams {
    /// The tag.
    pub tag: String,
    /// Geocode text; every cell if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geocode: Option<String>,
}

/// `POST /v1/repair?node=&dry_run=`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepairParams {
    /// The node's id, or its beginning or end; the node asked if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Say what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/repair/rebuild-index?dry_run=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RebuildParams {
    /// Say what would be read, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `GET /v1/module?blake3=`: a user's module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleParams {
    /// BLAKE3 (hex) of its file.
    pub blake3: String,
}

/// `GET /v1/model/file?run=&geocode=&name=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFileParams {
    /// Run name.
    pub run: String,
    /// Geocode text.
    pub geocode: String,
    /// File name inside the model's folder.
    pub name: String,
}
