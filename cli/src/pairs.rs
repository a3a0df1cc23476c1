//! Cloudy splits with clear ones, from a stream of those that make a pair, in order of cell and
//! time: owners leave out all others.
//!
//! *Invariants*: hits are read once; only what still waits for a partner is in memory.
//!
//! *Not here*: the pairing itself (`query::pairs`), printing (`search::pairs`), files
//! (`get::pairs`).

use std::sync::Arc;

use jiff::Timestamp;
use query::Query;
use query::pairs::{Dated, Pair, PairError, Pairing, Rule, Tally};
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;
use wire::search::SearchEnd;

use crate::print::{Screen, count};
use crate::search;

/// A hit that a pair can hold.
#[derive(Debug, Clone)]
pub(crate) struct Dating(pub(crate) Arc<Hit>);

impl Dated for Dating {
    fn geocode(&self) -> &str {
        &self.0.geocode
    }

    fn collection(&self) -> &str {
        &self.0.collection
    }

    fn acquired(&self) -> Timestamp {
        self.0.acquired
    }

    fn cloud_cover(&self) -> Option<f64> {
        self.0.cloud_cover
    }
}

/// Sends a query and hands on each pair of its hits.
pub(crate) async fn stream(
    client: &Client,
    (query, rule): (Query, Rule),
    mut take: impl FnMut(&Hit, &Hit),
) -> Result<(SearchEnd, Tally), Fault> {
    let query = Query {
        paired: Some(rule.asked()),
        ..ordered(query)?
    };
    let mut pairing = Pairing::new(rule);
    let mut failed: Option<PairError> = None;
    let mut hand_on = |pairs: Vec<Pair<Dating>>| {
        for pair in pairs {
            take(&pair.cloudy.0, &pair.clear.0);
        }
    };
    let end = search::stream(client, query, |hit| {
        if failed.is_none() {
            match pairing.take(Dating(Arc::new(hit))) {
                Ok(pairs) => hand_on(pairs),
                Err(error) => failed = Some(error),
            }
        }
    })
    .await?;
    if let Some(error) = failed {
        return Err(Fault::new(FaultKind::Data, "the splits cannot be paired")
            .because(error.to_string())
            .try_("a shorter --datetime, or --within"));
    }
    let (last, made) = pairing.finish();
    hand_on(last);
    // Owners counted what they left out, too.
    let tally = end.pairs.unwrap_or(made);
    Ok((end, tally))
}

/// Orders a query by cell and time; refuses words that would hide one side of the pairs.
fn ordered(query: Query) -> Result<Query, Fault> {
    let refuse = |flag: &str, why: &str, instead: &str| {
        let what = format!("{flag} does not go with --pairs");
        Err(Fault::new(FaultKind::Usage, what)
            .because(why)
            .try_(instead))
    };
    if query.cloud.min.is_some() || query.cloud.max.is_some() {
        let why = "it would leave out the cloudy splits or the clear ones";
        return refuse("--min-cloud or --max-cloud", why, "--cloudy 20 --clear 5");
    }
    if !query.sort.is_empty() {
        let why = "pairs come by cell, then by time";
        return refuse("--sort", why, "-o csv, sorted by another program");
    }
    if query.limit.is_some() {
        let why = "it would cut off partners of splits before it";
        return refuse("--limit", why, "--geocode or --datetime, to ask for fewer");
    }
    Ok(Query {
        sort: query::pairs::SORT.to_vec(),
        ..query
    })
}

/// Returns how far apart two splits are, in days.
pub(crate) fn days_apart(cloudy: &Hit, clear: &Hit) -> f64 {
    let seconds = clear.acquired.duration_since(cloudy.acquired).as_secs();
    seconds as f64 / 86_400.0
}

/// Says how many pairs there are, and of how many splits.
pub(crate) fn say(screen: &Screen, tally: &Tally) {
    screen.note(format!(
        "{} pairs of {} cloudy and {} clear splits, {} looked at",
        count(tally.pairs),
        count(tally.cloudy),
        count(tally.clear),
        count(tally.splits),
    ));
}
