//! What is known of a set of rows without looking at them.
//!
//! *Invariants*: mergeable: the aggregate of a union of disjoint sets is the merge of theirs.
//!
//! *Not here*: which rows belong to the set (`radix`).

use jiff::Timestamp;

use crate::index::plan::bucket;
use crate::row::Row;

/// Buckets of a histogram of shares: tenths, the last one with its upper end.
pub const BUCKETS: usize = 10;

/// What is known of a set of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Aggregate {
    /// Rows.
    pub count: u64,
    /// Stored bytes of one replica of each.
    pub bytes: u64,
    /// First and last sensing time.
    pub time: Option<(Timestamp, Timestamp)>,
    /// Rows by tenth of their cloud share.
    pub cloud: [u64; BUCKETS],
    /// Rows whose cloud share is unknown.
    pub cloud_unknown: u64,
    /// Rows by tenth of their coverage.
    pub coverage: [u64; BUCKETS],
}

impl Aggregate {
    /// Returns the aggregate of rows.
    pub fn of<'a>(rows: impl Iterator<Item = Row<'a>>) -> Self {
        let mut all = Self::default();
        rows.for_each(|row| all.add(&row));
        all
    }

    /// Takes up a row.
    pub fn add(&mut self, row: &Row<'_>) {
        self.count += 1;
        self.bytes += row.bytes;
        self.time = span(self.time, Some((row.acquired, row.acquired)));
        self.coverage[bucket(row.coverage, BUCKETS)] += 1;
        match row.cloud {
            Some(cloud) => self.cloud[bucket(cloud, BUCKETS)] += 1,
            None => self.cloud_unknown += 1,
        }
    }

    /// Takes up all rows of another set.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.time = span(self.time, other.time);
        self.cloud_unknown += other.cloud_unknown;
        let sum = |ours: &mut [u64; BUCKETS], theirs: &[u64; BUCKETS]| {
            ours.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
        };
        sum(&mut self.cloud, &other.cloud);
        sum(&mut self.coverage, &other.coverage);
    }
}

type Span = Option<(Timestamp, Timestamp)>;

fn span(a: Span, b: Span) -> Span {
    match (a, b) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (some, None) | (None, some) => some,
    }
}
