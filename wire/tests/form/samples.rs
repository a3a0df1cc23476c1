//! One value of each type that stands inside others.

use std::collections::BTreeMap;

use earth::geocode::{Geocode, Scheme};
use earth::split::collection::Collection;
use earth::split::meta::{BandMeta, BandStats, MaskCounts, PixelCounts, SampleType, SplitId};
use earth::split::placement::{PlacementKey, PlacementRule};
use query::{Query, Range, SortKey, SortOrder, TimeRange};
use wire::hit::{Asset, FileEntry, Hit};
use wire::ledger::{Ledger, Outcome};
use wire::model::Metrics;
use wire::module::{Answer, Loss, Module};
use wire::run::{Hyper, JobState, JobView, Mode, Packing, Renew, Run};

pub(crate) fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

pub(crate) fn id() -> SplitId {
    SplitId::parse("sentinel-2-l2a/S2A_T29UNU~gc7x3").expect("an id")
}

pub(crate) fn key() -> PlacementKey {
    let cell = Geocode::parse(Scheme::Geohash, "gc7x3").expect("a geohash");
    PlacementRule::Whole.key(&cell)
}

pub(crate) fn counts() -> PixelCounts {
    PixelCounts {
        pixels: 1_000,
        in_footprint: 900,
        valid: 800,
        mask: Some(MaskCounts {
            valid: 200,
            cloudy: 50,
            shadow: Some(10),
            snow: None,
        }),
    }
}

pub(crate) fn file() -> FileEntry {
    FileEntry {
        name: "r10.tif".to_owned(),
        bytes: 4_096,
        blake3: "ab".repeat(32),
    }
}

pub(crate) fn band() -> BandMeta {
    BandMeta {
        name: "B04".to_owned(),
        common: Some("red".to_owned()),
        centre_nm: Some(664.6),
        asset: "r10.tif".to_owned(),
        index: 0,
        resolution_m: 10.0,
        sample: SampleType::U16,
        fill: Some(0.0),
        scale: 0.0001,
        offset: -0.1,
        categorical: false,
        stats: Some(BandStats {
            count: 800,
            min: 1.0,
            max: 9_000.0,
            mean: 1_234.5,
            m2: 1e6,
            histogram: None,
        }),
        classes: None,
        class_names: Vec::new(),
    }
}

pub(crate) fn hit() -> Hit {
    let asset = Asset {
        href: wire::hit::asset_href(&id(), "r10.tif"),
        bytes: 4_096,
        blake3: "ab".repeat(32),
        resolution_m: 10.0,
        width: 480,
        height: 512,
    };
    Hit {
        id: id(),
        collection: "sentinel-2-l2a".to_owned(),
        dataset: "sentinel-2-l2a".to_owned(),
        scene: "S2A_T29UNU".to_owned(),
        geocode: "gc7x3".to_owned(),
        scheme: Scheme::Geohash,
        placement_key: key(),
        bbox: [-7.5, 53.25, -7.25, 53.5],
        acquired: "2019-07-01T11:43:21.024Z".parse().expect("a time"),
        cloud_cover: Some(25.0),
        pixel_coverage: 80.0,
        pixels: 1_000,
        pixels_in_footprint: 900,
        pixels_valid: 800,
        mask: None,
        cloud_source: None,
        bands: vec![band()],
        bytes: 4_096,
        owners: texts(&["12D3KooWa", "12D3KooWb"]),
        assets: BTreeMap::from([("r10.tif".to_owned(), asset)]),
    }
}

pub(crate) fn query_of_everything() -> Query {
    Query {
        collections: texts(&["naip"]),
        datasets: texts(&["naip"]),
        scenes: texts(&["m_47"]),
        ids: texts(&["naip/m_47~9xj5k"]),
        geocodes: texts(&["9xj", "0231"]),
        exact: true,
        bbox: Some(query::text::lon_lat_box("170,-20,-170,-10").expect("a box")),
        intersects: Some(serde_json::json!("{\"type\":\"Polygon\"}")),
        time: TimeRange {
            start: Some("2019-07-01T00:00:00Z".parse().expect("a time")),
            end: None,
        },
        cloud: Range {
            min: None,
            max: Some(10.0),
        },
        coverage: Range {
            min: Some(50.0),
            max: None,
        },
        paired: None,
        sort: vec![SortOrder {
            key: SortKey::Cloud,
            descending: true,
        }],
        limit: Some(10),
    }
}

pub(crate) fn collection() -> Collection {
    Collection {
        name: "naip".to_owned(),
        dataset: "naip".to_owned(),
        scheme: Scheme::QuadTile,
        precision: 13,
        placement: PlacementRule::First(4),
    }
}

pub(crate) fn ledger(outcome: Outcome) -> Ledger {
    Ledger {
        collection: "naip".to_owned(),
        scene: "m_47".to_owned(),
        source: "m_47.zip".to_owned(),
        source_hash: "cd".repeat(32),
        source_bytes: 123_456,
        outcome,
        cells: 12,
        splits: 11,
        cells_empty: 1,
        bytes: 45_056,
        counts: counts(),
        missing_bands: texts(&["B09"]),
        notes: Vec::new(),
    }
}

pub(crate) fn metrics() -> Metrics {
    Metrics {
        val_mse: 0.001,
        val_mae: 0.02,
        mean_mse: 0.05,
        linear_mse: 0.004,
        chips_train: 300,
        chips_val: 100,
        epochs_best: 12,
        epochs: 20,
        val_r2: Some(0.98),
        map: None,
        input: None,
        test: None,
    }
}

/// What runs said before they could hold out a test.
pub(crate) fn older() -> Hyper {
    Hyper {
        validation: 0.25,
        test: 0.0,
        ..Hyper::default()
    }
}

pub(crate) fn run() -> Run {
    Run {
        name: "r1".to_owned(),
        recipe: "ndvi-cnn".to_owned(),
        query: Query::default(),
        mode: Mode::Partitioned,
        packing: Packing::Sequential,
        hyper: older(),
        seed: 7,
        transfer: wire::transfer::Transfer::default(),
        inheritance: None,
        collections: Vec::new(),
        cells: Vec::new(),
        module: None,
    }
}

/// A user's module that learns near infrared.
pub(crate) fn module() -> Module {
    Module {
        blake3: "ab".repeat(32),
        bytes: 4_096,
        inputs: texts(&["red", "green"]),
        label: "nir".to_owned(),
        answer: Answer::Map,
        loss: Loss::Mse,
        classes: None,
    }
}

pub(crate) fn renew() -> Renew {
    Renew {
        run: "r1".to_owned(),
        geocode: "9xj5k".to_owned(),
        token: 3,
    }
}

pub(crate) fn job() -> JobView {
    JobView {
        run: "r1".to_owned(),
        geocode: "9xj5k".to_owned(),
        node: "12D3KooWa".to_owned(),
        state: JobState::Done,
        splits: 4,
        attempts: 2,
        reason: Some("out of memory".to_owned()),
        metrics: Some(metrics()),
        seconds: Some(1.5),
        donor: None,
        no_donor: None,
        descent: None,
        moved: None,
    }
}
