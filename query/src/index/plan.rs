//! Which index to read: the one that promises the fewest rows.
//!
//! *Invariants*: a promise is never less than what the index gives; of equal promises the first in
//! the order of `Source` wins, so that the same rows give the same plan.
//!
//! *Not here*: the indexes (`bplus`, `radix`, `bitmap`).

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::IndexSet;
use super::bplus::{OrderedScan, share_keys, time_keys};
use crate::model::TimeRange;
use crate::predicate::Predicate;
use crate::row::Row;
use crate::share::Shares;

/// Buckets in which shares are counted: a percent each.
const PERCENTS: usize = 100;
/// Seconds in which times are counted together.
const DAY_SECONDS: i64 = 86_400;

/// An index that can be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// The listed ids.
    Ids,
    /// Bitmaps of collections, datasets and scenes.
    Names(RoaringBitmap),
    /// The trie.
    Geocode,
    /// The scan over times.
    Time,
    /// The scan over cloud shares.
    Cloud,
    /// The scan over coverage.
    Coverage,
    /// All rows.
    Rows,
}

/// An index with the rows that it promises.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) rows: u64,
}

impl Source {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Names(_) => "names",
            Self::Geocode => "geocode",
            Self::Time => "time",
            Self::Cloud => "cloud",
            Self::Coverage => "coverage",
            Self::Rows => "rows",
        }
    }
}

/// Chooses the index that promises the fewest rows.
pub(super) fn plan<S>(indexes: &IndexSet<S>, predicate: &Predicate) -> Plan {
    let mut plans = Vec::new();
    let mut offer = |source, rows| plans.push(Plan { source, rows });
    if !predicate.ids.is_empty() {
        offer(Source::Ids, predicate.ids.len() as u64);
    }
    if let Some(named) = indexes.names.read(predicate, &indexes.rows) {
        let rows = named.len();
        offer(Source::Names(named), rows);
    }
    if !predicate.space.is_everywhere() {
        offer(Source::Geocode, indexes.trie.estimate(&predicate.space));
    }
    let tallies = &indexes.tallies;
    if predicate.time != TimeRange::default() {
        offer(Source::Time, tallies.in_time(&predicate.time));
    }
    if let Some(shares) = &predicate.cloud {
        offer(Source::Cloud, in_shares(&tallies.cloud, shares));
    }
    if let Some(shares) = &predicate.coverage {
        offer(Source::Coverage, in_shares(&tallies.coverage, shares));
    }
    offer(Source::Rows, indexes.len());
    let best = plans.into_iter().min_by_key(|plan| plan.rows);
    best.expect("reading all rows is always possible")
}

impl<S: OrderedScan> IndexSet<S> {
    /// Reads an index: returns the rows among which all matches lie.
    pub(super) fn read(
        &self,
        source: &Source,
        predicate: &Predicate,
    ) -> Result<RoaringBitmap, S::Error> {
        let mut rows = RoaringBitmap::new();
        let mut take = |row| {
            rows.insert(row);
        };
        match source {
            Source::Ids => predicate
                .ids
                .iter()
                .filter_map(|id| self.number(id))
                .for_each(take),
            Source::Names(named) => return Ok(named.clone()),
            Source::Geocode => self.trie.read(&predicate.space, &mut take),
            Source::Time => self
                .scans
                .time
                .scan(time_keys(&predicate.time), &mut take)?,
            Source::Cloud => {
                if let Some(shares) = &predicate.cloud {
                    self.scans.cloud.scan(share_keys(shares), &mut take)?;
                }
            }
            Source::Coverage => {
                if let Some(shares) = &predicate.coverage {
                    self.scans.coverage.scan(share_keys(shares), &mut take)?;
                }
            }
            Source::Rows => return Ok(self.rows.live().clone()),
        }
        Ok(rows)
    }
}

/// Rows counted by day, cloud and coverage: what the scans promise without being read.
#[derive(Debug)]
pub(super) struct Tallies {
    days: BTreeMap<i64, u64>,
    cloud: [u64; PERCENTS],
    coverage: [u64; PERCENTS],
}

impl Default for Tallies {
    fn default() -> Self {
        Self {
            days: BTreeMap::new(),
            cloud: [0; PERCENTS],
            coverage: [0; PERCENTS],
        }
    }
}

impl Tallies {
    pub(super) fn add(&mut self, row: &Row<'_>) {
        *self.days.entry(day(row.acquired)).or_default() += 1;
        self.coverage[bucket(row.coverage, PERCENTS)] += 1;
        if let Some(cloud) = row.cloud {
            self.cloud[bucket(cloud, PERCENTS)] += 1;
        }
    }

    pub(super) fn subtract(&mut self, row: &Row<'_>) {
        let day = day(row.acquired);
        if let Some(count) = self.days.get_mut(&day) {
            *count -= 1;
            if *count == 0 {
                self.days.remove(&day);
            }
        }
        self.coverage[bucket(row.coverage, PERCENTS)] -= 1;
        if let Some(cloud) = row.cloud {
            self.cloud[bucket(cloud, PERCENTS)] -= 1;
        }
    }

    fn in_time(&self, range: &TimeRange) -> u64 {
        let first = range.start.map_or(i64::MIN, day);
        let last = range.end.map_or(i64::MAX, day);
        if first > last {
            return 0;
        }
        self.days.range(first..=last).map(|(_, count)| count).sum()
    }
}

fn in_shares(counts: &[u64; PERCENTS], shares: &Shares) -> u64 {
    let first = bucket(shares.min(), PERCENTS);
    let last = bucket(shares.max(), PERCENTS);
    counts[first..=last].iter().sum()
}

fn day(time: jiff::Timestamp) -> i64 {
    time.as_second().div_euclid(DAY_SECONDS)
}

/// Returns the bucket of a share among `buckets` of equal width; 1 belongs to the last.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped into the buckets on both sides"
)]
pub(super) fn bucket(share: f64, buckets: usize) -> usize {
    ((share.max(0.0) * buckets as f64) as usize).min(buckets - 1)
}
