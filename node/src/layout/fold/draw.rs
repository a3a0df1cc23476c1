//! Which of its slots a node gives away, drawn from the change that asks for it.
//!
//! ```text
//! draw  = first 8 bytes (big-endian) of BLAKE3("glebe draw 1\n" │ counter │ node id)
//! place = SplitMix64 of draw, the giver's seat and how many places it holds, modulo the latter
//! ```
//! Seats and counts alone would do as well for any one layout, but give every cluster that grows
//! node by node the same one, whoever joins: one deal of slots, good or bad, for all.
//!
//! Counter (u64, big-endian) and node are what changes are ordered by; what a change does is left
//! out, so that to forsake a node moves what its leaving does.
//!
//! *Invariants*: the same change draws the same at every node, whenever it is applied; two of
//! unlike counters or nodes draw as two throws of dice do.
//!
//! *Not here*: what may be given to whom (`level`), how many (`quota`).

use crate::layout::Change;

/// What is hashed before the change, so that the hash is of no other use.
const MARK: &[u8] = b"glebe draw 1\n";

/// What one change draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Draw(u64);

impl Draw {
    /// Returns what a change draws.
    pub(super) fn of(change: &Change) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(MARK).update(&change.counter.to_be_bytes());
        hasher.update(change.node.as_str().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// Returns one of a seat's places, from 0; zero if it holds none.
    pub(super) fn among(self, seat: usize, held: usize) -> usize {
        // SplitMix64: BLAKE3 once a change, some nanoseconds once a place.
        let mut z = self
            .0
            .wrapping_add((seat as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_add((held as u64).wrapping_mul(0xd1b5_4a32_d192_ed03));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap_or(0) % held.max(1)
    }
}
