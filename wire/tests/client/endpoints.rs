//! Each method asks its endpoint, and reads its answer.

use bytes::Bytes;
use earth::geocode::Scheme;
use earth::split::collection::Collection;
use earth::split::meta::SplitId;
use earth::split::placement::{PlacementKey, PlacementRule};
use serde::Serialize;
use wire::bundle::{Bundle, Kind};
use wire::client::{ClientOptions, collect};
use wire::cluster::{Status, VerifyReport};
use wire::collection::{CollectionDeleted, Collections};
use wire::hit::KnownSplits;
use wire::model::{Models, TagsDeleted};
use wire::object::{PutAck, PutOutcome, PutParams, Rebuilt};
use wire::params::{ModelFileParams, ModelsParams, RebuildParams, TagParams};
use wire::run::{
    Failure, Hyper, LeaseAnswer, LeaseRequest, Mode, Packing, Plan, Renew, Run, RunSteered,
    RunView, Runs, Wish,
};

use crate::server::{Served, answer, serve, serve_unix};

async fn served<T: Serialize>(value: &T) -> Served {
    let body = serde_json::to_vec(value).expect("values are JSON");
    serve(answer("200 OK", "application/json", &body)).await
}

async fn served_nothing() -> Served {
    serve(answer("204 No Content", "text/plain", b"")).await
}

fn collection() -> Collection {
    Collection {
        name: "naip".to_owned(),
        dataset: "naip".to_owned(),
        scheme: Scheme::Geohash,
        precision: 5,
        placement: PlacementRule::Whole,
    }
}

fn run() -> Run {
    Run {
        name: "r1".to_owned(),
        recipe: "ndvi-cnn".to_owned(),
        query: query::Query::default(),
        mode: Mode::Partitioned,
        packing: Packing::Sequential,
        hyper: Hyper::default(),
        seed: 7,
        transfer: wire::transfer::Transfer::default(),
        inheritance: None,
        collections: Vec::new(),
        cells: Vec::new(),
        module: None,
    }
}

fn renew() -> Renew {
    Renew {
        run: "r1".to_owned(),
        geocode: "9xj5k".to_owned(),
        token: 3,
    }
}

#[tokio::test]
async fn the_state_of_the_cluster_is_read() {
    let s = served(&Status::default()).await;
    assert_eq!(s.client.status().await, Ok(Status::default()));
    assert_eq!(s.asked().line, "GET /v1/status");
    let s = served(&VerifyReport::default()).await;
    assert_eq!(s.client.verify().await, Ok(VerifyReport::default()));
    assert_eq!(s.asked().line, "GET /v1/verify");
    let s = served_nothing().await;
    assert_eq!(s.client.healthy().await, Ok(()));
    assert_eq!(s.asked().line, "GET /healthz");
    assert_eq!(s.client.ready().await, Ok(()));
    assert_eq!(s.asked().line, "GET /readyz");
    let rebuilt = Rebuilt {
        objects: 3,
        ..Rebuilt::default()
    };
    let s = served(&rebuilt).await;
    let params = RebuildParams { dry_run: true };
    assert_eq!(s.client.rebuild_index(&params).await, Ok(rebuilt));
    assert_eq!(s.asked().line, "POST /v1/repair/rebuild-index?dry_run=true");
}

#[tokio::test]
async fn files_of_splits_and_models_arrive_as_they_are() {
    let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    let s = serve(answer("200 OK", "image/tiff", &bytes)).await;
    let id = SplitId::parse("naip/s1~9xj5k").unwrap();
    let stream = s.client.asset(&id, "r10.tif").await.unwrap();
    assert_eq!(collect(stream, 200_000).await.unwrap(), bytes);
    let line = s.asked().line;
    let decoded = line.replace("%2F", "/").replace("%7E", "~");
    assert_eq!(
        decoded,
        "GET /v1/split/asset?id=naip/s1~9xj5k&asset=r10.tif"
    );
    let file = ModelFileParams {
        run: "r1".to_owned(),
        geocode: "9xj5k".to_owned(),
        name: "config.json".to_owned(),
    };
    let stream = s.client.model_file(&file).await.unwrap();
    assert!(collect(stream, 199_999).await.is_err(), "one byte too many");
    let line = "GET /v1/model/file?run=r1&geocode=9xj5k&name=config.json";
    assert_eq!(s.asked().line, line);
}

#[tokio::test]
async fn an_object_is_sent_as_its_bundle() {
    let ack = PutAck {
        kind: Kind::Model,
        id: "r1/9xj5k".to_owned(),
        outcome: PutOutcome::New,
        acked_by: vec!["n1".to_owned()],
        standins: vec![],
        bytes: 2,
    };
    let s = served(&ack).await;
    let key = PlacementKey::named("global", "r1");
    let files = vec![("config.json".to_owned(), Bytes::from_static(b"{}"))];
    let bundle = Bundle::new(Kind::Model, "r1/9xj5k", key, files).unwrap();
    let params = PutParams::publish(&renew());
    assert_eq!(s.client.put(&bundle, &params).await, Ok(ack));
    let asked = s.asked();
    let line = "PUT /v1/object?overwrite=false&run=r1&geocode=9xj5k&token=3";
    assert_eq!(asked.line, line);
    assert_eq!(wire::bundle::decode(asked.body.into()).unwrap(), bundle);
    assert!(
        asked
            .headers
            .contains("content-type: application/x-glebe-bundle")
    );
    assert!(
        !asked.headers.contains("transfer-encoding"),
        "{}",
        asked.headers
    );
}

#[tokio::test]
async fn collections_and_ledgers_are_named_in_path_and_query() {
    let s = served(&Collections::default()).await;
    assert_eq!(s.client.collections().await, Ok(Collections::default()));
    let s = served(&collection()).await;
    assert_eq!(
        s.client.create_collection(&collection()).await,
        Ok(collection())
    );
    let asked = s.asked();
    assert_eq!(asked.line, "POST /v1/collections");
    assert_eq!(
        serde_json::from_slice::<Collection>(&asked.body).unwrap(),
        collection()
    );
    let s = served(&CollectionDeleted::default()).await;
    s.client.delete_collection("naip", true).await.unwrap();
    assert_eq!(s.asked().line, "DELETE /v1/collections/naip?dry_run=true");
    let s = served(&KnownSplits::default()).await;
    s.client.known_splits("naip", "m_47").await.unwrap();
    assert_eq!(
        s.asked().line,
        "GET /v1/splits/known?collection=naip&scene=m_47"
    );
    let s = served(&Vec::<u8>::new()).await;
    assert_eq!(s.client.ledgers(None).await, Ok(vec![]));
    assert_eq!(s.asked().line, "GET /v1/ledgers");
    assert_eq!(s.client.ledgers(Some("naip")).await, Ok(vec![]));
    assert_eq!(s.asked().line, "GET /v1/ledgers?collection=naip");
}

#[tokio::test]
async fn runs_are_started_listed_shown_and_cancelled() {
    let s = served(&Plan::default()).await;
    assert_eq!(s.client.start_run(&run(), true).await, Ok(Plan::default()));
    let asked = s.asked();
    assert_eq!(asked.line, "POST /v1/runs?dry_run=true");
    assert_eq!(serde_json::from_slice::<Run>(&asked.body).unwrap(), run());
    let s = served(&Runs::default()).await;
    assert_eq!(s.client.runs().await, Ok(Runs::default()));
    let view = RunView {
        run: run(),
        jobs: vec![],
        complete: true,
        counts: None,
    };
    let s = served(&view).await;
    assert_eq!(s.client.run("r1").await, Ok(view.clone()));
    assert_eq!(s.asked().line, "GET /v1/runs/r1");
    let s = served(&view).await;
    assert_eq!(s.client.run_counted("r1").await, Ok(view));
    assert_eq!(s.asked().line, "GET /v1/runs/r1?jobs=false");
    let s = served(&RunSteered { jobs: 2 }).await;
    assert_eq!(
        s.client.steer_run("r1", Wish::Cancel).await,
        Ok(RunSteered { jobs: 2 })
    );
    assert_eq!(s.asked().line, "POST /v1/runs/r1/cancel");
    let s = served(&Models::default()).await;
    let around = ModelsParams {
        lon: Some(-105.5),
        lat: Some(40.25),
        ..ModelsParams::default()
    };
    assert_eq!(s.client.models(&around).await, Ok(Models::default()));
    assert_eq!(s.asked().line, "GET /v1/models?lon=-105.5&lat=40.25");
    let s = served(&TagsDeleted { cells: 1 }).await;
    let of_cell = TagParams {
        tag: "prod".to_owned(),
        geocode: Some("9xj5k".to_owned()),
    };
    let deleted = s.client.delete_tags(&of_cell).await;
    assert_eq!(deleted, Ok(TagsDeleted { cells: 1 }));
    assert_eq!(s.asked().line, "DELETE /v1/tags?tag=prod&geocode=9xj5k");
}

#[tokio::test]
async fn a_worker_leases_renews_and_gives_back() {
    let s = served(&LeaseAnswer::Finished).await;
    let request = LeaseRequest {
        worker: "w".to_owned(),
        run: None,
    };
    assert_eq!(s.client.lease(&request).await, Ok(LeaseAnswer::Finished));
    assert_eq!(s.asked().line, "POST /v1/lease");
    let s = served_nothing().await;
    assert_eq!(s.client.renew(&renew()).await, Ok(()));
    assert_eq!(s.asked().line, "POST /v1/lease/renew");
    let failure = Failure {
        lease: renew(),
        reason: "no chips".to_owned(),
        hopeless: true,
        dropped: None,
    };
    assert_eq!(s.client.fail(&failure).await, Ok(()));
    assert_eq!(s.asked().line, "POST /v1/lease/fail");
}

#[tokio::test]
async fn a_unix_socket_serves_as_well_and_the_token_is_sent_but_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let body = serde_json::to_vec(&Runs::default()).unwrap();
    let options = ClientOptions {
        token: Some(wire::access::Secret::new("secret")),
        ..ClientOptions::default()
    };
    let bytes = answer("200 OK", "application/json", &body);
    let s = serve_unix(&folder.path().join("node.sock"), bytes, options).await;
    assert_eq!(s.client.runs().await, Ok(Runs::default()));
    assert!(s.asked().headers.contains("authorization: bearer secret"));
    assert!(!format!("{:?}", s.client).contains("secret"));
}
