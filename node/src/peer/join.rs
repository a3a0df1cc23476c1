//! What a stranger says to be let in, and what it is told.
//!
//! *Invariants*: what is secret in it appears in no `Debug` text; bytes as in `peer`.
//!
//! *Not here*: checking it (`cluster::join`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PeerFault, Versions};
use crate::access::GrantNews;
use crate::cluster::Voucher;
use crate::layout::{ChangeSet, Place};
use crate::membership::Beat;
use crate::ring::Standpoint;
use crate::token::{Claim, ClusterId, ClusterSecret};

/// What a stranger says to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Proof of the token.
    pub claim: Claim,
    /// `host:port` where it listens.
    pub p2p: String,
    /// Its HTTP address.
    pub http: String,
    /// Where it stands.
    pub place: Place,
    /// Replicas it was told to expect, if any.
    pub replicas: Option<u8>,
    /// The versions that it speaks and reads.
    pub versions: Versions,
}

/// What a member answers to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinAnswer {
    /// It stays outside.
    Refused(PeerFault),
    /// It is a member from now on.
    Welcome(Box<Welcome>),
}

/// What a new member must know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Proof that a member answered.
    pub proof: [u8; 32],
    /// The cluster.
    pub cluster: ClusterId,
    /// What makes tokens.
    pub secret: ClusterSecret,
    /// All membership changes, its own join too.
    pub changes: ChangeSet,
    /// Which layouts the cluster reads from and writes to.
    pub standing: Standpoint,
    /// Where the members are.
    pub beats: Vec<Beat>,
    /// All tokens.
    pub grants: GrantNews,
    /// Who vouches for the changes.
    pub vouchers: Vec<Voucher>,
}

impl fmt::Debug for JoinAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(fault) => write!(f, "Refused({fault:?})"),
            Self::Welcome(_) => f.write_str("Welcome"),
        }
    }
}

impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Welcome")
    }
}
