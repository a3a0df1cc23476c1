//! Who may replace a model.

use bytes::Bytes;
use node::store::Object;
use wire::fault::FaultKind;
use wire::object::{PutOutcome, PutParams};
use wire::transfer::TransferMode;

use crate::bench::{cluster, fill};
use crate::heirs::{CELLS, lease, model, run};
use crate::moves::{conduit, publish};

/// The same model with other weights.
fn forged(model: &Object) -> Object {
    let mut forged = model.clone();
    forged.files[1].bytes = Bytes::from_static(b"other weights");
    forged
}

/// Whoever could write could put other weights in the place of any model.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_replaced_by_its_own_job_and_by_nobody_else() {
    let nodes = cluster(2, 2).await;
    fill(&nodes, CELLS).await;
    let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
    started.await.unwrap();
    let (node, lent) = nodes.iter().find_map(|n| Some((n, lease(n)?))).unwrap();
    let ours = model(&lent);
    let plain = |overwrite| PutParams {
        overwrite,
        ..PutParams::default()
    };
    // What lies there before the job ends gives way to it.
    let early = conduit(&nodes[1]).put(forged(&ours), &plain(true)).await;
    assert_eq!(early.unwrap().outcome, PutOutcome::New);
    assert_eq!(publish(node, &lent).await.unwrap().outcome, PutOutcome::New);
    for node in &nodes {
        let refused = conduit(node).put(forged(&ours), &plain(true)).await;
        assert_eq!(refused.unwrap_err().kind, FaultKind::Refused);
        let kept = conduit(node).put(forged(&ours), &plain(false)).await;
        assert_eq!(kept.unwrap().outcome, PutOutcome::Kept);
        let same = conduit(node).put(ours.clone(), &plain(true)).await;
        assert_eq!(same.unwrap().outcome, PutOutcome::Same);
        let there = node.cluster.fetch(&ours.key, "model.safetensors").await;
        assert_eq!(there.unwrap(), ours.files[1].bytes);
    }
}
