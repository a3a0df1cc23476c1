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
use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::sync::{AT_ONCE, Unpulled, pull_one};

/// Spans in one message: sixteen sums, or some items, are answered to each.
const SPANS_MAX: usize = 256;
/// Objects that are named because they cannot be pulled: a report fits a message.
const LEFT_MAX: usize = 256;
/// Longest that an answer may take.
const COMPARE_LIMIT: Duration = Duration::from_secs(15);

/// What came of pulling what another owner has newer.
#[derive(Debug)]
pub(super) struct Pulled {
    /// Objects pulled.
    pub count: u64,
    /// What that one cannot read either, or what cannot be written here, each with its reason: as
    /// many as are named.
    pub left: Vec<String>,
    /// The slots of all of that.
    pub slots: SlotSet,
    /// Why an object could not be asked for, if one could not.
    pub failed: Option<Fault>,
}

impl Pulled {
    fn new() -> Self {
        Self {
            count: 0,
            left: Vec::new(),
            slots: SlotSet::none(),
            failed: None,
        }
    }

    fn note(&mut self, held: &Held, pulled: Result<(), Unpulled>) {
        match pulled {
            Ok(()) => self.count += 1,
            Err(Unpulled::Asking(fault)) => self.failed = Some(fault),
            Err(Unpulled::There(fault) | Unpulled::Here(fault)) => {
                self.slots.insert(held.slot);
                if self.left.len() < LEFT_MAX {
                    self.left.push(format!("{}: {fault}", held.key));
                }
            }
        }
    }
}

/// Pulls what another owner has newer, as far as it can be had: one object that cannot keeps no
/// other from it. An error if nobody could tell what is newer there.
pub(super) async fn pull_newer(core: &Arc<Core>, node: &NodeId) -> Result<Pulled, Fault> {
    let newer = newer_at(core, node).await?;
    let is_full = &AtomicBool::new(false);
    let pulls = newer.into_iter().map(|held| async move {
        let done = if is_full.load(Ordering::Relaxed) {
            let what = "there is no space left here";
            Err(Unpulled::Here(Fault::new(FaultKind::Refused, what)))
        } else {
            pull_one(core, (node, Purpose::Repair), &held.key, held.version()).await
        };
        if let Err(Unpulled::Here(fault)) = &done {
            // What nobody could write need not travel.
            is_full.fetch_or(fault.kind == FaultKind::Refused, Ordering::Relaxed);
        }
        (held, done)
    });
    let mut pulls = stream::iter(pulls).buffer_unordered(AT_ONCE);
    let mut pulled = Pulled::new();
    while let Some((held, done)) = pulls.next().await {
        pulled.note(&held, done);
        if pulled.failed.is_some() && !core.look(|view| view.table.may_answer(node)) {
            break;
        }
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

#[cfg(test)]
mod tests {
    use earth::split::placement::PlacementKey;
    use wire::bundle::Kind;

    use super::*;
    use crate::store::{Object, ObjectKey, PutMode};

    #[test]
    fn what_cannot_be_had_is_told_from_what_could_not_be_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = ObjectKey::new(Kind::Run, "r");
        let gone = Object::tombstone(key, PlacementKey::named("run", "r"));
        store.put(&gone, PutMode::Keep).unwrap();
        let held = store.list(Kind::Run, &SlotSet::all()).unwrap().remove(0);
        let fault = |kind| Fault::new(kind, "no");
        let mut pulled = Pulled::new();
        pulled.note(&held, Ok(()));
        assert!(pulled.count == 1 && pulled.slots.is_empty() && pulled.failed.is_none());
        pulled.note(&held, Err(Unpulled::Asking(fault(FaultKind::Unreachable))));
        assert!(pulled.slots.is_empty() && pulled.failed.is_some());
        pulled.note(&held, Err(Unpulled::There(fault(FaultKind::Data))));
        pulled.note(&held, Err(Unpulled::Here(fault(FaultKind::Refused))));
        assert!(pulled.slots.contains(held.slot) && pulled.left.len() == 2);
    }
}
