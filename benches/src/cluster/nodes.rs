//! Nodes in this process, on sockets of their own.
//!
//! *Invariants*: what a node keeps lies in a folder of its own, fsynced as always.
//!
//! *Not here*: what is measured.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use node::cluster::{Cluster, ClusterConfig, Join, TOKEN_LIFETIME, join_token};
use node::identity::Identity;
use node::runs::Runs;
use node::store::Store;
use node::upkeep::Pace;
use query::Query;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::fault::Fault;
use wire::search::SearchLine;

use crate::objects;

/// Longest that a cluster may take to settle.
const SETTLE: Duration = Duration::from_secs(30);
/// Time between looks at who has joined.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Running nodes, with their folders.
pub(super) struct Nodes {
    all: Vec<(Cluster, Arc<Store>, Arc<TempDir>)>,
}

impl Nodes {
    /// Starts a cluster.
    pub(super) async fn start(count: usize, replicas: u8) -> Result<Self> {
        Self::start_in(&std::env::temp_dir(), count, replicas).await
    }

    /// Starts a cluster whose nodes have their folders below one.
    pub(super) async fn start_in(below: &Path, count: usize, replicas: u8) -> Result<Self> {
        let mut nodes = Self { all: Vec::new() };
        let founder = start(Arc::new(tempfile::tempdir_in(below)?), Some(replicas), None).await?;
        nodes.all.push(founder);
        while nodes.all.len() < count {
            let join = Join {
                address: nodes.first().p2p().to_owned(),
                token: Some(
                    nodes
                        .join_token()?
                        .parse()
                        .map_err(|_| anyhow!("no token"))?,
                ),
            };
            let node = start(Arc::new(tempfile::tempdir_in(below)?), None, Some(join)).await?;
            nodes.all.push(node);
        }
        nodes.settled(count).await?;
        Ok(nodes)
    }

    /// Returns what lets a node join.
    pub(super) fn join_token(&self) -> Result<String> {
        let (_, _, dir) = &self.all[0];
        join_token(dir.path(), TOKEN_LIFETIME).map_err(wrong)
    }

    /// Waits until all nodes here see that many, and a layout that has settled.
    pub(super) async fn settled(&self, count: usize) -> Result<()> {
        let began = now();
        for (cluster, ..) in &self.all {
            while cluster.view().nodes.len() < count {
                ensure!(began.elapsed() < SETTLE, "a node does not join");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            ensure!(cluster.settled(SETTLE).await, "the cluster does not settle");
        }
        Ok(())
    }

    /// Returns how many splits the node of that address says that it holds; none while it does not.
    pub(super) async fn splits_at(&self, http: &str) -> u64 {
        let status = self.first().status().await;
        let node = status.nodes.iter().find(|node| node.http == http);
        node.map_or(0, |node| node.splits)
    }

    /// Stops the last node; returns its folder.
    pub(super) async fn stop_last(&mut self) -> Arc<TempDir> {
        let (cluster, store, dir) = self.all.pop().expect("a cluster has nodes");
        cluster.stop().await;
        drop(store);
        dir
    }

    /// Returns the first node.
    pub(super) fn first(&self) -> &Cluster {
        &self.all[0].0
    }

    /// Has the first node read all that it holds; returns the bytes.
    pub(super) async fn read_all(&self) -> Result<u64> {
        let first = self.first();
        let report = first.repair(first.node_id()).await.map_err(wrong)?;
        Ok(report.context("the node is unknown")?.bytes)
    }

    /// Returns the bytes of objects that all nodes have sent for puts.
    pub(super) fn sent(&self) -> u64 {
        let meters = self.all.iter().map(|(cluster, ..)| cluster.meters());
        meters.map(|sent| sent.put + sent.model).sum()
    }

    /// Tells whether a query for the splits of an area is complete.
    pub(super) async fn is_complete(&self) -> Result<bool> {
        let query = Query {
            geocodes: vec![objects::AREA.to_owned()],
            ..Query::default()
        };
        let mut lines = self.first().search(query).await.map_err(wrong)?;
        while let Some(line) = lines.recv().await {
            if let SearchLine::End(end) = line {
                return Ok(end.complete);
            }
        }
        Ok(false)
    }

    /// Asks some queries; returns the milliseconds of each.
    pub(super) async fn query_millis(&self, count: usize) -> Result<Vec<f64>> {
        let mut millis = Vec::with_capacity(count);
        for _ in 0..count {
            let began = now();
            self.is_complete().await?;
            millis.push(began.elapsed().as_secs_f64() * 1e3);
        }
        Ok(millis)
    }
}

async fn start(
    dir: Arc<TempDir>,
    replicas: Option<u8>,
    join: Option<Join>,
) -> Result<(Cluster, Arc<Store>, Arc<TempDir>)> {
    let store = Arc::new(Store::open(dir.path())?);
    let id = Identity::open(dir.path())?.node();
    let runs = Runs::open(dir.path(), id.as_str()).context("the book of jobs")?;
    let config = ClusterConfig {
        data: dir.path().to_owned(),
        listen: "127.0.0.1:0".parse()?,
        advertise: None,
        http: format!("http://{id}"),
        standing: node::layout::Standing::default(),
        replicas,
        join,
        pace: ClusterConfig::PACE,
        upkeep: Pace::default(),
    };
    let common = (Arc::clone(&store), Arc::new(runs));
    let cluster = Cluster::start(common, config, CancellationToken::new()).await;
    Ok((cluster.map_err(wrong)?, store, dir))
}

/// Returns the time.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn wrong(fault: Fault) -> anyhow::Error {
    anyhow!("{fault:?}")
}
