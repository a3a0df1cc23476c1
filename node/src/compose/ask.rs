//! One cell composed by one of its owners, and the image fetched from there.
//!
//! *Invariants*: this node itself is asked first if it owns the cell, then owners that are up; if
//! none can, this node composes from what holders send it; a fault in the request ends the search.
//!
//! *Not here*: composing (`work`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use earth::split::placement::Slot;
use wire::cluster::NodeState;
use wire::compose::{CellImage, ComposeHeader, ComposeMessage};
use wire::fault::{Fault, FaultKind};

use super::Outgoing;
use super::plan::CellJob;
use super::work::mebibytes;
use crate::cluster::core::{AskError, Core};
use crate::identity::NodeId;
use crate::peer::{ComposeJob, ComposedPiece, Request, Response};
use crate::rope::Rope;
use crate::swarm::CHUNK_BYTES_MAX;

/// Longest that a node may take to say that it still composes, and longest for a piece.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Longest that an owner may say that it still composes one cell: it bounds the work itself, and
/// what is waited for here is its turn behind the cells of others.
const TURN_LIMIT: Duration = Duration::from_hours(1);

/// Numbers the compositions that this process asks for.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Has one cell composed and returns its image.
pub(super) async fn cell(core: &Arc<Core>, cell: &CellJob) -> Result<Outgoing, Fault> {
    let job = serde_json::to_string(&cell.job)
        .map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
    let mut last = None;
    for node in askable(core, cell.slot) {
        match tokio::time::timeout(TURN_LIMIT, at(core, &node, &job)).await {
            Ok(Ok(outgoing)) => return Ok(outgoing),
            Ok(Err(AskError::Fault { fault, .. }))
                if matches!(fault.kind, FaultKind::Usage | FaultKind::Refused) =>
            {
                return Err(*fault);
            }
            Ok(Err(error)) => {
                let cell = &cell.plan.geocode;
                tracing::warn!(%error, cell, "composing failed; the next owner is asked");
                last = Some(Fault::from(error));
            }
            Err(_) => {
                let what = format!("node {node} took too long to compose");
                last = Some(Fault::new(FaultKind::Timeout, what));
            }
        }
    }
    Err(last.unwrap_or_else(|| Fault::new(FaultKind::Unreachable, "nobody owns the cell")))
}

/// Returns whom to ask, in order: an owner here, those that are up, this node in place of all.
fn askable(core: &Core, slot: Slot) -> Vec<NodeId> {
    let me = core.me.clone();
    let mut owners = core.look(|view| {
        let owners = view.owners(slot).into_iter();
        let state = |node: NodeId| (view.table.state(&node), node);
        owners.map(state).collect::<Vec<_>>()
    });
    owners.retain(|(state, node)| *state != NodeState::Down || *node == me);
    owners.sort_by_key(|(state, node)| (*node != me, *state != NodeState::Up));
    let mut nodes: Vec<NodeId> = owners.into_iter().map(|(_, node)| node).collect();
    if !nodes.contains(&me) {
        nodes.push(me);
    }
    nodes
}

/// Has a node compose, waits until it has, and fetches the image.
async fn at(core: &Arc<Core>, node: &NodeId, job: &str) -> Result<Outgoing, AskError> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let text = loop {
        let ask = ComposeJob {
            number,
            job: job.to_owned(),
        };
        match core.ask(node, Request::Compose(ask), ANSWER_LIMIT).await? {
            Response::Composed(Some(text)) => break text,
            Response::Composed(None) => {}
            _ => return Err(AskError::senseless(node)),
        }
    };
    let image: CellImage = serde_json::from_str(&text).map_err(|_| AskError::senseless(node))?;
    let lengths = image.files.iter().map(|f| f.bytes);
    let total = lengths.fold(0, u64::saturating_add);
    if total > wire::compose::FILES_BYTES_MAX {
        return Err(AskError::senseless(node));
    }
    let memory = core.compositions.transit(mebibytes(total)).await;
    let mut files = Vec::with_capacity(image.files.len());
    for (index, entry) in (0_u32..).zip(&image.files) {
        let bytes = fetch(core, node, (number, index), entry.bytes).await?;
        if blake3::hash(&bytes).to_hex().as_str() != entry.blake3 {
            return Err(AskError::senseless(node));
        }
        files.push(bytes);
    }
    Ok(Outgoing {
        message: ComposeMessage {
            header: ComposeHeader::Cell(Box::new(image)),
            files,
        },
        _memory: memory,
    })
}

/// Fetches one file of an image.
async fn fetch(
    core: &Arc<Core>,
    node: &NodeId,
    (number, file): (u64, u32),
    total: u64,
) -> Result<Bytes, AskError> {
    let mut bytes = Rope::default();
    while (bytes.length() as u64) < total {
        let left = total - bytes.length() as u64;
        let expected = left.min(CHUNK_BYTES_MAX as u64);
        let piece = ComposedPiece {
            number,
            file,
            offset: bytes.length() as u64,
            length: u32::try_from(CHUNK_BYTES_MAX).unwrap_or(u32::MAX),
        };
        let request = Request::FetchComposed(piece);
        match core.ask(node, request, ANSWER_LIMIT).await? {
            Response::Bytes(part) if part.length() as u64 == expected => bytes.append(part),
            _ => return Err(AskError::senseless(node)),
        }
    }
    Ok(bytes.joined())
}
