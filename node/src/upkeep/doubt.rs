//! Ends the doubt about this node's index.
//!
//! ```text
//! compared with every other owner of every slot of this node, and all pulled that was newer there
//! what is left out here: every other owner of its slot has it, or none, or one that has it hands
//!                        it over (it is marked)                                  ─▶ trusted
//! what cannot be pulled: its holder cannot read it, or nobody can write it here; the holder is
//!                        marked
//! ```
//! *Invariants*: a comparison ends only a doubt that began before it; one owner that was not
//! compared with keeps the doubt, however long it is away, unless it leaves and is down; the slots
//! compared are those that are read.
//!
//! *Not here*: comparing (`compare`), what a doubtful node answers (`answer::doubt`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wire::fault::Fault;

use super::{Pace, compare};
use crate::cluster::core::{AskError, Core, View};
use crate::identity::NodeId;
use crate::layout::Stamp;
use crate::meters::Purpose;
use crate::peer::{Request, Response};
use crate::slots::SlotSet;
use crate::store::{LeftOut, Store, StoreError};

/// Longest that an owner may take to say what it holds, or to be marked.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Longest time between two comparisons while the index is doubtful: the owner that was not
/// compared with may be back, and meanwhile this node answers for nothing.
const DOUBTED_WAIT_MAX: Duration = Duration::from_secs(30);

/// A comparison with all other owners that may end a doubt.
#[derive(Debug)]
pub(super) struct Clearing {
    doubt: u64,
    layout: Stamp,
}

impl Clearing {
    /// Begins one, if there is a doubt and the slots that are read are all that it is about.
    pub(super) fn begin(core: &Core) -> Option<Self> {
        let doubt = core.store.doubt()?;
        let layout = core.look(speaks_for)?;
        Some(Self { doubt, layout })
    }

    /// Ends the doubt, after every owner that must be was compared with.
    pub(super) async fn end(self, core: &Arc<Core>) {
        if core.look(speaks_for) != Some(self.layout) {
            return;
        }
        let ended = match others_know(core).await {
            Ok(true) => {
                let doubt = self.doubt;
                core.blocking(move |store| store.trust(doubt)).await
            }
            Ok(false) => Ok(false),
            Err(fault) => Err(fault),
        };
        match ended {
            Ok(true) => {
                tracing::info!("the index is trusted again: other owners hold nothing else");
                core.wake();
            }
            Ok(false) => {}
            Err(fault) => tracing::warn!(%fault, "the index stays doubtful"),
        }
    }
}

/// Tells whether a node must be compared with before the index is trusted: another owner of slots
/// of this node, unless it leaves and is down.
pub(super) fn is_needed(view: &View, node: &NodeId) -> bool {
    compare::common(view, node).is_some() && counts(view, node)
}

/// Returns the nodes that are yet to be compared with before the index is trusted; none if it is,
/// or if all were and something else is waited for.
pub(crate) fn waits_for(core: &Core) -> Vec<NodeId> {
    let Some(doubt) = core.store.doubt() else {
        return Vec::new();
    };
    let mut nodes = core.look(|view| {
        let others = view.others().into_iter();
        others.filter(|n| is_needed(view, n)).collect::<Vec<_>>()
    });
    if let Some((of, met)) = &core.upkeep.state().compared
        && *of == doubt
    {
        nodes.retain(|node| !met.contains(node));
    }
    nodes
}

/// Nobody waits for who leaves and is down.
fn counts(view: &View, node: &NodeId) -> bool {
    view.ring.newest().contains(node) || view.table.may_answer(node)
}

/// Returns the layout that is read, unless this node has said already that it holds what the next
/// one gives it: those slots can be compared once they are read.
fn speaks_for(view: &View) -> Option<Stamp> {
    let (read, newest) = (view.ring.read(), view.ring.newest());
    let me = view.table.me();
    let mut gained = newest.slots_of(&me.node);
    gained.subtract(&read.slots_of(&me.node));
    let said = me.synced == newest.stamp();
    (gained.is_empty() || !said).then(|| read.stamp())
}

/// Tells whether nobody needs this node to find what is left out of its index.
async fn others_know(core: &Arc<Core>) -> Result<bool, Fault> {
    for left in core.blocking(unknown).await? {
        if !know(core, &left).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns what is left out and known here in no other version either.
fn unknown(store: &Store) -> Result<Vec<LeftOut>, StoreError> {
    let mut unknown = Vec::new();
    for left in store.left_out() {
        if store.known(&left.key)?.is_none() {
            unknown.push(left);
        }
    }
    Ok(unknown)
}

/// Tells whether all other owners know an object, or none; where some do, one of them is marked, so
/// that it is asked for the slot, and hands over what the others lack.
async fn know(core: &Arc<Core>, left: &LeftOut) -> Result<bool, Fault> {
    let owners = core.look(|view| {
        let owners = view.owners(left.slot).into_iter();
        let others = owners.filter(|node| *node != core.me && counts(view, node));
        others.collect::<Vec<NodeId>>()
    });
    let (mut having, mut lacking) = (Vec::new(), 0_usize);
    for node in owners {
        let request = Request::Versions(Purpose::Repair, vec![left.key.clone()]);
        match core.ask(&node, request, ASK_LIMIT).await? {
            Response::Versions(versions) if versions.len() == 1 => match versions[0] {
                Some(_) => having.push(node),
                None => lacking += 1,
            },
            _ => return Err(AskError::senseless(&node).into()),
        }
    }
    if having.is_empty() || lacking == 0 {
        return Ok(true);
    }
    let slots: SlotSet = std::iter::once(left.slot).collect();
    for node in having {
        if marked(core, &node, &slots).await {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Has a holder of what this node lacks be asked for these slots; tells whether it is.
pub(super) async fn marked(core: &Arc<Core>, node: &NodeId, slots: &SlotSet) -> bool {
    let mark = Request::Mark(slots.clone());
    let marked = core.ask(node, mark, ASK_LIMIT).await;
    if let Err(error) = &marked {
        tracing::debug!(%error, "a holder could not be marked");
    }
    marked.is_ok()
}

/// When replicas are compared next.
#[derive(Debug)]
pub(super) struct Rounds {
    first: Duration,
    every: Duration,
    wait: Duration,
    /// When the next one is due.
    pub next: Instant,
    /// The doubt for which one was hurried.
    hurried: Option<u64>,
}

impl Rounds {
    /// Plans the first one.
    pub(super) fn new(pace: &Pace) -> Self {
        let first = pace.first.min(pace.every);
        Self {
            first,
            every: pace.every,
            wait: first,
            next: Instant::now() + first,
            hurried: None,
        }
    }

    /// Plans the next one after one that was complete, or was not.
    pub(super) fn done(&mut self, complete: bool, doubt: Option<u64>) {
        let longest = doubt.map_or(self.every, |_| self.every.min(DOUBTED_WAIT_MAX));
        self.wait = super::next_wait(self.wait, complete, longest);
        self.next = Instant::now() + self.wait;
    }

    /// Has the next one come soon for a doubt for which none has yet.
    pub(super) fn hurry(&mut self, doubt: Option<u64>) {
        if doubt.is_some() && doubt != self.hurried {
            self.hurried = doubt;
            self.wait = self.first;
            self.next = self.next.min(Instant::now() + self.wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_doubt_is_looked_into_at_once_and_then_ever_less_often() {
        let hour = Duration::from_hours(1);
        let pace = Pace {
            first: Duration::from_secs(1),
            every: hour,
            ..Pace::default()
        };
        let seconds = |rounds: &Rounds| (rounds.next - Instant::now()).as_secs();
        let mut rounds = Rounds::new(&pace);
        rounds.done(true, None);
        rounds.hurry(None);
        assert_eq!(seconds(&rounds), 3_600);
        rounds.hurry(Some(1));
        assert_eq!(seconds(&rounds), 1);
        let mut waits = Vec::new();
        for _ in 0..7 {
            rounds.done(false, Some(1));
            // Each refused question asks for haste: that changes nothing.
            rounds.hurry(Some(1));
            waits.push(seconds(&rounds));
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        rounds.hurry(Some(2));
        assert_eq!(seconds(&rounds), 1);
        rounds.done(true, None);
        assert_eq!(seconds(&rounds), 3_600);
    }
}
