//! An embedded store over its socket: the whole HTTP interface, holder and attached.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use bytes::Bytes;
use earth::geocode::Scheme;
use earth::split::collection::Collection;
use earth::split::meta::SplitId;
use earth::split::placement::{PlacementKey, PlacementRule};
use futures::StreamExt;
use node::embedded::{Embedded, open};
use node::store::Object;
use query::Query;
use wire::bundle::{Bundle, Kind};
use wire::client::{Client, collect};
use wire::fault::FaultKind;
use wire::ledger::{Ledger, Outcome};
use wire::object::{PutOutcome, PutParams};
use wire::params::{ModelFileParams, ModelsParams};
use wire::run::{Failure, JobState, LeaseAnswer, LeaseRequest, Renew, Run};
use wire::search::{SearchEnd, SearchLine, SearchRequest};

use crate::fixture::{COLLECTION, Small, split_of, splits};

/// More than any file here.
const BYTES_MAX: usize = 1 << 20;

fn bundle(object: &Object) -> Bundle {
    let files = object.files.iter();
    let files = files.map(|f| (f.name.clone(), f.bytes.clone())).collect();
    let placement = object.placement_key.clone();
    Bundle::new(object.key.kind, object.key.id.clone(), placement, files).unwrap()
}

fn small() -> Collection {
    Collection {
        name: COLLECTION.to_owned(),
        dataset: "generic".to_owned(),
        scheme: Scheme::Geohash,
        precision: 6,
        placement: PlacementRule::Whole,
    }
}

/// Opens a store and fills it with the small splits.
async fn filled(dir: &Path) -> Embedded {
    let embedded = open(dir).await.unwrap();
    let client = embedded.client();
    client.create_collection(&small()).await.unwrap();
    for split in splits() {
        let ack = client
            .put(&bundle(&split), &PutParams::default())
            .await
            .unwrap();
        assert_eq!(ack.outcome, PutOutcome::New);
        assert_eq!(ack.acked_by, ["embedded"]);
    }
    embedded
}

async fn search(client: &Client, query: Query) -> (Vec<String>, SearchEnd) {
    let mut lines = client.search(&SearchRequest { query }).await.unwrap();
    let mut ids = Vec::new();
    while let Some(line) = lines.next().await {
        match line.unwrap() {
            SearchLine::Hit(hit) => ids.push(hit.id.to_string()),
            SearchLine::End(end) => return (ids, end),
        }
    }
    panic!("the last line is the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn splits_are_put_found_and_read_over_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = filled(dir.path()).await;
    let client = embedded.client();
    let (ids, end) = search(client, Query::default()).await;
    assert_eq!(ids.len(), 5);
    assert!(end.complete, "{end:?}");
    for split in splits() {
        let id = SplitId::parse(&split.key.id).unwrap();
        assert_eq!(client.split(&id).await.unwrap().id, id);
        let bytes = client.asset(&id, "r60.tif").await.unwrap();
        assert_eq!(
            collect(bytes, BYTES_MAX).await.unwrap(),
            split.files[0].bytes
        );
        let again = client
            .put(&bundle(&split), &PutParams::default())
            .await
            .unwrap();
        assert_eq!(again.outcome, PutOutcome::Same);
    }
    let known = client.known_splits(COLLECTION, "s1").await.unwrap();
    assert_eq!((known.splits.len(), known.complete), (3, true));
    let cloudy: u64 = known
        .splits
        .iter()
        .map(|k| k.counts.mask.unwrap().cloudy)
        .sum();
    assert_eq!(cloudy, 110);
    let missing = SplitId::parse("small/s9~9xj5k1").unwrap();
    let fault = client.split(&missing).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Nothing);
    let status = client.status().await.unwrap();
    assert_eq!((status.splits, status.complete), (5, true));
    assert_eq!(client.cluster().await.unwrap().slots.len(), 16_384);
    let verified = client.verify().await.unwrap();
    assert_eq!(
        (verified.objects, verified.problems_total),
        (6, 0),
        "{verified:?}"
    );
    let rebuild = async |dry_run: bool| {
        let params = wire::params::RebuildParams { dry_run };
        client.rebuild_index(&params).await.unwrap()
    };
    let would = rebuild(true).await;
    assert!(
        would.dry_run && would.slots > 0 && would.bytes > 0,
        "{would:?}"
    );
    assert_eq!((would.objects, rebuild(false).await.objects), (6, 6));
    client.ready().await.unwrap();
    embedded.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_says_which_predicate_emptied_it() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = filled(dir.path()).await;
    // Shares are 0, 10, 40 and 100 percent: three lie below, one above.
    let query = Query {
        cloud: query::Range {
            min: Some(50.0),
            max: Some(60.0),
        },
        ..Query::default()
    };
    let (ids, end) = search(embedded.client(), query).await;
    assert!(ids.is_empty());
    let empty = end.empty.unwrap();
    assert_eq!(empty.predicate.as_deref(), Some("--min-cloud"));
    assert_eq!(empty.nearest.as_deref(), Some("40"));
    embedded.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_and_ledgers_are_kept_and_another_of_the_same_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = filled(dir.path()).await;
    let client = embedded.client();
    assert_eq!(client.create_collection(&small()).await.unwrap(), small());
    let other = Collection {
        precision: 4,
        ..small()
    };
    let fault = client.create_collection(&other).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert_eq!(client.collections().await.unwrap().collections, [small()]);
    let ledger = Ledger {
        collection: COLLECTION.to_owned(),
        scene: "s1".to_owned(),
        source: "s1.tif".to_owned(),
        source_hash: "00".repeat(32),
        source_bytes: 1,
        outcome: Outcome::Done,
        cells: 3,
        splits: 3,
        cells_empty: 0,
        bytes: 1,
        counts: earth::split::meta::PixelCounts::default(),
        missing_bands: Vec::new(),
        notes: Vec::new(),
    };
    let text = Bytes::from(serde_json::to_vec(&ledger).unwrap());
    let placement = PlacementKey::named("ledger", "small/s1");
    let files = vec![("ledger.json".to_owned(), text)];
    let bundle = Bundle::new(Kind::Ledger, "small/s1", placement, files).unwrap();
    client.put(&bundle, &PutParams::default()).await.unwrap();
    assert_eq!(
        client.ledger(COLLECTION, "s1").await.unwrap(),
        Some(ledger.clone())
    );
    assert_eq!(client.ledger(COLLECTION, "s2").await.unwrap(), None);
    assert_eq!(client.ledgers(Some(COLLECTION)).await.unwrap(), [ledger]);
    assert!(client.ledgers(Some("other")).await.unwrap().is_empty());
    let plan = client.delete_collection(COLLECTION, true).await.unwrap();
    assert_eq!((plan.splits, plan.dry_run), (5, true));
    assert_eq!(search(client, Query::default()).await.0.len(), 5);
    client.delete_collection(COLLECTION, false).await.unwrap();
    assert_eq!(search(client, Query::default()).await.0.len(), 0);
    assert_eq!(client.status().await.unwrap().bytes, 0);
    embedded.close().await;
}

fn run(name: &str) -> Run {
    let query = Query {
        geocodes: vec!["9xj5k".to_owned()],
        ..Query::default()
    };
    Run::new(name, "ndvi-cnn", query)
}

fn model(lease: &Renew, placement: PlacementKey) -> Bundle {
    let config = format!(
        r#"{{"run":"{}","geocode":"{}","scheme":"geohash","recipe":"ndvi-cnn","splits":1,
        "seconds":1.5,"metrics":{{"val_mse":0.1,"val_mae":0.2,"mean_mse":0.3,"linear_mse":0.4,
        "chips_train":5,"chips_val":6,"epochs_best":7,"epochs":8}}}}"#,
        lease.run, lease.geocode
    );
    let weights = format!("weights of token {}", lease.token);
    let files = vec![
        ("config.json".to_owned(), Bytes::from(config)),
        ("model.safetensors".to_owned(), Bytes::from(weights)),
    ];
    let id = format!("{}/{}", lease.run, lease.geocode);
    Bundle::new(Kind::Model, id, placement, files).unwrap()
}

async fn lease(client: &Client, run: &str) -> Option<(Renew, PlacementKey, usize)> {
    let request = LeaseRequest {
        worker: "test".to_owned(),
        run: Some(run.to_owned()),
    };
    match client.lease(&request).await.unwrap() {
        LeaseAnswer::Job(lease) => {
            for split in &lease.splits {
                assert!(split.folder.join("r60.tif").is_file(), "{split:?}");
            }
            let renew = Renew {
                run: lease.run.name.clone(),
                geocode: lease.geocode.clone(),
                token: lease.token,
            };
            Some((renew, lease.placement_key.clone(), lease.splits.len()))
        }
        LeaseAnswer::Wait { .. } | LeaseAnswer::Finished => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_s_run_with_transfer_is_refused_whoever_asks() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = filled(dir.path()).await;
    let mut wrong = run("r");
    wrong.recipe = "exec:forest".to_owned();
    wrong.transfer.mode = wire::transfer::TransferMode::Texture;
    for dry_run in [true, false] {
        let fault = embedded.client().start_run(&wrong, dry_run).await;
        let fault = fault.unwrap_err();
        assert_eq!(fault.kind, wire::fault::FaultKind::Usage, "{fault}");
        assert!(fault.what.starts_with("--transfer is for"), "{fault}");
    }
    assert!(embedded.client().runs().await.unwrap().runs.is_empty());
    embedded.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_planned_leased_published_and_its_models_listed() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = filled(dir.path()).await;
    let client = embedded.client();
    let plan = client.start_run(&run("r"), true).await.unwrap();
    assert_eq!((plan.splits, plan.jobs, plan.bytes_moved), (3, 2, 0));
    assert!(
        client.runs().await.unwrap().runs.is_empty(),
        "it was a dry run"
    );
    client.start_run(&run("r"), false).await.unwrap();
    let (first, placement, count) = lease(client, "r").await.unwrap();
    assert_eq!((first.geocode.as_str(), count), ("9xj5k1", 2));
    let (second, ..) = lease(client, "r").await.unwrap();
    client.renew(&first).await.unwrap();
    let stale = Renew {
        token: first.token + 100,
        ..first.clone()
    };
    let stale_model = model(&stale, placement.clone());
    let fault = client.put(&stale_model, &PutParams::publish(&stale)).await;
    assert_eq!(fault.unwrap_err().kind, FaultKind::Refused);
    let published = model(&first, placement);
    client
        .put(&published, &PutParams::publish(&first))
        .await
        .unwrap();
    assert!(client.renew(&first).await.is_err(), "its job has ended");
    let failure = Failure {
        lease: second,
        reason: "no chips".to_owned(),
        hopeless: true,
        dropped: None,
    };
    client.fail(&failure).await.unwrap();
    assert!(lease(client, "r").await.is_none());
    let view = client.run("r").await.unwrap();
    let states: Vec<JobState> = view.jobs.iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Done, JobState::Quarantined]);
    let counted = client.run_counted("r").await.unwrap();
    assert!(counted.complete && counted.jobs.is_empty());
    assert_eq!(counted.counts, Some(view.counted()));
    assert_eq!(
        (counted.counted().total(), counted.counted().ended()),
        (2, 2)
    );
    let none = client.run_counted("nobodys").await.unwrap_err();
    assert_eq!(none.kind, FaultKind::Nothing);
    let listed = client.models(&ModelsParams::default()).await.unwrap();
    assert_eq!((listed.models.len(), listed.complete), (1, true));
    assert_eq!(listed.models[0].metrics.epochs, 8);
    let file = ModelFileParams {
        run: "r".to_owned(),
        geocode: "9xj5k1".to_owned(),
        name: "model.safetensors".to_owned(),
    };
    let bytes = client.model_file(&file).await.unwrap();
    assert_eq!(collect(bytes, BYTES_MAX).await.unwrap(), published.files[1]);
    embedded.close().await;
    let again = open(dir.path()).await.unwrap();
    let view = again.client().run("r").await.unwrap();
    let states: Vec<JobState> = view.jobs.iter().map(|job| job.state).collect();
    assert_eq!(
        states,
        [JobState::Done, JobState::Quarantined],
        "kept over a restart"
    );
    again.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_whole_though_a_collection_was_added_after_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = filled(dir.path()).await;
    let client = embedded.client();
    client.start_run(&run("r"), false).await.unwrap();
    let late = Collection {
        name: "late".to_owned(),
        precision: 5,
        ..small()
    };
    client.create_collection(&late).await.unwrap();
    let split = split_of(
        "late",
        &Small {
            scene: "s3",
            cell: "9xj5k",
            acquired: "2019-09-01T10:00:00Z",
            cloudy: None,
            valid: 100,
        },
    );
    let (late, params) = (bundle(&split), PutParams::default());
    client.put(&late, &params).await.unwrap();
    let view = client.run("r").await.unwrap();
    assert_eq!(
        (view.complete, view.jobs.len()),
        (true, 2),
        "whoever waits for the run waits for its own cells"
    );
    let plan = client.start_run(&run("s"), false).await.unwrap();
    assert_eq!(plan.jobs, 3, "a run that begins now is of both");
    let none = Run {
        query: Query {
            collections: vec!["nothing".to_owned()],
            ..Query::default()
        },
        ..run("t")
    };
    let fault = client.start_run(&none, false).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Nothing);
    assert!(client.run("t").await.is_err(), "it could never have a cell");
    embedded.close().await;
}

/// Its definition stayed, so that the corrected command was refused, and nothing ever ended it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nothing_matches_keeps_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = filled(dir.path()).await;
    let client = embedded.client();
    let mistaken = Run {
        query: Query {
            geocodes: vec!["zzzzz".to_owned()],
            ..Query::default()
        },
        ..run("r")
    };
    let fault = client.start_run(&mistaken, false).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Nothing, "{fault}");
    assert!(fault.try_.is_some(), "{fault}");
    assert!(client.runs().await.unwrap().runs.is_empty());
    let plan = client.start_run(&run("r"), false).await.unwrap();
    assert_eq!(plan.jobs, 2, "the corrected command has its name");
    embedded.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_attaches_and_the_holder_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let holder = filled(dir.path()).await;
    let attached = open(dir.path()).await.unwrap();
    assert!(holder.is_holder() && !attached.is_holder());
    assert_eq!(search(attached.client(), Query::default()).await.0.len(), 5);
    let mut leaving = tokio::spawn(holder.close());
    tokio::select! {
        biased;
        _ = &mut leaving => panic!("the holder left those attached"),
        found = search(attached.client(), Query::default()) => assert_eq!(found.0.len(), 5),
    }
    attached.close().await;
    leaving.await.unwrap();
    assert!(!dir.path().join("node.sock").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_a_killed_process_left_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("node.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(fs::symlink_metadata(&socket).is_ok());
    let embedded = open(dir.path()).await.unwrap();
    embedded.client().healthy().await.unwrap();
    embedded.close().await;
}
