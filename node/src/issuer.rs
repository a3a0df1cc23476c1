//! Giving tokens out in the name of the node that keeps its data in a folder, whether it runs or
//! not.
//!
//! *Invariants*: a node that runs is asked through its socket, so that one process at a time writes
//! below a folder; of one that does not, the lock is held meanwhile.
//!
//! *Not here*: what a token is (`access`, `token`).

use std::path::Path;

use wire::access::{TokenMade, TokenRequest, Tokens};
use wire::client::{Client, ClientOptions};
use wire::fault::{Fault, FaultKind};

use crate::cluster::Stopped;
use crate::daemon::SOCKET;
use crate::lock::Holder;

/// Gives tokens out.
#[derive(Debug)]
pub struct Issuer(Way);

#[derive(Debug)]
enum Way {
    Running(Client),
    Stopped { node: Box<Stopped>, _holder: Holder },
}

impl Issuer {
    /// Finds the node of a folder.
    pub fn open(data: &Path) -> Result<Self, Fault> {
        let stopped = Stopped::open(data)?;
        if let Some(holder) = Holder::take(data)? {
            return Ok(Self(Way::Stopped {
                node: Box::new(stopped),
                _holder: holder,
            }));
        }
        let socket = std::path::absolute(data).map_err(|e| {
            let what = format!("cannot use the folder {}", data.display());
            Fault::new(FaultKind::Refused, what).because(e.to_string())
        })?;
        let address = format!("unix:{}", socket.join(SOCKET).display());
        let client = Client::new(&address, ClientOptions::default())?;
        Ok(Self(Way::Running(client)))
    }

    /// Makes a token.
    pub async fn make(&self, request: &TokenRequest) -> Result<TokenMade, Fault> {
        match &self.0 {
            Way::Running(client) => client.make_token(request).await,
            Way::Stopped { node, .. } => node.make_token(request),
        }
    }

    /// Returns what is told of all tokens.
    pub async fn tokens(&self) -> Result<Tokens, Fault> {
        match &self.0 {
            Way::Running(client) => client.tokens().await,
            Way::Stopped { node, .. } => Ok(node.tokens()),
        }
    }

    /// Takes a token back.
    pub async fn revoke(&self, id: &str) -> Result<(), Fault> {
        match &self.0 {
            Way::Running(client) => client.revoke_token(id).await,
            Way::Stopped { node, .. } => node.revoke_token(id),
        }
    }
}
