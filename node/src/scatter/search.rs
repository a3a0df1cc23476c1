//! A query to every node that can hold a hit, answered as one ordered stream.
//!
//! *Invariants*: hits come in the query's order, each id once; a node that dies midway is replaced
//! by other owners that go on behind the last hit that came out, so none is doubled or left out;
//! the last line is the end, and says what is known to be missing.
//!
//! *Not here*: predicates, order and merging (query).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use query::Query;
use query::empty::Emptiness;
use query::merge::{Merge, Step};
use query::page::{Order, Position};
use query::pairs::Tally;
use query::predicate::Predicate;
use query::route::route;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::fault::{Fault, FaultKind};
use wire::search::{Asked, EmptyReason, SearchEnd, SearchLine};

use super::coverage::Coverage;
use super::{PAGE_LIMIT, cover, fresh, gather};
use crate::cluster::core::{AskError, Core};
use crate::identity::NodeId;
use crate::peer::{Hits, Question, Request, Response, Search};
use crate::slots::SlotSet;
use crate::swarm::LinkError;

/// Hits in a page: a megabyte of splits with thirteen bands.
const PAGE_ROWS: u64 = 256;
/// Lines that wait for a slow reader; beyond them nodes are not asked for more.
const LINES_MAX: usize = 256;

/// An answer that is on its way.
type Answer = BoxFuture<'static, (usize, Result<Hits, AskError>)>;

/// A node that is being asked for pages.
struct Source {
    node: NodeId,
    slots: SlotSet,
    /// What it counted of pairs.
    pairs: Option<Tally>,
}

/// A query under way.
struct Searching {
    core: Arc<Core>,
    /// The query as JSON.
    query: String,
    limit: u64,
    coverage: Coverage,
    merge: Merge<String>,
    sources: Vec<Source>,
    answers: FuturesUnordered<Answer>,
    asked: BTreeMap<NodeId, Asked>,
    last: Option<Position>,
}

/// Starts a query; its lines follow.
pub(crate) async fn search(
    core: &Arc<Core>,
    query: Query,
) -> Result<mpsc::Receiver<SearchLine>, Fault> {
    let started = Instant::now();
    let predicate = Predicate::compile(&query)?;
    let text = serde_json::to_string(&query).map_err(|e| {
        Fault::new(FaultKind::Usage, "the query cannot be sent").because(e.to_string())
    })?;
    let catalog = core.catalog().await;
    let slots = route(&predicate, &catalog.collections);
    let mut end = SearchEnd {
        slots_asked: slots.len(),
        ..SearchEnd::default()
    };
    end.missing_slots = numbers(&catalog.missing);
    let searching = Searching {
        core: Arc::clone(core),
        query: text,
        limit: query.limit.unwrap_or(u64::MAX),
        coverage: cover(core, slots).await,
        merge: Merge::new(Order::new(&query.sort), 0),
        sources: Vec::new(),
        answers: FuturesUnordered::new(),
        asked: BTreeMap::new(),
        last: None,
    };
    let (lines, reader) = mpsc::channel(LINES_MAX);
    let stop = core.stop.clone();
    core.tasks.spawn(stop.run_until_cancelled_owned(async move {
        if let Some(mut end) = searching.run(&lines, end).await {
            end.millis = started.elapsed().as_secs_f64() * 1e3;
            // Err: the reader has gone.
            drop(lines.send(SearchLine::End(end)).await);
        }
    }));
    Ok(reader)
}

impl Searching {
    /// Sends all hits; returns the end, or `None` if nobody reads any more.
    async fn run(
        mut self,
        lines: &mpsc::Sender<SearchLine>,
        mut end: SearchEnd,
    ) -> Option<SearchEnd> {
        self.ask_more();
        while end.hits < self.limit {
            match self.merge.step() {
                Step::Item(position, text) => {
                    self.last = Some(position);
                    let Ok(hit) = serde_json::from_str(&text) else {
                        tracing::error!("a hit cannot be read; left it out");
                        continue;
                    };
                    lines.send(SearchLine::Hit(hit)).await.ok()?;
                    end.hits += 1;
                }
                Step::Needs(_) => match self.answers.next().await {
                    Some((source, answer)) => self.take(source, answer),
                    None => break,
                },
                Step::Done => break,
            }
        }
        self.finish(end).await.into()
    }

    /// Asks whoever should be asked by now and was not.
    fn ask_more(&mut self) {
        for (node, slots) in self.coverage.assign() {
            let count = slots.len();
            let asked = self.asked.entry(node.clone()).or_insert_with(|| Asked {
                node: node.to_string(),
                slots: 0,
                index: String::new(),
                rows_estimated: 0,
                rows_read: 0,
                hits: 0,
                millis: 0.0,
                error: None,
            });
            asked.slots += count;
            let source = self.merge.add();
            self.sources.push(Source {
                node,
                slots,
                pairs: None,
            });
            self.ask(source, self.last.clone());
        }
    }

    /// Asks a source for the page behind a position.
    fn ask(&mut self, source: usize, after: Option<Position>) {
        let Source { node, slots, .. } = &self.sources[source];
        let request = Request::Search(Search {
            question: Question {
                query: self.query.clone(),
                slots: slots.clone(),
            },
            after,
            rows_max: u32::try_from(self.limit.min(PAGE_ROWS)).unwrap_or(u32::MAX),
        });
        let rivals = self.coverage.rivals(node, slots);
        let limit = self.coverage.patience(node).unwrap_or(PAGE_LIMIT);
        let (core, node) = (Arc::clone(&self.core), node.clone());
        self.answers.push(Box::pin(async move {
            let answer = match core.ask(&node, request, limit).await {
                Ok(Response::Hits(hits)) => fresh::only(&core, hits, &rivals).await,
                Ok(_) => Err(AskError::senseless(&node)),
                Err(error) => Err(error),
            };
            (source, answer)
        }));
    }

    fn take(&mut self, source: usize, answer: Result<Hits, AskError>) {
        let node = self.sources[source].node.clone();
        let asked = self
            .asked
            .get_mut(&node)
            .expect("every source is noted when asked");
        match answer {
            Ok(hits) => {
                asked.index.clone_from(&hits.index);
                asked.rows_estimated = asked.rows_estimated.max(hits.rows_estimated);
                asked.rows_read += hits.rows_read;
                asked.hits += hits.hits.len() as u64;
                asked.millis += hits.micros as f64 / 1e3;
                let hits_in_order = hits.hits.into_iter().map(|hit| (hit.position, hit.json));
                self.merge.push(source, hits_in_order);
                self.sources[source].pairs = hits.pairs;
                match hits.next {
                    Some(next) => self.ask(source, Some(next)),
                    None => self.merge.end(source),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a node did not answer a query");
                let failed = error.node().clone();
                let is_slow = matches!(
                    error,
                    AskError::Link {
                        error: LinkError::Timeout,
                        ..
                    }
                );
                asked.error = Some(Fault::from(error).what);
                self.merge.end(source);
                self.sources[source].pairs = None;
                if is_slow && failed == node && self.coverage.patience(&node).is_some() {
                    self.coverage.slow(&node);
                } else {
                    // One that may know better did not say: the page is asked for again elsewhere.
                    self.coverage.fail(&failed);
                    self.coverage.ask_again(&node);
                }
                self.ask_more();
            }
        }
    }

    async fn finish(self, mut end: SearchEnd) -> SearchEnd {
        let mut missing = self.coverage.missing();
        for number in &end.missing_slots {
            missing.insert(earth::split::placement::Slot::new(*number).expect("came from a slot"));
        }
        end.missing_slots = numbers(&missing);
        end.complete = missing.is_empty();
        end.layout_version = self.coverage.layout().version();
        end.asked = self.asked.into_values().collect();
        end.pairs = tally(&self.sources);
        let looked_at = end.pairs.is_some_and(|pairs| pairs.splits > 0);
        if end.hits == 0 && self.limit > 0 && !looked_at {
            end.empty = Some(EmptyReason::new(&emptiness(&self.core, self.query).await));
        }
        end
    }
}

/// Adds up what was counted of pairs, each slot by the one that answered for it.
fn tally(sources: &[Source]) -> Option<Tally> {
    let counted = sources.iter().filter_map(|source| source.pairs);
    counted.reduce(|mut all, more| {
        all.add(&more);
        all
    })
}

/// Asks every node why nothing matches.
async fn emptiness(core: &Arc<Core>, query: String) -> Emptiness {
    let gathered = gather(cover(core, SlotSet::all()).await, |node, slots| {
        let question = Question {
            query: query.clone(),
            slots,
        };
        async move {
            let answer = core
                .ask(&node, Request::Emptiness(question), PAGE_LIMIT)
                .await?;
            let Response::Empty(text) = answer else {
                return Err(AskError::senseless(&node));
            };
            serde_json::from_str(&text).map_err(|_| AskError::senseless(&node))
        }
    });
    let mut all = Emptiness::default();
    gathered
        .await
        .answers
        .into_iter()
        .for_each(|e| all.merge(e));
    all
}

fn numbers(slots: &SlotSet) -> Vec<u16> {
    slots
        .iter()
        .map(earth::split::placement::Slot::number)
        .collect()
}
