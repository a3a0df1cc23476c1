//! The layout changes at a user's word: data follows, and old owners give up what others hold.

use std::collections::BTreeSet;
use std::path::PathBuf;

use node::store::Object;
use wire::cluster::{Copies, LayoutChange, LayoutPlan, NodeState, NodeView};
use wire::fault::{Fault, FaultKind};
use wire::object::PutOutcome;

use crate::bench::{
    Node, SOON, cluster, collection, fill, folder, open, open_at, set, splits, ticket, until,
};

async fn foretell(node: &Node, change: LayoutChange) -> Result<LayoutPlan, Fault> {
    node.cluster.plan_layout(change).await
}

async fn make(node: &Node, change: LayoutChange) -> Result<LayoutPlan, Fault> {
    node.cluster.change_layout(change).await
}

fn drain(node: &Node) -> LayoutChange {
    LayoutChange::Drain { node: node.id() }
}

fn remove(id: String, forsake: bool) -> LayoutChange {
    LayoutChange::Remove { node: id, forsake }
}

/// Where a node would keep an object.
fn place(node: &Node, object: &Object) -> PathBuf {
    let (slot, name) = (object.slot().number(), object.key.id.replace('/', "+"));
    let path = format!("objects/split/{slot:04x}/{name}/r60.tif");
    node.dir.path().join(path)
}

/// Tells whether each object lies on its owners and nowhere else.
fn exactly_on_owners(nodes: &[Node], objects: &[Object]) -> bool {
    objects.iter().all(|object| {
        let owners = nodes[0].cluster.owners(object.slot());
        nodes
            .iter()
            .all(|node| place(node, object).exists() == owners.contains(&node.id()))
    })
}

async fn settled_at(nodes: &[Node], version: u64) {
    until("all read from the new layout", async || {
        let moved = |n: &Node| n.cluster.view().version >= version && n.cluster.is_settled();
        nodes.iter().all(moved)
    })
    .await;
}

async fn sound(node: &Node) {
    until("everything is on its owners", async || {
        let report = node.cluster.verify().await;
        report.complete && report.problems.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_owner_gives_up_what_every_new_owner_holds_also_if_it_is_killed_in_between() {
    let mut nodes = cluster(3, 2).await;
    let ids = fill(&nodes, 60).await;
    let join = ticket(&nodes[0]);
    nodes.push(open(folder(), None, Some(join)).await.unwrap());
    let version = nodes[3].cluster.view().newest;
    settled_at(&nodes, version).await;
    let objects = splits(60);
    assert!(
        !exactly_on_owners(&nodes, &objects),
        "nothing goes before its time"
    );
    // One is killed while the others let go, and is back before they have done.
    let victim = nodes.remove(1);
    let address = victim.cluster.p2p().parse().unwrap();
    let dir = victim.kill().await;
    nodes.push(open_at(dir, address, None, None).await.unwrap());
    until(
        "each object lies on its owners and nowhere else",
        async || exactly_on_owners(&nodes, &objects),
    )
    .await;
    sound(&nodes[0]).await;
    for node in &nodes {
        let (found, end) = node.all().await;
        assert!(end.complete, "{end:?}");
        assert_eq!(set(found), ids);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_owner_cannot_read_back_is_kept_by_who_owned_it_before() {
    let mut nodes = cluster(2, 1).await;
    fill(&nodes, 40).await;
    let join = ticket(&nodes[0]);
    nodes.push(open(folder(), None, Some(join)).await.unwrap());
    let version = nodes[2].cluster.view().newest;
    settled_at(&nodes, version).await;
    let objects = splits(40);
    let newcomer = nodes[2].id();
    let taken = |o: &&Object| nodes[0].cluster.owners(o.slot()).contains(&newcomer);
    let broken = objects.iter().find(taken).unwrap();
    let before = nodes[..2]
        .iter()
        .find(|n| place(n, broken).exists())
        .unwrap();
    let mut bytes = std::fs::read(place(&nodes[2], broken)).unwrap();
    bytes[7] ^= 1;
    std::fs::write(place(&nodes[2], broken), bytes).unwrap();
    let others: Vec<Object> = objects.iter().filter(|o| *o != broken).cloned().collect();
    until("the others are given up", async || {
        exactly_on_owners(&nodes, &others)
    })
    .await;
    assert!(place(before, broken).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_drained_while_splits_come_in_then_removed_and_nothing_is_lost() {
    let mut nodes = cluster(4, 2).await;
    fill(&nodes, 30).await;
    let objects = splits(150);
    let leaver = nodes[3].id();
    let putting = async {
        for (i, object) in objects.iter().enumerate() {
            nodes[i % 4].put(object).await.unwrap();
        }
    };
    let draining = async {
        let dry = foretell(&nodes[0], drain(&nodes[3])).await.unwrap();
        assert!(dry.slots > 0 && dry.splits > 0 && dry.bytes > 0 && dry.complete);
        assert!(dry.moves.iter().all(|m| m.from == leaver));
        let plan = make(&nodes[0], drain(&nodes[3])).await.unwrap();
        settled_at(&nodes, plan.next).await;
        plan
    };
    let (plan, ()) = tokio::join!(draining, putting);
    let view = nodes[1].cluster.view();
    let at = view.nodes.iter().position(|n| n.id == leaver).unwrap();
    assert!(view.nodes[at].draining);
    let index = u16::try_from(at).unwrap();
    assert!(view.slots.iter().all(|owners| !owners.contains(&index)));
    // It still answers those that ask it.
    let (found, end) = nodes[3].all().await;
    assert_eq!((found.len(), end.complete), (150, true));
    let again = make(&nodes[0], drain(&nodes[3])).await.unwrap();
    assert_eq!((again.slots, again.next), (0, again.version));
    let gone = nodes.pop().unwrap();
    gone.kill().await;
    let removed = make(&nodes[0], remove(leaver, false)).await.unwrap();
    assert_eq!((removed.slots, removed.slots_lost), (0, 0));
    settled_at(&nodes, plan.next + 1).await;
    sound(&nodes[2]).await;
    for node in &nodes {
        let (found, end) = node.all().await;
        assert_eq!((found.len(), end.complete), (150, true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rival_drains_on_two_sides_converge_and_both_hold() {
    let nodes = cluster(5, 2).await;
    let ids = fill(&nodes, 60).await;
    let before = nodes[0].cluster.view().newest;
    let (one, other) = tokio::join!(
        make(&nodes[0], drain(&nodes[3])),
        make(&nodes[1], drain(&nodes[4])),
    );
    assert!(one.unwrap().next > before && other.unwrap().next > before);
    let both = [nodes[3].id(), nodes[4].id()];
    until("both are drained on every node", async || {
        nodes.iter().all(|node| {
            let view = node.cluster.view();
            let drained = view
                .nodes
                .iter()
                .filter(|n| n.draining && both.contains(&n.id));
            drained.count() == 2 && view.version == view.newest && node.cluster.is_settled()
        })
    })
    .await;
    let view = nodes[0].cluster.view();
    assert_eq!(view.version, before + 2);
    for node in &nodes {
        assert_eq!(node.cluster.view().slots, view.slots);
    }
    sound(&nodes[2]).await;
    assert_eq!(set(nodes[4].all().await.0), ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_node_is_removed_and_its_slots_get_their_replicas_back() {
    let mut nodes = cluster(4, 2).await;
    let ids = fill(&nodes, 50).await;
    let lost = nodes.pop().unwrap();
    let id = lost.id();
    lost.kill().await;
    until("it is down", async || {
        let view = nodes[0].cluster.view();
        view.nodes
            .iter()
            .any(|n| n.id == id && n.state == wire::cluster::NodeState::Down)
    })
    .await;
    let plan = make(&nodes[0], remove(id, false)).await.unwrap();
    assert!(plan.slots > 0 && plan.slots_lost == 0 && plan.complete);
    settled_at(&nodes, plan.next).await;
    sound(&nodes[1]).await;
    for node in &nodes {
        let (found, end) = node.all().await;
        assert!(end.complete);
        assert_eq!(set(found), ids);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_removed_while_it_was_away_finds_out_when_it_is_back() {
    let mut nodes = cluster(3, 3).await;
    let lost = nodes.pop().unwrap();
    let (id, address) = (lost.id(), lost.cluster.p2p().parse().unwrap());
    let dir = lost.kill().await;
    down(&nodes[0], &id).await;
    let plan = make(&nodes[0], remove(id, false)).await.unwrap();
    settled_at(&nodes, plan.next).await;
    // One has forgotten that it ever spoke with it, the other has not.
    let known = nodes.remove(1);
    let at = known.cluster.p2p().parse().unwrap();
    let known = known.kill().await;
    nodes.push(open_at(known, at, None, None).await.unwrap());
    let back = open_at(dir, address, None, None).await.unwrap();
    until("it knows", async || back.cluster.status().await.removed).await;
    for node in &nodes {
        assert!(!node.cluster.status().await.removed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_lets_a_removed_node_in_again_with_a_new_folder_alone() {
    let mut nodes = cluster(3, 3).await;
    let ids = fill(&nodes, 20).await;
    let lost = nodes.pop().unwrap();
    let (id, address) = (lost.id(), lost.cluster.p2p().parse().unwrap());
    let dir = lost.kill().await;
    down(&nodes[0], &id).await;
    // A member that was away and comes with a token is what it was.
    let join = ticket(&nodes[0]);
    let back = open_at(dir, address, None, Some(join)).await.unwrap();
    assert_eq!(back.id(), id);
    let dir = back.kill().await;
    down(&nodes[0], &id).await;
    let plan = make(&nodes[0], remove(id.clone(), false)).await.unwrap();
    settled_at(&nodes, plan.next).await;
    let join = ticket(&nodes[0]);
    let again = open_at(dir, address, None, Some(join)).await;
    let Err(refused) = again else {
        panic!("a node that was removed came back");
    };
    assert_eq!(refused.kind, FaultKind::Refused);
    assert!(
        refused.what.contains("was removed from the cluster"),
        "{refused:?}"
    );
    let advice = refused.try_.unwrap();
    assert!(advice.contains("with a new folder"), "{advice}");
    let members = nodes[0].cluster.view().nodes;
    assert!(members.iter().all(|node| node.id != id), "{members:?}");
    let join = ticket(&nodes[0]);
    nodes.push(open(folder(), None, Some(join)).await.unwrap());
    let version = nodes[2].cluster.view().newest;
    settled_at(&nodes, version).await;
    let (found, end) = nodes[2].all().await;
    assert!(end.complete, "{end:?}");
    assert_eq!(set(found), ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_replica_of_something_is_removed_only_by_who_forsakes_it() {
    let mut nodes = cluster(2, 1).await;
    fill(&nodes, 40).await;
    let own = make(&nodes[0], remove(nodes[0].id(), false))
        .await
        .unwrap_err();
    assert_eq!(own.kind, FaultKind::Refused);
    let lost = nodes.pop().unwrap();
    let id = lost.id();
    let (kept, gone): (Vec<Object>, Vec<Object>) = splits(40)
        .into_iter()
        .partition(|split| !place(&lost, split).exists());
    assert!(!kept.is_empty() && !gone.is_empty());
    lost.kill().await;
    down(&nodes[0], &id).await;
    let dry = foretell(&nodes[0], remove(id.clone(), false))
        .await
        .unwrap();
    assert!(dry.slots_lost > 0);
    let fault = make(&nodes[0], remove(id.clone(), false))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}");
    assert!(fault.try_.unwrap().contains("--forsake"));
    assert_eq!(nodes[0].cluster.view().newest, dry.version);
    // It was waited for without an end, and answers stayed partial.
    let plan = make(&nodes[0], remove(id, true)).await.unwrap();
    assert!(plan.slots_lost > 0 && plan.awaited.is_empty(), "{plan:?}");
    assert!(gives_up(&nodes[0]));
    settled_at(&nodes, plan.next).await;
    nodes[0].put(&collection()).await.unwrap();
    let kept: BTreeSet<String> = kept.into_iter().map(|split| split.key.id).collect();
    let (found, end) = nodes[0].all().await;
    assert!(end.complete, "{end:?}");
    assert_eq!(set(found), kept);
    for split in &gone {
        let ack = nodes[0].put(split).await.unwrap();
        assert_eq!(ack.outcome, PutOutcome::New);
    }
    assert_eq!(nodes[0].all().await.0.len(), 40);
}

/// What the two had acknowledged together the third could not know, and nobody could say that it
/// is to do without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_nodes_two_that_are_lost_are_removed_by_who_forsakes_both() {
    let mut nodes = cluster(3, 3).await;
    let ids = fill(&nodes, 30).await;
    let mut lost = Vec::new();
    for node in nodes.split_off(1) {
        lost.push(node.id());
        node.kill().await;
    }
    for id in &lost {
        down(&nodes[0], id).await;
    }
    for id in &lost {
        let refused = make(&nodes[0], remove(id.clone(), false)).await;
        let fault = refused.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}");
        assert!(fault.because[0].contains("acknowledged"), "{fault:?}");
        assert!(fault.try_.unwrap().contains("--forsake"));
    }
    let plan = make(&nodes[0], remove(lost[0].clone(), true))
        .await
        .unwrap();
    assert_eq!(plan.awaited, lost[1..]);
    let (_, end) = nodes[0].all().await;
    assert!(!end.complete, "the other one may come back");
    let plan = make(&nodes[0], remove(lost[1].clone(), true))
        .await
        .unwrap();
    assert!(plan.awaited.is_empty());
    settled_at(&nodes, plan.next).await;
    let (found, end) = nodes[0].all().await;
    assert!(end.complete, "{end:?}");
    assert_eq!(set(found), ids);
    let more = splits(31).pop().unwrap();
    let ack = nodes[0].put(&more).await.unwrap();
    assert_eq!(ack.outcome, PutOutcome::New);
    sound(&nodes[0]).await;
}

/// Else a word too many would lose what nothing had happened to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_hands_over_what_it_holds_also_where_it_was_to_be_forsaken() {
    let mut nodes = cluster(2, 1).await;
    let ids = fill(&nodes, 40).await;
    let plan = make(&nodes[0], remove(nodes[1].id(), true)).await.unwrap();
    assert_eq!((plan.slots_lost, plan.complete), (0, true));
    assert!(!gives_up(&nodes[0]));
    let leaver = nodes.pop().unwrap();
    settled_at(&nodes, plan.next).await;
    let (found, end) = nodes[0].all().await;
    assert!(end.complete, "{end:?}");
    assert_eq!(set(found), ids);
    drop(leaver);
}

/// Tells whether the changes that a node has written down give up what another held.
fn gives_up(node: &Node) -> bool {
    let file = std::fs::read_to_string(node.dir.path().join("cluster.json"));
    file.unwrap().contains("\"forsake\"")
}

async fn down(node: &Node, id: &str) {
    until("it is down", async || {
        let view = node.cluster.view();
        let is_down = |n: &NodeView| n.id == id && n.state == NodeState::Down;
        view.nodes.iter().any(is_down)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_tells_copies_and_whom_it_waits_for_and_gives_nothing_to_the_dead_alone() {
    let mut nodes = cluster(3, 3).await;
    let dry = foretell(&nodes[0], drain(&nodes[2])).await.unwrap();
    let copies = |after| Copies {
        asked: 3,
        before: 3,
        after,
    };
    assert_eq!((dry.copies, dry.awaited.len()), (Some(copies(2)), 0));
    let lost = nodes.pop().unwrap();
    let (id, dead) = (lost.id(), nodes[1].id());
    lost.kill().await;
    down(&nodes[0], &id).await;
    let dry = foretell(&nodes[0], drain(&nodes[1])).await.unwrap();
    assert_eq!(
        (dry.copies, &dry.awaited),
        (Some(copies(2)), &vec![id.clone()])
    );
    let dry = foretell(&nodes[0], remove(id.clone(), false))
        .await
        .unwrap();
    assert!(
        dry.awaited.is_empty(),
        "nobody waits for who leaves: {dry:?}"
    );
    nodes.pop().unwrap().kill().await;
    down(&nodes[0], &dead).await;
    let fault = make(&nodes[0], drain(&nodes[0])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(fault.because[0].contains(&dead), "{fault:?}");
    let plan = make(&nodes[0], remove(id.clone(), true)).await.unwrap();
    assert_eq!(plan.awaited, [dead]);
    let view = nodes[0].cluster.view();
    let removed: Vec<&NodeView> = view.nodes.iter().filter(|n| n.removed).collect();
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].id, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebalance_evens_out_bytes_as_its_dry_run_said() {
    let nodes = cluster(3, 1).await;
    let ids = fill(&nodes, 300).await;
    let change = LayoutChange::Rebalance { expect: None };
    let dry = foretell(&nodes[0], change.clone()).await.unwrap();
    assert_eq!(nodes[0].cluster.view().newest, dry.version);
    let plan = make(&nodes[1], change.clone()).await.unwrap();
    assert_eq!((&plan.moves, plan.next), (&dry.moves, dry.version + 1));
    assert!(plan.before.cv > 1.0 && plan.after.cv < 0.7, "{plan:?}");
    settled_at(&nodes, plan.next).await;
    let again = foretell(&nodes[2], change).await.unwrap();
    assert!((again.before.cv - plan.after.cv).abs() < 0.01, "{again:?}");
    sound(&nodes[2]).await;
    assert_eq!(set(nodes[0].all().await.0), ids);
    assert!(nodes[0].cluster.settled(SOON).await);
}
