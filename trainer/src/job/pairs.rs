//! Cloudy splits with clear ones among those of a job.
//!
//! *Invariants*: the pairs are those of `glebe search --pairs` among the splits that can be used; a
//! run whose query names a rule of its own is learned by that one.
//!
//! *Not here*: the pairing itself (`query::pairs`), pixels (`chips::pair`).

use jiff::Timestamp;
use query::Query;
use query::pairs::{Dated, Pair, PairError, Pairing, Rule, RuleError, Tally};

use crate::job::survey::{Source, Surveyed};

/// Why no pair can be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PairsError {
    /// Not one.
    #[error(
        "none of {splits} splits makes a pair: {cloudy} are cloudy, {clear} clear, {unknown} of \
         unknown cloud cover; more dates, no --max-cloud or --min-cloud, another --cloudy, --clear \
         or --within help (the same selectors with glebe search --pairs show what there is)"
    )]
    None {
        /// Splits offered.
        splits: u64,
        /// Cloudy ones.
        cloudy: u64,
        /// Clear ones.
        clear: u64,
        /// Splits whose cloud cover nobody knows.
        unknown: u64,
    },
    /// The run's rule is none.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// There are too many splits.
    #[error(transparent)]
    Pair(#[from] PairError),
}

/// Returns the rule of a run: its query's, or else the recipe's.
pub fn rule(query: &Query, recipes: Rule) -> Result<Rule, PairsError> {
    let own = query.paired.map(Rule::try_from).transpose()?;
    Ok(own.unwrap_or(recipes))
}

/// Pairs each cloudy split with the clear one nearest in time.
pub fn mine(splits: &[Surveyed], rule: Rule) -> Result<Vec<Source>, PairsError> {
    let mut halves: Vec<Half<'_>> = splits.iter().enumerate().map(Half::of).collect();
    // As rows of an index come: by time, then by id, in which order splits are numbered.
    halves.sort_by_key(|half| (half.split.meta.acquired, half.number));
    let mut sources = Vec::new();
    let mut pairing = Pairing::new(rule);
    for half in halves {
        sources.extend(pairing.take(half)?.iter().map(source));
    }
    let (last, tally) = pairing.finish();
    sources.extend(last.iter().map(source));
    if sources.is_empty() {
        return Err(none(splits, &tally));
    }
    sources.sort_by_key(|source| source.input);
    Ok(sources)
}

fn none(splits: &[Surveyed], tally: &Tally) -> PairsError {
    let unknown = splits.iter().filter(|s| s.meta.counts.cloud().is_none());
    PairsError::None {
        splits: tally.splits,
        cloudy: tally.cloudy,
        clear: tally.clear,
        unknown: unknown.count() as u64,
    }
}

fn source(pair: &Pair<Half<'_>>) -> Source {
    Source {
        input: pair.cloudy.number,
        label: pair.clear.number,
    }
}

/// A split as a pair's half.
#[derive(Debug, Clone, Copy)]
struct Half<'a> {
    number: usize,
    split: &'a Surveyed,
}

impl<'a> Half<'a> {
    fn of((number, split): (usize, &'a Surveyed)) -> Self {
        Self { number, split }
    }
}

impl Dated for Half<'_> {
    fn geocode(&self) -> &str {
        self.split.meta.id.geocode()
    }

    fn collection(&self) -> &str {
        self.split.meta.id.collection()
    }

    fn acquired(&self) -> Timestamp {
        self.split.meta.acquired
    }

    fn cloud_cover(&self) -> Option<f64> {
        self.split.meta.counts.cloud().map(|share| 100.0 * share)
    }
}
