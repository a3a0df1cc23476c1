//! `cluster.json`: what a node must know of its cluster before it hears from anyone.
//!
//! ```json
//! {"format":2,"cluster":HEX,"secret":HEX,"incarnation":N,
//!  "standing":{"reading":0,"behind":[[4,5],…]},
//!  "changes":[{"counter":1,"node":ID,"what":{"replicas":2}},…],
//!  "peers":[{"node":ID,"p2p":"HOST:PORT"},…],
//!  "vouchers":[{"change":HEX,"by":ID,"signature":HEX},…]}
//! ```
//! *Invariants*: mode 0600, for it holds the secret, and refused with another; written beside,
//! fsynced and renamed; the members it names are those that are let in; whoever writes the same
//! format folds the same changes to the same layout.
//!
//! *Not here*: the store's objects (`store`).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::remembered::Remembered;
use super::vouch::Voucher;
use crate::identity::{NodeId, check_private, write_private};
use crate::layout::{ChangeSet, FOLD, Stamp, What};
use crate::membership::Beat;
use crate::ring::Standpoint;
use crate::token::{ClusterId, ClusterSecret};

/// Name of the file in a node's data folder.
pub(super) const CLUSTER_FILE: &str = crate::store::MEMBER_FILE;
/// What helps where the file is beyond reading.
const ANEW: &str = "put it back as it was, or join with a fresh data folder";
/// Version of the file: that of how changes are folded.
const FORMAT: u32 = FOLD;
/// The version before: which slots moved was drawn from seats and counts, not from changes.
const UNDRAWN: u32 = 1;

/// What a node must know of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterRecord {
    format: u32,
    /// The cluster.
    pub cluster: ClusterId,
    /// What makes tokens.
    pub secret: ClusterSecret,
    /// Starts of this node.
    pub incarnation: u64,
    /// Which layouts are live.
    pub standing: Standpoint,
    /// All membership changes.
    pub changes: ChangeSet,
    /// Where the others were.
    pub peers: Vec<PeerRecord>,
    /// Who vouches for the changes.
    #[serde(default)]
    pub vouchers: Vec<Voucher>,
}

/// Where another node was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerRecord {
    /// Who.
    pub node: NodeId,
    /// `host:port`.
    pub p2p: String,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClusterFileError {
    /// It cannot be read or written.
    #[error("cannot read or write {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what a node writes.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        step: &'static str,
    },
}

/// The file and what stands in it.
#[derive(Debug)]
pub(crate) struct ClusterFile {
    path: PathBuf,
    /// Secret and id never change.
    pub cluster: ClusterId,
    pub secret: ClusterSecret,
    incarnation: u64,
    /// What others said that they hold besides owners.
    pub remembered: Remembered,
    /// What was written last, so that nothing is written twice.
    written: Mutex<Option<(Stamp, Standpoint, Vec<PeerRecord>)>>,
}

/// What of a cluster changes while a node runs.
#[derive(Debug)]
pub(crate) struct ClusterFacts {
    pub changes: ChangeSet,
    pub standing: Standpoint,
    pub peers: Vec<PeerRecord>,
    pub vouchers: Vec<Voucher>,
}

impl ClusterRecord {
    /// Describes a cluster that this node founds or has just joined.
    pub(crate) fn new(
        cluster: ClusterId,
        secret: ClusterSecret,
        changes: ChangeSet,
        standing: Standpoint,
    ) -> Self {
        Self {
            format: FORMAT,
            cluster,
            secret,
            incarnation: 0,
            standing,
            changes,
            peers: Vec::new(),
            vouchers: Vec::new(),
        }
    }

    /// Tells whether one node has been the only member at all times.
    fn was_always_alone(&self) -> bool {
        let joins = self.changes.iter();
        let joins = joins.filter(|change| matches!(change.what, What::Join(_)));
        let joined: BTreeSet<&NodeId> = joins.map(|change| &change.node).collect();
        joined.len() == 1
    }
}

/// Reads the file of a data folder; `None` if the node belongs to no cluster yet.
pub(crate) fn read(data: &Path) -> Result<Option<ClusterRecord>, ClusterFileError> {
    let path = data.join(CLUSTER_FILE);
    let text = match check_private(&path).and_then(|()| fs::read_to_string(&path)) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ClusterFileError::Io { path, source }),
    };
    match serde_json::from_str::<ClusterRecord>(&text) {
        Ok(record) if record.format == FORMAT => Ok(Some(record)),
        // Whoever was always alone owns every slot, however they are dealt.
        Ok(record) if record.format == UNDRAWN && record.was_always_alone() => {
            let format = FORMAT;
            Ok(Some(ClusterRecord { format, ..record }))
        }
        Ok(record) if record.format == UNDRAWN => Err(ClusterFileError::Damaged {
            path,
            reason: "an earlier glebe wrote it, which deals slots otherwise".to_owned(),
            step: "found the cluster anew, or run the glebe that wrote it on all its nodes",
        }),
        Ok(record) => Err(ClusterFileError::Damaged {
            path,
            reason: format!(
                "format {} is not {FORMAT}, which is read here",
                record.format
            ),
            step: "run the glebe that wrote it",
        }),
        Err(error) => Err(ClusterFileError::Damaged {
            path,
            reason: error.to_string(),
            step: ANEW,
        }),
    }
}

impl ClusterFile {
    /// Writes the record of a start: the file's incarnation is the record's and one more.
    pub(crate) fn start(
        data: &Path,
        record: &mut ClusterRecord,
        remembered: &[Beat],
    ) -> Result<Self, ClusterFileError> {
        record.incarnation += 1;
        let file = Self {
            path: data.join(CLUSTER_FILE),
            cluster: record.cluster,
            secret: record.secret.clone(),
            incarnation: record.incarnation,
            remembered: Remembered::new(data, remembered),
            written: Mutex::new(None),
        };
        file.write(record)?;
        Ok(file)
    }

    /// Writes what has changed, if anything has; it is looked up once nobody else writes.
    pub(crate) fn update(
        &self,
        facts: impl FnOnce() -> ClusterFacts,
    ) -> Result<(), ClusterFileError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = facts();
        let now = (facts.changes.stamp(), facts.standing, facts.peers);
        if written.as_ref() == Some(&now) {
            return Ok(());
        }
        let (_, standing, peers) = now.clone();
        let secret = self.secret.clone();
        let record = ClusterRecord {
            incarnation: self.incarnation,
            peers,
            vouchers: facts.vouchers,
            ..ClusterRecord::new(self.cluster, secret, facts.changes, standing)
        };
        self.write(&record)?;
        *written = Some(now);
        Ok(())
    }

    fn write(&self, record: &ClusterRecord) -> Result<(), ClusterFileError> {
        let damaged = |e: serde_json::Error| ClusterFileError::Damaged {
            path: self.path.clone(),
            reason: e.to_string(),
            step: ANEW,
        };
        let mut text = serde_json::to_vec_pretty(record).map_err(damaged)?;
        text.push(b'\n');
        write_private(&self.path, &text).map_err(|source| ClusterFileError::Io {
            path: self.path.clone(),
            source,
        })
    }
}
