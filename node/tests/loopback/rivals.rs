//! Cells of which two nodes have a job, for one of them was away.

use std::collections::BTreeSet;

use wire::run::{JobState, Lease};
use wire::transfer::TransferMode;

use crate::bench::{Node, cluster, fill, open, until};
use crate::heirs::{CELLS, lease, ours, run};

fn cells(node: &Node) -> BTreeSet<String> {
    node.runs.jobs("r").into_iter().map(|j| j.geocode).collect()
}

/// Waits until every cell of the run has a job at a node that answers.
async fn whole(nodes: &[Node]) {
    until("every cell has a job", async || {
        let view = nodes[0].cluster.run_view("r").await.unwrap().unwrap();
        view.complete && view.jobs.len() == CELLS
    })
    .await;
}

/// A node that came back learned all cells anew that others had taken over, and `job list` counted
/// them twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_returns_leaves_to_others_what_they_do_until_they_are_gone() {
    let mut nodes = cluster(3, 2).await;
    fill(&nodes, CELLS).await;
    let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
    assert_eq!(started.await.unwrap().jobs, CELLS as u64);
    let busy = nodes.iter().position(|node| !cells(node).is_empty());
    let away = nodes.remove(busy.unwrap());
    let theirs = cells(&away);
    let dir = away.kill().await;
    whole(&nodes).await;
    // Others are at all of it when the node returns.
    let lent = |node: &Node| -> Vec<Lease> { std::iter::from_fn(|| lease(node)).collect() };
    let leases: Vec<Vec<Lease>> = nodes.iter().map(lent).collect();
    nodes.push(open(dir, None, None).await.unwrap());
    assert!(lease(&nodes[2]).is_none(), "it hears the others first");
    until("each cell has one job", async || {
        nodes.iter().map(|node| cells(node).len()).sum::<usize>() == CELLS
    })
    .await;
    assert!(cells(&nodes[2]).is_empty(), "what others do is theirs");
    let runs = nodes[2].cluster.run_summaries().await.runs;
    assert_eq!(runs[0].jobs.total(), CELLS as u64, "each is counted once");
    for (node, leases) in nodes.iter().zip(&leases) {
        for lease in leases {
            assert!(node.runs.renew(&ours(lease)).is_ok(), "it goes on");
        }
    }
    let keeper = nodes[..2]
        .iter()
        .position(|n| !cells(n).is_disjoint(&theirs));
    drop(nodes.remove(keeper.unwrap()).kill().await);
    whole(&nodes).await;
    let waits = |node: &Node| {
        let jobs = node.runs.jobs("r").into_iter();
        jobs.filter(|job| job.state == JobState::Waiting).count()
    };
    assert!(
        nodes.iter().map(waits).sum::<usize>() > 0,
        "it is done anew"
    );
}

/// Who owns a cell by then plans it, though the node that did before is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_waits_is_left_to_who_is_done_and_one_that_is_done_is_kept() {
    let mut nodes = cluster(3, 2).await;
    fill(&nodes, CELLS).await;
    let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
    started.await.unwrap();
    let busy = nodes.iter().position(|node| !cells(node).is_empty());
    let away = nodes.remove(busy.unwrap());
    let done = lease(&away).unwrap();
    crate::heirs::publish(&away, &done).await;
    let dir = away.kill().await;
    whole(&nodes).await;
    nodes.push(open(dir, None, None).await.unwrap());
    until("each cell has one job", async || {
        nodes.iter().map(|node| cells(node).len()).sum::<usize>() == CELLS
    })
    .await;
    let jobs = nodes[2].runs.jobs("r").into_iter();
    let kept = jobs.into_iter().find(|job| job.geocode == done.geocode);
    let kept = kept.unwrap();
    assert_eq!(
        (kept.state, kept.attempts),
        (JobState::Done, 1),
        "it did it"
    );
}
