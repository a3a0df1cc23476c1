//! The cluster as a user sees it.
//!
//! *Invariants*: what a node did not answer is never taken for zero without saying so.
//!
//! *Not here*: the numbers of one node (`answer`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use earth::split::placement::Slot;
use futures::future::{join, join_all};
use wire::cluster::{
    BytesByPurpose, ClusterView, IndexDoubt, NodeState, NodeStatus, NodeVersions, NodeView, Status,
    VerifyReport, VersionRange,
};

use super::core::{Core, View};
use crate::identity::NodeId;
use crate::layout::{Layout, Member};
use crate::membership::{Age, Beat};
use crate::meters::Purpose;
use crate::peer::{Doubted, Request, Response, Share, Speaks, Version};
use crate::scatter::{self, Holding, PAGE_LIMIT};
use crate::slots::SlotSet;
use crate::store::ObjectKey;
use crate::sync::KINDS;

/// Problems listed one by one.
const PROBLEMS_MAX: usize = 100;

/// Returns the layout that is read from, with what is known of its nodes.
pub(super) fn view(view: &View) -> ClusterView {
    let (layout, newest) = (view.ring.read(), view.ring.newest());
    let nodes = layout.members().iter().map(|member| {
        let beat = view.table.of(&member.node);
        NodeView {
            id: member.node.to_string(),
            http: beat.map(|b| b.http.clone()).unwrap_or_default(),
            p2p: beat.map(|b| b.p2p.clone()).unwrap_or_default(),
            state: view.table.state(&member.node),
            host_label: member.place.host.clone(),
            zone_label: member.place.zone.clone(),
            weight: member.place.weight,
            draining: newest
                .index(&member.node)
                .is_some_and(|i| newest.members()[i].draining),
            to_hand_over: beat.map_or(0, |b| b.unconfirmed.len()),
            versions: beat.filter(|b| b.age > Age::default()).map(versions),
            removed: !newest.contains(&member.node),
        }
    });
    ClusterView {
        version: layout.version(),
        parent: layout.version().saturating_sub(1),
        replicas: layout.replicas(),
        nodes: nodes.collect(),
        slots: Slot::all()
            .map(|s| layout.owner_indexes(s).to_vec())
            .collect(),
        newest: newest.version(),
        settled: is_settled(view),
    }
}

/// Returns what a node says that it speaks and reads.
fn versions(beat: &Beat) -> NodeVersions {
    let range = |speaks: Speaks| {
        let (least, most) = speaks.range();
        VersionRange { least, most }
    };
    NodeVersions {
        messages: range(beat.versions.messages),
        files: range(beat.versions.files),
    }
}

/// Tells whether every member that may answer reads from this node's one layout, and nothing is
/// left to be confirmed here.
pub(super) fn is_settled(view: &View) -> bool {
    let stamp = view.ring.newest().stamp();
    let reads = |beat: &Beat| beat.reading == stamp || !view.table.may_answer(&beat.node);
    view.ring.settled() && view.table.beats().all(reads)
}

/// Tells whether this node is no member any more, as far as it was told or must conclude.
pub(super) fn is_removed(view: &View, now: Duration) -> bool {
    let me = &view.table.me().node;
    !view.ring.newest().contains(me) || view.table.seems_removed(now)
}

/// Returns, for each node, the slots of which it is the first owner that may answer.
pub(super) fn acting_primaries(view: &View) -> BTreeMap<NodeId, SlotSet> {
    let layout = view.ring.read();
    let members = layout.members();
    let alive = |member: &Member| view.table.may_answer(&member.node);
    let alive: Vec<bool> = members.iter().map(alive).collect();
    let mut slots = vec![SlotSet::none(); members.len()];
    for slot in Slot::all() {
        let owners = layout.owner_indexes(slot).iter();
        let first = owners.map(|i| usize::from(*i)).find(|i| alive[*i]);
        if let Some(first) = first {
            slots[first].insert(slot);
        }
    }
    let nodes = members.iter().map(|member| member.node.clone());
    let acting = nodes.zip(slots).filter(|(_, slots)| !slots.is_empty());
    acting.collect()
}

/// Asks every node what it holds and has sent.
pub(super) async fn status(core: &Arc<Core>) -> Status {
    let now = core.now();
    let (layout, mut acting, nodes, removed) = core.look(|view| {
        let (views, removed) = (view_nodes(view), is_removed(view, now));
        let layout = Arc::clone(view.ring.read());
        (layout, acting_primaries(view), views, removed)
    });
    let asks = nodes.into_iter().map(|(node, row)| {
        let slots = acting.remove(&node).unwrap_or_else(SlotSet::none);
        async move {
            let answer = core.ask(&node, Request::Status(slots), PAGE_LIMIT);
            let doubt = core.ask(&node, Request::Doubt, PAGE_LIMIT);
            let (answer, doubt) = join(answer, doubt).await;
            let share = match answer {
                Ok(Response::Status(share)) => Some(*share),
                _ => None,
            };
            let row = NodeStatus {
                doubt: match doubt {
                    Ok(Response::Doubt(doubt)) => doubt.as_ref().map(doubted),
                    // Silent, or of an earlier version.
                    _ => None,
                },
                ..row
            };
            (node, row, share)
        }
    });
    let mut status = Status {
        version: layout.version(),
        replicas: layout.replicas(),
        complete: true,
        removed,
        ..Status::default()
    };
    let mut runs = BTreeSet::new();
    for (node, mut row, share) in join_all(asks).await {
        row.slots = layout.slots_of(&node).len();
        status.complete &= share.is_some();
        if let Some(share) = share {
            add(&mut status, &mut row, &share);
            runs.extend(share.runs_active);
        }
        status.nodes.push(row);
    }
    status.runs_active = runs.len() as u64;
    status
}

fn doubted(doubt: &Doubted) -> IndexDoubt {
    let waits_for = doubt.waits_for.iter().map(ToString::to_string);
    IndexDoubt {
        seconds: doubt.seconds,
        unread: doubt.unread,
        unlisted: doubt.unlisted,
        waits_for: waits_for.collect(),
    }
}

fn add(status: &mut Status, row: &mut NodeStatus, share: &Share) {
    row.splits = share.splits;
    row.splits_primary = share.splits_in_slots;
    row.models = share.models;
    row.bytes = share.bytes;
    row.jobs_running = share.jobs_running;
    row.sent = share.sent;
    status.splits += share.splits_in_slots;
    status.models += share.models_in_slots;
    status.bytes += share.bytes;
    let (sum, sent) = (&mut status.bytes_by_purpose, share.sent);
    *sum = BytesByPurpose {
        gossip: sum.gossip + sent.gossip,
        put: sum.put + sent.put,
        repair: sum.repair + sent.repair,
        query: sum.query + sent.query,
        pixels: sum.pixels + sent.pixels,
        model: sum.model + sent.model,
        gradient: sum.gradient + sent.gradient,
    };
}

fn view_nodes(view: &View) -> Vec<(NodeId, NodeStatus)> {
    let members = view.ring.newest().members().iter();
    let row = |node: &NodeId| NodeStatus {
        id: node.to_string(),
        http: view
            .table
            .of(node)
            .map(|b| b.http.clone())
            .unwrap_or_default(),
        state: view.table.state(node),
        splits: 0,
        splits_primary: 0,
        models: 0,
        bytes: 0,
        slots: 0,
        jobs_running: 0,
        sent: BytesByPurpose::default(),
        doubt: None,
    };
    members.map(|m| (m.node.clone(), row(&m.node))).collect()
}

/// What the nodes hold of one object.
type Replicas = BTreeMap<NodeId, Version>;

/// Reads every file on every node and compares replicas.
pub(super) async fn verify(core: &Arc<Core>) -> VerifyReport {
    let layout = core.look(|view| Arc::clone(view.ring.read()));
    let nodes: Vec<NodeId> = layout.members().iter().map(|m| m.node.clone()).collect();
    let mut report = VerifyReport {
        complete: true,
        ..VerifyReport::default()
    };
    let mut objects: BTreeMap<(Slot, ObjectKey), Replicas> = BTreeMap::new();
    let mut answered = BTreeSet::new();
    let asked = nodes.iter().map(|node| holdings(core, node));
    for (node, holding) in nodes.iter().zip(join_all(asked).await) {
        let Some(holding) = holding else {
            report.complete = false;
            continue;
        };
        answered.insert(node.clone());
        for (key, what) in holding.corrupt {
            problem(&mut report, format!("{key} on {node}: {what}"));
        }
        for item in holding.items {
            let version = item.version();
            report.replicas_checked += u64::from(!item.is_tombstone());
            let replicas = objects.entry((item.slot, item.key)).or_default();
            replicas.insert(node.clone(), version);
        }
    }
    for ((slot, key), replicas) in &objects {
        judge(&mut report, &layout, (*slot, key), (replicas, &answered));
    }
    report
}

/// Notes which owners of an object lack it, or hold something older.
fn judge(
    report: &mut VerifyReport,
    layout: &Layout,
    (slot, key): (Slot, &ObjectKey),
    (replicas, answered): (&Replicas, &BTreeSet<NodeId>),
) {
    let newest = crate::replicate::winner(replicas.values().copied());
    if newest.is_some_and(|newest| newest.is_tombstone()) {
        return judge_deleted(report, key, replicas);
    }
    report.objects += 1;
    for owner in layout.owners(slot).filter(|o| answered.contains(*o)) {
        match replicas.get(owner) {
            None => problem(report, format!("{key} is not on its owner {owner}")),
            held if held != newest.as_ref() => {
                problem(
                    report,
                    format!("{key} on its owner {owner} is not the newest"),
                );
            }
            Some(_) => {}
        }
    }
}

/// Notes who still holds what was deleted.
fn judge_deleted(report: &mut VerifyReport, key: &ObjectKey, replicas: &Replicas) {
    let holding = replicas.iter().filter(|(_, held)| !held.is_tombstone());
    for (node, _) in holding {
        problem(report, format!("{key} was deleted and is still on {node}"));
    }
}

fn problem(report: &mut VerifyReport, what: String) {
    report.problems_total += 1;
    if report.problems.len() < PROBLEMS_MAX {
        report.problems.push(what);
    }
}

async fn holdings(core: &Arc<Core>, node: &NodeId) -> Option<Holding> {
    if core.look(|view| view.table.state(node)) == NodeState::Down {
        return None;
    }
    let mut all = Holding::default();
    for kind in KINDS {
        let mut listing = scatter::listing(kind, SlotSet::all(), Purpose::Repair);
        listing.verify = true;
        match scatter::held(core, node, listing).await {
            Ok(held) => {
                all.items.extend(held.items);
                all.corrupt.extend(held.corrupt);
            }
            Err(error) => {
                tracing::warn!(%error, "a node did not verify");
                return None;
            }
        }
    }
    Some(all)
}
