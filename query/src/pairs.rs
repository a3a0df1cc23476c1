//! Each cloudy split with the temporally nearest clear one of its cell and collection.
//!
//! Splits come in once, by geocode, then time, then id; two pointers run over them: the last clear
//! split of each collection, and the cloudy ones that still wait for the next clear one.
//!
//! Each owner makes this pass over its own index ([`taking_part`]) and answers with the splits that
//! make a pair alone, each once however many pairs it is in. The same pass over what is left gives
//! the same pairs, so that whoever asked lays them out without a split that is in none.
//!
//! *Invariants*: pairs come out by cell; of two clear splits equally far the earlier one is taken,
//! of two at one time the one that came first; what waits is bounded; leaving out splits that are
//! in no pair changes no pair.
//!
//! *Not here*: where splits come from (node), how pairs are laid out (cli).

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::model::{Paired, SortKey, SortOrder};
use crate::page::Order;
use crate::row::Row;

/// Most cloudy splits of one cell and collection that wait for a clear one: thirty years of daily
/// dates without a clear day.
pub const WAITING_MAX: usize = 11_000;

/// What makes a split cloudy or clear, and how far apart the two may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    cloudy_min: f64,
    clear_max: f64,
    within: Option<SignedDuration>,
}

/// Why bounds make no rule.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a split of {clear_max} % cloud would be both clear and cloudy (from {cloudy_min} %)")]
pub struct RuleError {
    cloudy_min: f64,
    clear_max: f64,
}

/// Cloudy from this cloud cover in percent on, unless said otherwise.
pub const CLOUDY_MIN: f64 = 20.0;
/// Clear up to this cloud cover in percent, unless said otherwise.
pub const CLEAR_MAX: f64 = 5.0;

impl Default for Rule {
    fn default() -> Self {
        Self {
            cloudy_min: CLOUDY_MIN,
            clear_max: CLEAR_MAX,
            within: None,
        }
    }
}

/// Whether a split is cloudy, clear, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sky {
    Cloudy,
    Clear,
}

impl Rule {
    /// Builds the rule: cloudy from `cloudy_min` percent on, clear up to `clear_max` percent.
    ///
    /// # Errors
    /// Bounds that overlap, or are no numbers.
    pub fn new(
        clear_max: f64,
        cloudy_min: f64,
        within: Option<SignedDuration>,
    ) -> Result<Self, RuleError> {
        if clear_max < cloudy_min {
            Ok(Self {
                cloudy_min,
                clear_max,
                within,
            })
        } else {
            Err(RuleError {
                cloudy_min,
                clear_max,
            })
        }
    }

    /// Returns the rule in the words of a query.
    #[expect(clippy::cast_sign_loss, reason = "a span is no less than none")]
    pub fn asked(&self) -> Paired {
        Paired {
            cloudy_min: self.cloudy_min,
            clear_max: self.clear_max,
            within_s: self.within.map(|within| within.as_secs().max(0) as u64),
        }
    }

    /// Judges a cloud cover in percent; an unknown one is neither cloudy nor clear.
    fn judge(&self, cloud: Option<f64>) -> Option<Sky> {
        match cloud? {
            cloud if cloud <= self.clear_max => Some(Sky::Clear),
            cloud if cloud >= self.cloudy_min => Some(Sky::Cloudy),
            _ => None,
        }
    }

    fn allows(&self, apart: SignedDuration) -> bool {
        self.within.is_none_or(|within| apart <= within)
    }
}

impl TryFrom<Paired> for Rule {
    type Error = RuleError;

    fn try_from(asked: Paired) -> Result<Self, RuleError> {
        let seconds = |s: u64| SignedDuration::from_secs(i64::try_from(s).unwrap_or(i64::MAX));
        Self::new(
            asked.clear_max,
            asked.cloudy_min,
            asked.within_s.map(seconds),
        )
    }
}

/// A split as pairs are made of it.
pub trait Dated {
    /// Returns the cell's geocode.
    fn geocode(&self) -> &str;
    /// Returns the collection.
    fn collection(&self) -> &str;
    /// Returns the sensing time.
    fn acquired(&self) -> Timestamp;
    /// Returns the cloud cover in percent, where known.
    fn cloud_cover(&self) -> Option<f64>;
}

/// A cloudy split and the clear one nearest in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<T> {
    /// The cloudy split.
    pub cloudy: T,
    /// The clear one.
    pub clear: T,
}

/// What is counted beside the pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Splits that came in.
    pub splits: u64,
    /// Cloudy ones.
    pub cloudy: u64,
    /// Clear ones.
    pub clear: u64,
    /// Pairs made.
    pub pairs: u64,
}

impl Tally {
    /// Adds what was counted in other cells.
    pub fn add(&mut self, other: &Self) {
        self.splits += other.splits;
        self.cloudy += other.cloudy;
        self.clear += other.clear;
        self.pairs += other.pairs;
    }
}

/// Why splits cannot be paired.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// Splits do not come by geocode and time.
    #[error("splits of {0} do not come in order of time")]
    Order(String),
    /// More cloudy splits wait than may.
    #[error("more than {WAITING_MAX} cloudy splits of {0} wait for a clear one; narrow the time")]
    Waiting(String),
}

/// Pairs splits as they come.
#[derive(Debug)]
pub struct Pairing<T> {
    rule: Rule,
    waiting_max: usize,
    /// The cell that splits come of.
    geocode: String,
    latest: Option<Timestamp>,
    states: BTreeMap<String, State<T>>,
    tally: Tally,
}

/// One collection in the current cell.
#[derive(Debug)]
struct State<T> {
    clear: Option<T>,
    /// Cloudy splits since, none of which is known to have its nearest clear one yet.
    waiting: VecDeque<T>,
}

impl<T: Dated + Clone> Pairing<T> {
    /// Starts without splits.
    pub fn new(rule: Rule) -> Self {
        Self::waiting(rule, WAITING_MAX)
    }

    fn waiting(rule: Rule, waiting_max: usize) -> Self {
        Self {
            rule,
            waiting_max,
            geocode: String::new(),
            latest: None,
            states: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// Takes the next split; returns the pairs that are certain now.
    ///
    /// # Errors
    /// Splits out of order, more that wait than may.
    pub fn take(&mut self, split: T) -> Result<Vec<Pair<T>>, PairError> {
        let mut pairs = Vec::new();
        if split.geocode() != self.geocode {
            pairs = self.leave();
            split.geocode().clone_into(&mut self.geocode);
        }
        if self.latest.is_some_and(|latest| split.acquired() < latest) {
            return Err(PairError::Order(self.geocode.clone()));
        }
        self.latest = Some(split.acquired());
        self.tally.splits += 1;
        match self.rule.judge(split.cloud_cover()) {
            Some(Sky::Clear) => pairs.extend(self.clear(split)),
            Some(Sky::Cloudy) => pairs.extend(self.cloudy(split)?),
            None => {}
        }
        self.tally.pairs += pairs.len() as u64;
        Ok(pairs)
    }

    /// Ends; returns the last pairs and what was counted.
    pub fn finish(mut self) -> (Vec<Pair<T>>, Tally) {
        let pairs = self.leave();
        self.tally.pairs += pairs.len() as u64;
        (pairs, self.tally)
    }

    fn state(&mut self, collection: &str) -> &mut State<T> {
        let fresh = || State {
            clear: None,
            waiting: VecDeque::new(),
        };
        { self.states.entry(collection.to_owned()) }.or_insert_with(fresh)
    }

    fn clear(&mut self, split: T) -> Vec<Pair<T>> {
        self.tally.clear += 1;
        let rule = self.rule;
        let state = self.state(split.collection());
        let waiting = std::mem::take(&mut state.waiting);
        let pairs = { waiting.into_iter() }
            .filter_map(|cloudy| rule.pair(cloudy, state.clear.as_ref(), Some(&split)))
            .collect();
        // Of two at one time the first stays: nothing is nearer to the second.
        let same_time = |known: &T| known.acquired() == split.acquired();
        if !state.clear.as_ref().is_some_and(same_time) {
            state.clear = Some(split);
        }
        pairs
    }

    fn cloudy(&mut self, split: T) -> Result<Option<Pair<T>>, PairError> {
        self.tally.cloudy += 1;
        let (rule, waiting_max) = (self.rule, self.waiting_max);
        let state = self.state(split.collection());
        state.waiting.push_back(split);
        if state.waiting.len() <= waiting_max {
            return Ok(None);
        }
        // A clear split to come is later than now: what has waited too long takes what it has.
        let now = state.waiting.back().map(T::acquired);
        let late = |first: &T| now.is_some_and(|now| !rule.allows(apart(first.acquired(), now)));
        match state.waiting.pop_front() {
            Some(first) if late(&first) => Ok(rule.pair(first, state.clear.as_ref(), None)),
            _ => Err(PairError::Waiting(self.geocode.clone())),
        }
    }

    /// Leaves a cell: what waits takes the last clear split there was.
    fn leave(&mut self) -> Vec<Pair<T>> {
        self.latest = None;
        let mut pairs = Vec::new();
        for state in std::mem::take(&mut self.states).into_values() {
            let clear = state.clear.as_ref();
            let made = { state.waiting.into_iter() }
                .filter_map(|cloudy| self.rule.pair(cloudy, clear, None));
            pairs.extend(made);
        }
        pairs
    }
}

impl Rule {
    /// Takes the nearer of two clear splits, the earlier of equals, if it is near enough.
    fn pair<T: Dated + Clone>(
        &self,
        cloudy: T,
        before: Option<&T>,
        after: Option<&T>,
    ) -> Option<Pair<T>> {
        let clear = [before, after];
        let nearest = { clear.into_iter().flatten() }
            .map(|clear| (apart(cloudy.acquired(), clear.acquired()), clear))
            .filter(|(apart, _)| self.allows(*apart))
            .min_by_key(|(apart, _)| *apart)?;
        let clear = nearest.1.clone();
        Some(Pair { cloudy, clear })
    }
}

fn apart(a: Timestamp, b: Timestamp) -> SignedDuration {
    a.duration_since(b).abs()
}

/// A row of an index as a pair's half.
#[derive(Debug, Clone)]
struct Half<'a> {
    row: Row<'a>,
    geocode: String,
    /// Its place among all rows.
    number: u32,
}

impl Dated for Half<'_> {
    fn geocode(&self) -> &str {
        &self.geocode
    }

    fn collection(&self) -> &str {
        self.row.collection
    }

    fn acquired(&self) -> Timestamp {
        self.row.acquired
    }

    fn cloud_cover(&self) -> Option<f64> {
        self.row.cloud.map(|share| 100.0 * share)
    }
}

/// Returns the rows that make a pair, and what was counted; all rows of a cell must be given.
///
/// # Panics
/// Never for fewer than 2^32 rows, which indexes number in 32 bits.
pub fn taking_part<'a>(rows: impl Iterator<Item = Row<'a>>, rule: Rule) -> (Vec<Row<'a>>, Tally) {
    let mut rows: Vec<Row<'a>> = rows.collect();
    let order = Order::new(&SORT);
    rows.sort_unstable_by(|a, b| order.compare(a, b));
    let mut taken = RoaringBitmap::new();
    let mut take = |pairs: Vec<Pair<Half<'_>>>| {
        taken.extend(pairs.iter().flat_map(|p| [p.cloudy.number, p.clear.number]));
    };
    let mut pairing = Pairing::waiting(rule, usize::MAX);
    for (number, row) in (0..).zip(&rows) {
        let half = Half {
            row: *row,
            geocode: row.geocode.to_string(),
            number,
        };
        let pairs = pairing.take(half);
        take(pairs.expect("rows were sorted, and any number of them may wait"));
    }
    let (last, tally) = pairing.finish();
    take(last);
    let rows = { (0..).zip(rows) }.filter(|(number, _)| taken.contains(*number));
    (rows.map(|(_, row)| row).collect(), tally)
}

/// The order that splits are paired in.
pub const SORT: [SortOrder; 2] = [by(SortKey::Geocode), by(SortKey::Time)];

const fn by(key: SortKey) -> SortOrder {
    SortOrder {
        key,
        descending: false,
    }
}
