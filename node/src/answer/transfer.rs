//! Objects that arrive in parts.
//!
//! *Invariants*: parts of a transfer come in order, one at a time; at most `TRANSFERS_MAX` and
//! `BYTES_MAX` are held; one that stands still is forgotten; an object is kept only when whole.
//!
//! *Not here*: sending (`replicate::send`), keeping (`store`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use earth::split::placement::Slot;
use tokio::time::Instant;
use wire::bundle::{BUNDLE_BYTES_MAX, FILES_MAX, Kind};
use wire::fault::{Fault, FaultKind};

use crate::cluster::catalog;
use crate::cluster::core::Core;
use crate::identity::NodeId;
use crate::layout::Stamp;
use crate::peer::{Head, Part, Response, Stored, Version};
use crate::refusals::Refused;
use crate::rope::Rope;
use crate::slots::SlotSet;
use crate::store::{Hashed, Object, ObjectFile, PutMode};
use crate::sync::Life;

/// Transfers under way from all nodes together.
const TRANSFERS_MAX: usize = 1_024;
/// Bytes held of all transfers together: two of the greatest objects.
const BYTES_MAX: usize = 2 * BUNDLE_BYTES_MAX;
/// How long a transfer may stand still: longer than a sender waits for an answer.
const STILL_MAX: Duration = Duration::from_mins(2);

/// Transfers under way.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    open: Mutex<HashMap<(NodeId, u64), Transfer>>,
}

/// What has arrived of an object.
#[derive(Debug)]
struct Transfer {
    head: Head,
    bytes: Rope,
    touched: Instant,
}

impl Transfers {
    /// Takes in a part; returns the head and all bytes after the last one.
    fn take(&self, from: &NodeId, part: Part) -> Result<Option<(Head, Bytes)>, Fault> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, t| t.touched.elapsed() < STILL_MAX);
        let name = (from.clone(), part.transfer);
        let mut transfer = match (part.head, open.remove(&name)) {
            (Some(head), _) => Transfer {
                head,
                bytes: Rope::default(),
                touched: Instant::now(),
            },
            (None, Some(known)) => known,
            (None, None) => return Err(refused("a part of an unknown transfer")),
        };
        let total = length(&transfer.head)?;
        let held: usize = open.values().map(|t| t.bytes.length()).sum();
        if open.len() >= TRANSFERS_MAX || held.saturating_add(total) > BYTES_MAX {
            return Err(refused("too much is being transferred already"));
        }
        transfer.bytes.append(part.bytes);
        if transfer.bytes.length() > total {
            return Err(refused("a transfer is longer than announced"));
        }
        if transfer.bytes.length() == total {
            // Most objects come in one part: it is not copied.
            return Ok(Some((transfer.head, transfer.bytes.joined())));
        }
        transfer.touched = Instant::now();
        open.insert(name, transfer);
        Ok(None)
    }
}

/// Keeps a part, and the object once it is whole.
pub(super) async fn keep(core: &Arc<Core>, from: &NodeId, part: Part) -> Result<Response, Fault> {
    let Some((head, bytes)) = core.transfers.take(from, part)? else {
        return Ok(Response::Done);
    };
    let (why, revision) = ((head.standin, head.layout), head.revision);
    let object = object(head, bytes);
    if why.1.is_some() {
        // A put, not a repair: should its node die, the other owners may lack it.
        let life = core.look(|view| Life::of(view, from));
        core.arrivals.note(from, object.slot(), life, core.now());
    }
    let stored = store(core, Arc::new(object.into()), revision, why).await;
    if let Err(fault) = &stored
        && fault.kind == FaultKind::Data
    {
        core.refusals.note(Refused::Object, from, fault);
    }
    stored.map(Response::Stored)
}

/// Keeps an object; says so to others if they must know.
pub(crate) async fn store(
    core: &Arc<Core>,
    hashed: Arc<Hashed>,
    revision: Option<u32>,
    (standin, layout): (bool, Option<Stamp>),
) -> Result<Stored, Fault> {
    let mode = revision.map_or(PutMode::Keep, PutMode::Replica);
    let (kept, slot) = (Arc::clone(&hashed), hashed.object().slot());
    let put = core
        .blocking(move |store| store.put_hashed(&kept, mode))
        .await?;
    // Who sends it for a layout that is no more knows nothing of the owners that it has now.
    let outdated = |layout: Stamp| {
        let newest = core.look(|view| view.ring.newest().stamp());
        layout != newest && layout.version <= newest.version
    };
    if standin || layout.is_some_and(outdated) {
        super::mark(core, &std::iter::once::<Slot>(slot).collect::<SlotSet>()).await?;
    }
    if core.look(|view| !view.ring.newest().owns(&core.me, slot)) {
        core.arrivals.note_stray();
        core.wake();
    }
    if hashed.object().key.kind == Kind::Collection {
        catalog::changed(core).await?;
    }
    Ok(Stored {
        outcome: put.outcome,
        version: Version {
            revision: put.revision,
            hash: put.hash,
        },
    })
}

fn object(head: Head, mut bytes: Bytes) -> Object {
    let files = head.files.into_iter().map(|(name, length)| ObjectFile {
        name,
        bytes: bytes.split_to(
            usize::try_from(length)
                .unwrap_or(usize::MAX)
                .min(bytes.len()),
        ),
    });
    let files = files.collect();
    Object {
        key: head.key,
        placement_key: head.placement_key,
        files,
    }
}

fn length(head: &Head) -> Result<usize, Fault> {
    let lengths = head.files.iter().map(|(_, length)| *length);
    let total = lengths.fold(0_u64, u64::saturating_add);
    let total = usize::try_from(total).unwrap_or(usize::MAX);
    if head.files.len() > FILES_MAX || total > BUNDLE_BYTES_MAX {
        return Err(refused("an object is too large"));
    }
    Ok(total)
}

fn refused(what: &str) -> Fault {
    Fault::new(FaultKind::Refused, what)
}

#[cfg(test)]
mod tests {
    use earth::split::placement::PlacementKey;

    use super::*;
    use crate::meters::Purpose;
    use crate::store::ObjectKey;

    fn head(length: u64) -> Head {
        Head {
            key: ObjectKey::new(Kind::Run, "r"),
            placement_key: PlacementKey::named("run", "r"),
            files: vec![("a".to_owned(), length), ("b".to_owned(), 1)],
            revision: None,
            standin: false,
            layout: None,
        }
    }

    fn part(head: Option<Head>, bytes: &[u8]) -> Part {
        Part {
            transfer: 1,
            head,
            bytes: bytes.to_vec().into(),
            purpose: Purpose::Put,
        }
    }

    #[test]
    fn parts_add_up_to_the_object() {
        let (transfers, from) = (Transfers::default(), NodeId::embedded());
        let first = transfers.take(&from, part(Some(head(4)), b"abc")).unwrap();
        assert_eq!(first, None);
        let (head, bytes) = transfers.take(&from, part(None, b"de")).unwrap().unwrap();
        let object = object(head, bytes);
        let files: Vec<&[u8]> = object.files.iter().map(|f| f.bytes.as_ref()).collect();
        assert_eq!(files, [b"abcd".as_ref(), b"e"]);
        assert!(transfers.open.lock().unwrap().is_empty());
    }

    #[test]
    fn unknown_long_and_giant_transfers_are_refused() {
        let (transfers, from) = (Transfers::default(), NodeId::embedded());
        assert!(transfers.take(&from, part(None, b"x")).is_err());
        assert!(transfers.take(&from, part(Some(head(1)), b"xyz")).is_err());
        for giant in [u64::MAX, BUNDLE_BYTES_MAX as u64] {
            assert!(transfers.take(&from, part(Some(head(giant)), b"")).is_err());
        }
        assert!(transfers.open.lock().unwrap().is_empty());
    }
}
