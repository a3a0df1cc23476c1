//! Splits of each cell made into one image by a node that owns them; only the image travels.
//!
//! The conduit finds the splits, chooses and orders them (`plan`) and asks an owner of each cell;
//! one that fails is replaced by the next (`ask`). The owner reads its files, composes, and keeps
//! the image until it was fetched (`work`). Asked to predict, the owner has a worker answer the
//! image with a run's models (`predict`, `infer`), and the answers are the image.
//!
//! *Invariants*: imagery crosses nodes as the composed image alone, metered as pixels, unless the
//! owner lacks a split that another holds; memory, cells, and compositions under way are bounded by
//! named limits; the last message is the end and says what is missing.
//!
//! *Not here*: which splits (`query::recipe`), pixels (earth's `split::compose`), HTTP (`http`).

mod ask;
mod desk;
mod infer;
mod plan;
mod predict;
mod work;

use std::sync::Arc;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use wire::compose::{
    CellFailure, ComposeEnd, ComposeHeader, ComposeMessage, ComposePlan, ComposeRequest,
};
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;
use wire::search::{SearchEnd, SearchLine};

use crate::cluster::core::Core;
use crate::scatter;

use plan::CellJob;

pub(crate) use work::{Compositions, answer, piece};

/// Cells of one request that are composed at a time: enough to keep several owners busy.
const CELLS_AT_ONCE: usize = 8;
/// Most splits looked at for one request: ten dates of each of the most cells.
const SPLITS_MAX: usize = 10 * wire::compose::CELLS_MAX;
/// Images that wait for a slow reader.
const MESSAGES_MAX: usize = 1;

/// What an owner is to compose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What the image shall be.
    pub wish: earth::split::compose::Wish,
    /// Splits of one cell, in the order in which pixels are taken.
    pub splits: Vec<earth::split::meta::SplitId>,
    /// Models that answer the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predict: Option<predict::Answerers>,
}

/// A message on its way to the reader, with the memory that it takes.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The message.
    pub message: ComposeMessage,
    /// Given back once the message was handed on.
    pub _memory: Option<OwnedSemaphorePermit>,
}

impl Outgoing {
    fn bare(header: ComposeHeader) -> Self {
        Self {
            message: ComposeMessage::bare(header),
            _memory: None,
        }
    }
}

/// Starts to compose; messages follow.
pub(crate) async fn start(
    core: &Arc<Core>,
    request: ComposeRequest,
) -> Result<mpsc::Receiver<Outgoing>, Fault> {
    let started = Instant::now();
    let wish = request.wish()?;
    let models = match &request.predict {
        Some(asked) => Some(predict::Models::of(core, asked).await?),
        None => None,
    };
    let (hits, found) = find(core, &request).await?;
    let (jobs, without_model) = match models {
        Some(models) => models.plan(hits, &wish, request.window_days)?,
        None => (plan::cells(&hits, &wish, request.window_days)?, Vec::new()),
    };
    let end = ComposeEnd {
        without_model,
        ..end_of(found)
    };
    let (messages, reader) = mpsc::channel(MESSAGES_MAX);
    let composing = Composing {
        core: Arc::clone(core),
        messages,
        jobs,
        dry_run: request.dry_run,
        end,
    };
    let stop = core.stop.clone();
    let composed = composing.run(started);
    core.tasks.spawn(stop.run_until_cancelled_owned(composed));
    Ok(reader)
}

/// Returns all splits that match.
async fn find(core: &Arc<Core>, request: &ComposeRequest) -> Result<(Vec<Hit>, SearchEnd), Fault> {
    let mut lines = scatter::search(core, request.query.clone()).await?;
    let mut hits = Vec::new();
    while let Some(line) = lines.recv().await {
        match line {
            SearchLine::Hit(hit) => hits.push(*hit),
            SearchLine::End(end) => return Ok((hits, end)),
        }
        if hits.len() > SPLITS_MAX {
            let what = format!("more than {SPLITS_MAX} splits match");
            return Err(Fault::new(FaultKind::Refused, what)
                .because("each of them would have to be looked at")
                .try_("a smaller --bbox, or a shorter --datetime"));
        }
    }
    Err(Fault::new(FaultKind::Unreachable, "the answer was cut off").try_("ask again"))
}

fn end_of(found: SearchEnd) -> ComposeEnd {
    ComposeEnd {
        cells: 0,
        reached: true,
        complete: found.complete,
        missing_slots: found.missing_slots,
        slots_asked: found.slots_asked,
        failed: Vec::new(),
        without_model: Vec::new(),
        empty: found.empty,
        millis: 0.0,
    }
}

/// A request under way.
struct Composing {
    core: Arc<Core>,
    messages: mpsc::Sender<Outgoing>,
    jobs: Vec<CellJob>,
    dry_run: bool,
    end: ComposeEnd,
}

impl Composing {
    async fn run(mut self, started: Instant) {
        let plan = ComposePlan {
            cells: self.jobs.iter().map(|j| j.plan.clone()).collect(),
        };
        let plan = Outgoing::bare(ComposeHeader::Plan(plan));
        // Err, here and below: the reader has gone.
        if self.messages.send(plan).await.is_err() {
            return;
        }
        let jobs = std::mem::take(&mut self.jobs);
        self.end.reached = !jobs.is_empty();
        let reader = self.messages.clone();
        if !self.dry_run {
            let sent = tokio::select! {
                biased;
                sent = self.send_cells(jobs) => sent,
                // Owners give up what nobody asks after any more.
                () = reader.closed() => None,
            };
            if sent.is_none() {
                return;
            }
        }
        self.end.complete &= self.end.failed.is_empty();
        self.end.reached &= self.end.failed.is_empty();
        self.end.millis = started.elapsed().as_secs_f64() * 1e3;
        let end = Outgoing::bare(ComposeHeader::End(self.end));
        drop(self.messages.send(end).await);
    }

    async fn send_cells(&mut self, jobs: Vec<CellJob>) -> Option<()> {
        let core = Arc::clone(&self.core);
        let composed = futures::stream::iter(jobs).map(|job| {
            let core = Arc::clone(&core);
            async move { (job.plan.geocode.clone(), ask::cell(&core, &job).await) }
        });
        let mut composed = std::pin::pin!(composed.buffer_unordered(CELLS_AT_ONCE));
        while let Some((geocode, outcome)) = composed.next().await {
            match outcome {
                Ok(outgoing) => {
                    if let ComposeHeader::Cell(image) = &outgoing.message.header {
                        self.end.reached &= image.report.reached;
                    }
                    self.end.cells += 1;
                    self.messages.send(outgoing).await.ok()?;
                }
                Err(fault) => self.end.failed.push(CellFailure { geocode, fault }),
            }
        }
        Some(())
    }
}
