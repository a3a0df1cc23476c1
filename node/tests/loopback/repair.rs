//! Replicas that a disk lost or changed are found and brought back.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use earth::geocode::{Geocode, Scheme};
use earth::split::placement::PlacementRule;
use node::store::{Harm, Object, ObjectFile, ObjectKey};
use node::upkeep::Pace;
use wire::bundle::Kind;
use wire::fault::FaultKind;

use crate::bench::{
    Node, SOON, UPKEEP, cluster, collection, fill, open, open_paced, paced, splits, until,
};

/// Bytes of a model's weights: as much as a small split.
const WEIGHTS: usize = 40_000;

/// Objects of which one node of three holds 500 where two replicas are kept.
const SPLITS_FLIPPED: usize = 630;
const MODELS_FLIPPED: u64 = 190;

pub(crate) fn model(n: u64) -> Object {
    let digits = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let digit = |i: u64| char::from(digits[usize::try_from(i % 32).unwrap()]);
    let geocode = format!("9xj{}{}k", digit(n / 32), digit(n));
    let cell = Geocode::parse(Scheme::Geohash, &geocode).unwrap();
    let config = format!(r#"{{"run":"r","geocode":"{geocode}"}}"#);
    let weights: Vec<u8> = (0..WEIGHTS as u64)
        .map(|i| {
            (i ^ (n << 32))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .to_le_bytes()[7]
        })
        .collect();
    let file = |name: &str, bytes: Vec<u8>| ObjectFile {
        name: name.to_owned(),
        bytes: bytes.into(),
    };
    Object {
        key: ObjectKey::new(Kind::Model, format!("r/{geocode}")),
        placement_key: PlacementRule::Whole.key(&cell),
        files: vec![
            file("config.json", config.into_bytes()),
            file("model.safetensors", weights),
        ],
    }
}

pub(crate) async fn put_models(nodes: &[Node], count: u64) {
    let puts = (0..count).map(|n| async move {
        nodes[0].put(&model(n)).await.unwrap();
    });
    futures::future::join_all(puts).await;
}

pub(crate) fn held(node: &Node, kind: Kind) -> Vec<ObjectKey> {
    node.store.keys(kind).unwrap()
}

fn folder(node: &Node, key: &ObjectKey) -> PathBuf {
    let record = node.store.known(key).unwrap().unwrap();
    node.store.folder(&record)
}

fn files_of(node: &Node, key: &ObjectKey) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(node, key)).unwrap();
    entries.map(|e| e.unwrap().path()).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

async fn is_clean(node: &Node) -> bool {
    let report = node.cluster.verify().await;
    report.complete && report.problems.is_empty()
}

pub(crate) async fn repair_bytes(node: &Node) -> u64 {
    node.cluster.status().await.bytes_by_purpose.repair
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_files_are_found_in_two_rounds_and_cost_at_most_three_times_their_bytes() {
    let nodes = cluster(3, 2).await;
    put_models(&nodes, 200).await;
    let before = repair_bytes(&nodes[0]).await;
    let lost: Vec<ObjectKey> = held(&nodes[1], Kind::Model).into_iter().take(4).collect();
    for key in &lost {
        fs::remove_dir_all(folder(&nodes[1], key)).unwrap();
    }
    let whole = || lost.iter().all(|key| nodes[1].store.verify(key).is_ok());
    let began = tokio::time::Instant::now();
    until("all is back", async || whole()).await;
    let took = began.elapsed();
    assert!(took < 2 * UPKEEP.every + Duration::from_secs(2), "{took:?}");
    let sent = repair_bytes(&nodes[0]).await - before;
    let missing = (lost.len() * WEIGHTS) as u64;
    assert!(
        sent >= missing && sent <= 3 * missing,
        "{sent} for {missing}"
    );
    assert!(is_clean(&nodes[0]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_objects_are_found_by_their_sums_at_a_cost_that_follows_the_difference() {
    let nodes = cluster(3, 2).await;
    put_models(&nodes, 300).await;
    for count in [1, 8] {
        // Nothing else is repaired meanwhile.
        until("all is confirmed", async || is_clean(&nodes[0]).await).await;
        let before = repair_bytes(&nodes[0]).await;
        let lost: Vec<ObjectKey> = held(&nodes[2], Kind::Model)
            .into_iter()
            .take(count)
            .collect();
        for key in &lost {
            assert!(nodes[2].store.delete(key).unwrap());
        }
        until("all is back", async || {
            lost.iter().all(|key| nodes[2].store.verify(key).is_ok())
        })
        .await;
        let sent = repair_bytes(&nodes[0]).await - before;
        let missing = (count * WEIGHTS) as u64;
        assert!(
            sent >= missing && sent <= 3 * missing,
            "{sent} for {missing}"
        );
    }
    assert!(is_clean(&nodes[0]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_round_among_alike_replicas_costs_less_than_a_kilobyte_a_pair() {
    let nodes = cluster(3, 3).await;
    put_models(&nodes, 100).await;
    until("all is confirmed", async || is_clean(&nodes[0]).await).await;
    let mut report = nodes[1]
        .cluster
        .repair(&nodes[1].id())
        .await
        .unwrap()
        .unwrap();
    let before = repair_bytes(&nodes[0]).await;
    report.pulled += nodes[1]
        .cluster
        .repair(&nodes[1].id())
        .await
        .unwrap()
        .unwrap()
        .pulled;
    let sent = repair_bytes(&nodes[0]).await - before;
    assert_eq!((report.pulled, report.healed), (0, 0));
    // This node's own rounds, and those of the others that fell into the time.
    assert!(sent < 6 * 1_024, "{sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_finds_harmed_is_healed_before_the_next_round() {
    let nodes = paced(3, 2, Duration::from_hours(1)).await;
    fill(&nodes, 12).await;
    let keys = held(&nodes[0], Kind::Split);
    for key in &keys[..2] {
        flip(&folder(&nodes[0], key).join("r60.tif"), 99);
    }
    let whole = |key: &&ObjectKey| nodes[0].store.verify(key).is_ok();
    assert_eq!(keys.iter().filter(whole).count(), keys.len() - 2);
    let report = nodes[1].cluster.verify().await;
    assert_eq!(report.problems_total, 2, "{report:?}");
    until("both are whole again", async || {
        keys.iter().all(|key| whole(&key))
    })
    .await;
    assert!(is_clean(&nodes[2]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_harmed_note_is_named_by_verify_and_healed_before_the_next_round() {
    let nodes = paced(3, 2, Duration::from_hours(1)).await;
    put_models(&nodes, 8).await;
    let key = held(&nodes[0], Kind::Model).remove(0);
    flip(&folder(&nodes[0], &key).join("object.json"), 30);
    // Its files are right: it is answered from.
    nodes[0].store.verify(&key).unwrap();
    let report = nodes[1].cluster.verify().await;
    assert_eq!(report.problems_total, 1, "{report:?}");
    let named = report.problems[0].contains("object.json") && report.problems[0].contains(&key.id);
    assert!(named, "{report:?}");
    until("it is whole again", async || {
        nodes[0].store.audit(&key).unwrap().0 == Harm::None
    })
    .await;
    assert!(is_clean(&nodes[1]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_is_never_served_and_always_found_and_healed() {
    // Rounds of upkeep are far away: what is found is found by reading.
    let nodes = paced(3, 2, Duration::from_hours(1)).await;
    let splits = splits(SPLITS_FLIPPED);
    fill(&nodes, SPLITS_FLIPPED).await;
    put_models(&nodes, MODELS_FLIPPED).await;
    let mut harmed = 0_u64;
    let mut keys = held(&nodes[0], Kind::Split);
    keys.extend(held(&nodes[0], Kind::Model));
    keys.extend(held(&nodes[0], Kind::Collection));
    for (i, key) in keys.iter().enumerate() {
        let files = files_of(&nodes[0], key);
        flip(&files[i % files.len()], i * 7_919);
        harmed += 1;
    }
    // D5: 500 random ones.
    assert!(harmed >= 500, "{harmed}");
    for object in splits.iter().step_by(5).chain(&[model(0), model(7)]) {
        for node in &nodes {
            let name = &object.files.last().unwrap().name;
            let bytes = node.cluster.fetch(&object.key, name).await.unwrap();
            assert_eq!(bytes, object.files.last().unwrap().bytes, "{}", object.key);
        }
    }
    let report = nodes[2].cluster.verify().await;
    let report_of_node = nodes[2]
        .cluster
        .repair(&nodes[0].id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(report_of_node.left, Vec::<String>::new());
    assert!(report_of_node.complete && report_of_node.checked >= harmed);
    assert!(report.problems_total > 0, "{report:?}");
    for key in &keys {
        assert_eq!(nodes[0].store.audit(key).unwrap().0, Harm::None, "{key}");
    }
    assert!(is_clean(&nodes[1]).await);
    let aside = fs::read_dir(nodes[0].dir.path().join("quarantine"))
        .unwrap()
        .count();
    assert!(aside > 0 && aside <= 64, "{aside}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_tells_what_a_repair_brings_back_and_pulls_and_does_neither() {
    // Rounds of upkeep are far away: nothing is healed but by the repair asked for.
    let nodes = paced(2, 2, Duration::from_hours(1)).await;
    put_models(&nodes, 40).await;
    until("all is confirmed", async || is_clean(&nodes[0]).await).await;
    let keys = held(&nodes[1], Kind::Model);
    let (gone, forgotten) = (&keys[..3], &keys[3..8]);
    for key in gone {
        fs::remove_file(&files_of(&nodes[1], key)[0]).unwrap();
    }
    for key in forgotten {
        assert!(nodes[1].store.delete(key).unwrap());
    }
    let id = nodes[1].id();
    let plan = nodes[0].cluster.plan_repair(&id).await.unwrap().unwrap();
    assert!(plan.dry_run && plan.complete, "{plan:?}");
    assert_eq!((plan.healed, plan.pulled), (3, 5), "{plan:?}");
    assert!((1..=plan.checked).contains(&plan.slots), "{plan:?}");
    let again = nodes[0].cluster.plan_repair(&id).await.unwrap().unwrap();
    assert_eq!(again, plan);
    let done = nodes[0].cluster.repair(&id).await.unwrap().unwrap();
    assert_eq!((done.healed, done.pulled), (3, 5), "{done:?}");
    assert!(is_clean(&nodes[0]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_another_replica_a_corrupt_split_is_named_and_kept() {
    let nodes = cluster(1, 1).await;
    fill(&nodes, 3).await;
    let object = splits(1).remove(0);
    let path = files_of(&nodes[0], &object.key).remove(0);
    flip(&path, 1_000);
    let fault = nodes[0]
        .cluster
        .fetch(&object.key, "r60.tif")
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Data, "{fault:?}");
    let named = fault.what.contains("corrupt") && fault.what.contains(&object.key.id);
    assert!(named, "{fault:?}");
    let report = nodes[0]
        .cluster
        .repair(&nodes[0].id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((report.left.len(), report.healed), (1, 0), "{report:?}");
    assert!(report.left[0].contains(&object.key.id), "{report:?}");
    flip(&path, 1_000);
    let bytes = nodes[0]
        .cluster
        .fetch(&object.key, "r60.tif")
        .await
        .unwrap();
    assert_eq!(bytes, object.files[0].bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_corrupt_where_it_is_read_is_called_so_only_if_nobody_else_may_hold_it() {
    let mut nodes = paced(3, 2, Duration::from_hours(1)).await;
    let reader = nodes[2].id();
    let owns = |n: &u64| nodes[2].cluster.owners(model(*n).slot()).contains(&reader);
    let n = (0..200).find(|n| !owns(n)).unwrap();
    let object = model(n);
    nodes[0].put(&object).await.unwrap();
    let file = |node: &Node| folder(node, &object.key).join("model.safetensors");
    let (first, second) = (file(&nodes[0]), file(&nodes[1]));
    let reader = nodes.pop().unwrap();
    let fetch = async || reader.cluster.fetch(&object.key, "model.safetensors").await;
    assert_eq!(fetch().await.unwrap(), object.files[1].bytes);
    let away = nodes.pop().unwrap();
    let other = away.id();
    let dir = away.kill().await;
    flip(&first, 1_000);
    let fault = fetch().await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Partial, "{fault:?}");
    assert!(fault.what.contains(&object.key.id), "{fault:?}");
    let because = fault.because.join("; ");
    assert!(
        because.contains("corrupt") && because.contains(&other),
        "{fault:?}"
    );
    assert!(fault.try_.is_some(), "{fault:?}");
    flip(&second, 1_000);
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let pace = Pace {
        first: Duration::from_hours(1),
        every: Duration::from_hours(1),
        ..UPKEEP
    };
    nodes.push(open_paced(dir, any, (None, None), pace).await.unwrap());
    until("nobody else may hold it", async || {
        fetch().await.unwrap_err().kind == FaultKind::Data
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_folder_is_filled_again_by_the_others() {
    let mut nodes = cluster(3, 3).await;
    nodes[0].put(&collection()).await.unwrap();
    put_models(&nodes, 40).await;
    let gone = nodes.pop().unwrap();
    let dir = gone.kill().await;
    fs::remove_dir_all(dir.path().join("objects")).unwrap();
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    nodes.push(open(dir, None, None).await.unwrap());
    until("every replica is back", async || is_clean(&nodes[0]).await).await;
    assert_eq!(held(&nodes[2], Kind::Model).len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_its_folder_asks_at_its_start_and_not_at_the_next_interval() {
    const HOUR: Duration = Duration::from_hours(1);
    let mut nodes = paced(2, 2, HOUR).await;
    // Put by who stays: it knows of nothing that the other lacks.
    put_models(&nodes[..1], 10).await;
    let lost = nodes.pop().unwrap().kill().await;
    fs::remove_dir_all(lost.path().join("objects")).unwrap();
    fs::remove_file(lost.path().join("index.redb")).unwrap();
    let pace = Pace {
        every: HOUR,
        ..UPKEEP
    };
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    nodes.push(open_paced(lost, any, (None, None), pace).await.unwrap());
    until("every replica is back", async || is_clean(&nodes[0]).await).await;
    assert_eq!(held(&nodes[1], Kind::Model).len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_go_on_from_another_replica_when_their_sender_dies_midway() {
    let mut nodes = cluster(4, 2).await;
    let mut object = model(1);
    let length: u32 = 48 << 20;
    object.files[1].bytes = (0..length)
        .map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect::<Vec<u8>>()
        .into();
    nodes[0].put(&object).await.unwrap();
    let owners = nodes[0].cluster.owners(object.slot());
    let reader = nodes
        .iter()
        .position(|n| !owners.contains(&n.id()))
        .unwrap();
    let reader = nodes.swap_remove(reader);
    let key = object.key.clone();
    let cluster = reader.cluster.clone();
    let reading =
        tokio::spawn(async move { cluster.fetch(&key, "model.safetensors").await.unwrap() });
    let sent = |node: &Node| node.cluster.meters().model;
    let mut before: Vec<u64> = nodes.iter().map(sent).collect();
    let mut sender = None;
    let deadline = tokio::time::Instant::now() + crate::bench::SOON;
    while sender.is_none() && tokio::time::Instant::now() < deadline {
        sender = (0..nodes.len()).find(|i| sent(&nodes[*i]) > before[*i] + (8 << 20));
        tokio::task::yield_now().await;
    }
    let sender = sender.expect("somebody sends");
    let (sender, put) = (nodes.swap_remove(sender), before.swap_remove(sender));
    let by_dead = sent(&sender) - put;
    sender.kill().await;
    let bytes = reading.await.unwrap();
    assert!(bytes == object.files[1].bytes);
    let sent_since = |(node, put): (&Node, u64)| sent(node) - put;
    let by_others: u64 = nodes.iter().zip(before).map(sent_since).sum();
    eprintln!("{by_dead} bytes came from the one that died, {by_others} from others");
    assert!(by_others < u64::from(length), "it began anew: {by_others}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_reads_is_read_and_healed_all_the_same() {
    const HOUR: Duration = Duration::from_hours(1);
    let mut nodes = paced(2, 2, HOUR).await;
    put_models(&nodes, 20).await;
    let harmed = nodes.pop().unwrap().kill().await;
    let pace = Pace {
        first: HOUR,
        every: HOUR,
        rest: Duration::from_millis(100),
        ..UPKEEP
    };
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    nodes.push(open_paced(harmed, any, (None, None), pace).await.unwrap());
    let keys = held(&nodes[1], Kind::Model);
    let whole = |key: &ObjectKey| nodes[1].store.audit(key).unwrap().0 == Harm::None;
    // Again and again, not only at the start.
    for places in [0..20, 5..8] {
        for (i, key) in keys[places].iter().enumerate() {
            flip(&folder(&nodes[1], key).join("model.safetensors"), i * 997);
        }
        until("all are whole again", async || keys.iter().all(whole)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_that_the_index_does_not_know_are_found_at_the_start() {
    let node = cluster(1, 1).await.remove(0);
    put_models(std::slice::from_ref(&node), 5).await;
    let dir = node.kill().await;
    let index = dir.path().join("index.redb");
    let before = fs::read(&index).unwrap();
    let node = open(Arc::clone(&dir), None, None).await.unwrap();
    assert!(node.cluster.settled(SOON).await);
    fill(std::slice::from_ref(&node), 3).await;
    let dir = node.kill().await;
    // All tables agree, and none tells of the splits.
    fs::write(&index, before).unwrap();
    let node = open(dir, None, None).await.unwrap();
    until("the splits are found", async || {
        node.all().await.0.len() == 3
    })
    .await;
    assert_eq!(held(&node, Kind::Model).len(), 5);
}
