//! Three nodes, two replicas, nothing goes wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use earth::split::placement::PlacementKey;
use node::store::PutMode;
use query::Query;
use wire::bundle::Kind;
use wire::object::PutOutcome;
use wire::run::{Run, Wish};

use crate::bench::{Node, cluster, collection, fill, paced, set, splits};
use crate::fixture::{COLLECTION, Small, split};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_gives_the_same_answers_and_the_same_bytes() {
    let nodes = cluster(3, 2).await;
    let ids = fill(&nodes, 24).await;
    for node in &nodes {
        let (found, end) = node.all().await;
        assert!(end.complete && end.missing_slots.is_empty());
        assert!(found.is_sorted());
        assert_eq!(set(found), ids);
    }
    for object in splits(24) {
        for node in &nodes {
            let bytes = node.cluster.fetch(&object.key, "r60.tif").await.unwrap();
            assert_eq!(bytes, object.files[0].bytes);
        }
    }
    let report = nodes[1].cluster.verify().await;
    assert!(report.complete && report.problems.is_empty(), "{report:?}");
    assert_eq!((report.objects, report.replicas_checked), (25, 50));
    let status = nodes[2].cluster.status().await;
    assert!(status.complete);
    assert_eq!(status.splits, 24);
    assert_eq!(status.nodes.iter().map(|n| n.splits).sum::<u64>(), 48);
    let sent = status.bytes_by_purpose;
    assert!(sent.gossip > 0 && sent.put > 0 && sent.query > 0 && sent.pixels > 0);
    assert_eq!((sent.model, sent.gradient), (0, 0));
}

/// The layout as a script would use it: SHA-1 of the key, first 14 bits, indexes into nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn splits_lie_where_the_shown_layout_says() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, 12).await;
    let view = nodes[0].cluster.view();
    assert_eq!(view, nodes[2].cluster.view());
    assert_eq!(
        (view.replicas, view.nodes.len(), view.slots.len()),
        (2, 3, 16_384)
    );
    for object in splits(12) {
        let key: &PlacementKey = &object.placement_key;
        let slot = usize::from(key.slot().number());
        let owners = view.slots[slot]
            .iter()
            .map(|i| view.nodes[usize::from(*i)].id.clone());
        let owners: BTreeSet<String> = owners.collect();
        for node in &nodes {
            let name = object.key.id.replace('/', "+");
            let path = format!("objects/split/{slot:04x}/{name}/r60.tif");
            let there = node.dir.path().join(path).exists();
            assert_eq!(
                there,
                owners.contains(&node.id()),
                "{} on {}",
                object.key,
                node.id()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_for_one_geocode_asks_one_owner_and_nobody_else() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, 8).await;
    for object in splits(8) {
        let slot = object.slot();
        let query = Query {
            geocodes: vec![object.key.id.rsplit_once('~').unwrap().1.to_owned()],
            exact: true,
            ..Query::default()
        };
        for node in &nodes {
            let (found, end) = node.ask(query.clone()).await;
            assert_eq!(found, std::slice::from_ref(&object.key.id));
            assert_eq!((end.slots_asked, end.asked.len()), (1, 1), "{end:?}");
            let owners = node.cluster.owners(slot);
            assert!(owners.contains(&end.asked[0].node));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_content_stays_unless_it_is_overwritten() {
    let nodes = cluster(3, 2).await;
    nodes[0].put(&collection()).await.unwrap();
    let first = splits(1).remove(0);
    let other = crate::fixture::split(&crate::fixture::Small {
        scene: "s1",
        cell: "9xj00k",
        acquired: "2020-01-01T00:00:00Z",
        cloudy: None,
        valid: 3,
    });
    assert_eq!(first.key, other.key);
    assert_eq!(nodes[0].put(&first).await.unwrap().outcome, PutOutcome::New);
    assert_eq!(
        nodes[1].put(&first).await.unwrap().outcome,
        PutOutcome::Same
    );
    assert_eq!(
        nodes[2].put(&other).await.unwrap().outcome,
        PutOutcome::Kept
    );
    let bytes = nodes[1].cluster.fetch(&first.key, "r60.tif").await.unwrap();
    assert_eq!(bytes, first.files[0].bytes);
    let ack = nodes[2]
        .cluster
        .put(other.clone(), PutMode::Overwrite)
        .await
        .unwrap();
    assert_eq!((ack.outcome, ack.acked_by.len()), (PutOutcome::New, 2));
    for node in &nodes {
        let bytes = node.cluster.fetch(&first.key, "r60.tif").await.unwrap();
        assert_eq!(bytes, other.files[0].bytes);
        let record = node.cluster.record(&first.key).await.unwrap().unwrap();
        assert_eq!(record.revision, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_objects_are_gone_everywhere() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, 4).await;
    let keys: Vec<_> = splits(2).into_iter().map(|o| o.key).collect();
    assert_eq!(nodes[1].cluster.delete(&keys).await, Ok(2));
    assert_eq!(nodes[0].cluster.delete(&keys).await, Ok(0));
    for node in &nodes {
        assert_eq!(node.all().await.0.len(), 2);
        assert_eq!(node.cluster.record(&keys[0]).await, Ok(None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_several_chunks_arrives_whole() {
    let nodes = cluster(3, 2).await;
    let weights: Vec<u8> = (0..9_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    let file = |name: &str, bytes: Vec<u8>| node::store::ObjectFile {
        name: name.to_owned(),
        bytes: bytes.into(),
    };
    let config = br#"{"run":"r","geocode":"9xj00k"}"#.to_vec();
    let model = node::store::Object {
        key: node::store::ObjectKey::new(Kind::Model, "r/9xj00k"),
        placement_key: splits(1)[0].placement_key.clone(),
        files: vec![
            file("config.json", config),
            file("model.safetensors", weights.clone()),
        ],
    };
    for node in &nodes {
        node.put(&model).await.unwrap();
    }
    for node in &nodes {
        let bytes = node
            .cluster
            .fetch(&model.key, "model.safetensors")
            .await
            .unwrap();
        assert_eq!(bytes, weights);
        let listed = node.cluster.records(Kind::Model).await;
        assert!(listed.complete);
        assert_eq!(listed.records.len(), 1);
        assert_eq!(listed.records[0].1, node.cluster.owners(model.slot()));
    }
    let sent = nodes[0].cluster.status().await.bytes_by_purpose;
    assert!(sent.model > 9_000_000, "{sent:?}");
    assert_eq!(sent.pixels, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_planned_at_the_first_owner_of_each_cell() {
    let nodes = cluster(3, 2).await;
    fill(&nodes, 12).await;
    let run = Run::new("r", "ndvi-cnn", Query::default());
    let dry = nodes[0].cluster.start_run(run.clone(), true).await.unwrap();
    assert_eq!(
        (dry.splits, dry.jobs, dry.bytes_moved, dry.complete),
        (12, 12, 0, true)
    );
    assert_eq!(nodes[1].cluster.run_view("r").await, Ok(None));
    let plan = nodes[1]
        .cluster
        .start_run(run.clone(), false)
        .await
        .unwrap();
    assert_eq!(plan, dry);
    let view = nodes[2].cluster.run_view("r").await.unwrap().unwrap();
    assert!(view.complete);
    let settled = Run {
        collections: vec![COLLECTION.to_owned()],
        ..run.clone()
    };
    assert_eq!((view.run, view.jobs.len()), (settled, 12));
    for object in splits(12) {
        let (_, cell) = object.key.id.rsplit_once('~').unwrap();
        let job = view.jobs.iter().find(|j| j.geocode == cell).unwrap();
        assert_eq!(job.node, nodes[0].cluster.owners(object.slot())[0]);
    }
    let runs = nodes[0].cluster.run_summaries().await;
    assert!(runs.complete);
    assert_eq!(runs.runs[0].jobs.waiting, 12);
    assert_eq!(nodes[0].cluster.status().await.runs_active, 1);
    let mut other = run;
    other.seed = 2;
    assert!(nodes[0].cluster.start_run(other, false).await.is_err());
    assert_eq!(
        nodes[2]
            .cluster
            .steer_run("r", Wish::Cancel)
            .await
            .unwrap()
            .jobs,
        12
    );
    assert_eq!(
        nodes[0].cluster.run_summaries().await.runs[0]
            .jobs
            .cancelled,
        12
    );
}

/// A put that was refused leaves one owner with what it brought: whoever puts other content under
/// that name is told that it is kept, and so it must be held as anything acknowledged is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_be_kept_is_held_by_as_many_as_what_is_put() {
    let nodes = paced(3, 2, Duration::from_hours(1)).await;
    nodes[0].put(&collection()).await.unwrap();
    let small = |valid| Small {
        scene: "s1",
        cell: "9xj5k1",
        acquired: "2019-07-01T10:00:00Z",
        cloudy: None,
        valid,
    };
    let (first, other) = (split(&small(100)), split(&small(50)));
    let ids = nodes[0].cluster.owners(first.slot());
    let owner = |node: &&Node| ids.contains(&node.id());
    let owners: Vec<&Node> = nodes.iter().filter(owner).collect();
    assert_eq!(owners.len(), 2);
    owners[1].store.put(&first, PutMode::Keep).unwrap();
    for node in &nodes {
        let ack = node.put(&other).await.unwrap();
        assert_eq!((ack.outcome, ack.acked_by.len()), (PutOutcome::Kept, 2));
    }
    for owner in owners {
        let (_, held) = owner.store.object(&first.key).unwrap();
        assert_eq!(held.files, first.files);
    }
}
