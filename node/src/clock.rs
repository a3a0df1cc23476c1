//! A node's clocks: time since its start, and the time of day.
//!
//! *Invariants*: time since the start never runs backwards; the time of day, which may jump, is
//! asked for by nothing but the expiry of tokens and what is shown to people.
//!
//! *Not here*: what is concluded from time (`membership`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A node's clocks.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    started: Instant,
    /// Where a simulated node's clocks stand; none for a real one.
    skew: Option<Arc<Skew>>,
}

/// How a simulated node's clocks differ from the others'.
#[derive(Debug, Default)]
pub(crate) struct Skew {
    /// Milliseconds that its time since the start has jumped ahead, as after a pause.
    paused_ms: AtomicU64,
    /// Milliseconds that its time of day is ahead, or behind if negative.
    day_ms: AtomicI64,
    /// Seconds since 1970 when the simulation began.
    epoch_s: i64,
}

impl Clock {
    /// Starts the clocks of this machine.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            skew: None,
        }
    }

    /// Starts the clocks of a simulated node.
    pub(crate) fn simulated(started: Instant, skew: Arc<Skew>) -> Self {
        Self {
            started,
            skew: Some(skew),
        }
    }

    /// Returns the time since the start.
    pub(crate) fn now(&self) -> Duration {
        let jumped = self.skew.as_ref().map_or(0, |skew| skew.paused());
        self.started.elapsed() + Duration::from_millis(jumped)
    }

    /// Returns the time of day.
    #[allow(
        clippy::disallowed_methods,
        reason = "a driver: tokens expire by this machine's clock"
    )]
    pub(crate) fn day(&self) -> Timestamp {
        let Some(skew) = &self.skew else {
            return Timestamp::now();
        };
        let epoch = Timestamp::from_second(skew.epoch_s).unwrap_or(Timestamp::UNIX_EPOCH);
        let ahead = SignedDuration::from_millis(skew.day_ms.load(Ordering::Relaxed));
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        let now = epoch
            .checked_add(elapsed)
            .and_then(|t| t.checked_add(ahead));
        now.unwrap_or(epoch)
    }
}

impl Skew {
    /// Returns clocks that agree, at a time of day.
    pub(crate) fn none(epoch_s: i64) -> Self {
        Self {
            epoch_s,
            ..Self::default()
        }
    }

    /// Makes the time since the start jump ahead, as it does for who was paused.
    pub(crate) fn pause(&self, millis: u64) {
        self.paused_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// Sets the time of day ahead, or behind.
    pub(crate) fn set_day(&self, ahead_ms: i64) {
        self.day_ms.store(ahead_ms, Ordering::Relaxed);
    }

    fn paused(&self) -> u64 {
        self.paused_ms.load(Ordering::Relaxed)
    }
}
