//! Changes the layout at a user's word: drains, removes and rebalances, or says what that would
//! move.
//!
//! *Invariants*: a plan is made from what all nodes say they hold, and says so where one did not;
//! one is made at a time; the change is fsynced here before its plan is answered; a node that holds
//! the last replica of something is not removed unless told to forsake it; nothing is given to
//! nodes of which none answers; a plan says what a change leaves with fewer copies, and whom it
//! waits for; who answers is not forsaken, for what it holds others can have.
//!
//! *Not here*: which slots move (`layout`), moving them (`sync`), who vouches for it (`vouch`).

mod consent;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use earth::extent::LonLatBox;
use earth::geocode::cover::of_box;
use earth::split::placement::Slot;
use futures::future::join_all;
use wire::cluster::{Copies, Evenness, Expected, LayoutChange, LayoutPlan, SlotMove};
use wire::fault::{Fault, FaultKind};

use super::core::{Core, View};
use super::{gossip, persist};
use crate::answer;
use crate::identity::NodeId;
use crate::layout::{
    Balance, ChangeSet, ChangeSetError, Flow, Layout, Load, Loads, Member, What, even_out, folded,
};
use crate::peer::{Request, Response};
use crate::scatter::PAGE_LIMIT;
use consent::Sight;

/// What a plan is made from.
struct Ground {
    me: NodeId,
    changes: ChangeSet,
    before: Arc<Layout>,
    /// Nodes that answer.
    live: BTreeSet<NodeId>,
    /// What they see together of what others hold.
    sight: Sight,
    /// Nothing is being moved.
    settled: bool,
    /// What nodes hold.
    measured: Loads,
    /// What they are about to get, if that is to be evened out.
    expected: Option<Loads>,
}

/// A change, whom it is about, and what it moves.
struct Prepared {
    node: NodeId,
    what: What,
    plan: LayoutPlan,
    /// Why it is not made, though it can be foretold.
    refusal: Option<Fault>,
}

/// Returns what a change would move.
pub(super) async fn plan(core: &Arc<Core>, change: LayoutChange) -> Result<LayoutPlan, Fault> {
    let _turn = core.planning.lock().await;
    Ok(prepare(core, change).await?.plan)
}

/// Makes a change; returns what it moves.
pub(super) async fn change(core: &Arc<Core>, change: LayoutChange) -> Result<LayoutPlan, Fault> {
    if core.file.is_none() {
        let what = "an embedded store has one node and nothing to move";
        return Err(Fault::new(FaultKind::Refused, what).try_("glebe up, then --cluster URL"));
    }
    let _turn = core.planning.lock().await;
    let Prepared {
        node,
        what,
        plan,
        refusal,
    } = prepare(core, change).await?;
    if plan.next == plan.version {
        return Ok(plan);
    }
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    let made = core.change(|view, _| {
        let changes = view.ring.changes().with(node, what);
        changes.map(|changes| view.merge(&changes))
    });
    made.map_err(|e| refused(&e))?;
    gossip::settle(core).await;
    if let Err(error) = persist::cluster(core).await {
        return Err(Fault::new(FaultKind::Internal, error.to_string()));
    }
    Ok(plan)
}

/// Asks all nodes what they hold and plans a change from it.
async fn prepare(core: &Arc<Core>, change: LayoutChange) -> Result<Prepared, Fault> {
    let expected = match &change {
        LayoutChange::Rebalance {
            expect: Some(cells),
        } => Some(expected(cells.clone()).await?),
        _ => None,
    };
    let (measured, silent) = measure(core).await;
    let ground = core.look(|view| {
        let live = live(view, &silent);
        Ground {
            me: core.me.clone(),
            changes: view.ring.changes().clone(),
            before: Arc::clone(view.ring.newest()),
            sight: Sight::of(view, &live),
            live,
            settled: super::report::is_settled(view),
            measured,
            expected,
        }
    });
    // Of a node that is removed or to be removed, silence is no surprise.
    let goes = match &change {
        LayoutChange::Remove { node, .. } => Some(node.as_str()),
        _ => None,
    };
    let leaves = |node: &NodeId| goes == Some(node.as_str()) || !ground.before.contains(node);
    let complete = silent.iter().all(leaves);
    let mut prepared = answer::working(move || ground.prepare(&change)).await??;
    prepared.plan.complete = complete;
    Ok(prepared)
}

/// Returns what cells that are to be filled evenly bring to each slot, a byte a cell.
async fn expected(cells: Expected) -> Result<Loads, Fault> {
    answer::working(move || {
        let wrong = |why: String| Fault::new(FaultKind::Usage, "no forecast").because(why);
        let [west, south, east, north] = cells.over;
        let area = LonLatBox::new(west, south, east, north).map_err(|e| wrong(e.to_string()))?;
        let covered = of_box(cells.scheme, cells.precision, &area);
        let mut loads = Loads::none();
        for cell in covered.map_err(|e| wrong(e.to_string()))? {
            let slot = cells.placement.key(&cell).slot();
            loads.add(
                slot,
                Load {
                    splits: 1,
                    bytes: 1,
                },
            );
        }
        Ok(loads)
    })
    .await?
}

/// Asks every node that may answer what it holds in each slot; names those that did not say.
async fn measure(core: &Arc<Core>) -> (Loads, Vec<NodeId>) {
    let (live, mut silent): (Vec<NodeId>, Vec<NodeId>) = core.look(|view| {
        let all = view.others().into_iter().chain([core.me.clone()]);
        all.partition(|node| view.table.may_answer(node))
    });
    let asks = live
        .iter()
        .map(|node| core.ask(node, Request::Loads, PAGE_LIMIT));
    let mut loads = Loads::none();
    for (node, answer) in live.iter().zip(join_all(asks).await) {
        let Ok(Response::Loads(held)) = answer else {
            silent.push(node.clone());
            continue;
        };
        for load in held {
            if let Some(slot) = Slot::new(load.slot) {
                let (splits, bytes) = (load.splits, load.bytes);
                loads.at_least(slot, Load { splits, bytes });
            }
        }
    }
    (loads, silent)
}

/// Returns this node and the others that may answer, but for those that just did not.
fn live(view: &View, silent: &[NodeId]) -> BTreeSet<NodeId> {
    let me = view.table.me().node.clone();
    let may = |node: &NodeId| view.table.may_answer(node) && !silent.contains(node);
    let others = view.others().into_iter().filter(may);
    others.chain([me]).collect()
}

impl Ground {
    fn prepare(&self, change: &LayoutChange) -> Result<Prepared, Fault> {
        let (node, what) = self.meant(change)?;
        let changes = self.changes.with(node.clone(), what.clone());
        let after = folded::of(&changes.map_err(|e| refused(&e))?);
        let mut plan = moves(&self.measured.flows(&self.before, &after));
        plan.version = self.before.version();
        let idle = plan.slots == 0
            && self.before.members() == after.members()
            && self.before.forsaken() == after.forsaken();
        plan.next = plan.version + u64::from(!idle);
        plan.slots_lost = self.lost(&after);
        plan.copies = Some(copies(&self.before, &after));
        if !idle {
            let silent = |member: &&Member| !member.draining && !self.live.contains(&member.node);
            let awaited = after.members().iter().filter(silent);
            plan.awaited = awaited.map(|member| member.node.to_string()).collect();
        }
        let loads = self.expected.as_ref().unwrap_or(&self.measured);
        plan.before = evenness(loads.balance(&self.before));
        plan.after = evenness(loads.balance(&after));
        let refusal = match &what {
            What::Leave => self.sight.keeps_all(&node, &after, plan.slots_lost),
            What::Forsake => self.sight.all_know(),
            _ => Ok(()),
        };
        Ok(Prepared {
            node,
            what,
            plan,
            refusal: refusal.err(),
        })
    }

    /// Returns the membership change that is meant, and whom it is about.
    fn meant(&self, change: &LayoutChange) -> Result<(NodeId, What), Fault> {
        match change {
            LayoutChange::Drain { node } => Ok((self.dispensable(node)?, What::Drain(true))),
            LayoutChange::Restore { node } => Ok((self.member(node)?, What::Drain(false))),
            LayoutChange::Remove { node, forsake } => {
                let left = self.sight.leaver(node).filter(|_| *forsake);
                let node = left.map_or_else(|| self.dispensable(node), Ok)?;
                if node == self.me {
                    let what = "a node cannot remove itself: nobody would see it through";
                    let advice = "the same command with --cluster URL of another node";
                    return Err(Fault::new(FaultKind::Refused, what).try_(advice));
                }
                // Who answers hands over what it holds: nothing of that need be given up.
                let is_lost = *forsake && !self.live.contains(&node);
                let what = if is_lost { What::Forsake } else { What::Leave };
                Ok((node, what))
            }
            LayoutChange::Rebalance { .. } => {
                if self.expected.is_none() && !self.settled {
                    let what = "slots are still being moved: what is measured now will not hold";
                    return Err(Fault::new(FaultKind::Refused, what).try_("glebe cluster show"));
                }
                let loads = self.expected.as_ref().unwrap_or(&self.measured);
                let shifts = even_out(&self.before, loads);
                Ok((self.me.clone(), What::Rebalance(shifts)))
            }
        }
    }

    fn member(&self, text: &str) -> Result<NodeId, Fault> {
        let node = NodeId::parse(text)
            .ok()
            .filter(|node| self.before.contains(node));
        node.ok_or_else(|| {
            let what = format!("no node '{text}' is a member");
            Fault::new(FaultKind::Nothing, what).try_("glebe node list")
        })
    }

    /// Returns a member, unless it is the only one that owns anything, or none of the others that
    /// do answers.
    fn dispensable(&self, text: &str) -> Result<NodeId, Fault> {
        let node = self.member(text)?;
        let staying = self.before.members().iter();
        let staying: Vec<&Member> = staying.filter(|m| !m.draining && m.node != node).collect();
        if staying.is_empty() {
            let what = format!("{node} is the only node that owns anything");
            let advice = "glebe up --join, so that another can";
            return Err(Fault::new(FaultKind::Refused, what).try_(advice));
        }
        if staying.iter().any(|m| self.live.contains(&m.node)) {
            return Ok(node);
        }
        let what = format!("all that {node} has would belong to nodes that do not answer");
        let silent: Vec<&str> = staying.iter().map(|m| m.node.as_str()).collect();
        Err(Fault::new(FaultKind::Refused, what)
            .because(format!("nothing is heard from {}", silent.join(", ")))
            .try_("start one of them again, or glebe up --join on another machine"))
    }

    /// Counts slots that move and of whose owners none may answer: what they hold, nobody can tell.
    fn lost(&self, after: &Layout) -> u64 {
        let dead = |slot: &Slot| !self.before.owners(*slot).any(|o| self.live.contains(o));
        let moves = |slot: &Slot| self.before.owners(*slot).any(|o| !after.contains(o));
        let lost = Slot::all().filter(|slot| moves(slot) && dead(slot));
        lost.count() as u64
    }
}

/// Sums up who brings what to whom.
fn moves(flows: &BTreeMap<(NodeId, NodeId), Flow>) -> LayoutPlan {
    let moved = |((from, to), flow): (&(NodeId, NodeId), &Flow)| SlotMove {
        from: from.to_string(),
        to: to.to_string(),
        slots: flow.slots,
        splits: flow.load.splits,
        bytes: flow.load.bytes,
    };
    let moves: Vec<SlotMove> = flows.iter().map(moved).collect();
    let mut busy: BTreeMap<(bool, &str), u64> = BTreeMap::new();
    for m in &moves {
        *busy.entry((false, &m.from)).or_default() += m.bytes;
        *busy.entry((true, &m.to)).or_default() += m.bytes;
    }
    LayoutPlan {
        slots: moves.iter().map(|m| m.slots).sum(),
        splits: moves.iter().map(|m| m.splits).sum(),
        bytes: moves.iter().map(|m| m.bytes).sum(),
        bytes_busiest: busy.values().copied().max().unwrap_or(0),
        moves,
        ..LayoutPlan::default()
    }
}

/// Returns how many copies of everything there are, and will be.
fn copies(before: &Layout, after: &Layout) -> Copies {
    let of = |layout: &Layout| u8::try_from(layout.width()).unwrap_or(u8::MAX);
    Copies {
        asked: after.replicas(),
        before: of(before),
        after: of(after),
    }
}

fn evenness(balance: Balance) -> Evenness {
    Evenness {
        cv: 100.0 * balance.cv,
        max_over_mean: balance.max,
    }
}

fn refused(error: &ChangeSetError) -> Fault {
    Fault::new(FaultKind::Refused, error.to_string())
}
