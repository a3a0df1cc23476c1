//! Small real splits: a few pixels of one band, encoded as ingest encodes them.

use bytes::Bytes;
use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use earth::raster::{Raster, Samples};
use earth::split::codec::encode;
use earth::split::cut::AssetRaster;
use earth::split::meta::{
    BandMeta, META_VERSION, MaskCounts, PixelCounts, SampleType, SplitId, SplitMeta,
};
use earth::split::placement::PlacementRule;
use node::store::{Object, ObjectFile, ObjectKey};
use wire::bundle::Kind;

/// What distinguishes one small split from another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Small {
    /// Scene name.
    pub(crate) scene: &'static str,
    /// Geohash.
    pub(crate) cell: &'static str,
    /// Sensing time.
    pub(crate) acquired: &'static str,
    /// Cloudy pixels of a hundred judged; `None` without a mask.
    pub(crate) cloudy: Option<u64>,
    /// Valid pixels of a hundred.
    pub(crate) valid: u64,
}

/// Name of the collection that small splits belong to.
pub(crate) const COLLECTION: &str = "small";

/// Returns the object of a small split.
pub(crate) fn split(small: &Small) -> Object {
    split_of(COLLECTION, small)
}

/// Returns the object of a small split of another collection.
pub(crate) fn split_of(collection: &str, small: &Small) -> Object {
    let geocode = Geocode::parse(Scheme::Geohash, small.cell).unwrap();
    let grid = Grid::of(&geocode, 60.0).unwrap();
    let count = usize::try_from(grid.pixels()).unwrap();
    let samples: Vec<u16> = (1..=count)
        .map(|i| u16::try_from(i % 4_000).unwrap())
        .collect();
    let raster = Raster::new(grid.width(), grid.height(), Samples::U16(samples)).unwrap();
    let assets = vec![AssetRaster {
        name: "r60.tif".to_owned(),
        resolution_m: 60.0,
        grid,
        fill: Some(0.0),
        rasters: vec![raster],
    }];
    let encoded = encode(meta(collection, small, geocode), &assets).unwrap();
    let file = |(name, bytes): (String, Vec<u8>)| ObjectFile {
        name,
        bytes: Bytes::from(bytes),
    };
    Object {
        key: ObjectKey::new(Kind::Split, encoded.meta.id.as_str()),
        placement_key: encoded.meta.placement_key.clone(),
        files: encoded.files.into_iter().map(file).collect(),
    }
}

fn meta(collection: &str, small: &Small, geocode: Geocode) -> SplitMeta {
    let mask = small.cloudy.map(|cloudy| MaskCounts {
        valid: 100,
        cloudy,
        shadow: None,
        snow: None,
    });
    SplitMeta {
        version: META_VERSION,
        id: SplitId::new(collection, small.scene, &geocode).unwrap(),
        dataset: "generic".to_owned(),
        platform: None,
        geocode,
        placement_key: PlacementRule::Whole.key(&geocode),
        acquired: small.acquired.parse().unwrap(),
        assets: Vec::new(),
        bands: vec![band()],
        counts: PixelCounts {
            pixels: 100,
            in_footprint: 100,
            valid: small.valid,
            mask,
        },
        cloud_source: None,
        missing_bands: Vec::new(),
        texture: None,
        source_hash: "00".repeat(32),
        software: "glebe test".to_owned(),
    }
}

fn band() -> BandMeta {
    BandMeta {
        name: "B1".to_owned(),
        common: None,
        centre_nm: None,
        asset: "r60.tif".to_owned(),
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

/// Returns a few splits of two scenes that differ in everything that can be asked for.
pub(crate) fn splits() -> Vec<Object> {
    let small = |scene, cell, acquired, cloudy, valid| {
        split(&Small {
            scene,
            cell,
            acquired,
            cloudy,
            valid,
        })
    };
    vec![
        small("s1", "9xj5k1", "2019-07-01T10:00:00Z", Some(0), 100),
        small("s1", "9xj5k2", "2019-07-01T10:00:00Z", Some(10), 100),
        small("s1", "9xj5m1", "2019-07-01T10:00:00Z", Some(100), 50),
        small("s2", "9xj5k1", "2019-08-01T10:00:00.5Z", None, 100),
        small("s2", "u2ed12", "2019-08-01T10:00:00.5Z", Some(40), 7),
    ]
}
