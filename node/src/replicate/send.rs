//! Sends one object to one node, in chunks.
//!
//! *Invariants*: one chunk is under way at a time, once the budget of its receiver has room for it
//! (`budget`), and shares the object's memory; each has a deadline; the node's own copy goes to its
//! store without a message.
//!
//! *Not here*: putting the parts together (`answer::transfer`).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::transfer;
use crate::cluster::core::{AskError, Core};
use crate::identity::NodeId;
use crate::layout::Stamp;
use crate::meters::Purpose;
use crate::peer::{Head, Part, Request, Response, Stored};
use crate::rope::Rope;
use crate::store::{Hashed, Object};
use crate::swarm::CHUNK_BYTES_MAX;

/// Longest that a chunk may take to be kept: 4 MiB at 1 Mbit/s take 34 s, an fsync far less.
const CHUNK_LIMIT: Duration = Duration::from_mins(1);

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Shipment {
    pub object: Arc<Hashed>,
    /// As in `Head`.
    pub revision: Option<u32>,
    pub standin: bool,
    /// As in `Head`.
    pub layout: Option<Stamp>,
    pub purpose: Purpose,
}

/// Sends an object; returns once the node has it fsynced.
pub(crate) async fn send(
    core: &Arc<Core>,
    node: &NodeId,
    shipment: &Shipment,
) -> Result<Stored, AskError> {
    if *node == core.me {
        return keep_here(core, shipment).await;
    }
    let budget = core.sending.of(node);
    let transfer = core.next_transfer();
    let mut head = Some(head(shipment));
    for range in chunks(shipment.object.object()) {
        let _share = budget.take(range.len() as u64).await;
        let bytes = slice(shipment.object.object(), range);
        let part = Part {
            transfer,
            head: head.take(),
            bytes,
            purpose: shipment.purpose,
        };
        match core.ask(node, Request::Put(part), CHUNK_LIMIT).await? {
            Response::Stored(stored) => return Ok(stored),
            Response::Done => {}
            _ => return Err(AskError::senseless(node)),
        }
    }
    Err(AskError::senseless(node))
}

/// Returns how long sending so many bytes to one node may take.
pub(super) fn limit(bytes: u64) -> Duration {
    let chunks = bytes.div_ceil(CHUNK_BYTES_MAX as u64).max(1);
    CHUNK_LIMIT.saturating_mul(u32::try_from(chunks).unwrap_or(u32::MAX))
}

async fn keep_here(core: &Arc<Core>, shipment: &Shipment) -> Result<Stored, AskError> {
    let object = Arc::clone(&shipment.object);
    let why = (shipment.standin, shipment.layout);
    let kept = transfer::store(core, object, shipment.revision, why).await;
    kept.map_err(|fault| AskError::Fault {
        node: core.me.clone(),
        fault: Box::new(fault),
    })
}

fn head(shipment: &Shipment) -> Head {
    let object = shipment.object.object();
    let files = object.files.iter();
    Head {
        key: object.key.clone(),
        placement_key: object.placement_key.clone(),
        files: files
            .map(|f| (f.name.clone(), f.bytes.len() as u64))
            .collect(),
        revision: shipment.revision,
        standin: shipment.standin,
        layout: shipment.layout,
    }
}

/// Cuts the files' bytes, one after the other, into chunks; at least one.
fn chunks(object: &Object) -> impl Iterator<Item = Range<usize>> {
    let total: usize = object.files.iter().map(|f| f.bytes.len()).sum();
    let starts = (0..total.max(1)).step_by(CHUNK_BYTES_MAX);
    starts.map(move |start| start..(start + CHUNK_BYTES_MAX).min(total))
}

/// Returns the pieces of the files in a range, shared with the object.
fn slice(object: &Object, Range { start, end }: Range<usize>) -> Rope {
    let mut pieces = Vec::with_capacity(object.files.len());
    let mut at = 0;
    for file in &object.files {
        let (first, last) = (start.max(at), end.min(at + file.bytes.len()));
        if first < last {
            pieces.push(file.bytes.slice(first - at..last - at));
        }
        at += file.bytes.len();
    }
    pieces.into_iter().collect()
}
