//! Nodes join a cluster that holds data.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::bench::{SOON, cluster, fill, folder, open, set, ticket, until};

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
