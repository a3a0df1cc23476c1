//! The cluster as a user sees it: layout, nodes, status, verification.
//!
//! *Invariants*: `slots[i]` lists indexes into `nodes`, primary first, for slot i of 16,384.
//!
//! *Not here*: how the layout is computed (node).

use serde::{Deserialize, Serialize};

/// `GET /v1/cluster`: the layout with what is known about its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterView {
    /// Layout version.
    pub version: u64,
    /// Version it came from.
    pub parent: u64,
    /// Replicas asked for.
    pub replicas: u8,
    /// Members, ordered by id.
    pub nodes: Vec<NodeView>,
    /// Slot → indexes into `nodes`, primary first.
    pub slots: Vec<Vec<u16>>,
}

/// What is known about one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Node id (libp2p peer id; `embedded` without a network).
    pub id: String,
    /// HTTP address, such as `http://127.0.0.1:7480`; `unix:PATH` for an embedded store.
    pub http: String,
    /// `host:port` of the peer-to-peer listener; empty for an embedded store.
    pub p2p: String,
    /// Liveness as the answering node sees it.
    pub state: NodeState,
    /// Host label, for replicas on distinct hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_label: Option<String>,
}

/// Liveness as one node sees another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Answers.
    Up,
    /// Missed probes.
    Suspect,
    /// Does not answer.
    Down,
}

/// Bytes sent between nodes since start, by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BytesByPurpose {
    /// Membership and liveness.
    pub gossip: u64,
    /// Replicating splits, ledgers, runs and collections.
    pub put: u64,
    /// Hand-over and repair.
    pub repair: u64,
    /// Questions and hits.
    pub query: u64,
    /// Imagery read across nodes.
    pub pixels: u64,
    /// Models published or pulled.
    pub model: u64,
    /// Gradients of a distributed run.
    pub gradient: u64,
}

/// `GET /v1/status`: the whole cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Status {
    /// Layout version.
    pub version: u64,
    /// Replicas asked for.
    pub replicas: u8,
    /// One row a node.
    pub nodes: Vec<NodeStatus>,
    /// Distinct splits; exact when every node answered.
    pub splits: u64,
    /// Stored bytes over all replicas.
    pub bytes: u64,
    /// Models (distinct).
    pub models: u64,
    /// Sent between nodes since start, whole cluster.
    pub bytes_by_purpose: BytesByPurpose,
    /// Runs that are not finished.
    pub runs_active: u64,
    /// Every node answered.
    pub complete: bool,
}

/// One node's share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Node id.
    pub id: String,
    /// HTTP address.
    pub http: String,
    /// Liveness.
    pub state: NodeState,
    /// Split replicas held.
    pub splits: u64,
    /// Of these, those of which it is primary.
    pub splits_primary: u64,
    /// Model replicas held.
    pub models: u64,
    /// Stored bytes.
    pub bytes: u64,
    /// Slots of which it is an owner.
    pub slots: u64,
    /// Jobs running on it.
    pub jobs_running: u64,
    /// Sent by it since its start.
    pub sent: BytesByPurpose,
}

/// `POST /v1/repair`: what a node found and healed among all that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepairReport {
    /// The node.
    pub node: String,
    /// Objects read and hashed.
    pub checked: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were corrupt or gone, and were brought back from another replica.
    pub healed: u64,
    /// Objects that other owners had newer, and that were pulled.
    pub pulled: u64,
    /// What could not be healed, one line each.
    pub left: Vec<String>,
    /// Every other owner was compared with.
    pub complete: bool,
}

/// `GET /v1/verify`: every object on its owners with the right bytes, or not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Objects checked (distinct).
    pub objects: u64,
    /// Replicas whose bytes were read and hashed.
    pub replicas_checked: u64,
    /// What is wrong, one line each, at most a named number of them.
    pub problems: Vec<String>,
    /// All problems, also those not listed.
    pub problems_total: u64,
    /// Every node answered.
    pub complete: bool,
}
