//! How often somebody may ask.
//!
//! *Invariants*: pure: `now` is time since some start; memory is bounded: who is at rest is
//! forgotten, for that changes nothing.
//!
//! *Not here*: waiting, refusing.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Buckets that fill by so much a second, up to so much.
#[derive(Debug)]
pub(super) struct Rates<K> {
    per_second: f64,
    burst: f64,
    /// How far below empty a bucket may go: those requests wait for their turn.
    debt: f64,
    entries_max: usize,
    buckets: HashMap<K, Bucket>,
}

/// What is left to somebody.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl<K: Eq + Hash + Clone> Rates<K> {
    /// Returns full buckets; a request may wait for `turn` at most.
    pub(super) fn new((per_second, burst): (f64, f64), turn: Duration, entries_max: usize) -> Self {
        Self {
            per_second,
            burst,
            debt: turn.as_secs_f64() * per_second,
            entries_max,
            buckets: HashMap::new(),
        }
    }

    /// Takes one; returns how long to wait for it, or nothing if that is too long.
    pub(super) fn take(&mut self, who: &K, now: Duration) -> Option<Duration> {
        let mut bucket = self.filled(who, now);
        if bucket.left - 1.0 < -self.debt {
            return None;
        }
        bucket.left -= 1.0;
        self.keep(who, bucket, now);
        let wait = (-bucket.left / self.per_second).max(0.0);
        Some(Duration::from_secs_f64(wait))
    }

    /// Tells whether one could be taken without a wait; takes none.
    pub(super) fn has(&self, who: &K, now: Duration) -> bool {
        self.filled(who, now).left >= 1.0
    }

    fn filled(&self, who: &K, now: Duration) -> Bucket {
        let left = self.buckets.get(who).map_or(self.burst, |b| {
            let passed = now.saturating_sub(b.at).as_secs_f64();
            (b.left + passed * self.per_second).min(self.burst)
        });
        Bucket { left, at: now }
    }

    fn keep(&mut self, who: &K, bucket: Bucket, now: Duration) {
        if self.buckets.len() >= self.entries_max && !self.buckets.contains_key(who) {
            let rest = Duration::from_secs_f64(self.burst / self.per_second);
            self.buckets.retain(|_, b| now.saturating_sub(b.at) < rest);
            if self.buckets.len() >= self.entries_max {
                // All of them ask at once: forgetting is kinder than refusing a newcomer.
                self.buckets.clear();
            }
        }
        self.buckets.insert(who.clone(), bucket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_then_requests_wait_for_their_turn_then_are_refused() {
        let mut rates = Rates::new((10.0, 3.0), Duration::from_millis(200), 8);
        let taken: Vec<Option<Duration>> = (0..7).map(|_| rates.take(&1, at(0))).collect();
        let waits = [Some(0), Some(0), Some(0), Some(100), Some(200), None, None];
        assert_eq!(taken, waits.map(|w| w.map(at)));
        assert_eq!(
            rates.take(&2, at(0)),
            Some(at(0)),
            "others are not held back"
        );
        assert_eq!(
            rates.take(&1, at(100)),
            Some(at(200)),
            "a tenth of a second brings one"
        );
        assert!(!rates.has(&1, at(300)) && rates.has(&1, at(400)));
        assert_eq!(rates.take(&1, at(60_000)), Some(at(0)));
    }

    #[test]
    fn a_million_addresses_take_no_more_memory_than_the_limit() {
        let mut rates = Rates::new((1.0, 5.0), Duration::ZERO, 100);
        for who in 0..1_000_000_u32 {
            assert!(rates.take(&who, at(u64::from(who / 1_000))).is_some());
        }
        assert!(rates.buckets.len() <= 100);
    }
}
