//! Who is not let in, and what is not taken.

use jiff::Timestamp;
use node::cluster::join_token;
use node::token::{ClusterId, ClusterSecret};
use wire::fault::FaultKind;

use crate::bench::{Node, cluster, collection, folder, open, splits, ticket};

async fn refused(nodes: &[Node], join: node::cluster::Join) -> wire::fault::Fault {
    let fault = open(folder(), None, Some(join)).await.err().unwrap();
    assert_eq!(nodes[0].cluster.view().nodes.len(), nodes.len());
    fault
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_late_and_foreign_tokens_are_refused_with_a_way_out() {
    let nodes = cluster(1, 2).await;
    let good = ticket(&nodes[0]);
    let now = Timestamp::now();
    let later = now
        .saturating_add(jiff::SignedDuration::from_hours(1))
        .unwrap();
    let (own, foreign) = (good.token.as_ref().unwrap().cluster(), ClusterId::draw());
    for (cluster, reason) in [(own, "wrong"), (foreign, "another cluster")] {
        let mut join = good.clone();
        join.token = Some(ClusterSecret::draw().token(cluster, later));
        let fault = refused(&nodes, join).await;
        assert_eq!(fault.kind, FaultKind::Refused);
        assert!(fault.because[0].contains(reason), "{fault:?}");
        assert!(fault.try_.unwrap().contains("glebe cluster token"));
    }
    let mut join = good.clone();
    let text = join_token(nodes[0].dir.path(), std::time::Duration::ZERO).unwrap();
    join.token = Some(text.parse().unwrap());
    let fault = refused(&nodes, join).await;
    assert!(fault.because[0].contains("expired"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_replicas_nobody_there_and_a_second_cluster_are_refused() {
    let nodes = cluster(1, 2).await;
    let join = ticket(&nodes[0]);
    let fault = open(folder(), Some(3), Some(join.clone()))
        .await
        .err()
        .unwrap();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(fault.what.contains("2 replicas"), "{fault:?}");
    let mut nobody = join.clone();
    nobody.address = "127.0.0.1:1".to_owned();
    assert_eq!(
        refused(&nodes, nobody.clone()).await.kind,
        FaultKind::Unreachable
    );
    // Of several addresses one that answers is enough, and a name will do.
    let port = join.address.rsplit(':').next().unwrap();
    nobody.address = format!("127.0.0.1:1, nowhere.invalid:7,localhost:{port}");
    drop(
        open(folder(), None, Some(nobody))
            .await
            .unwrap()
            .kill()
            .await,
    );
    let dir = open(folder(), Some(1), None).await.unwrap().kill().await;
    let fault = open(dir, None, Some(join)).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(fault.what.contains("another cluster"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_does_not_describe_itself_is_kept_nowhere() {
    let nodes = cluster(3, 2).await;
    nodes[0].put(&collection()).await.unwrap();
    let mut object = splits(1).remove(0);
    let mut bytes = object.files[0].bytes.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    object.files[0].bytes = bytes.into();
    for node in &nodes {
        assert!(node.put(&object).await.is_err());
    }
    for node in &nodes {
        assert!(node.all().await.0.is_empty());
    }
}
