//! Donors and heirs on different nodes, and cells whose node is lost.

use std::collections::BTreeSet;

use bytes::Bytes;
use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use node::runs::book::Published;
use node::store::{Object, ObjectFile, ObjectKey, PutMode};
use query::Query;
use wire::bundle::Kind;
use wire::model::Metrics;
use wire::run::{Failure, JobState, Lease, LeaseAnswer, LeaseRequest, Renew, Run};
use wire::transfer::{Donor, Inheritance, Legacy, Transfer, TransferMode};

use crate::bench::{Node, cluster, collection_named, fill, splits, until};
use crate::fixture::{COLLECTION, Small, split_of};

/// Cells of these tests.
pub(crate) const CELLS: usize = 12;

/// Geocodes of the cells, in order.
fn cells() -> Vec<String> {
    let cell = |o: &Object| SplitId::parse(&o.key.id).unwrap().geocode().to_owned();
    splits(CELLS).iter().map(cell).collect()
}

pub(crate) fn run(mode: TransferMode) -> Run {
    Run {
        transfer: Transfer {
            mode,
            ..Transfer::default()
        },
        ..Run::new("r", "ndvi-cnn", Query::default())
    }
}

/// A run whose first cell is the donor of all others, as an earlier conduit settled it.
async fn one_donor(nodes: &[Node]) -> Inheritance {
    let mut cells = cells();
    let donor = Donor {
        geocode: cells.remove(0),
        heirs: cells,
        holder: None,
    };
    let inheritance = Inheritance {
        donors: vec![donor],
        ..Inheritance::default()
    };
    let run = Run {
        inheritance: Some(inheritance.clone()),
        collections: vec![COLLECTION.to_owned()],
        ..run(TransferMode::Texture)
    };
    let stored = Object {
        key: ObjectKey::new(Kind::Run, "r"),
        placement_key: PlacementKey::named("run", "r"),
        files: vec![ObjectFile {
            name: "run.json".to_owned(),
            bytes: Bytes::from(serde_json::to_vec(&run).unwrap()),
        }],
    };
    nodes[0].put(&stored).await.unwrap();
    inheritance
}

pub(crate) fn lease(node: &Node) -> Option<Lease> {
    let request = LeaseRequest {
        worker: "test".to_owned(),
        run: Some("r".to_owned()),
    };
    match node.runs.lease(&request).unwrap() {
        LeaseAnswer::Job(lease) => Some(*lease),
        LeaseAnswer::Wait { .. } | LeaseAnswer::Finished => None,
    }
}

pub(crate) fn ours(lease: &Lease) -> Renew {
    Renew {
        run: lease.run.name.clone(),
        geocode: lease.geocode.clone(),
        token: lease.token,
    }
}

/// Publishes a model as a worker's node does, but tells nobody.
pub(crate) async fn publish(node: &Node, lease: &Lease) {
    put_model(node, lease).await;
    let published = Published {
        metrics: Metrics::default(),
        descent: None,
        seconds: None,
    };
    assert!(node.runs.published(&ours(lease), published).is_ok());
}

/// Puts the model of a job into the ring.
pub(crate) async fn put_model(node: &Node, lease: &Lease) {
    let put = node.cluster.put(model(lease), PutMode::Overwrite);
    put.await.unwrap();
}

/// The model of a job.
pub(crate) fn model(lease: &Lease) -> Object {
    let metrics = serde_json::to_string(&Metrics::default()).unwrap();
    let (run, geocode) = (&lease.run.name, &lease.geocode);
    let config = format!(
        r#"{{"run":"{run}","geocode":"{geocode}","scheme":"geohash","recipe":"ndvi-cnn",
        "splits":1,"seconds":1.5,"metrics":{metrics}}}"#
    );
    let weights = format!("weights of {}", lease.geocode);
    let file = |name: &str, text: String| ObjectFile {
        name: name.to_owned(),
        bytes: Bytes::from(text),
    };
    Object {
        key: ObjectKey::new(Kind::Model, format!("r/{}", lease.geocode)),
        placement_key: lease.placement_key.clone(),
        files: vec![
            file("config.json", config),
            file("model.safetensors", weights),
        ],
    }
}

/// Leases all jobs that any node lends, until that many cells were lent.
async fn lease_all(nodes: &[Node], count: usize) -> Vec<Lease> {
    let lent = tokio::sync::Mutex::new(Vec::new());
    until("all heirs are lent", async || {
        let mut lent = lent.lock().await;
        lent.extend(nodes.iter().filter_map(lease));
        lent.len() == count
    })
    .await;
    lent.into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heirs_on_all_nodes_are_lent_once_their_donors_model_is_in_the_ring_though_nobody_told() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, CELLS).await;
    let settled = one_donor(&nodes).await;
    let plan = nodes[1]
        .cluster
        .start_run(run(TransferMode::Texture), false);
    let plan = plan.await.unwrap();
    assert_eq!(plan.inheritance, Some(settled.clone()), "settled once");
    assert_eq!(plan.jobs, CELLS as u64);
    let lent: Vec<(usize, Lease)> = (0..3)
        .filter_map(|i| Some((i, lease(&nodes[i])?)))
        .collect();
    assert_eq!(lent.len(), 1, "only the donor is lent");
    let (at, donor) = &lent[0];
    assert_eq!(donor.geocode, settled.donors[0].geocode);
    assert_eq!((&donor.heritage, &donor.run.inheritance), (&None, &None));
    let view = nodes[2].cluster.run_view("r").await.unwrap().unwrap();
    let waits = format!("waits for donor {}", donor.geocode);
    let waiting = view.jobs.iter().filter(|j| j.reason == Some(waits.clone()));
    assert_eq!(waiting.count(), CELLS - 1);
    for job in &view.jobs {
        let is_donor = job.geocode == donor.geocode;
        let why = is_donor.then(|| "it is a donor itself".to_owned());
        assert_eq!((job.donor.is_none(), &job.no_donor), (is_donor, &why));
    }
    publish(&nodes[*at], donor).await;
    let heirs = lease_all(&nodes, CELLS - 1).await;
    let bytes = format!("weights of {}", donor.geocode);
    for heir in heirs {
        let heritage = heir.heritage.unwrap();
        assert_eq!(heritage.donor, donor.geocode);
        let Legacy::Weights(file) = heritage.legacy else {
            panic!("{:?}", heritage.legacy);
        };
        let hash = blake3::hash(bytes.as_bytes()).to_hex().to_string();
        assert_eq!(
            (file.name.as_str(), file.blake3),
            ("model.safetensors", hash)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heirs_of_a_donor_that_has_no_model_start_cold_and_are_told_why() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, CELLS).await;
    one_donor(&nodes).await;
    let started = nodes[0]
        .cluster
        .start_run(run(TransferMode::Texture), false);
    started.await.unwrap();
    let (node, donor) = nodes.iter().find_map(|n| Some((n, lease(n)?))).unwrap();
    let failure = Failure {
        lease: ours(&donor),
        reason: "no chips are left".to_owned(),
        hopeless: true,
        dropped: None,
    };
    assert_eq!(node.runs.fail(&failure), Ok(true), "heirs may wait for it");
    for heir in lease_all(&nodes, CELLS - 1).await {
        let legacy = heir.heritage.unwrap().legacy;
        let why = format!("donor {} has no model: no chips are left", donor.geocode);
        assert_eq!(legacy, Legacy::Lost(why.clone()));
        let view = nodes[2].cluster.run_view("r").await.unwrap().unwrap();
        let told = view.jobs.iter().find(|job| job.geocode == heir.geocode);
        assert_eq!(told.unwrap().no_donor, Some(why));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cells_of_a_lost_node_are_planned_by_others_and_published_ones_are_done() {
    let mut nodes = cluster(3, 2).await;
    fill(&nodes, CELLS).await;
    let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
    started.await.unwrap();
    let busy = |n: &Node| n.runs.jobs("r").len() >= 2;
    let lost = nodes.remove(nodes.iter().position(busy).unwrap());
    let done = lease(&lost).unwrap();
    publish(&lost, &done).await;
    let theirs: BTreeSet<String> = lost.runs.jobs("r").into_iter().map(|j| j.geocode).collect();
    let lost_id = lost.id();
    drop(lost.kill().await);
    let view = async || nodes[0].cluster.run_view("r").await.unwrap().unwrap();
    until(
        "the others have planned what the lost node had",
        async || {
            let view = view().await;
            view.complete && view.jobs.len() == CELLS
        },
    )
    .await;
    let jobs = view().await.jobs;
    let found: Vec<&str> = jobs.iter().map(|job| job.geocode.as_str()).collect();
    let mut all = cells();
    all.sort();
    assert_eq!(found, all, "each cell once");
    for job in jobs.iter().filter(|job| theirs.contains(&job.geocode)) {
        assert_ne!(job.node, lost_id);
        let published = job.geocode == done.geocode;
        let expected = if published {
            JobState::Done
        } else {
            JobState::Waiting
        };
        assert_eq!(job.state, expected, "{job:?}");
    }
}

/// Cells were planned whenever somebody looked at a run again: an announcement, or the loss of any
/// node, had runs that ended long ago learn what was ingested since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells_ingested_after_a_run_was_planned_are_not_learned_though_a_node_is_lost() {
    let mut nodes = cluster(3, 2).await;
    fill(&nodes, CELLS).await;
    let start = async |at: &Node| {
        let started = at.cluster.start_run(run(TransferMode::None), false);
        started.await.unwrap().jobs
    };
    assert_eq!(start(&nodes[0]).await, CELLS as u64);
    let late = splits(2 * CELLS).split_off(CELLS);
    for object in &late {
        nodes[1].put(object).await.unwrap();
    }
    assert_eq!(start(&nodes[2]).await, CELLS as u64, "it is the same run");
    // The others take over slots with late cells.
    let first = nodes[0].cluster.owners(late[0].slot()).remove(0);
    let lost = nodes.iter().position(|node| node.id() == first).unwrap();
    drop(nodes.remove(lost).kill().await);
    let view = async || nodes[0].cluster.run_view("r").await.unwrap().unwrap();
    until("every cell of the run is planned again", async || {
        let view = view().await;
        view.complete && view.jobs.len() >= CELLS
    })
    .await;
    let found: Vec<String> = view().await.jobs.into_iter().map(|j| j.geocode).collect();
    let mut all = cells();
    all.sort();
    assert_eq!(found, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells_of_a_collection_that_came_after_a_run_was_planned_are_none_of_its_own() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, CELLS).await;
    let start = async || {
        let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
        started.await.unwrap().jobs
    };
    assert_eq!(start().await, CELLS as u64);
    nodes[1].put(&collection_named("late")).await.unwrap();
    for cell in ["u2ed12", "u2ed13", "u2ed14", "9xj00k"] {
        let small = Small {
            scene: "s2",
            cell,
            acquired: "2019-07-02T10:00:00Z",
            cloudy: None,
            valid: 100,
        };
        nodes[2].put(&split_of("late", &small)).await.unwrap();
    }
    let view = async || nodes[2].cluster.run_view("r").await.unwrap().unwrap();
    until("every cell of the run is planned", async || {
        view().await.complete
    })
    .await;
    let view = view().await;
    assert_eq!(view.run.collections, [COLLECTION]);
    let planned: Vec<(String, u64)> = view
        .jobs
        .into_iter()
        .map(|j| (j.geocode, j.splits))
        .collect();
    let mut all: Vec<_> = cells().into_iter().map(|cell| (cell, 1)).collect();
    all.sort();
    assert_eq!(planned, all);
    assert_eq!(
        start().await,
        CELLS as u64,
        "announced again it is the same run"
    );
}
