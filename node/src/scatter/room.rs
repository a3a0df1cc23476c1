//! Memory for the files that users are being answered with.
//!
//! *Invariants*: a file has its room before it is read, and gives it back when the last of its
//! bytes is gone, also those that wait for a slow reader behind its connection; whoever finds no
//! room waits, in turn and not for ever.
//!
//! *Not here*: what is sent between nodes (`budget`), objects taken in (`http::object`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wire::fault::{Fault, FaultKind};

/// Mebibytes of files that are answered with at a time: one of the greatest alone, or hundreds of
/// the usual ones; as much as objects taken in may have.
pub(crate) const ANSWERS_MEBIBYTES_MAX: u32 = 256;
/// Longest that an answer waits for room: far below the two minutes of silence after which our
/// client gives up, and enough for 256 MiB over a line of 10 MB/s.
const ROOM_WAIT: Duration = Duration::from_secs(30);

/// The memory that files may take.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    kib: u32,
    left: Arc<Semaphore>,
}

/// The room of one file.
#[derive(Debug)]
pub(crate) struct Share {
    bytes: u64,
    permit: OwnedSemaphorePermit,
}

/// Bytes with the room that they take.
struct Seated {
    bytes: Bytes,
    _share: Share,
}

impl Room {
    /// Returns an empty room of so many mebibytes.
    pub(crate) fn new(mebibytes: u32) -> Self {
        let kib = mebibytes.saturating_mul(1 << 10);
        Self {
            kib,
            left: Arc::new(Semaphore::new(kib as usize)),
        }
    }

    /// Waits for room for that many bytes, or for all there is where they are more.
    pub(super) async fn take(&self, bytes: u64) -> Result<Share, Fault> {
        let taking = Arc::clone(&self.left).acquire_many_owned(self.kib_of(bytes));
        match timeout(ROOM_WAIT, taking).await {
            Ok(Ok(permit)) => Ok(Share { bytes, permit }),
            // Nobody closes it.
            Ok(Err(_)) | Err(_) => Err(full()),
        }
    }

    /// Returns the kibibytes that bytes take of it.
    fn kib_of(&self, bytes: u64) -> u32 {
        let whole = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(self.kib);
        whole.clamp(1, self.kib)
    }
}

impl Share {
    /// Tells whether it is room for that many bytes.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        bytes <= self.bytes
    }

    /// Returns bytes that take this room for as long as any of them is held; what they do not need
    /// of it is given back.
    pub(crate) fn seat(mut self, bytes: Bytes) -> Bytes {
        let needed = bytes.len().div_ceil(1 << 10).max(1);
        let spare = self.permit.num_permits().saturating_sub(needed);
        drop(self.permit.split(spare));
        Bytes::from_owner(Seated {
            bytes,
            _share: self,
        })
    }
}

impl AsRef<[u8]> for Seated {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn full() -> Fault {
    let what = "there is no room for another answer";
    Fault::new(FaultKind::Busy, what)
        .because("files that others are reading take all the memory that a node gives to them")
        .try_("the same again, or another node")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const MEBIBYTE: usize = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn room_is_given_back_with_the_last_of_the_bytes_and_nobody_waits_for_ever() {
        let room = Room::new(4);
        let share = room.take(3 * MEBIBYTE as u64).await.unwrap();
        let bytes = share.seat(Bytes::from(vec![7; 3 * MEBIBYTE]));
        let part = bytes.slice(5..6);
        drop(bytes);
        let full = room.take(2 * MEBIBYTE as u64).await.unwrap_err();
        assert_eq!(full.kind, FaultKind::Busy);
        let one = room.take(1).now_or_never().unwrap().unwrap();
        drop((part, one));
        // The greatest has it alone.
        let all = room.take(u64::MAX).now_or_never().unwrap().unwrap();
        assert!(room.take(1).now_or_never().is_none());
        let part = all.seat(Bytes::from_static(b"little of it"));
        assert!(
            room.take(3 * MEBIBYTE as u64).now_or_never().is_some(),
            "the rest is free"
        );
        drop(part);
    }
}
