//! The cluster as a user sees it: layout, nodes, status, verification.
//!
//! *Invariants*: `slots[i]` lists indexes into `nodes`, primary first, for slot i of 16,384.
//!
//! *Not here*: how the layout is computed (node).

use earth::geocode::Scheme;
use earth::split::placement::PlacementRule;
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
    /// Version of the newest layout: greater than `version` while data moves.
    #[serde(default)]
    pub newest: u64,
    /// All nodes that answer read from the newest layout.
    #[serde(default)]
    pub settled: bool,
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
    /// Zone label, for replicas in distinct zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_label: Option<String>,
    /// Its share relative to the other nodes'.
    #[serde(default = "one")]
    pub weight: u32,
    /// It is being emptied, or has been: it owns no slot of the newest layout.
    #[serde(default)]
    pub draining: bool,
    /// Slots of which it may hold what owners lack: if it is lost before it has handed that over,
    /// answers about them are partial.
    #[serde(default)]
    pub to_hand_over: u64,
    /// What it speaks and reads; none of a node that was not heard yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<NodeVersions>,
    /// It was removed, and leaves as soon as others hold what it held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// Versions of what nodes exchange; while they are upgraded one by one, not all have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeVersions {
    /// Of the messages between nodes.
    pub messages: VersionRange,
    /// Of the files of splits that it reads.
    pub files: VersionRange,
}

/// A range of versions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    /// The first.
    pub least: u16,
    /// The last.
    pub most: u16,
}

fn one() -> u32 {
    1
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
    /// The node that was asked is no member any more, most likely: it was told so, or members that
    /// are up refuse it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
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
    /// Why it answers for no slots alone, if it does not; none of a node of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<IndexDoubt>,
}

/// Why a node leaves answers to others: its index may lack what other owners hold, since it was
/// damaged, say, or the node has just started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IndexDoubt {
    /// Seconds since that is so, or since the node started if it was so before.
    pub seconds: u64,
    /// The node has not looked yet whether its index names all its folders.
    #[serde(default)]
    pub unread: bool,
    /// The index was remade past folders that could not be listed: it lacks what is in them.
    #[serde(default)]
    pub unlisted: bool,
    /// Ids of the nodes that it is yet to be compared with, in order.
    #[serde(default)]
    pub waits_for: Vec<String>,
}

/// `POST /v1/repair`: what a node found and healed among all that it holds, or would.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepairReport {
    /// The node.
    pub node: String,
    /// Objects read and hashed.
    pub checked: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Slots in which they lie; told by a dry run alone.
    #[serde(default)]
    pub slots: u64,
    /// Objects that were corrupt or gone, and were brought back from another replica.
    pub healed: u64,
    /// Objects that other owners had newer, and that were pulled.
    pub pulled: u64,
    /// What could not be healed, one line each.
    pub left: Vec<String>,
    /// Every other owner was compared with.
    pub complete: bool,
    /// Nothing was done: objects are those that would be read, healed are those that are gone.
    #[serde(default)]
    pub dry_run: bool,
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

/// `POST /v1/cluster/layout` makes a change and says what it moves, `POST /v1/cluster/layout/plan`
/// only says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum LayoutChange {
    /// Take all slots from a node, which stays a member.
    Drain {
        /// The node.
        node: String,
    },
    /// Give a node that was drained slots again.
    Restore {
        /// The node.
        node: String,
    },
    /// End a node's membership.
    Remove {
        /// The node.
        node: String,
        /// Even if it, or another that is down, holds the last replica of something.
        #[serde(default)]
        forsake: bool,
    },
    /// Move slots until bytes are even.
    Rebalance {
        /// Instead of what is held, what is expected: for a cluster that is still empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect: Option<Expected>,
    },
}

/// Cells that are to be filled evenly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// How they are named.
    pub scheme: Scheme,
    /// Their precision.
    pub precision: u8,
    /// How they are placed.
    pub placement: PlacementRule,
    /// West, south, east, north of the area, in degrees.
    pub over: [f64; 4],
}

/// What a change of the layout moves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LayoutPlan {
    /// Version before.
    pub version: u64,
    /// Version that makes the change; the same if there is nothing to change.
    pub next: u64,
    /// Replicas of slots that move.
    pub slots: u64,
    /// Replicas of splits that move.
    pub splits: u64,
    /// Bytes that move.
    pub bytes: u64,
    /// Most bytes that any one node sends or receives.
    pub bytes_busiest: u64,
    /// Slots that move and of whose owners none can be reached.
    pub slots_lost: u64,
    /// Who brings what to whom.
    pub moves: Vec<SlotMove>,
    /// Evenness of bytes before.
    pub before: Evenness,
    /// Evenness of bytes afterwards.
    pub after: Evenness,
    /// Every node said what it holds.
    pub complete: bool,
    /// Copies of everything; absent from nodes of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<Copies>,
    /// Members that do not answer, and without which the move does not end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<String>,
}

/// Copies that are kept of everything: as many as asked for, or one a node that owns slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Copies {
    /// Copies asked for.
    pub asked: u8,
    /// Copies before the change.
    pub before: u8,
    /// Copies afterwards.
    pub after: u8,
}

/// What one node brings to another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SlotMove {
    /// Who has it.
    pub from: String,
    /// Who gets it.
    pub to: String,
    /// Slots.
    pub slots: u64,
    /// Splits.
    pub splits: u64,
    /// Bytes.
    pub bytes: u64,
}

/// How evenly bytes lie on nodes, relative to their weights.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Evenness {
    /// Coefficient of variation, in percent.
    pub cv: f64,
    /// Greatest over mean.
    pub max_over_mean: f64,
}
