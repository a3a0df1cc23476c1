//! One matching split as a user sees it.
//!
//! *Invariants*: the field names are a promise to scripts (DESIGN §9); percent 0–100.
//!
//! *Not here*: the split's own metadata (earth).

use std::collections::BTreeMap;

use earth::split::meta::{BandMeta, MaskCounts, PixelCounts, SplitId, SplitMeta};
use earth::split::placement::PlacementKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One matching split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// `COLLECTION/SCENE~GEOCODE`.
    pub id: SplitId,
    /// Collection name.
    pub collection: String,
    /// Dataset name.
    pub dataset: String,
    /// Scene name.
    pub scene: String,
    /// Geocode text.
    pub geocode: String,
    /// `geohash` or `quadtile`.
    pub scheme: earth::geocode::Scheme,
    /// What was hashed to place it.
    pub placement_key: PlacementKey,
    /// West, south, east, north of the cell in degrees.
    pub bbox: [f64; 4],
    /// Sensing time, UTC.
    pub acquired: Timestamp,
    /// Cloud cover in percent of judged pixels; null if unknown.
    pub cloud_cover: Option<f64>,
    /// Valid pixels in percent of all.
    pub pixel_coverage: f64,
    /// All pixels, pooled over bands.
    pub pixels: u64,
    /// Those inside the delivered raster.
    pub pixels_in_footprint: u64,
    /// Those that are not fill.
    pub pixels_valid: u64,
    /// Counts on the cloud mask's own grid, where a mask was delivered or derived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<MaskCounts>,
    /// Where the cloud mask came from, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_source: Option<String>,
    /// Bands.
    pub bands: Vec<BandMeta>,
    /// Stored bytes of one replica.
    pub bytes: u64,
    /// Ids of the owners, primary first.
    pub owners: Vec<String>,
    /// Asset name → what and where.
    pub assets: BTreeMap<String, Asset>,
}

/// One file of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asset {
    /// Path and query below any node's HTTP address.
    pub href: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// BLAKE3 (hex) of the file.
    pub blake3: String,
    /// Nominal resolution in metres.
    pub resolution_m: f64,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// Name, length and hash of one stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// File name, a plain name without separators.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// BLAKE3 (hex) of the bytes.
    pub blake3: String,
}

/// What a resumed ingest needs to know of a split that is stored already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSplit {
    /// Id.
    pub id: SplitId,
    /// Pixel counts.
    pub counts: PixelCounts,
    /// Stored bytes of one replica.
    pub bytes: u64,
}

/// `GET /v1/splits/known`: the stored splits of one scene.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KnownSplits {
    /// Splits, by id.
    pub splits: Vec<KnownSplit>,
    /// For every slot asked, a live replica answered.
    pub complete: bool,
}

impl From<&Hit> for KnownSplit {
    fn from(hit: &Hit) -> Self {
        Self {
            id: hit.id.clone(),
            counts: PixelCounts {
                pixels: hit.pixels,
                in_footprint: hit.pixels_in_footprint,
                valid: hit.pixels_valid,
                mask: hit.mask,
            },
            bytes: hit.bytes,
        }
    }
}

impl Hit {
    /// Builds a hit from a split's metadata, its stored files and its owners.
    pub fn new(meta: &SplitMeta, bbox: [f64; 4], files: &[FileEntry], owners: Vec<String>) -> Self {
        let asset = |file: &FileEntry| {
            let grid = meta.assets.iter().find(|a| a.name == file.name);
            let asset = Asset {
                href: asset_href(&meta.id, &file.name),
                bytes: file.bytes,
                blake3: file.blake3.clone(),
                resolution_m: grid.map_or(0.0, |g| g.resolution_m),
                width: grid.map_or(0, |g| g.width),
                height: grid.map_or(0, |g| g.height),
            };
            (file.name.clone(), asset)
        };
        Self {
            id: meta.id.clone(),
            collection: meta.id.collection().to_owned(),
            dataset: meta.dataset.clone(),
            scene: meta.id.scene().to_owned(),
            geocode: meta.geocode.to_string(),
            scheme: meta.geocode.scheme(),
            placement_key: meta.placement_key.clone(),
            bbox,
            acquired: meta.acquired,
            cloud_cover: meta.counts.cloud().map(|c| c * 100.0),
            pixel_coverage: meta.counts.coverage() * 100.0,
            pixels: meta.counts.pixels,
            pixels_in_footprint: meta.counts.in_footprint,
            pixels_valid: meta.counts.valid,
            mask: meta.counts.mask,
            cloud_source: meta.cloud_source.clone(),
            bands: meta.bands.iter().map(without_histogram).collect(),
            bytes: files.iter().map(|f| f.bytes).sum(),
            owners,
            assets: files.iter().map(asset).collect(),
        }
    }
}

/// A hit lists bands; how their values are spread stands in the split's metadata.
fn without_histogram(band: &BandMeta) -> BandMeta {
    let mut band = band.clone();
    if let Some(stats) = &mut band.stats {
        stats.histogram = None;
    }
    band
}

/// Returns the path and query of one asset below a node's HTTP address.
///
/// Ids and asset names hold only characters that a query string carries unescaped.
pub fn asset_href(id: &SplitId, asset: &str) -> String {
    format!("/v1/split/asset?id={id}&asset={asset}")
}
