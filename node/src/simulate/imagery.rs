//! Splits for simulated clusters: real ones, encoded as ingest encodes them, of a few pixels.
//!
//! *Invariants*: made once a process, for all clusters; the same everywhere.
//!
//! *Not here*: synthetic scenes for people (ingest).

use std::sync::OnceLock;

use bytes::Bytes;
use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use earth::raster::{Raster, Samples};
use earth::split::codec::encode;
use earth::split::collection::Collection;
use earth::split::cut::AssetRaster;
use earth::split::meta::{
    BandMeta, META_VERSION, MaskCounts, PixelCounts, SampleType, SplitId, SplitMeta,
};
use earth::split::placement::{PlacementKey, PlacementRule};
use jiff::Timestamp;
use wire::bundle::Kind;

use crate::store::{Object, ObjectFile, ObjectKey};

/// Name of the collection that all of them belong to.
const COLLECTION: &str = "drill";
/// Name of a split's one file.
pub(super) const FILE: &str = "r60.tif";
/// Splits there are: more than a drill of a minute puts.
pub(super) const SPLITS: usize = 96;
/// Pixels of each, as counted; what they are is nobody's concern here.
const PIXELS: u64 = 100;
/// Digits of a geohash.
const DIGITS: &[u8] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// The splits, and the collection they belong to.
pub(super) struct Imagery {
    pub collection: Object,
    pub splits: Vec<Object>,
}

/// Returns the splits; `None` if they cannot be encoded, which the tests of `earth` rule out.
pub(super) fn imagery() -> Option<&'static Imagery> {
    static MADE: OnceLock<Option<Imagery>> = OnceLock::new();
    MADE.get_or_init(make).as_ref()
}

fn make() -> Option<Imagery> {
    let splits: Option<Vec<Object>> = (0..SPLITS).map(split).collect();
    Some(Imagery {
        collection: collection()?,
        splits: splits?,
    })
}

fn collection() -> Option<Object> {
    let collection = Collection {
        name: COLLECTION.to_owned(),
        dataset: "generic".to_owned(),
        scheme: Scheme::Geohash,
        precision: 6,
        placement: PlacementRule::Whole,
    };
    Some(Object {
        key: ObjectKey::new(Kind::Collection, COLLECTION),
        placement_key: PlacementKey::named("collection", COLLECTION),
        files: vec![ObjectFile {
            name: "collection.json".to_owned(),
            bytes: Bytes::from(serde_json::to_vec(&collection).ok()?),
        }],
    })
}

fn split(i: usize) -> Option<Object> {
    let digit = |n: usize| char::from(DIGITS[n % DIGITS.len()]);
    let cell = format!("9xj{}{}k", digit(i / 7), digit(i * 5));
    let geocode = Geocode::parse(Scheme::Geohash, &cell).ok()?;
    let grid = Grid::of(&geocode, 60.0).ok()?;
    let count = u64::from(grid.width()) * u64::from(grid.height());
    let sample = |p: u64| u16::try_from((p + i as u64) % 4_000 + 1).unwrap_or(1);
    let samples = (0..count).map(sample).collect();
    let raster = Raster::new(grid.width(), grid.height(), Samples::U16(samples)).ok()?;
    let assets = vec![AssetRaster {
        name: FILE.to_owned(),
        resolution_m: 60.0,
        grid,
        fill: Some(0.0),
        rasters: vec![raster],
    }];
    let encoded = encode(meta(i, geocode)?, &assets).ok()?;
    let file = |(name, bytes): (String, Vec<u8>)| ObjectFile {
        name,
        bytes: Bytes::from(bytes),
    };
    Some(Object {
        key: ObjectKey::new(Kind::Split, encoded.meta.id.as_str()),
        placement_key: encoded.meta.placement_key.clone(),
        files: encoded.files.into_iter().map(file).collect(),
    })
}

fn meta(i: usize, geocode: Geocode) -> Option<SplitMeta> {
    Some(SplitMeta {
        version: META_VERSION,
        id: SplitId::new(COLLECTION, &format!("s{i}"), &geocode)?,
        dataset: "generic".to_owned(),
        platform: None,
        geocode,
        placement_key: PlacementRule::Whole.key(&geocode),
        acquired: Timestamp::from_second(1_561_975_200 + 3_600 * i64::try_from(i).ok()?).ok()?,
        assets: Vec::new(),
        bands: vec![band()],
        counts: PixelCounts {
            pixels: PIXELS,
            in_footprint: PIXELS,
            valid: PIXELS,
            mask: Some(MaskCounts {
                valid: PIXELS,
                cloudy: i as u64 % PIXELS,
                shadow: None,
                snow: None,
            }),
        },
        cloud_source: None,
        missing_bands: Vec::new(),
        texture: None,
        source_hash: "00".repeat(32),
        software: "glebe simulate".to_owned(),
    })
}

fn band() -> BandMeta {
    BandMeta {
        name: "B1".to_owned(),
        common: None,
        centre_nm: None,
        asset: FILE.to_owned(),
        index: 0,
        resolution_m: 60.0,
        sample: SampleType::U16,
        fill: Some(0.0),
        scale: 1.0,
        offset: 0.0,
        categorical: false,
        stats: None,
        classes: None,
        class_names: Vec::new(),
    }
}
