//! A run with more jobs at a node than one message tells.

use std::collections::BTreeMap;
use std::path::PathBuf;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use node::runs::PlannedSplit;
use query::slots::SlotSet;
use wire::transfer::TransferMode;

use crate::bench::{cluster, fill, until};
use crate::heirs::{CELLS, run};

/// Jobs that take more than 5 MB when they are told: one message has 4 MiB.
const MORE: usize = 40_000;

/// A job that no split is ingested for, but that its node has in its book.
fn planned(i: usize) -> PlannedSplit {
    let cell = format!("{i:07}");
    PlannedSplit {
        id: SplitId::parse("c/s~9xj5k").unwrap(),
        placement_key: PlacementKey::named("test", &cell),
        cell,
        folder: PathBuf::from("/there"),
    }
}

/// All jobs of such a node were lacking: `job show` was partial, and `train --wait` never ended.
/// Then all of them travelled twice a second while a run was waited for, where counts do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_jobs_of_a_node_are_told_that_has_more_than_fit_a_message() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, CELLS).await;
    let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
    started.await.unwrap();
    let has_jobs = |i: &usize| !nodes[*i].runs.jobs("r").is_empty();
    let busy = (0..nodes.len()).find(has_jobs).unwrap();
    let known = nodes[busy].runs.known_run("r").unwrap();
    let splits: Vec<PlannedSplit> = (0..MORE).map(planned).collect();
    let added = nodes[busy]
        .runs
        .plan(&known.run, (&SlotSet::none(), &splits), &BTreeMap::new());
    assert_eq!(added.unwrap(), MORE as u64);
    let asked = &nodes[(busy + 1) % nodes.len()].cluster;
    until("every job is told", async || {
        let view = asked.run_view("r").await.unwrap().unwrap();
        view.complete && view.jobs.len() == CELLS + MORE
    })
    .await;
    let sent = |i: usize| nodes[i].cluster.meters().query;
    let before = sent(busy);
    let view = asked.run_counted("r").await.unwrap().unwrap();
    let counts = view.counts.unwrap();
    assert!(view.complete);
    assert_eq!(counts.total(), (CELLS + MORE) as u64);
    assert_eq!(counts, view.counted(), "they are told, not reckoned");
    assert!(view.jobs.is_empty());
    let told = serde_json::to_vec(&view).unwrap().len();
    assert!(told < 4_096, "{told} bytes of counts");
    let told = sent(busy) - before;
    assert!(told < 1 << 20, "{told} bytes between nodes, for counts");
    assert_eq!(asked.run_counted("s").await, Ok(None));
}
