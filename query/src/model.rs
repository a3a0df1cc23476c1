//! The typed query: what every verb's selectors become.
//!
//! *Invariants*: an absent predicate lets everything through; an unknown cloud share fails every
//! cloud predicate; ranges include both ends.
//!
//! *Not here*: evaluation (`evaluate`), which slots to ask (`route`).

use earth::extent::LonLatBox;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A closed time range; either end may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TimeRange {
    /// First instant, if bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Last instant, if bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// A closed range of percent, 0..=100; either end may be open.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Range {
    /// Least percent, if bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Greatest percent, if bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// What hits are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SortKey {
    /// The split id, in text order.
    Id,
    /// Sensing time.
    Time,
    /// Cloud share; unknown last.
    Cloud,
    /// Pixel coverage.
    Coverage,
    /// The geocode, in text order.
    Geocode,
}

/// A sort key with its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortOrder {
    /// The key.
    pub key: SortKey,
    /// Greatest first.
    #[serde(default)]
    pub descending: bool,
}

/// Only splits that make a pair: each cloudy one and the temporally nearest clear one of its cell
/// and collection. Bounds are percent of cloud cover.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Cloudy from this cover on.
    pub cloudy_min: f64,
    /// Clear up to this cover.
    pub clear_max: f64,
    /// Farthest apart in seconds, if bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_s: Option<u64>,
}

/// What a verb's selectors ask for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    /// Collection names; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<String>,
    /// Dataset names; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<String>,
    /// Scene names; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scenes: Vec<String>,
    /// Split ids; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Geocode texts, lower case, prefixes unless `exact`; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub geocodes: Vec<String>,
    /// Geocodes match whole, not as prefixes.
    pub exact: bool,
    /// Cells that overlap the box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bbox: Option<LonLatBox>,
    /// Cells that intersect the area: GeoJSON text of a (multi)polygon, feature or collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intersects: Option<serde_json::Value>,
    /// Sensing time.
    pub time: TimeRange,
    /// Cloud cover in percent of valid pixels.
    pub cloud: Range,
    /// Pixel coverage in percent.
    pub coverage: Range,
    /// Only splits that make a pair among those that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paired: Option<Paired>,
    /// Orders, first counts most; ties and the empty list end in id order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sort: Vec<SortOrder>,
    /// Greatest number of hits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}
