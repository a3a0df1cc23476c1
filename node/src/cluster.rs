//! The handle through which HTTP reaches every node of the cluster, also when there is only one.
//!
//! *Invariants*: the same code serves an embedded store and fifty nodes: without a network the
//! layout has one member and every question is answered here. Cheap to clone.
//!
//! *Not here*: HTTP (`http`), what one node keeps (`store`) and trains (`runs`).

mod ask;
#[cfg(test)]
mod at_rest;
pub(crate) mod catalog;
mod ceded;
pub(crate) mod changes;
pub(crate) mod core;
mod counts;
pub(crate) mod file;
mod former;
pub(crate) mod gossip;
mod jobs;
pub(crate) mod join;
pub(crate) mod lend;
mod marks;
mod ongoing;
mod pauses;
pub(crate) mod persist;
mod regions;
mod remembered;
mod report;
mod rivals;
mod seeds;
mod settled;
mod start;
mod steer;
mod stopped;
pub(crate) mod tend;
pub(crate) mod training;
pub(crate) mod vouch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use earth::split::placement::Slot;
use futures::StreamExt;
use jiff::Timestamp;
use query::Query;
use tokio::sync::mpsc;
use wire::access::{Purpose, TokenMade, TokenRequest, Tokens};
use wire::bundle::Kind;
use wire::cluster::{
    BytesByPurpose, ClusterView, LayoutChange, LayoutPlan, RepairReport, Status, VerifyReport,
};
use wire::compose::ComposeRequest;
use wire::diary::{LogPage, LogRequest};
use wire::fault::{Fault, FaultKind};
use wire::object::PutAck;
use wire::region::Textures;
use wire::run::{Plan, Renew, Run, RunSteered, RunView, Runs as RunList, Wish};
use wire::search::SearchLine;

use crate::access::Keyring;
use crate::compose::{self, Outgoing};
use crate::identity::{Identity, NodeId};
use crate::refusals::Refusals;
use crate::runs::book::Published;
use crate::scatter::{Fetched, Room};
use crate::slots::SlotSet;
use crate::store::{Object, ObjectKey, PutMode, Record};
use crate::token::ClusterSecret;
use crate::{replicate, scatter, upkeep};
use core::Core;

pub use file::ClusterFileError;
pub use start::{ClusterConfig, Join};
pub(crate) use start::{JOIN_ADVICE, Means};
pub use stopped::Stopped;
pub use vouch::Voucher;

/// How long a join token is good unless told otherwise: long enough to carry it to a rack.
pub const TOKEN_LIFETIME: Duration = Duration::from_hours(24);
/// Deletions under way at once: they share fsyncs.
const DELETE_AT_ONCE: usize = 32;

/// All nodes of the cluster, as one of them reaches them.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) core: Arc<Core>,
    /// `host:port` of the peer-to-peer listener; empty without a network.
    p2p: String,
}

/// Records of a kind from all nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Each object once, with its owners, by id.
    pub records: Vec<(Record, Vec<String>)>,
    /// For every slot, somebody who holds all of it answered.
    pub complete: bool,
}

impl Cluster {
    /// Returns the id of this node.
    pub fn node_id(&self) -> &str {
        self.core.me.as_str()
    }

    /// Returns `host:port` of the peer-to-peer listener; empty without a network.
    pub fn p2p(&self) -> &str {
        &self.p2p
    }

    /// Returns the owners of a slot, first owner first.
    pub fn owners(&self, slot: Slot) -> Vec<String> {
        let layout = self.core.look(|view| Arc::clone(view.ring.read()));
        layout.owners(slot).map(ToString::to_string).collect()
    }

    /// Returns what this node has sent since its start.
    pub fn meters(&self) -> BytesByPurpose {
        self.core.meters.read()
    }

    /// Returns the slots of which this node is the first owner that may answer.
    pub fn primary_slots(&self) -> SlotSet {
        let acting = self.core.look(report::acting_primaries);
        acting
            .get(&self.core.me)
            .cloned()
            .unwrap_or_else(SlotSet::none)
    }

    /// Does what was asked for to its end, though whoever asked may go away meanwhile: what is half
    /// done lies on one owner, and no other knows.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let work = self.core.stop.clone().run_until_cancelled_owned(work);
        match self.core.tasks.spawn(work).await {
            Ok(Some(done)) => done,
            Ok(None) => Err(Fault::new(FaultKind::Unreachable, "the node is stopping")),
            Err(e) => Err(Fault::new(FaultKind::Internal, e.to_string())),
        }
    }

    /// Keeps an object on its owners; acknowledged when enough have it fsynced.
    pub async fn put(&self, object: Object, mode: PutMode) -> Result<PutAck, Fault> {
        replicate::put(&self.core, object, mode).await
    }

    /// Starts a query; its lines follow, the end last.
    pub async fn search(&self, query: Query) -> Result<mpsc::Receiver<SearchLine>, Fault> {
        scatter::search(&self.core, query).await
    }

    /// Composes the splits of cells where they lie; messages follow, the end last.
    pub(crate) async fn compose(
        &self,
        request: ComposeRequest,
    ) -> Result<mpsc::Receiver<Outgoing>, Fault> {
        compose::start(&self.core, request).await
    }

    /// Returns the record of an object, from whichever node has it.
    pub async fn record(&self, key: &ObjectKey) -> Result<Option<Record>, Fault> {
        scatter::record(&self.core, key).await
    }

    /// Returns one file of an object, from this node or else an owner.
    pub async fn fetch(&self, key: &ObjectKey, name: &str) -> Result<Bytes, Fault> {
        scatter::fetch(&self.core, key, name).await
    }

    /// Returns the same as soon as there is room for it.
    pub(crate) async fn fetch_into(
        &self,
        key: &ObjectKey,
        name: &str,
        room: &Room,
    ) -> Result<Fetched, Fault> {
        scatter::fetch_into(&self.core, (key, name), Some(room)).await
    }

    /// Returns all records of a kind; not for splits, of which there may be millions.
    pub async fn records(&self, kind: Kind) -> Listed {
        let gathered = scatter::records(&self.core, kind, SlotSet::all()).await;
        let with_owners = |record: Record| {
            let owners = self.owners(record.slot());
            (record, owners)
        };
        Listed {
            complete: gathered.missing.is_empty(),
            records: gathered.answers.into_iter().map(with_owners).collect(),
        }
    }

    /// Deletes objects; acknowledged like puts, also while a node is down. Returns how many there
    /// were. If whoever asked goes away, those under way are deleted and the others stay.
    pub async fn delete(&self, keys: &[ObjectKey]) -> Result<u64, Fault> {
        let keys: Vec<ObjectKey> = keys.to_vec();
        let deletions = keys.into_iter().map(|key| {
            let core = Arc::clone(&self.core);
            self.to_its_end(async move { replicate::delete(&core, &key).await })
        });
        let mut deletions = futures::stream::iter(deletions).buffer_unordered(DELETE_AT_ONCE);
        let mut deleted = 0;
        while let Some(was_there) = deletions.next().await {
            deleted += u64::from(was_there?);
        }
        Ok(deleted)
    }

    /// Has a node check and heal all that it holds; `None` if it is none of this cluster.
    pub async fn repair(&self, node: &str) -> Result<Option<RepairReport>, Fault> {
        upkeep::repair(&self.core, node, false).await
    }

    /// Has a node say what a repair of it would do; `None` if it is none of this cluster.
    pub async fn plan_repair(&self, node: &str) -> Result<Option<RepairReport>, Fault> {
        upkeep::repair(&self.core, node, true).await
    }

    /// Plans a run where its data lies; unless it is a dry run, keeps it and starts its jobs.
    pub async fn start_run(&self, run: Run, dry_run: bool) -> Result<Plan, Fault> {
        training::start(&self.core, run, dry_run).await
    }

    /// Returns the mean texture of each cell that matches.
    pub async fn textures(&self, query: &Query) -> Result<Textures, Fault> {
        regions::textures(&self.core, query).await
    }

    /// Returns a run with its jobs on all nodes; `None` if there is no such run.
    pub async fn run_view(&self, name: &str) -> Result<Option<RunView>, Fault> {
        training::view(&self.core, name).await
    }

    /// Returns a run with its jobs on all nodes counted; `None` if there is no such run. Neither
    /// the answer nor what nodes send each other for it grows with the jobs.
    pub async fn run_counted(&self, name: &str) -> Result<Option<RunView>, Fault> {
        training::counted(&self.core, name).await
    }

    /// Returns all runs with their jobs counted.
    pub async fn run_summaries(&self) -> RunList {
        training::summaries(&self.core).await
    }

    /// Does what a user wants of a run's jobs on all nodes.
    pub async fn steer_run(&self, name: &str, wish: Wish) -> Result<RunSteered, Fault> {
        ongoing::steer(&self.core, name, wish).await
    }

    /// Returns what was said of a run's jobs on all nodes.
    pub async fn run_logs(&self, name: &str, asked: LogRequest) -> Result<LogPage, Fault> {
        ongoing::logs(&self.core, name, asked).await
    }

    /// Tells the other nodes that a donor of a run has ended; nobody waits for that.
    pub(crate) fn announce_donor(&self, run: &str) {
        tend::announce_later(&self.core, run);
    }

    /// Checks with the node that planned a job that its model may be published here, and
    /// tells it how long that takes at most.
    pub(crate) async fn may_publish(
        &self,
        (home, lease): &(NodeId, Renew),
        limit: Duration,
    ) -> Result<(), Fault> {
        lend::may_publish(&self.core, home, lease.clone(), limit).await
    }

    /// Tells the node that planned a job that its model is kept.
    pub(crate) async fn published(
        &self,
        (home, lease): (NodeId, Renew),
        published: &Published,
    ) -> Result<(), Fault> {
        lend::published(&self.core, &home, lease, published).await
    }

    /// Returns the layout that is read from, and what is known of its nodes.
    pub fn view(&self) -> ClusterView {
        self.core.look(report::view)
    }

    /// Returns what each node holds and has sent.
    pub async fn status(&self) -> Status {
        report::status(&self.core).await
    }

    /// Reads every file on every node and compares replicas.
    pub async fn verify(&self) -> VerifyReport {
        report::verify(&self.core).await
    }

    /// Returns what a change of the layout would move.
    pub async fn plan_layout(&self, change: LayoutChange) -> Result<LayoutPlan, Fault> {
        steer::plan(&self.core, change).await
    }

    /// Changes the layout; returns what that moves, once the change is kept here.
    pub async fn change_layout(&self, change: LayoutChange) -> Result<LayoutPlan, Fault> {
        steer::change(&self.core, change).await
    }

    /// Tells whether all nodes read from and write to one and the same layout.
    pub fn is_settled(&self) -> bool {
        self.core.look(report::is_settled)
    }

    /// Waits until `is_settled`, at most for `limit`; returns whether it is.
    pub async fn settled(&self, limit: Duration) -> bool {
        let mut changes = self.core.changes();
        let settled = async {
            while !self.is_settled() {
                changes.changed().await;
            }
        };
        tokio::time::timeout(limit, settled).await.is_ok()
    }

    /// Returns the cluster's tokens, as HTTP checks them.
    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.core.keyring)
    }

    /// Returns the counters of what was refused.
    pub fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.core.refusals)
    }

    /// Makes a token; returns once the nodes that are up know of it, or failed to hear.
    pub async fn make_token(&self, request: &TokenRequest) -> Result<TokenMade, Fault> {
        let (signer, secret) = self.authority()?;
        let keyring = Arc::clone(&self.core.keyring);
        let made = keyring.make(request, (signer, secret), Timestamp::now())?;
        gossip::announce(&self.core).await;
        Ok(made)
    }

    /// Takes a token back; returns once the nodes that are up know of it, or failed to hear.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Fault> {
        let (signer, _) = self.authority()?;
        self.core.keyring.revoke(id, signer)?;
        gossip::announce(&self.core).await;
        Ok(())
    }

    /// Returns what is told of all tokens.
    pub fn tokens(&self) -> Tokens {
        self.core.keyring.tokens(Timestamp::now())
    }

    /// Returns what a member signs and lets in with.
    fn authority(&self) -> Result<(&Identity, &ClusterSecret), Fault> {
        let none = || {
            Fault::new(
                FaultKind::Refused,
                "a store without a cluster has no tokens",
            )
            .because("only its user reaches it, through a socket")
            .try_("glebe up")
        };
        let signer = self.core.signer.as_ref().ok_or_else(none)?;
        let file = self.core.file.as_ref().ok_or_else(none)?;
        Ok((signer, &file.secret))
    }

    /// Stops listening and answering; what is under way is dropped.
    pub async fn stop(&self) {
        self.core.stop.cancel();
        self.core.tasks.close();
        self.core.tasks.wait().await;
        if let Some(link) = &self.core.link {
            link.stop().await;
        }
    }
}

/// Makes a join token for the cluster of the node that keeps its data in `data` and does not run:
/// who may read its folder may let others in.
pub fn join_token(data: &Path, lifetime: Duration) -> Result<String, Fault> {
    let request = TokenRequest {
        purpose: Purpose::Join,
        label: None,
        lifetime: Some(lifetime.as_secs()),
    };
    let stopped = Stopped::open(data)?;
    stopped.make_token(&request).map(|made| made.token)
}
