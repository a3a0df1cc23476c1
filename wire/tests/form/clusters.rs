//! The cluster, its state and its faults.

use earth::geocode::Scheme;
use earth::split::placement::PlacementRule;
use wire::cluster::{
    BytesByPurpose, ClusterView, Copies, Evenness, Expected, IndexDoubt, LayoutChange, LayoutPlan,
    NodeState, NodeStatus, NodeVersions, NodeView, SlotMove, Status, VerifyReport, VersionRange,
};
use wire::fault::{Fault, FaultKind};

use crate::check::check;
use crate::samples::texts;

fn versions() -> NodeVersions {
    NodeVersions {
        messages: VersionRange { least: 1, most: 2 },
        files: VersionRange { least: 1, most: 1 },
    }
}

#[test]
fn the_cluster_keeps_its_form() {
    let node = NodeView {
        id: "12D3KooWa".to_owned(),
        http: "http://127.0.0.1:7480".to_owned(),
        p2p: "127.0.0.1:7481".to_owned(),
        state: NodeState::Up,
        host_label: Some("rack1".to_owned()),
        zone_label: Some("east".to_owned()),
        weight: 2,
        draining: false,
        to_hand_over: 3,
        versions: Some(versions()),
        removed: false,
    };
    let view = |node| ClusterView {
        version: 2,
        parent: 1,
        replicas: 2,
        nodes: vec![node],
        slots: vec![vec![0], vec![0, 1]],
        newest: 3,
        settled: false,
    };
    check("cluster-view", &view(node.clone()));
    let leaving = NodeView {
        removed: true,
        ..node
    };
    check("cluster-view-leaving", &view(leaving));
}

#[test]
fn what_a_cluster_says_of_itself_keeps_its_form() {
    let sent = BytesByPurpose {
        gossip: 1,
        put: 2,
        repair: 3,
        query: 4,
        pixels: 5,
        model: 6,
        gradient: 7,
    };
    let row = NodeStatus {
        id: "12D3KooWa".to_owned(),
        http: "unix:.glebe/node.sock".to_owned(),
        state: NodeState::Suspect,
        splits: 10,
        splits_primary: 5,
        models: 2,
        bytes: 4_096,
        slots: 16_384,
        jobs_running: 1,
        sent,
        doubt: None,
    };
    let doubtful = NodeStatus {
        doubt: Some(IndexDoubt {
            seconds: 12,
            unread: false,
            unlisted: true,
            waits_for: texts(&["12D3KooWb"]),
        }),
        ..row.clone()
    };
    let status = |row, removed| Status {
        version: 2,
        replicas: 2,
        nodes: vec![row],
        splits: 5,
        bytes: 8_192,
        models: 1,
        bytes_by_purpose: sent,
        runs_active: 1,
        complete: true,
        removed,
    };
    check("status", &status(row.clone(), false));
    check("status-removed", &status(row, true));
    check("status-doubtful", &status(doubtful, false));
    check(
        "verify-report",
        &VerifyReport {
            objects: 3,
            replicas_checked: 6,
            problems: texts(&["split naip/m_47~9xj5k: one replica is missing"]),
            problems_total: 1,
            complete: true,
        },
    );
}

#[test]
fn changes_of_the_layout_keep_their_form() {
    let expect = Expected {
        scheme: Scheme::Geohash,
        precision: 3,
        placement: PlacementRule::First(3),
        over: [-109.5, 37.0, -102.0, 41.0],
    };
    let node = "12D3KooWa".to_owned();
    let changes = [
        LayoutChange::Drain { node: node.clone() },
        LayoutChange::Restore { node: node.clone() },
        LayoutChange::Remove {
            node: node.clone(),
            forsake: true,
        },
        LayoutChange::Rebalance {
            expect: Some(expect),
        },
    ];
    check("layout-changes", &changes.to_vec());
    let moved = SlotMove {
        from: node.clone(),
        to: "12D3KooWb".to_owned(),
        slots: 3,
        splits: 20,
        bytes: 4_096,
    };
    let evenness = |cv| Evenness {
        cv,
        max_over_mean: 1.25,
    };
    let plan = LayoutPlan {
        version: 4,
        next: 5,
        slots: 3,
        splits: 20,
        bytes: 4_096,
        bytes_busiest: 4_096,
        slots_lost: 0,
        moves: vec![moved],
        before: evenness(2.5),
        after: evenness(0.5),
        complete: true,
        ..LayoutPlan::default()
    };
    check("layout-plan", &plan);
    let fewer = LayoutPlan {
        copies: Some(Copies {
            asked: 3,
            before: 3,
            after: 2,
        }),
        awaited: vec!["12D3KooWc".to_owned()],
        ..plan
    };
    check("layout-plan-of-fewer", &fewer);
}

#[test]
fn a_fault_keeps_its_form() {
    let fault = Fault::new(FaultKind::Refused, "the port is in use")
        .because("127.0.0.1:7480 is taken")
        .try_("glebe up --http 127.0.0.1:0");
    check("fault", &fault);
    check(
        "fault-bare",
        &Fault::new(FaultKind::Nothing, "nothing matched"),
    );
}
