//! Finds members that moved while this node was away, at the address that it was told.
//!
//! A node remembers where the others were. If all of them come back somewhere else, what they
//! remember is worth nothing: then the addresses given with `--join`, of nodes or a name that
//! stands for all (a headless service), are where the first of them is found. Gossip does the rest.
//!
//! *Invariants*: who answers is known by its key, not by its address; strangers are left alone,
//! also one that joined while this node was away: one of the addresses has to be of a node that it
//! knew.
//!
//! *Not here*: joining as a newcomer (`join`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::core::Core;
use super::gossip::{self, Notes};
use super::start;
use crate::layout::Stamp;

/// Longest that an address may take to answer.
const REACH_LIMIT: Duration = Duration::from_secs(2);
/// Longest that a name may take to be looked up.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);
/// Addresses that are tried: one member is enough.
const ADDRESSES_MAX: usize = 16;

/// Looks at the seeds for members that are not up where this node thinks they are.
pub(super) async fn find(core: &Arc<Core>) {
    let Some(seeds) = &core.seeds else { return };
    let addresses = of_list(seeds).await;
    join_all(addresses.into_iter().map(|address| try_one(core, address))).await;
}

async fn try_one(core: &Arc<Core>, address: SocketAddr) {
    let Some(link) = &core.link else { return };
    let Ok(reached) = link.reach(address, REACH_LIMIT).await else {
        return;
    };
    let node = &reached.node;
    if *node == core.me {
        return;
    }
    if !core.look(|view| view.ring.is_member(node)) {
        link.part(&reached).await;
        return;
    }
    let now = core.now();
    core.quietly(|view| {
        // A member that this node has never heard of is known from now on.
        let p2p = address.to_string();
        let beat = start::beat(node.clone(), p2p.clone(), String::new(), Stamp::default());
        view.table.recall(beat, now);
        view.table.found(node, p2p);
    });
    if let Err(error) = gossip::exchange(core, node, Notes::All).await {
        tracing::debug!(%error, "a member was found and does not answer");
    }
}

/// Returns the first address of `host:port`.
pub(crate) async fn resolve(text: &str) -> Option<SocketAddr> {
    resolve_all(text).await.into_iter().next()
}

/// Returns all addresses of `host:port`: a name may stand for every node of a cluster.
async fn resolve_all(text: &str) -> Vec<SocketAddr> {
    if let Ok(address) = text.parse() {
        return vec![address];
    }
    if text.is_empty() {
        // Nobody has said yet where that node is: no other machine knows either.
        return Vec::new();
    }
    let found = tokio::time::timeout(LOOKUP_LIMIT, tokio::net::lookup_host(text)).await;
    let found = found.ok().and_then(Result::ok);
    found.map(Iterator::collect).unwrap_or_default()
}

/// Returns the addresses that `--join` lists with commas between them, each once.
pub(crate) async fn of_list(text: &str) -> Vec<SocketAddr> {
    let named = text.split(',').take(ADDRESSES_MAX);
    let found = join_all(named.map(|one| resolve_all(one.trim()))).await;
    let mut all: Vec<SocketAddr> = Vec::new();
    for address in found.into_iter().flatten() {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all.truncate(ADDRESSES_MAX);
    all
}
