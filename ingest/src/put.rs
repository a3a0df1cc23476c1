//! Putting splits: each to the primary owner of its slot, a few at a time.
//!
//! *Invariants*: an event tells of a split only once it is acknowledged; splits are told in their
//! order; an owner that does not answer, or has stopped in the middle, is replaced by the next one
//! and at last by the node that was named. A put that was given up may still arrive: it is of the
//! same content.
//!
//! *Not here*: replication (node), encoding (`encode`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use earth::split::placement::PlacementKey;
use tokio::time::timeout;
use wire::bundle::{Bundle, Kind};
use wire::client::{Client, ClientOptions};
use wire::cluster::{ClusterView, NodeState};
use wire::event::SplitStored;
use wire::fault::{Fault, FaultKind};
use wire::object::{PutAck, PutOutcome, PutParams};

use crate::spool::{Parcel, Spool};

/// Puts in flight: an fsync waits for the disk, and two cores fill it with four.
pub const IN_FLIGHT_MAX: usize = 4;
/// How long an owner may take with a put before it is asked whether it lives: far above what a put
/// takes, so that nobody is asked as a rule.
const DOUBT_AFTER: Duration = Duration::from_secs(2);
/// Longest that a node may take to say that it lives: with as long as the next one takes to refuse
/// what only the first could keep, a put is answered within ten seconds. One that is too busy for
/// that is no loss, for others take what it does not.
const LIFE_SIGN_LIMIT: Duration = Duration::from_secs(2);

/// Clients of all nodes, by slot owner.
#[derive(Debug)]
pub struct Owners {
    conduit: Client,
    view: ClusterView,
    clients: BTreeMap<String, Client>,
    /// Nodes that gave no sign of life: nothing more is put to them.
    silent: Mutex<BTreeSet<String>>,
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
            silent: Mutex::default(),
        })
    }

    /// Returns the client of the node that was named.
    pub fn conduit(&self) -> &Client {
        &self.conduit
    }

    /// Returns the live owners, primary first.
    fn of(&self, key: &PlacementKey) -> Vec<(&str, &Client)> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let owners = self.view.slots.get(usize::from(key.slot().number()));
        let nodes = owners.into_iter().flatten();
        let nodes = nodes.filter_map(|i| self.view.nodes.get(usize::from(*i)));
        let live = nodes.filter(|node| !silent.contains(&node.id));
        live.filter_map(|node| Some((node.id.as_str(), self.clients.get(&node.id)?)))
            .collect()
    }

    /// Returns the owners in whose stead others hold what was acknowledged; none if no one does.
    fn absent(&self, key: &PlacementKey, ack: &PutAck) -> Vec<String> {
        let owners = self.view.slots.get(usize::from(key.slot().number()));
        let owners = owners.filter(|_| !ack.standins.is_empty());
        let nodes = owners.into_iter().flatten();
        let nodes = nodes.filter_map(|i| self.view.nodes.get(usize::from(*i)));
        let ids = nodes.map(|node| node.id.clone());
        ids.filter(|id| !ack.acked_by.contains(id)).collect()
    }

    /// Puts an object to its primary owner, to the next one if that does not answer, or through the
    /// conduit.
    ///
    /// # Errors
    /// What the first that answers says; of no answer at all what became of the conduit.
    pub async fn put(&self, bundle: &Bundle, overwrite: bool) -> Result<PutAck, Fault> {
        let params = PutParams {
            overwrite,
            ..PutParams::default()
        };
        for (name, owner) in self.of(&bundle.header.placement_key) {
            match put_to(owner, bundle, &params).await {
                Err(fault) if fault.kind == FaultKind::Unreachable => {
                    let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
                    silent.insert(name.to_owned());
                }
                answer => return answer,
            }
        }
        put_to(&self.conduit, bundle, &params).await
    }
}

/// Puts an object to one node, as long as that lives.
async fn put_to(node: &Client, bundle: &Bundle, params: &PutParams) -> Result<PutAck, Fault> {
    let put = node.put(bundle, params);
    tokio::pin!(put);
    loop {
        let life = async {
            tokio::time::sleep(DOUBT_AFTER).await;
            timeout(LIFE_SIGN_LIMIT, node.healthy()).await
        };
        tokio::select! {
            answer = &mut put => return answer,
            sign = life => match sign {
                Ok(Err(fault)) if fault.kind == FaultKind::Unreachable => return Err(fault),
                // Whatever it answers, it lives.
                Ok(_) => {}
                Err(_) => return Err(stopped()),
            },
        }
    }
}

fn stopped() -> Fault {
    let seconds = (DOUBT_AFTER + LIFE_SIGN_LIMIT).as_secs();
    Fault::new(
        FaultKind::Unreachable,
        "a node took a split and fell silent",
    )
    .because(format!(
        "for {seconds} s it neither acknowledged nor said that it lives"
    ))
    .try_("glebe status")
}

/// Puts one split of a spool.
pub async fn split(
    owners: &Owners,
    (spool, parcel): (&Spool, Parcel),
    overwrite: bool,
) -> Result<SplitStored, Fault> {
    let Parcel { split, key, files } = parcel;
    let bundle = Bundle::new(
        Kind::Split,
        split.id.clone(),
        key.clone(),
        spool.read(&files)?,
    );
    let bundle = bundle.map_err(|e| {
        Fault::new(FaultKind::Data, format!("{} cannot be sent", split.id))
            .because(e.to_string())
            .try_("a greater --precision makes smaller splits")
    })?;
    let ack = owners.put(&bundle, overwrite).await?;
    Ok(SplitStored {
        new: ack.outcome == PutOutcome::New,
        owners_absent: owners.absent(&key, &ack),
        standins: ack.standins,
        ..split
    })
}
