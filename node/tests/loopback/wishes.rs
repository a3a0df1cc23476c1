//! What users want of runs, while nodes come and go.

use std::collections::BTreeSet;

use wire::run::{JobState, Wish};
use wire::transfer::TransferMode;

use crate::bench::{Node, cluster, fill, open, until};
use crate::heirs::{CELLS, lease, put_model, run};

/// Three nodes that have planned a run.
async fn planned() -> Vec<Node> {
    let nodes = cluster(3, 2).await;
    fill(&nodes, CELLS).await;
    let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
    assert_eq!(started.await.unwrap().jobs, CELLS as u64);
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_returns_does_as_was_wanted_last_and_brings_no_cancellation_back() {
    let mut nodes = planned().await;
    let steer = async |nodes: &[Node], wish| nodes[0].cluster.steer_run("r", wish).await;
    let cancelled = steer(&nodes, Wish::Cancel).await.unwrap();
    assert_eq!(cancelled.jobs, CELLS as u64);
    let away = nodes
        .iter()
        .rposition(|n| !n.runs.jobs("r").is_empty())
        .unwrap();
    assert!(away > 0, "more than one node has jobs");
    let dir = nodes.remove(away).kill().await;
    let told = steer(&nodes, Wish::Go).await.unwrap_err();
    assert!(told.what.contains("1 nodes do not answer"), "{told:?}");
    nodes.push(open(dir, None, None).await.unwrap());
    until("every cell waits for a worker again", async || {
        let view = nodes[0].cluster.run_view("r").await.unwrap().unwrap();
        let waiting = view.jobs.iter().filter(|j| j.state == JobState::Waiting);
        view.complete && waiting.count() == CELLS
    })
    .await;
    let wishes = nodes.iter().map(|n| n.runs.known_run("r").unwrap().wished);
    let wishes: BTreeSet<_> = wishes.collect();
    assert_eq!(wishes.len(), 1, "all have heard the same last: {wishes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_whose_model_is_in_the_ring_is_not_tried_again_whoever_trained_it() {
    let nodes = planned().await;
    let lent = nodes.iter().find_map(lease).unwrap();
    put_model(&nodes[1], &lent).await;
    let steer = async |wish| nodes[2].cluster.steer_run("r", wish).await.unwrap().jobs;
    assert_eq!(steer(Wish::Cancel).await, CELLS as u64);
    assert_eq!(steer(Wish::Go).await, CELLS as u64 - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_that_is_announced_again_goes_on_everywhere() {
    let nodes = planned().await;
    let lent = nodes.iter().find_map(lease).unwrap();
    put_model(&nodes[1], &lent).await;
    let cancelled = nodes[1].cluster.steer_run("r", Wish::Cancel).await.unwrap();
    assert_eq!(cancelled.jobs, CELLS as u64);
    let again = async |dry| {
        nodes[2]
            .cluster
            .start_run(run(TransferMode::None), dry)
            .await
    };
    let waiting = async || {
        let view = nodes[0].cluster.run_view("r").await.unwrap().unwrap();
        let waiting = view.jobs.iter().filter(|j| j.state == JobState::Waiting);
        waiting.count()
    };
    again(true).await.unwrap();
    assert_eq!(waiting().await, 0, "a dry run wants nothing");
    again(false).await.unwrap();
    assert_eq!(
        waiting().await,
        CELLS - 1,
        "all but the cell with its model"
    );
}
