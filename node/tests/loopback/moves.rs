//! Jobs that move to another owner of their cells, and what becomes of them there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use earth::split::meta::SplitId;
use node::conduit::Conduit;
use node::store::{Object, ObjectFile, ObjectKey};
use wire::bundle::Kind;
use wire::fault::{Fault, FaultKind};
use wire::object::{PutAck, PutParams};
use wire::run::{Failure, JobState, JobView, Lease, Moved, Wish};
use wire::transfer::TransferMode;

use crate::bench::{Node, collection, paced, splits, until};
use crate::heirs::{CELLS, lease, model, ours, run};

/// Splits of which each node is first owner of some.
const LOOKED_AT: usize = 100;

/// Two nodes that both hold all imagery and have planned a run, half of its cells each; nobody
/// works on either.
async fn planned() -> [Node; 2] {
    // Nothing is repaired meanwhile.
    let nodes = paced(2, 2, Duration::from_hours(1)).await;
    nodes[0].put(&collection()).await.unwrap();
    // Which cells are whose is drawn as the nodes join.
    let objects = splits(LOOKED_AT);
    for node in &nodes {
        let first = |object: &&Object| node.cluster.owners(object.slot())[0] == node.id();
        let mine: Vec<&Object> = objects.iter().filter(first).take(CELLS / 2).collect();
        assert_eq!(mine.len(), CELLS / 2);
        for object in mine {
            node.put(object).await.unwrap();
        }
    }
    let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
    assert_eq!(started.await.unwrap().jobs, CELLS as u64);
    let [home, host] = <[Node; 2]>::try_from(nodes).ok().unwrap();
    assert!(!home.runs.jobs("r").is_empty() && !host.runs.jobs("r").is_empty());
    // A worker that is about to ask.
    host.runs.keeps(1);
    [home, host]
}

/// Ends all that the host has planned itself, as its worker would, and asks on until it is lent a
/// job of the other node.
async fn first_guest(home: &Node, host: &Node) -> Lease {
    let guest = tokio::sync::Mutex::new(None);
    until("a job moves to who has nothing to do", async || {
        let Some(lent) = lease(host) else {
            return false;
        };
        let of_home = home.runs.jobs("r").into_iter();
        if of_home
            .map(|job| job.geocode)
            .any(|cell| cell == lent.geocode)
        {
            *guest.lock().await = Some(lent);
            return true;
        }
        give_up(host, &lent);
        false
    })
    .await;
    guest.into_inner().unwrap()
}

/// Says that a job has no model and never will.
fn give_up(node: &Node, lent: &Lease) {
    let failure = Failure {
        lease: ours(lent),
        reason: "no chips are left".to_owned(),
        hopeless: true,
        dropped: None,
    };
    node.runs.fail(&failure).unwrap();
}

fn job(node: &Node, geocode: &str) -> JobView {
    let jobs = node.runs.jobs("r").into_iter();
    jobs.into_iter().find(|job| job.geocode == geocode).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_nobody_would_begin_moves_to_another_owner_who_says_what_became_of_it() {
    let [home, host] = planned().await;
    let guest = first_guest(&home, &host).await;
    assert_eq!((guest.bytes_moved, guest.splits.len()), (0, 1));
    assert!(
        guest.splits[0].folder.starts_with(host.dir.path()),
        "{guest:?}"
    );
    let moved = job(&home, &guest.geocode);
    let to = Some(Moved {
        to: host.id(),
        bytes: 0,
    });
    assert_eq!(
        (moved.state, moved.moved, moved.attempts),
        (JobState::Running, to, 1)
    );
    assert_eq!((home.runs.at_work(), host.runs.at_work()), (0, 1));
    let view = host.cluster.run_view("r").await.unwrap().unwrap();
    assert_eq!(view.jobs.len(), CELLS, "each cell once");
    assert_eq!(view.moved().1, 0);
    give_up(&host, &guest);
    until("its home knows", async || {
        job(&home, &guest.geocode).state == JobState::Quarantined
    })
    .await;
    let reason = job(&home, &guest.geocode).reason;
    assert_eq!(reason.as_deref(), Some("no chips are left"));
    assert_eq!(host.runs.at_work(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_host_is_lost_is_done_at_home() {
    let [home, host] = planned().await;
    let guest = first_guest(&home, &host).await;
    drop(host.kill().await);
    until("it waits at home again", async || {
        job(&home, &guest.geocode).state == JobState::Waiting
    })
    .await;
    let back = job(&home, &guest.geocode);
    assert_eq!(
        (back.moved, back.attempts),
        (None, 1),
        "that was an attempt"
    );
    assert!(
        back.reason
            .is_some_and(|why| why.contains("does not answer"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_learns_no_more_for_a_home_that_wants_nothing_more_or_is_gone() {
    let [home, host] = planned().await;
    let guest = first_guest(&home, &host).await;
    assert!(host.runs.renew(&ours(&guest)).is_ok());
    home.cluster.steer_run("r", Wish::Cancel).await.unwrap();
    until("the lease is stale at its host", async || {
        host.runs.renew(&ours(&guest)).is_err()
    })
    .await;
    home.cluster.steer_run("r", Wish::Go).await.unwrap();
    let guest = first_guest(&home, &host).await;
    drop(home.kill().await);
    until("the host has planned the cell itself", async || {
        let jobs = host.runs.jobs("r");
        jobs.iter().any(|job| job.geocode == guest.geocode)
    })
    .await;
    assert!(host.runs.renew(&ours(&guest)).is_err(), "one lease a job");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_other_owner_lacks_is_shipped_and_told() {
    let [home, host] = planned().await;
    // The host has lost imagery.
    let cells: Vec<String> = home.runs.jobs("r").into_iter().map(|j| j.geocode).collect();
    let of_home = |id: &SplitId| cells.iter().any(|cell| cell == id.geocode());
    for id in home.all().await.0 {
        let id = SplitId::parse(&id).unwrap();
        if of_home(&id) {
            let key = ObjectKey::new(Kind::Split, id.as_str());
            host.store.delete(&key).unwrap();
        }
    }
    let guest = first_guest(&home, &host).await;
    let key = ObjectKey::new(Kind::Split, guest.splits[0].id.as_str());
    let files = home.store.record(&key).unwrap().unwrap().files;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    assert_eq!(guest.bytes_moved, bytes);
    // It counts as imagery, not as repair: whoever looks whether any travelled sees it.
    assert!(home.cluster.meters().pixels >= bytes);
    assert_eq!(job(&home, &guest.geocode).moved.unwrap().bytes, bytes);
    assert_eq!(host.store.record(&key).unwrap().unwrap().files, files);
    assert!(guest.splits[0].folder.starts_with(host.dir.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_more_than_it_can_do_keeps_what_it_begins_as_soon() {
    let [home, host] = planned().await;
    while let Some(lent) = lease(&host) {
        give_up(&host, &lent);
    }
    let begun = lease(&home).unwrap();
    let all = home.runs.jobs("r").len();
    let away = || {
        let jobs = home.runs.jobs("r").into_iter();
        jobs.filter(|job| job.moved.is_some()).count()
    };
    let guest = tokio::sync::Mutex::new(None);
    until("some of what waits has moved", async || {
        let lent = lease(&host);
        let is_lent = lent.is_some();
        *guest.lock().await = lent;
        is_lent
    })
    .await;
    let guest = guest.into_inner().unwrap();
    assert!(away() <= (all - 1).div_ceil(2), "{} of {all}", away());
    assert_eq!(job(&home, &begun.geocode).moved, None);
    assert_eq!(job(&home, &guest.geocode).moved.unwrap().to, host.id());
}

/// Publishes the model of a job through a node, as its worker does.
pub(crate) async fn publish(node: &Node, lent: &Lease) -> Result<PutAck, Fault> {
    publish_as(node, lent, model(lent)).await
}

async fn publish_as(node: &Node, lent: &Lease, object: Object) -> Result<PutAck, Fault> {
    let lease = ours(lent);
    let params = PutParams {
        overwrite: true,
        run: Some(lease.run),
        geocode: Some(lease.geocode),
        token: Some(lease.token),
    };
    conduit(node).put(object, &params).await
}

/// What a node does for its users and workers.
pub(crate) fn conduit(node: &Node) -> Conduit {
    let parts = (Arc::clone(&node.store), Arc::clone(&node.runs));
    Conduit::new(node.cluster.clone(), parts.0, parts.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_of_a_job_that_moved_ends_it_at_home() {
    let [home, host] = planned().await;
    let guest = first_guest(&home, &host).await;
    publish(&host, &guest).await.unwrap();
    let done = job(&home, &guest.geocode);
    assert_eq!((done.state, done.seconds), (JobState::Done, Some(1.5)));
    assert_eq!(done.moved.map(|moved| moved.to), Some(host.id()));
    assert!(host.runs.renew(&ours(&guest)).is_err(), "it has left");
    let again = publish(&host, &guest).await.unwrap_err();
    assert_eq!(again.kind, FaultKind::Refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_home_grants_no_more_is_not_published() {
    let [home, host] = planned().await;
    let guest = first_guest(&home, &host).await;
    home.cluster.steer_run("r", Wish::Cancel).await.unwrap();
    // The host has most likely not heard of it yet.
    let refused = publish(&host, &guest).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Refused, "{refused:?}");
    let key = model(&guest).key;
    assert_eq!(home.cluster.record(&key).await.unwrap(), None);
    assert_eq!(job(&home, &guest.geocode).state, JobState::Cancelled);
}

/// It was done again as soon as the host seemed gone, which a full line made it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_that_was_told_of_a_put_does_not_take_its_job_back_meanwhile() {
    let [home, host] = planned().await;
    let guest = first_guest(&home, &host).await;
    let mut object = model(&guest);
    // The home is told before the put finds out that this is no name.
    object.files.push(ObjectFile {
        name: "../model".to_owned(),
        bytes: Bytes::new(),
    });
    let refused = publish_as(&host, &guest, object).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Data, "{refused:?}");
    home.runs.take_back(|_| true).unwrap();
    assert_eq!(job(&home, &guest.geocode).state, JobState::Running);
    publish(&host, &guest).await.unwrap();
    assert_eq!(job(&home, &guest.geocode).state, JobState::Done);
}
