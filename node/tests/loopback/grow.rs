//! Nodes join a cluster that holds data.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use node::store::ObjectKey;
use node::upkeep::Pace;
use wire::bundle::Kind;

use crate::bench::{
    Node, SOON, UPKEEP, cluster, fill, folder, open, open_paced, paced, set, ticket, until,
};
use crate::repair::{held, model, put_models, repair_bytes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newcomers_take_over_their_slots_while_every_answer_stays_complete() {
    let mut nodes = cluster(1, 2).await;
    let ids = fill(&nodes, 200).await;
    let (join, other) = (ticket(&nodes[0]), ticket(&nodes[0]));
    let grown = AtomicBool::new(false);
    let asking = async {
        let mut asked = 0;
        while !grown.load(Ordering::Relaxed) {
            let (found, end) = nodes[0].all().await;
            assert!(end.complete, "{end:?}");
            assert_eq!(set(found), ids);
            asked += 1;
        }
        asked
    };
    let growing = async {
        let (a, b) = tokio::join!(
            open(folder(), None, Some(join)),
            open(folder(), None, Some(other))
        );
        let new = [a.unwrap(), b.unwrap()];
        for node in &new {
            assert!(node.cluster.settled(SOON).await);
            let (found, end) = node.all().await;
            assert!(end.complete, "{end:?}");
            assert_eq!(set(found), ids);
        }
        grown.store(true, Ordering::Relaxed);
        new
    };
    let (asked, new) = tokio::join!(asking, growing);
    assert!(asked > 0);
    nodes.extend(new);
    until("the first node has moved on, too", async || {
        nodes[0].cluster.is_settled()
    })
    .await;
    let report = nodes[1].cluster.verify().await;
    assert!(report.complete && report.problems.is_empty(), "{report:?}");
    for node in &nodes {
        let (found, end) = node.all().await;
        assert_eq!(set(found), ids);
        assert!(end.complete);
    }
    let status = nodes[2].cluster.status().await;
    assert_eq!((status.nodes.len(), status.splits), (3, 200));
    assert!(status.bytes_by_purpose.repair > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_while_a_node_joins_is_found_afterwards() {
    let mut nodes = cluster(2, 2).await;
    fill(&nodes, 1).await;
    let objects = crate::bench::splits(80);
    let join = ticket(&nodes[0]);
    let putting = async {
        for object in &objects {
            nodes[1].put(object).await.unwrap();
        }
    };
    let (joined, ()) = tokio::join!(open(folder(), None, Some(join)), putting);
    nodes.push(joined.unwrap());
    for node in &nodes {
        assert!(node.cluster.settled(SOON).await);
        let (found, end) = node.all().await;
        assert!(end.complete);
        assert_eq!(found.len(), 80);
    }
    until("all is on its owners", async || {
        let report = nodes[2].cluster.verify().await;
        report.complete && report.problems.is_empty()
    })
    .await;
}

/// Nobody else is there to stand in for it than the owner whose place it took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_go_on_when_the_newcomer_is_lost_before_it_has_taken_over() {
    let nodes = cluster(2, 2).await;
    fill(&nodes, 40).await;
    let lost = open(folder(), None, Some(ticket(&nodes[0]))).await.unwrap();
    lost.kill().await;
    let objects = crate::bench::splits(80);
    for (i, object) in objects.iter().enumerate() {
        let ack = nodes[i % 2].put(object).await.unwrap();
        assert!(ack.acked_by.len() >= 2, "{ack:?}");
    }
    for node in &nodes {
        let (found, end) = node.all().await;
        assert!(end.complete, "{end:?}");
        assert_eq!(found.len(), 80);
    }
}

/// Models of 40 kB each: what messages weigh beside them is little.
const MODELS: u64 = 400;

/// C3: bytes that move are those of the newcomer's share, and no other node is sent anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_is_sent_what_it_owns_and_nobody_else_is_sent_anything() {
    let rarely = Duration::from_hours(1);
    let mut nodes = paced(4, 2, rarely).await;
    put_models(&nodes, MODELS).await;
    let models = |node: &Node| -> BTreeSet<ObjectKey> {
        let keys = held(node, Kind::Model);
        keys.into_iter().collect()
    };
    let kept = |nodes: &[Node]| {
        nodes
            .iter()
            .map(|node| models(node).len() as u64)
            .sum::<u64>()
    };
    until("each lies on its two owners", async || {
        kept(&nodes) == 2 * MODELS
    })
    .await;
    let before: Vec<BTreeSet<ObjectKey>> = nodes.iter().map(models).collect();
    let sent = repair_bytes(&nodes[0]).await;
    let join = (None, Some(ticket(&nodes[0])));
    let pace = Pace {
        first: rarely,
        every: rarely,
        ..UPKEEP
    };
    let any = "127.0.0.1:0".parse().unwrap();
    nodes.push(open_paced(folder(), any, join, pace).await.unwrap());
    for node in &nodes {
        assert!(node.cluster.settled(SOON).await);
    }
    let newcomer = nodes[4].id();
    let owned = |object: &node::store::Object| {
        let owners = nodes[0].cluster.owners(object.slot());
        owners.contains(&newcomer)
    };
    let its: Vec<_> = (0..MODELS).map(model).filter(owned).collect();
    let must: u64 = its.iter().map(node::store::Object::bytes).sum();
    until("it holds what it owns", async || {
        its.iter().all(|o| nodes[4].store.verify(&o.key).is_ok())
    })
    .await;
    until("others have let go of what it owns", async || {
        kept(&nodes) == 2 * MODELS
    })
    .await;
    let sent = repair_bytes(&nodes[0]).await - sent;
    eprintln!(
        "{sent} bytes sent for {must} that moved, of {} models",
        its.len()
    );
    assert!(must > 0 && sent >= must, "{sent} for {must}");
    assert!(sent * 10 <= must * 11, "{sent} for {must}");
    for (node, before) in nodes.iter().zip(&before) {
        assert!(
            models(node).is_subset(before),
            "{} was sent some",
            node.id()
        );
    }
}
