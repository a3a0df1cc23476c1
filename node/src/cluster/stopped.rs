//! The tokens of a node that does not run, reached through its folder.
//!
//! *Invariants*: who may read a node's folder may give tokens out in its name; the node tells the
//! others as soon as it is up.
//!
//! *Not here*: a node that runs (`Cluster`); the lock on the folder (`daemon`).

use std::path::Path;

use jiff::Timestamp;
use wire::access::{TokenMade, TokenRequest, Tokens};
use wire::fault::{Fault, FaultKind};

use super::file::{self, ClusterRecord};
use crate::access::Keyring;
use crate::identity::Identity;

/// A node that does not run.
#[derive(Debug)]
pub struct Stopped {
    record: ClusterRecord,
    identity: Identity,
    keyring: Keyring,
}

impl Stopped {
    /// Opens the folder of a node of a cluster.
    pub fn open(data: &Path) -> Result<Self, Fault> {
        let what = |why: String| {
            let what = format!("{} holds no node of a cluster", data.display());
            Fault::new(FaultKind::Refused, what)
                .because(why)
                .try_("glebe up --data DIR, then glebe cluster token --data DIR")
        };
        let record = file::read(data).map_err(|e| what(reason(&e)))?;
        let record = record.ok_or_else(|| what("there is no cluster.json in it".to_owned()))?;
        let identity = Identity::open(data).map_err(|e| what(e.to_string()))?;
        let keyring = Keyring::open(data, record.cluster).map_err(|e| what(reason(&e)))?;
        Ok(Self {
            record,
            identity,
            keyring,
        })
    }

    /// Makes a token.
    pub fn make_token(&self, request: &TokenRequest) -> Result<TokenMade, Fault> {
        let authority = (&self.identity, &self.record.secret);
        self.keyring.make(request, authority, Timestamp::now())
    }

    /// Takes a token back.
    pub fn revoke_token(&self, id: &str) -> Result<(), Fault> {
        self.keyring.revoke(id, &self.identity)
    }

    /// Returns what is told of all tokens.
    pub fn tokens(&self) -> Tokens {
        self.keyring.tokens(Timestamp::now())
    }
}

fn reason(error: &dyn std::error::Error) -> String {
    let source = error.source().map(ToString::to_string);
    source.unwrap_or_else(|| error.to_string())
}
