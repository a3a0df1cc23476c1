//! What is deleted stays deleted, and what is harmed is healed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Node, cluster, expect, ndjson, scratch, stderr, stdout, until, world};

fn ingest(node: &Node, folder: &Path, scenes: &Path) -> Vec<serde_json::Value> {
    let args = ["ingest", "--precision", "6", "-o", "ndjson"];
    ndjson(&expect(node.ask(folder).args(args).arg(scenes), 0))
}

fn first_tif(below: &Path) -> PathBuf {
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "tif") {
                return path;
            }
        }
    }
    panic!("no split below {}", below.display());
}

#[test]
fn a_collection_deleted_while_a_node_is_dead_stays_deleted_when_that_is_back() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 2, 500);
    let mut nodes = cluster(folder, 3, 2);
    let splits = ingest(&nodes[0], folder, &scenes);
    let listed = expect(
        nodes[0]
            .ask(folder)
            .args(["collection", "list", "-o", "json"]),
        0,
    );
    let listed: serde_json::Value = serde_json::from_str(&stdout(&listed)).unwrap();
    let name = listed["collections"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut dead = nodes.pop().unwrap();
    dead.kill();
    let delete = ["collection", "delete", &name];
    let would = expect(nodes[0].ask(folder).args(delete).arg("--dry-run"), 0);
    let said = format!("{} splits", splits.len());
    assert!(stderr(&would).contains(&said), "{}", stderr(&would));
    expect(nodes[0].ask(folder).args(["search", "-o", "id"]), 0);
    // Nobody can be asked here, so that it has to be said beforehand.
    let asked = stderr(&expect(nodes[0].ask(folder).args(delete), 2));
    assert!(asked.contains("with --yes"), "{asked}");
    expect(nodes[0].ask(folder).args(["search", "-o", "id"]), 0);
    expect(nodes[0].ask(folder).args(delete).arg("--yes"), 0);
    expect(nodes[0].ask(folder).args(["search", "-o", "id"]), 1);
    let name_of = dead.data.file_name().unwrap().to_str().unwrap().to_owned();
    let back = Node::start(folder, &name_of, &[]);
    assert_eq!(back.id, dead.id);
    for node in [&nodes[0], &nodes[1], &back] {
        expect(node.ask(folder).args(["search", "-o", "id"]), 1);
    }
    until("the store is verified", || {
        let verify = back.ask(folder).args(["cluster", "verify"]).output();
        verify.unwrap().status.code() == Some(0)
    });
    for node in [&nodes[0], &nodes[1], &back] {
        expect(node.ask(folder).args(["search", "-o", "id"]), 1);
    }
    expect(nodes[0].ask(folder).args(delete), 1);
}

#[test]
fn a_flipped_byte_is_healed_by_repair_or_once_verify_has_named_it() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 500);
    let nodes = cluster(folder, 3, 2);
    ingest(&nodes[0], folder, &scenes);
    let path = first_tif(&nodes[1].data.join("objects"));
    let flip = || {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    flip();
    let repair = ["node", "repair", &nodes[1].id];
    let whole = expect(nodes[2].ask(folder).args(repair).arg("--dry-run"), 0);
    // Only reading finds a flipped byte.
    assert!(
        stdout(&whole).contains("bring back 0 "),
        "{}",
        stdout(&whole)
    );
    assert!(stdout(&whole).contains(" slots ("), "{}", stdout(&whole));
    let verify = ["cluster", "verify", "--dry-run", "--rate", "1"];
    let would = stdout(&expect(nodes[2].ask(folder).args(verify), 0));
    assert!(would.contains(" min at 1 MB/s a node"), "{would}");
    let told = expect(nodes[2].ask(folder).args(verify).args(["-o", "json"]), 0);
    let told: serde_json::Value = serde_json::from_str(&stdout(&told)).unwrap();
    assert_eq!(
        told["slots"],
        2 * 16_384,
        "two replicas of every slot: {told}"
    );
    let healed = expect(nodes[2].ask(folder).args(repair), 0);
    assert!(stderr(&healed).contains("1 healed"), "{}", stderr(&healed));
    expect(nodes[0].ask(folder).args(["cluster", "verify"]), 0);

    flip();
    let found = expect(nodes[0].ask(folder).args(["cluster", "verify"]), 6);
    let split = path
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap();
    let id = split.replace('+', "/");
    assert!(stdout(&found).contains(&id), "{}", stdout(&found));
    until("its node has healed it", || {
        let verify = nodes[0].ask(folder).args(["cluster", "verify"]).output();
        verify.unwrap().status.success()
    });
    expect(nodes[0].ask(folder).args(["node", "repair", "nobody"]), 1);
}
