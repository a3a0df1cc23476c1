//! Bytes sent between nodes, by purpose (S001 Table IV is read off them).
//!
//! *Invariants*: counts encoded messages as they are handed to the transport, requests by who asks
//! and answers by who answers, so that the sum over nodes counts every byte once; only grows.
//!
//! *Not here*: bytes between a node and its users or workers (HTTP).

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use wire::cluster::BytesByPurpose;

/// What bytes were sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// Membership and liveness.
    Gossip,
    /// Replicating splits, ledgers, runs and collections.
    Put,
    /// Hand-over and repair.
    Repair,
    /// Questions and hits.
    Query,
    /// Imagery read across nodes.
    Pixels,
    /// Models published or pulled.
    Model,
    /// Gradients of a distributed run.
    Gradient,
}

/// Number of purposes.
const PURPOSES: usize = 7;

/// A node's counters, from zero at its start.
#[derive(Debug, Default)]
pub struct Meters {
    sent: [AtomicU64; PURPOSES],
}

impl Meters {
    /// Counts bytes sent.
    pub fn sent(&self, purpose: Purpose, bytes: usize) {
        // Relaxed: counters order nothing.
        self.sent[purpose as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns the counts.
    pub fn read(&self) -> BytesByPurpose {
        let of = |purpose: Purpose| self.sent[purpose as usize].load(Ordering::Relaxed);
        BytesByPurpose {
            gossip: of(Purpose::Gossip),
            put: of(Purpose::Put),
            repair: of(Purpose::Repair),
            query: of(Purpose::Query),
            pixels: of(Purpose::Pixels),
            model: of(Purpose::Model),
            gradient: of(Purpose::Gradient),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_own_count() {
        let meters = Meters::default();
        let all = [
            Purpose::Gossip,
            Purpose::Put,
            Purpose::Repair,
            Purpose::Query,
            Purpose::Pixels,
            Purpose::Model,
            Purpose::Gradient,
        ];
        for (i, purpose) in all.into_iter().enumerate() {
            meters.sent(purpose, i + 1);
            meters.sent(purpose, 10);
        }
        let expected = BytesByPurpose {
            gossip: 11,
            put: 12,
            repair: 13,
            query: 14,
            pixels: 15,
            model: 16,
            gradient: 17,
        };
        assert_eq!(meters.read(), expected);
    }
}
