//! Ordered scans: B+-trees over the sensing time, cloud share and coverage of rows.
//!
//! A key is 12 bytes whose order as bytes is the order of what they stand for:
//! ```text
//! time   seconds since 1970, i64 with its sign bit flipped, big-endian · nanoseconds u32 BE
//! share  IEEE 754 bits of a number in 0..=1, u64 big-endian · four zero bytes
//! ```
//! *Invariants*: byte order is value order; a row without a known cloud share is in no cloud scan.
//!
//! *Not here*: which scan to read (`plan`), redb's tables (node).

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::model::TimeRange;
use crate::row::Row;
use crate::share::Shares;

/// Number of a row within one node.
pub type RowNumber = u32;

/// Bytes of a key.
pub const KEY_BYTES: usize = 12;

/// What a scan is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; KEY_BYTES]);

impl Key {
    /// Returns the key of an instant.
    pub fn of_time(time: Timestamp) -> Self {
        let nanos = time.as_nanosecond();
        let second = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0);
        let ordered = second.cast_unsigned() ^ (1 << 63);
        Self::join(ordered, rest)
    }

    /// Returns the key of a share; what is below 0 counts as 0.
    pub fn of_share(share: f64) -> Self {
        // Adding zero makes minus zero plain zero.
        Self::join((share.max(0.0) + 0.0).to_bits(), 0)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    fn join(high: u64, low: u32) -> Self {
        let mut bytes = [0; KEY_BYTES];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        Self(bytes)
    }
}

/// The keys of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Its sensing time.
    pub time: Key,
    /// Its cloud share, if known.
    pub cloud: Option<Key>,
    /// Its coverage.
    pub coverage: Key,
}

impl Keys {
    /// Returns the keys of a row.
    pub fn of(row: &Row<'_>) -> Self {
        Self {
            time: Key::of_time(row.acquired),
            cloud: row.cloud.map(Key::of_share),
            coverage: Key::of_share(row.coverage),
        }
    }
}

/// Rows in the order of a key.
pub trait OrderedScan {
    /// Why a scan fails.
    type Error;

    /// Hands over, in order, every row whose key lies in the range.
    fn scan(
        &self,
        range: RangeInclusive<Key>,
        take: &mut dyn FnMut(RowNumber),
    ) -> Result<(), Self::Error>;
}

/// The ordered scans of one node.
#[derive(Debug, Default)]
pub struct Scans<S> {
    /// By sensing time.
    pub time: S,
    /// By cloud share, where known.
    pub cloud: S,
    /// By coverage.
    pub coverage: S,
}

/// An ordered scan in memory.
#[derive(Debug, Default)]
pub struct MemoryScan(BTreeSet<(Key, RowNumber)>);

impl OrderedScan for MemoryScan {
    type Error = Infallible;

    fn scan(
        &self,
        range: RangeInclusive<Key>,
        take: &mut dyn FnMut(RowNumber),
    ) -> Result<(), Infallible> {
        let (first, last) = range.into_inner();
        if first <= last {
            let entries = self
                .0
                .range((first, RowNumber::MIN)..=(last, RowNumber::MAX));
            entries.for_each(|(_, row)| take(*row));
        }
        Ok(())
    }
}

impl Scans<MemoryScan> {
    /// Lists a row under its keys.
    pub fn insert(&mut self, row: RowNumber, keys: &Keys) {
        self.time.0.insert((keys.time, row));
        self.coverage.0.insert((keys.coverage, row));
        if let Some(cloud) = keys.cloud {
            self.cloud.0.insert((cloud, row));
        }
    }

    /// Strikes a row from under its keys.
    pub fn remove(&mut self, row: RowNumber, keys: &Keys) {
        self.time.0.remove(&(keys.time, row));
        self.coverage.0.remove(&(keys.coverage, row));
        if let Some(cloud) = keys.cloud {
            self.cloud.0.remove(&(cloud, row));
        }
    }
}

/// Returns the keys between which a range of times lies.
pub(super) fn time_keys(range: &TimeRange) -> RangeInclusive<Key> {
    let first = range.start.unwrap_or(Timestamp::MIN);
    let last = range.end.unwrap_or(Timestamp::MAX);
    Key::of_time(first)..=Key::of_time(last)
}

/// Returns the keys between which a range of shares lies.
pub(super) fn share_keys(shares: &Shares) -> RangeInclusive<Key> {
    Key::of_share(shares.min())..=Key::of_share(shares.max())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

    use super::*;

    fn timestamps() -> impl Strategy<Value = Timestamp> {
        let seconds = Timestamp::MIN.as_second() + 1..Timestamp::MAX.as_second();
        (seconds, 0..1_000_000_000_i32, any::<bool>()).prop_map(|(second, nanos, near)| {
            let second = if near { second % 3 } else { second };
            Timestamp::new(second, nanos).unwrap_or(Timestamp::UNIX_EPOCH)
        })
    }

    proptest! {
        #[test]
        fn keys_of_times_are_ordered_like_times(a in timestamps(), b in timestamps()) {
            prop_assert_eq!(Key::of_time(a).cmp(&Key::of_time(b)), a.cmp(&b));
        }

        #[test]
        fn keys_of_shares_are_ordered_like_shares(a in 0.0..=1.0_f64, b in 0.0..=1.0_f64) {
            prop_assert_eq!(Key::of_share(a).cmp(&Key::of_share(b)), a.total_cmp(&b));
        }
    }

    #[test]
    fn minus_zero_has_the_key_of_zero() {
        assert_eq!(Key::of_share(-0.0), Key::of_share(0.0));
        assert_eq!(Key::of_share(-0.0).as_bytes(), &[0; KEY_BYTES]);
    }
}
