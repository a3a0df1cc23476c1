//! Putting splits: each to the primary owner of its slot, a few at a time.
//!
//! *Invariants*: an event tells of a split only once it is acknowledged; splits are told in their
//! order; an owner that does not answer is replaced by the node that was named.
//!
//! *Not here*: replication (node), encoding (`encode`).

use std::collections::BTreeMap;

use earth::split::placement::PlacementKey;
use wire::bundle::{Bundle, Kind};
use wire::client::{Client, ClientOptions};
use wire::cluster::{ClusterView, NodeState};
use wire::event::SplitStored;
use wire::fault::{Fault, FaultKind};
use wire::object::{PutAck, PutOutcome, PutParams};

use crate::spool::Waiting;

/// Puts in flight: an fsync waits for the disk, and two cores fill it with four.
pub const IN_FLIGHT_MAX: usize = 4;

/// Clients of all nodes, by slot owner.
#[derive(Debug)]
pub struct Owners {
    conduit: Client,
    view: ClusterView,
    clients: BTreeMap<String, Client>,
}

impl Owners {
    /// Asks a node for the layout and prepares a client of every live node.
    pub async fn new(conduit: Client) -> Result<Self, Fault> {
        let view = conduit.cluster().await?;
        let options = ClientOptions::from_env()?;
        let mut clients = BTreeMap::new();
        for node in view.nodes.iter().filter(|n| n.state == NodeState::Up) {
            let client = Client::new(&node.http, options.clone());
            clients.extend(client.ok().map(|c| (node.id.clone(), c)));
        }
        Ok(Self {
            conduit,
            view,
            clients,
        })
    }

    /// Returns the client of the node that was named.
    pub fn conduit(&self) -> &Client {
        &self.conduit
    }

    /// Returns the client of the primary owner; the conduit's if that node is not live.
    fn of(&self, key: &PlacementKey) -> &Client {
        let slot = usize::from(key.slot().number());
        let primary = self.view.slots.get(slot).and_then(|owners| owners.first());
        let node = primary.and_then(|i| self.view.nodes.get(usize::from(*i)));
        node.and_then(|n| self.clients.get(&n.id))
            .unwrap_or(&self.conduit)
    }

    /// Puts an object to its primary owner, or through the conduit if that does not answer.
    pub async fn put(&self, bundle: &Bundle, overwrite: bool) -> Result<PutAck, Fault> {
        let params = PutParams {
            overwrite,
            ..PutParams::default()
        };
        let owner = self.of(&bundle.header.placement_key);
        match owner.put(bundle, &params).await {
            Err(fault) if fault.kind == FaultKind::Unreachable => {
                self.conduit.put(bundle, &params).await
            }
            answer => answer,
        }
    }
}

/// Puts one split.
pub async fn split(
    owners: &Owners,
    waiting: Waiting,
    overwrite: bool,
) -> Result<SplitStored, Fault> {
    let meta = &waiting.meta;
    let files = waiting.read()?;
    let bundle = Bundle::new(
        Kind::Split,
        meta.id.to_string(),
        meta.placement_key.clone(),
        files,
    );
    let bundle = bundle.map_err(|e| {
        Fault::new(FaultKind::Data, format!("{} cannot be sent", meta.id))
            .because(e.to_string())
            .try_("a greater --precision makes smaller splits")
    })?;
    let ack = owners.put(&bundle, overwrite).await?;
    Ok(told(&waiting, ack.outcome == PutOutcome::New))
}

/// Returns what is told of a split.
pub fn told(waiting: &Waiting, new: bool) -> SplitStored {
    let meta = &waiting.meta;
    SplitStored {
        id: meta.id.to_string(),
        geocode: meta.geocode.to_string(),
        new,
        bytes: waiting.bytes(),
        cloud_cover: meta.counts.cloud().map(|c| c * 100.0),
        pixel_coverage: meta.counts.coverage() * 100.0,
    }
}
