//! Asks those that do not answer whether they live, directly and through others.
//!
//! *Invariants*: a suspect is probed once at a time; what another says of a suspect is a reason to
//! probe it, never a verdict; every question has a deadline.
//!
//! *Not here*: who is suspected, and when that ends (`membership`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;

use super::{EXCHANGE_LIMIT, in_task};
use crate::cluster::core::{AskError, Core, View};
use crate::identity::NodeId;
use crate::membership::Age;
use crate::peer::{News, Request, Response};
use crate::swarm::LinkError;

/// Longest that a probe may take; a probe through another takes up to twice that.
const PROBE_LIMIT: Duration = Duration::from_millis(500);
/// Others asked to reach a suspect: SWIM's three.
const HELPERS_MAX: usize = 3;

/// Probes a suspect unless that is being done.
pub(super) fn once(core: &Arc<Core>, probing: &Arc<Mutex<HashSet<NodeId>>>, node: NodeId) {
    let lock = |p: &Mutex<HashSet<NodeId>>| match p.lock() {
        Ok(mut set) => set.insert(node.clone()),
        Err(poisoned) => PoisonError::into_inner(poisoned).insert(node.clone()),
    };
    if !lock(probing) {
        return;
    }
    let probing = Arc::clone(probing);
    in_task(core, |core| async move {
        probe(&core, &node).await;
        let mut set = probing.lock().unwrap_or_else(PoisonError::into_inner);
        set.remove(&node);
    });
}

/// Tells all others who does not answer, so that they see for themselves.
pub(super) async fn accuse(core: &Arc<Core>, suspects: Vec<(NodeId, Age)>) {
    let news = News {
        suspects,
        ..News::default()
    };
    let others = core.look(View::others_up);
    let told = others
        .iter()
        .map(|node| core.ask(node, Request::Tell(news.clone()), EXCHANGE_LIMIT));
    for failed in join_all(told).await.into_iter().filter_map(Result::err) {
        tracing::debug!(%failed, "could not tell a node who does not answer");
    }
}

/// Asks a suspect directly, then through others, whether it lives.
async fn probe(core: &Arc<Core>, node: &NodeId) {
    let direct = core.ask(node, Request::Probe(None), PROBE_LIMIT).await;
    let refused = match direct {
        Ok(_) => return,
        Err(AskError::Link { error, .. }) => error == LinkError::Unreachable,
        Err(_) => false,
    };
    let helpers = core.look(View::others_up);
    let ask = |helper: NodeId| async move {
        let request = Request::Probe(Some(node.clone()));
        let answer = core.ask(&helper, request, 2 * PROBE_LIMIT).await;
        matches!(answer, Ok(Response::Alive(true)))
    };
    let asked = helpers.into_iter().take(HELPERS_MAX).map(ask);
    let reached = join_all(asked).await.into_iter().any(|alive| alive);
    core.change(|view, _| match (reached, refused) {
        (true, _) => view.table.answered(node),
        (false, true) => view.table.gone(node),
        (false, false) => {}
    });
}

/// Answers whether a node lives: this one does.
pub(crate) async fn reaches(core: &Arc<Core>, node: Option<NodeId>) -> bool {
    match node {
        None => true,
        Some(node) if node == core.me => true,
        Some(node) => core
            .ask(&node, Request::Probe(None), PROBE_LIMIT)
            .await
            .is_ok(),
    }
}
