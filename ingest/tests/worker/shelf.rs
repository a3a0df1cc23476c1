//! A node that keeps what is put in memory: the endpoints that ingest uses, and nothing else.
//!
//! *Invariants*: acknowledges as a node does (first content wins unless overwritten); can kill a
//! worker, with SIGKILL, once it has kept so many splits.
//!
//! *Not here*: placement over several nodes, disks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use bytes::Bytes;
use earth::split::codec;
use earth::split::collection::Collection;
use earth::split::meta::SplitMeta;
use wire::bundle::{self, Bundle, Kind};
use wire::cluster::{ClusterView, NodeState, NodeView};
use wire::collection::Collections;
use wire::fault::{Fault, FaultKind};
use wire::hit::{KnownSplit, KnownSplits};
use wire::ledger::Ledger;
use wire::object::{PutAck, PutOutcome, PutParams};
use wire::params::{SceneParams, SplitParams};

/// What the node holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// (kind, id) → bundle.
    pub(crate) objects: BTreeMap<(Kind, String), Bundle>,
    pub(crate) collections: Vec<Collection>,
    /// Puts of splits so far.
    pub(crate) puts: usize,
    /// Kill this process once so many splits are held.
    pub(crate) kill: Option<(usize, rustix::process::Pid)>,
    http: String,
}

type Shared = Arc<Mutex<Held>>;

/// A running node.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) held: Shared,
    pub(crate) http: String,
    _runtime: tokio::runtime::Runtime,
}

impl Shelf {
    /// Serves on a free port.
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let held = Shared::default();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let http = format!("http://{}", listener.local_addr().unwrap());
        held.lock().unwrap().http.clone_from(&http);
        let app = Router::new()
            .route("/v1/cluster", get(cluster))
            .route("/v1/collections", get(collections).post(create))
            .route("/v1/ledger", get(ledger))
            .route("/v1/splits/known", get(known))
            .route("/v1/split", get(split))
            .route("/v1/object", put(object))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&held));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            held,
            http,
            _runtime: runtime,
        }
    }

    /// Returns id and content hash of everything held, by kind and id.
    pub(crate) fn listing(&self) -> Vec<(Kind, String, String)> {
        let held = self.held.lock().unwrap();
        let line = |((kind, id), b): (&(Kind, String), &Bundle)| {
            (*kind, id.clone(), b.header.content_hash())
        };
        held.objects.iter().map(line).collect()
    }
}

async fn cluster(State(held): State<Shared>) -> Json<ClusterView> {
    let node = NodeView {
        id: "shelf".to_owned(),
        http: held.lock().unwrap().http.clone(),
        p2p: String::new(),
        state: NodeState::Up,
        host_label: None,
        zone_label: None,
        weight: 1,
        draining: false,
        to_hand_over: 0,
        versions: None,
        removed: false,
    };
    let slots = vec![vec![0]; usize::from(earth::split::placement::SLOTS)];
    Json(ClusterView {
        version: 1,
        parent: 0,
        replicas: 1,
        nodes: vec![node],
        slots,
        newest: 1,
        settled: true,
    })
}

async fn collections(State(held): State<Shared>) -> Json<Collections> {
    let collections = held.lock().unwrap().collections.clone();
    Json(Collections { collections })
}

async fn create(State(held): State<Shared>, Json(new): Json<Collection>) -> Json<Collection> {
    held.lock().unwrap().collections.push(new.clone());
    Json(new)
}

async fn ledger(
    State(held): State<Shared>,
    Query(scene): Query<SceneParams>,
) -> Result<Json<Ledger>, (StatusCode, Json<Fault>)> {
    let id = format!("{}/{}", scene.collection, scene.scene);
    let held = held.lock().unwrap();
    let found = held.objects.get(&(Kind::Ledger, id));
    let none = (
        StatusCode::NOT_FOUND,
        Json(Fault::new(FaultKind::Nothing, "no such ledger")),
    );
    found
        .map(|b| Json(serde_json::from_slice(&b.files[0]).unwrap()))
        .ok_or(none)
}

fn metas(held: &Held) -> impl Iterator<Item = (SplitMeta, u64)> {
    let splits = held
        .objects
        .iter()
        .filter(|((kind, _), _)| *kind == Kind::Split);
    splits.map(|(_, b)| (codec::verify(&b.files[0]).unwrap(), b.header.bytes()))
}

async fn known(State(held): State<Shared>, Query(scene): Query<SceneParams>) -> Json<KnownSplits> {
    let held = held.lock().unwrap();
    let own = |m: &SplitMeta| m.id.collection() == scene.collection && m.id.scene() == scene.scene;
    let splits = metas(&held)
        .filter(|(meta, _)| own(meta))
        .map(|(meta, bytes)| KnownSplit {
            id: meta.id,
            counts: meta.counts,
            bytes,
        })
        .collect();
    Json(KnownSplits {
        splits,
        complete: true,
    })
}

async fn split(State(held): State<Shared>, Query(split): Query<SplitParams>) -> Json<SplitMeta> {
    let held = held.lock().unwrap();
    let found = metas(&held).find(|(meta, _)| meta.id.as_str() == split.id);
    Json(found.unwrap().0)
}

async fn object(
    State(held): State<Shared>,
    Query(params): Query<PutParams>,
    body: Bytes,
) -> Json<PutAck> {
    let bundle = bundle::decode(body).unwrap();
    let header = bundle.header.clone();
    let mut held = held.lock().unwrap();
    let key = (header.kind, header.id.clone());
    let before = held.objects.get(&key).map(|b| b.header.content_hash());
    let outcome = match before {
        Some(hash) if hash == header.content_hash() => PutOutcome::Same,
        Some(_) if !params.overwrite => PutOutcome::Kept,
        _ => PutOutcome::New,
    };
    if outcome == PutOutcome::New {
        held.objects.insert(key, bundle);
    }
    if header.kind == Kind::Split {
        held.puts += 1;
        let puts = held.puts;
        if let Some((_, worker)) = held.kill.take_if(|(splits, _)| puts >= *splits) {
            rustix::process::kill_process(worker, rustix::process::Signal::KILL).unwrap();
        }
    }
    Json(PutAck {
        kind: header.kind,
        id: header.id.clone(),
        outcome,
        acked_by: vec!["shelf".to_owned()],
        standins: Vec::new(),
        bytes: header.bytes(),
    })
}
