//! What was refused and why: counted always, said once and then now and again.
//!
//! *Invariants*: however often somebody knocks, at most one line a reason and `SAY_EVERY` is
//! written; counts only grow; memory does not.
//!
//! *Not here*: deciding what is refused.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shortest time between two lines about one reason.
const SAY_EVERY: Duration = Duration::from_mins(1);

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A connection that did not get as far as a name.
    Handshake,
    /// A stranger that wanted to join.
    Join,
    /// A message that is none, or too large.
    Message,
    /// A beat that the node it is about did not sign.
    Beat,
    /// A membership change that nobody may have made.
    Change,
    /// A token, or its end, that nobody may have made.
    Grant,
    /// An object that is not what it says it is.
    Object,
    /// A request without a good token.
    Token,
    /// A request beyond its token's role.
    Role,
    /// A request that a web page of elsewhere made.
    Origin,
    /// A request too many.
    Rate,
    /// A connection too many.
    Connection,
}

/// All reasons, as they are numbered and named in the metrics.
const REASONS: [(Refused, &str); 12] = [
    (Refused::Handshake, "handshake"),
    (Refused::Join, "join"),
    (Refused::Message, "message"),
    (Refused::Beat, "beat"),
    (Refused::Change, "change"),
    (Refused::Grant, "grant"),
    (Refused::Object, "object"),
    (Refused::Token, "token"),
    (Refused::Role, "role"),
    (Refused::Origin, "origin"),
    (Refused::Rate, "rate"),
    (Refused::Connection, "connection"),
];

/// A node's counters, from zero at its start.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: [AtomicU64; REASONS.len()],
    said: Mutex<[Option<Instant>; REASONS.len()]>,
}

impl Refused {
    /// Returns the name in logs and metrics.
    pub fn name(self) -> &'static str {
        REASONS[self as usize].1
    }
}

impl Refusals {
    /// Counts a refusal; says it unless the same was said a moment ago.
    pub fn note(&self, why: Refused, from: &dyn fmt::Display, reason: &dyn fmt::Display) {
        // Relaxed: counters order nothing.
        let count = self.counts[why as usize].fetch_add(1, Ordering::Relaxed) + 1;
        if self.may_say(why) {
            tracing::warn!(why = why.name(), %from, %reason, count, "refused");
        }
    }

    /// Returns how often something was refused for a reason.
    pub fn count(&self, why: Refused) -> u64 {
        self.counts[why as usize].load(Ordering::Relaxed)
    }

    /// Returns all counts by the names of their reasons.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.iter().map(|(why, name)| (*name, self.count(*why)))
    }

    fn may_say(&self, why: Refused) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut said[why as usize];
        let now = Instant::now();
        let silent = last.is_none_or(|at| now.duration_since(at) >= SAY_EVERY);
        if silent {
            *last = Some(now);
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count_and_name() {
        let refusals = Refusals::default();
        for (i, (why, name)) in REASONS.into_iter().enumerate() {
            assert_eq!((why as usize, why.name()), (i, name));
            for _ in 0..=i {
                refusals.note(why, &"here", &"test");
            }
        }
        let counts: Vec<u64> = refusals.read().map(|(_, count)| count).collect();
        assert_eq!(counts, (1..=12).collect::<Vec<u64>>());
    }

    #[test]
    fn a_reason_is_said_once_however_often_it_holds() {
        let refusals = Refusals::default();
        let said = (0..1_000).filter(|_| refusals.may_say(Refused::Token));
        assert_eq!(said.count(), 1);
        assert!(refusals.may_say(Refused::Join));
    }
}
