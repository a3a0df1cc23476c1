//! Nodes to test with, and what is asked of them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use earth::geocode::Scheme;
use earth::split::collection::Collection;
use earth::split::placement::{PlacementKey, PlacementRule};
use node::cluster::{Cluster, ClusterConfig, Join, TOKEN_LIFETIME, join_token};
use node::identity::Identity;
use node::layout::Standing;
use node::runs::Runs;
use node::store::{Object, ObjectFile, ObjectKey, PutMode, Store};
use node::upkeep::Pace;
use query::Query;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::bundle::Kind;
use wire::fault::Fault;
use wire::search::{SearchEnd, SearchLine};

use crate::fixture::{COLLECTION, Small, split};

/// Longest that anything in these tests may take: far more than it does.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Upkeep at the pace of a test.
pub(crate) const UPKEEP: Pace = Pace {
    first: Duration::from_millis(500),
    every: Duration::from_millis(500),
    scrub_bytes_per_second: 1 << 30,
    rest: Duration::from_hours(1),
    buried_after: Duration::ZERO,
    let_go_after: Duration::from_secs(3),
};

/// A node with its folder, which outlives it.
pub(crate) struct Node {
    pub(crate) cluster: Cluster,
    pub(crate) store: Arc<Store>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) dir: Arc<TempDir>,
}

/// Opens a node in a folder, at any port.
pub(crate) async fn open(
    dir: Arc<TempDir>,
    replicas: Option<u8>,
    join: Option<Join>,
) -> Result<Node, Fault> {
    open_at(dir, "127.0.0.1:0".parse().unwrap(), replicas, join).await
}

/// Opens a node in a folder.
pub(crate) async fn open_at(
    dir: Arc<TempDir>,
    listen: SocketAddr,
    replicas: Option<u8>,
    join: Option<Join>,
) -> Result<Node, Fault> {
    open_paced(dir, listen, (replicas, join), UPKEEP).await
}

/// Opens a node that keeps its replicas at that pace.
pub(crate) async fn open_paced(
    dir: Arc<TempDir>,
    listen: SocketAddr,
    (replicas, join): (Option<u8>, Option<Join>),
    upkeep: Pace,
) -> Result<Node, Fault> {
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let id = Identity::open(dir.path()).unwrap().node();
    let runs = Arc::new(Runs::open(dir.path(), id.as_str()).unwrap());
    let config = ClusterConfig {
        data: dir.path().to_owned(),
        listen,
        advertise: None,
        http: format!("http://{id}"),
        standing: Standing::default(),
        replicas,
        join,
        pace: Duration::from_millis(50),
        upkeep,
    };
    let common = (Arc::clone(&store), Arc::clone(&runs));
    let cluster = Cluster::start(common, config, CancellationToken::new()).await?;
    Ok(Node {
        cluster,
        store,
        runs,
        dir,
    })
}

pub(crate) fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

/// What lets a node into another's cluster.
pub(crate) fn ticket(to: &Node) -> Join {
    Join {
        address: to.cluster.p2p().to_owned(),
        token: Some(
            join_token(to.dir.path(), TOKEN_LIFETIME)
                .unwrap()
                .parse()
                .unwrap(),
        ),
    }
}

/// Starts a cluster of that many nodes.
pub(crate) async fn cluster(nodes: usize, replicas: u8) -> Vec<Node> {
    paced(nodes, replicas, UPKEEP.every).await
}

/// Starts a cluster of one node, one replica, in a folder.
pub(crate) async fn cluster_below(dir: Arc<TempDir>) -> Node {
    let node = open(dir, Some(1), None).await.unwrap();
    assert!(node.cluster.settled(SOON).await);
    node
}

/// Starts a cluster whose nodes compare their replicas at that interval.
pub(crate) async fn paced(nodes: usize, replicas: u8, every: Duration) -> Vec<Node> {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let pace = Pace {
        first: every,
        every,
        ..UPKEEP
    };
    let founder = open_paced(folder(), any, (Some(replicas), None), pace).await;
    let mut all = vec![founder.unwrap()];
    while all.len() < nodes {
        let join = (None, Some(ticket(&all[0])));
        all.push(open_paced(folder(), any, join, pace).await.unwrap());
    }
    for node in &all {
        assert!(node.cluster.settled(SOON).await);
    }
    all
}

impl Node {
    pub(crate) fn id(&self) -> String {
        self.cluster.node_id().to_owned()
    }

    /// Stops the node without a word to the others; its folder stays.
    pub(crate) async fn kill(self) -> Arc<TempDir> {
        let (store, runs) = (Arc::downgrade(&self.store), Arc::downgrade(&self.runs));
        self.cluster.stop().await;
        let dir = Arc::clone(&self.dir);
        drop(self);
        // What a task was about to answer may hold them a moment longer.
        until("nobody holds its folder", || async {
            store.strong_count() + runs.strong_count() == 0
        })
        .await;
        dir
    }

    pub(crate) async fn put(&self, object: &Object) -> Result<wire::object::PutAck, Fault> {
        self.cluster.put(object.clone(), PutMode::Keep).await
    }

    /// Asks a query; returns the ids, in order, and the end.
    pub(crate) async fn ask(&self, query: Query) -> (Vec<String>, SearchEnd) {
        let mut lines = self.cluster.search(query).await.unwrap();
        let mut ids = Vec::new();
        while let Some(line) = lines.recv().await {
            match line {
                SearchLine::Hit(hit) => ids.push(hit.id.to_string()),
                SearchLine::End(end) => return (ids, end),
            }
        }
        panic!("the answer was cut off");
    }

    pub(crate) async fn all(&self) -> (Vec<String>, SearchEnd) {
        self.ask(Query::default()).await
    }
}

/// Waits until something holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The collection of all small splits.
pub(crate) fn collection() -> Object {
    collection_named(COLLECTION)
}

/// A collection that differs from that of all small splits in its name alone.
pub(crate) fn collection_named(name: &str) -> Object {
    let collection = Collection {
        name: name.to_owned(),
        dataset: "generic".to_owned(),
        scheme: Scheme::Geohash,
        precision: 6,
        placement: PlacementRule::Whole,
    };
    let text = serde_json::to_vec(&collection).unwrap();
    Object {
        key: ObjectKey::new(Kind::Collection, name),
        placement_key: PlacementKey::named("collection", name),
        files: vec![ObjectFile {
            name: "collection.json".to_owned(),
            bytes: Bytes::from(text),
        }],
    }
}

/// Small splits of that many cells, all different.
pub(crate) fn splits(count: usize) -> Vec<Object> {
    let digits = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let cell = |i: usize| {
        let two = [digits[i / 32 % 32], digits[i % 32]];
        format!("9xj{}{}k", char::from(two[0]), char::from(two[1]))
    };
    let one = |i: usize| {
        split(&Small {
            scene: "s1",
            cell: cell(i).leak(),
            acquired: "2019-07-01T10:00:00Z",
            cloudy: Some(10),
            valid: 100,
        })
    };
    (0..count).map(one).collect()
}

/// Puts a collection and splits, spread over the nodes.
pub(crate) async fn fill(nodes: &[Node], count: usize) -> BTreeSet<String> {
    nodes[0].put(&collection()).await.unwrap();
    let objects = splits(count);
    for (i, object) in objects.iter().enumerate() {
        let ack = nodes[i % nodes.len()].put(object).await.unwrap();
        assert_eq!(ack.outcome, wire::object::PutOutcome::New);
    }
    objects.into_iter().map(|o| o.key.id).collect()
}

pub(crate) fn set(ids: Vec<String>) -> BTreeSet<String> {
    let count = ids.len();
    let set: BTreeSet<String> = ids.into_iter().collect();
    assert_eq!(set.len(), count, "an id came twice");
    set
}
