//! Golden JSON of every type on the wire: old bytes keep reading, new bytes are the same.
//!
//! `GLEBE_BLESS=1` writes the file of a type that has none; an existing file is never rewritten,
//! since someone out there may send exactly these bytes.
//!
//! *Invariants*: reading ignores fields that it does not know.
//!
//! *Not here*: bundles (`bundles`), files at rest (earth, node).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use earth::geocode::{Geocode, Scheme};
use earth::split::collection::Collection;
use earth::split::meta::{BandMeta, BandStats, MaskCounts, PixelCounts, SampleType, SplitId};
use earth::split::placement::{PlacementKey, PlacementRule};
use query::{Query, Range, SortKey, SortOrder, TimeRange};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wire::bundle::{BundleHeader, Kind};
use wire::cluster::{
    BytesByPurpose, ClusterView, NodeState, NodeStatus, NodeView, Status, VerifyReport,
};
use wire::collection::{CollectionDeleted, Collections};
use wire::event::{Event, Progress, SplitStored};
use wire::fault::{Fault, FaultKind};
use wire::hit::{Asset, FileEntry, Hit, KnownSplit, KnownSplits};
use wire::ledger::{Ledger, Outcome};
use wire::model::{Metrics, ModelView, Models};
use wire::object::{PutAck, PutOutcome, PutParams, Rebuilt};
use wire::run::{
    Failure, Hyper, JobCounts, JobState, JobView, Lease, LeaseAnswer, LeaseRequest, LeaseSplit,
    Mode, Plan, Renew, Run, RunCancelled, RunSummary, RunView, Runs,
};
use wire::search::{Asked, EmptyReason, SearchEnd, SearchLine, SearchRequest};

/// Checks a value against its file, in both directions.
fn check<T>(name: &str, value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = folder.join(name).with_extension("json");
    let text = serde_json::to_string_pretty(value).expect("wire types are JSON") + "\n";
    if std::env::var_os("GLEBE_BLESS").is_some() && !path.exists() {
        std::fs::write(&path, &text).expect("the golden folder is writable");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        golden,
        text,
        "{name}: other bytes than those in {}",
        path.display()
    );
    let read: T = serde_json::from_str(&golden).expect("golden bytes are read");
    assert_eq!(&read, value, "{name}");
    let mut grown: Value = serde_json::from_str(&golden).expect("golden bytes are JSON");
    grow(&mut grown);
    let read: T = serde_json::from_value(grown).expect("unknown fields are ignored");
    assert_eq!(&read, value, "{name} with fields of a later version");
}

/// Adds a field that nobody knows to every object with several fields: those of one field may be
/// variants, which a later version does not grow.
fn grow(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(grow),
        Value::Object(fields) => {
            fields.values_mut().for_each(grow);
            let is_map = fields
                .keys()
                .any(|key| key.contains('.') || key.starts_with("12D3"));
            if fields.len() > 1 && !is_map {
                fields.insert("added_later".to_owned(), Value::from(1));
            }
        }
        _ => {}
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn id() -> SplitId {
    SplitId::parse("sentinel-2-l2a/S2A_T29UNU~gc7x3").expect("an id")
}

fn key() -> PlacementKey {
    let cell = Geocode::parse(Scheme::Geohash, "gc7x3").expect("a geohash");
    PlacementRule::Whole.key(&cell)
}

fn counts() -> PixelCounts {
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

fn file() -> FileEntry {
    FileEntry {
        name: "r10.tif".to_owned(),
        bytes: 4_096,
        blake3: "ab".repeat(32),
    }
}

fn band() -> BandMeta {
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
        }),
    }
}

fn hit() -> Hit {
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
        bands: vec![band()],
        bytes: 4_096,
        owners: texts(&["12D3KooWa", "12D3KooWb"]),
        assets: BTreeMap::from([("r10.tif".to_owned(), asset)]),
    }
}

fn query_of_everything() -> Query {
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
        sort: vec![SortOrder {
            key: SortKey::Cloud,
            descending: true,
        }],
        limit: Some(10),
    }
}

fn collection() -> Collection {
    Collection {
        name: "naip".to_owned(),
        dataset: "naip".to_owned(),
        scheme: Scheme::QuadTile,
        precision: 13,
        placement: PlacementRule::First(4),
    }
}

fn ledger(outcome: Outcome) -> Ledger {
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
    }
}

fn metrics() -> Metrics {
    Metrics {
        val_mse: 0.001,
        val_mae: 0.02,
        mean_mse: 0.05,
        linear_mse: 0.004,
        chips_train: 300,
        chips_val: 100,
        epochs_best: 12,
        epochs: 20,
    }
}

fn run() -> Run {
    Run {
        name: "r1".to_owned(),
        recipe: "ndvi-cnn".to_owned(),
        query: Query::default(),
        mode: Mode::Partitioned,
        hyper: Hyper::default(),
        seed: 7,
    }
}

fn renew() -> Renew {
    Renew {
        run: "r1".to_owned(),
        geocode: "9xj5k".to_owned(),
        token: 3,
    }
}

fn job() -> JobView {
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
    }
}

#[test]
fn the_cluster_keeps_its_form() {
    let node = NodeView {
        id: "12D3KooWa".to_owned(),
        http: "http://127.0.0.1:7480".to_owned(),
        p2p: "127.0.0.1:7481".to_owned(),
        state: NodeState::Up,
        host_label: Some("rack1".to_owned()),
    };
    check(
        "cluster-view",
        &ClusterView {
            version: 2,
            parent: 1,
            replicas: 2,
            nodes: vec![node],
            slots: vec![vec![0], vec![0, 1]],
        },
    );
    let sent = BytesByPurpose {
        gossip: 1,
        put: 2,
        repair: 3,
        query: 4,
        pixels: 5,
        model: 6,
        gradient: 7,
    };
    let row = NodeStatus {
        id: "12D3KooWa".to_owned(),
        http: "unix:.glebe/node.sock".to_owned(),
        state: NodeState::Suspect,
        splits: 10,
        splits_primary: 5,
        models: 2,
        bytes: 4_096,
        slots: 16_384,
        jobs_running: 1,
        sent,
    };
    check(
        "status",
        &Status {
            version: 2,
            replicas: 2,
            nodes: vec![row],
            splits: 5,
            bytes: 8_192,
            models: 1,
            bytes_by_purpose: sent,
            runs_active: 1,
            complete: true,
        },
    );
    check(
        "verify-report",
        &VerifyReport {
            objects: 3,
            replicas_checked: 6,
            problems: texts(&["split naip/m_47~9xj5k: one replica is missing"]),
            problems_total: 1,
            complete: true,
        },
    );
}

#[test]
fn a_fault_keeps_its_form() {
    let fault = Fault::new(FaultKind::Refused, "the port is in use")
        .because("127.0.0.1:7480 is taken")
        .try_("glebe up --http 127.0.0.1:0");
    check("fault", &fault);
    check(
        "fault-bare",
        &Fault::new(FaultKind::Nothing, "nothing matched"),
    );
}

#[test]
fn a_search_keeps_its_form() {
    check(
        "search-request",
        &SearchRequest {
            query: query_of_everything(),
        },
    );
    check("search-request-empty", &SearchRequest::default());
    check("search-line-hit", &SearchLine::Hit(Box::new(hit())));
    let mask = counts().mask;
    check(
        "search-line-hit-mask",
        &SearchLine::Hit(Box::new(Hit { mask, ..hit() })),
    );
    let asked = Asked {
        node: "12D3KooWa".to_owned(),
        slots: 8_192,
        index: "geocode".to_owned(),
        rows_estimated: 10,
        rows_read: 9,
        hits: 0,
        millis: 0.25,
        error: Some("timed out".to_owned()),
    };
    let empty = EmptyReason {
        splits: 12,
        predicate: Some("--max-cloud".to_owned()),
        others_match: 3,
        nearest: Some("4".to_owned()),
    };
    check(
        "search-line-end",
        &SearchLine::End(SearchEnd {
            hits: 0,
            complete: false,
            missing_slots: vec![1, 16_383],
            layout_version: 2,
            asked: vec![asked],
            slots_asked: 16_384,
            empty: Some(empty),
            millis: 1.5,
        }),
    );
}

#[test]
fn objects_and_collections_keep_their_form() {
    check(
        "bundle-header",
        &BundleHeader {
            kind: Kind::Split,
            id: id().to_string(),
            placement_key: key(),
            files: vec![file()],
        },
    );
    check(
        "put-ack",
        &PutAck {
            kind: Kind::Model,
            id: "r1/9xj5k".to_owned(),
            outcome: PutOutcome::Kept,
            acked_by: texts(&["12D3KooWa", "12D3KooWb"]),
            standins: texts(&["12D3KooWb"]),
            bytes: 4_096,
        },
    );
    check("put-params", &PutParams::publish(&renew()));
    check("rebuilt", &Rebuilt { objects: 3 });
    check(
        "collections",
        &Collections {
            collections: vec![collection()],
        },
    );
    check(
        "collection-deleted",
        &CollectionDeleted {
            splits: 3,
            bytes: 4_096,
            dry_run: true,
        },
    );
    let known = KnownSplit {
        id: id(),
        counts: counts(),
        bytes: 4_096,
    };
    check(
        "known-splits",
        &KnownSplits {
            splits: vec![known],
            complete: true,
        },
    );
    check("ledger", &ledger(Outcome::Done));
    let reason = "the file is cut off".to_owned();
    check("ledger-failed", &ledger(Outcome::Failed { reason }));
}

#[test]
fn runs_jobs_and_leases_keep_their_form() {
    check("run", &run());
    let plan = Plan {
        splits: 40,
        jobs: 10,
        jobs_by_node: BTreeMap::from([("12D3KooWa".to_owned(), 10)]),
        bytes_moved: 0,
        complete: true,
    };
    check("plan", &plan);
    let summary = RunSummary {
        name: "r1".to_owned(),
        recipe: "ndvi-cnn".to_owned(),
        mode: Mode::Distributed,
        seed: 7,
        jobs: JobCounts {
            waiting: 1,
            running: 2,
            done: 3,
            quarantined: 4,
            cancelled: 5,
        },
    };
    check(
        "runs",
        &Runs {
            runs: vec![summary],
            complete: true,
        },
    );
    check(
        "run-view",
        &RunView {
            run: run(),
            jobs: vec![job()],
            complete: true,
        },
    );
    check("run-cancelled", &RunCancelled { jobs: 2 });
    check(
        "lease-request",
        &LeaseRequest {
            worker: "host-1".to_owned(),
            run: Some("r1".to_owned()),
        },
    );
    let lease = Lease {
        token: 3,
        expires_millis: 30_000,
        run: run(),
        geocode: "9xj5k".to_owned(),
        placement_key: key(),
        splits: vec![LeaseSplit {
            id: id(),
            folder: "objects/split/0001/x".into(),
        }],
    };
    check("lease-answer-job", &LeaseAnswer::Job(Box::new(lease)));
    check("lease-answer-wait", &LeaseAnswer::Wait { millis: 500 });
    check("lease-answer-finished", &LeaseAnswer::Finished);
    check("renew", &renew());
    check(
        "failure",
        &Failure {
            lease: renew(),
            reason: "no chips are left".to_owned(),
            hopeless: true,
        },
    );
}

#[test]
fn models_keep_their_form() {
    let model = ModelView {
        run: "r1".to_owned(),
        geocode: "9xj5k".to_owned(),
        scheme: Scheme::Geohash,
        recipe: "ndvi-cnn".to_owned(),
        metrics: metrics(),
        splits: 4,
        seconds: 1.5,
        bytes: 4_096,
        hash: "ef".repeat(32),
        owners: texts(&["12D3KooWa"]),
        files: vec![file()],
    };
    check(
        "models",
        &Models {
            models: vec![model],
            complete: true,
        },
    );
}

#[test]
fn events_keep_their_form() {
    check(
        "event-begin",
        &Event::Begin {
            scenes: 2,
            dry_run: false,
        },
    );
    check(
        "event-scene-started",
        &Event::SceneStarted {
            scene: "m_47".to_owned(),
            cells: 12,
            bytes: 123_456,
        },
    );
    check(
        "event-split",
        &Event::Split(SplitStored {
            id: id().to_string(),
            geocode: "gc7x3".to_owned(),
            new: true,
            bytes: 4_096,
            cloud_cover: None,
            pixel_coverage: 80.0,
        }),
    );
    let scene = "m_47".to_owned();
    let done = ledger(Outcome::Done);
    check(
        "event-skipped",
        &Event::Skipped {
            scene,
            ledger: done.clone(),
        },
    );
    check(
        "event-scene-done",
        &Event::SceneDone {
            ledger: done,
            seconds: 2.5,
        },
    );
    check(
        "event-scene-failed",
        &Event::SceneFailed {
            source: "m_47.zip".to_owned(),
            fault: Fault::new(FaultKind::Data, "the file is cut off"),
        },
    );
    check(
        "event-progress",
        &Event::Progress(Progress {
            scenes: 1,
            cells: 6,
            cells_total: 12,
            pixels: 1_000,
            bytes: 4_096,
            seconds: 1.5,
        }),
    );
}

#[test]
fn a_run_of_few_words_has_defaults_for_the_rest() {
    let few = r#"{"name":"r1","recipe":"ndvi-cnn","query":{},"seed":7,"hyper":{"epochs":60}}"#;
    assert_eq!(serde_json::from_str::<Run>(few).unwrap(), run());
}
