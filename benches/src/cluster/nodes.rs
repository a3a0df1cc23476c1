//! Nodes in this process, on sockets of their own.
//!
//! *Invariants*: what a node keeps lies in a folder of its own, fsynced as always.
//!
//! *Not here*: what is measured.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use earth::geocode::{Geocode, Scheme};
use earth::split::placement::PlacementRule;
use node::cluster::{Cluster, ClusterConfig, Join, TOKEN_LIFETIME, join_token};
use node::identity::Identity;
use node::runs::Runs;
use node::store::{Object, ObjectFile, ObjectKey, Store};
use node::upkeep::Pace;
use query::Query;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::bundle::Kind;
use wire::cluster::BytesByPurpose;
use wire::fault::Fault;
use wire::search::SearchLine;

use super::OBJECT_BYTES;

/// Longest that a cluster may take to settle.
const SETTLE: Duration = Duration::from_secs(30);

/// Running nodes, with their folders.
pub(super) struct Nodes {
    all: Vec<(Cluster, Arc<Store>, Arc<TempDir>)>,
}

impl Nodes {
    /// Starts a cluster.
    pub(super) async fn start(count: usize, replicas: u8) -> Result<Self> {
        let mut nodes = Self { all: Vec::new() };
        let founder = start(Arc::new(tempfile::tempdir()?), Some(replicas), None).await?;
        nodes.all.push(founder);
        while nodes.all.len() < count {
            let (first, _, dir) = &nodes.all[0];
            let token = join_token(dir.path(), TOKEN_LIFETIME).map_err(wrong)?;
            let join = Join {
                address: first.p2p().to_owned(),
                token: Some(token.parse().map_err(|_| anyhow!("no token"))?),
            };
            let node = start(Arc::new(tempfile::tempdir()?), None, Some(join)).await?;
            nodes.all.push(node);
        }
        for (cluster, ..) in &nodes.all {
            ensure!(cluster.settled(SETTLE).await, "the cluster does not settle");
        }
        Ok(nodes)
    }

    /// Opens a node in a folder that it had before.
    pub(super) async fn open(&mut self, dir: Arc<TempDir>) -> Result<()> {
        self.all.push(start(dir, None, None).await?);
        Ok(())
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

    /// Returns how many models the last node holds.
    pub(super) fn last_holds(&self) -> u64 {
        let last = self
            .all
            .last()
            .and_then(|(_, store, _)| store.keys(Kind::Model).ok());
        last.map_or(0, |keys| keys.len() as u64)
    }

    /// Returns what all nodes have sent.
    pub(super) fn sent(&self) -> BytesByPurpose {
        let mut sum = BytesByPurpose::default();
        for (cluster, ..) in &self.all {
            sum.model += cluster.meters().model;
        }
        sum
    }

    /// Tells whether a query to every slot is complete.
    pub(super) async fn is_complete(&self) -> Result<bool> {
        let mut lines = self.first().search(Query::default()).await.map_err(wrong)?;
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

/// Returns an object of half a mebibyte, different for each number.
pub(super) fn object(n: u64) -> Object {
    let digits = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let digit = |shift: u32| char::from(digits[usize::try_from((n >> shift) & 31).unwrap_or(0)]);
    let geocode = format!("9x{}{}{}", digit(10), digit(5), digit(0));
    let cell = Geocode::parse(Scheme::Geohash, &geocode).expect("five digits of a geohash");
    let config = format!(r#"{{"run":"r","geocode":"{geocode}"}}"#);
    let weights: Vec<u8> = (0..OBJECT_BYTES as u64 / 8)
        .flat_map(|i| {
            (i ^ (n << 32))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .to_le_bytes()
        })
        .collect();
    let file = |name: &str, bytes: Vec<u8>| ObjectFile {
        name: name.to_owned(),
        bytes: bytes.into(),
    };
    Object {
        key: ObjectKey::new(Kind::Model, format!("r/{geocode}")),
        placement_key: PlacementRule::Whole.key(&cell),
        files: vec![
            file("config.json", config.into_bytes()),
            file("model.safetensors", weights),
        ],
    }
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
