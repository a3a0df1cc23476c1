//! Leaves out of a page of hits what another node knows to be deleted or replaced.
//!
//! An owner that was away answers before all that it missed was handed over to it; those that hold
//! what it may lack are known (`unconfirmed`), and are asked about what it found.
//!
//! *Invariants*: where nobody holds what another may lack, nothing is asked; a hit counts as what
//! it was when its page was read, whatever its node was handed since.
//!
//! *Not here*: who is asked at all (`coverage`).

use std::sync::Arc;

use futures::future::try_join_all;

use super::PAGE_LIMIT;
use crate::cluster::core::{AskError, Core};
use crate::identity::NodeId;
use crate::meters::Purpose;
use crate::peer::{Hits, Request, Response, Version};
use crate::store::ObjectKey;
use wire::bundle::Kind;

/// Keeps the hits of a node that none of its rivals knows better.
pub(super) async fn only(
    core: &Arc<Core>,
    mut hits: Hits,
    rivals: &[NodeId],
) -> Result<Hits, AskError> {
    if rivals.is_empty() || hits.hits.is_empty() {
        return Ok(hits);
    }
    let ids = hits.hits.iter().map(|hit| hit.position.id.as_str());
    let keys: Vec<ObjectKey> = ids.map(|id| ObjectKey::new(Kind::Split, id)).collect();
    let asked = rivals.iter().map(|node| versions(core, node, &keys));
    let known = try_join_all(asked).await?;
    let mut at = 0..keys.len();
    hits.hits.retain(|hit| {
        let of_it = |i| {
            known
                .iter()
                .filter_map(move |versions: &Vec<_>| versions[i])
        };
        let best = at.next().and_then(|i| crate::replicate::winner(of_it(i)));
        best.is_none_or(|best| hit.version.covers(&best))
    });
    Ok(hits)
}

async fn versions(
    core: &Arc<Core>,
    node: &NodeId,
    keys: &[ObjectKey],
) -> Result<Vec<Option<Version>>, AskError> {
    let request = Request::Versions(Purpose::Query, keys.to_vec());
    match core.ask(node, request, PAGE_LIMIT).await? {
        Response::Versions(versions) if versions.len() == keys.len() => Ok(versions),
        _ => Err(AskError::senseless(node)),
    }
}
