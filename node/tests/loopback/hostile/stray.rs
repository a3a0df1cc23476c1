//! A member that has another keep what belongs elsewhere.
//!
//! *Not here*: what a layout that has changed leaves behind (`moves`).

use node::store::Object;

use super::*;

/// Times that the same is put.
const AGAIN: u64 = 20;

fn put(object: &Object, number: u64) -> Request {
    let file = &object.files[0];
    let head = Head {
        key: object.key.clone(),
        placement_key: object.placement_key.clone(),
        files: vec![(file.name.clone(), file.bytes.len() as u64)],
        revision: None,
        standin: false,
        layout: None,
    };
    Request::Put(Part {
        transfer: number,
        head: Some(head),
        bytes: file.bytes.clone().into(),
        purpose: Purpose::Put,
    })
}

/// What it is sent takes its disk, as any put does, until the owner has it: once for each object,
/// however often that comes, and then no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_another_node_is_handed_over_and_stays_nowhere_else() {
    let (nodes, traitor) = betrayed_of(1).await;
    let owner = [nodes[1].id()];
    let mut strays = splits(64);
    strays.retain(|object| nodes[0].cluster.owners(object.slot()) == owner);
    strays.truncate(3);
    assert_eq!(strays.len(), 3, "a third of all are the other's");
    for (number, object) in (0..).zip(&strays) {
        for again in 0..AGAIN {
            let request = put(object, number * AGAIN + again);
            let answer = traitor.ask(&nodes[0], &request).await;
            assert!(matches!(answer, Response::Stored(_)), "{answer:?}");
        }
    }
    let bytes = |node: &Node, object: &Object| {
        let record = node.store.record(&object.key).unwrap();
        record.map_or(0, |record| record.bytes())
    };
    until(
        "the owner has them, and who was told to keep them not",
        async || {
            strays
                .iter()
                .all(|o| bytes(&nodes[0], o) == 0 && bytes(&nodes[1], o) > 0)
        },
    )
    .await;
    for object in &strays {
        let held = object.files[0].bytes.len() as u64;
        assert_eq!(bytes(&nodes[1], object), held);
    }
    let objects = nodes[0].dir.path().join("objects/split");
    let mut folders = std::fs::read_dir(objects).into_iter().flatten().flatten();
    let lies = folders.find(|slot| {
        let mut within = std::fs::read_dir(slot.path()).unwrap();
        within.next().is_some()
    });
    assert!(
        lies.is_none(),
        "nothing of them is left on its disk: {lies:?}"
    );
}
