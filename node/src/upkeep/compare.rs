//! Compares what this node holds with what another owner does: sums of all, then of what differs.
//!
//! ```text
//! asker: sums of spans ─▶ answerer: for each that differs, its own sums of the sixteenths,
//!                                   or, where it holds little, all its items
//! ```
//! *Invariants*: both compare the slots that both own in the layout that both read from; bytes sent
//! grow with what differs, and with the depth at which it does; a round has a limit.
//!
//! *Not here*: sums (`store::sums`).

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use wire::fault::{Fault, FaultKind};

use crate::cluster::core::{AskError, Core, View};
use crate::identity::NodeId;
use crate::layout::Stamp;
use crate::meters::Purpose;
use crate::peer::{Comparison, Difference, Request, Response};
use crate::slots::SlotSet;
use crate::store::{Compared, Held, Span, Store, StoreError};
use crate::sync::{AT_ONCE, pull_one};

/// Spans in one message: sixteen sums, or some items, are answered to each.
const SPANS_MAX: usize = 256;
/// Longest that an answer may take.
const COMPARE_LIMIT: Duration = Duration::from_secs(15);

/// Pulls what another owner has newer; returns how many objects that were.
pub(super) async fn pull_newer(core: &Arc<Core>, node: &NodeId) -> Result<u64, Fault> {
    let newer = newer_at(core, node).await?;
    let pulls = newer.into_iter().map(|held| async move {
        pull_one(core, (node, Purpose::Repair), &held.key, held.version()).await
    });
    let mut pulls = stream::iter(pulls).buffer_unordered(AT_ONCE);
    let mut pulled = 0;
    while let Some(done) = pulls.next().await {
        done?;
        pulled += 1;
    }
    Ok(pulled)
}

/// Returns what another owner has newer in the slots that both own.
pub(super) async fn newer_at(core: &Arc<Core>, node: &NodeId) -> Result<Vec<Held>, Fault> {
    match core.look(|view| common(view, node)) {
        Some((layout, slots)) => newer(core, node, (layout, &slots)).await,
        None => Ok(Vec::new()),
    }
}

/// Returns what another owner has newer in these slots.
async fn newer(
    core: &Arc<Core>,
    node: &NodeId,
    (layout, slots): (Stamp, &SlotSet),
) -> Result<Vec<Held>, Fault> {
    let mut open = vec![Span::all()];
    let mut items = Vec::new();
    while !open.is_empty() {
        let batch = open.split_off(open.len().saturating_sub(SPANS_MAX));
        let spans = summed(core, batch, slots).await?;
        let request = Request::Compare(Comparison {
            layout,
            spans: spans.clone(),
        });
        let Response::Compared(found) = core.ask(node, request, COMPARE_LIMIT).await? else {
            return Err(AskError::senseless(node).into());
        };
        for (number, difference) in found {
            let span = spans.get(number as usize);
            let span = span.ok_or_else(|| AskError::senseless(node))?;
            match difference {
                Difference::Items(held) => items.extend(held),
                Difference::Within(theirs) => {
                    if theirs.iter().any(|s| s.bits <= span.bits || !s.is_whole()) {
                        return Err(AskError::senseless(node).into());
                    }
                    let mine = summed(core, theirs.clone(), slots).await?;
                    let pairs = mine.into_iter().zip(theirs);
                    open.extend(pairs.filter(|(m, t)| m.sum != t.sum).map(|(m, _)| m));
                }
            }
        }
    }
    core.blocking(move |store| store.lacking(items)).await
}

async fn summed(core: &Core, spans: Vec<Span>, slots: &SlotSet) -> Result<Vec<Span>, Fault> {
    let slots = slots.clone();
    let sum = move |store: &Store| spans.iter().map(|s| store.sum(*s, &slots)).collect();
    core.blocking(sum).await
}

/// Returns the layout read from, and the slots that this node and another own in it; none if there
/// are none.
pub(super) fn common(view: &View, other: &NodeId) -> Option<(Stamp, SlotSet)> {
    let layout = view.ring.read();
    let me = &view.table.me().node;
    let mut slots = layout.slots_of(me);
    slots.intersect(&layout.slots_of(other));
    (!slots.is_empty()).then(|| (layout.stamp(), slots))
}

/// Answers where this node's replicas differ from another owner's.
pub(crate) async fn answer(
    core: &Arc<Core>,
    from: &NodeId,
    asked: Comparison,
) -> Result<Vec<(u32, Difference)>, Fault> {
    let refused = |what: &str| Fault::new(FaultKind::Refused, what);
    let common = core.look(|view| common(view, from));
    let Some((_, slots)) = common.filter(|(layout, _)| *layout == asked.layout) else {
        return Err(refused("the layouts differ at the moment"));
    };
    if asked.spans.len() > SPANS_MAX || !asked.spans.iter().all(Span::is_whole) {
        return Err(refused("too many spans in one question, or none of a tree"));
    }
    core.blocking(move |store| differences(store, &asked.spans, &slots))
        .await
}

fn differences(
    store: &Store,
    spans: &[Span],
    slots: &SlotSet,
) -> Result<Vec<(u32, Difference)>, StoreError> {
    let mut found = Vec::new();
    for (number, span) in (0..).zip(spans) {
        match store.compare(span, slots)? {
            Compared::Same => {}
            Compared::Within(children) => found.push((number, Difference::Within(children))),
            Compared::Items(items) => found.push((number, Difference::Items(items))),
        }
    }
    Ok(found)
}
