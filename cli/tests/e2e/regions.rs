//! Regions of like texture, as users group them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{cluster, expect, ndjson, scratch, stderr, world};

fn names(groups: &Value) -> Vec<BTreeSet<String>> {
    let cells = |group: &Value| {
        let heirs = group["heirs"].as_array().unwrap().iter();
        let all = heirs.chain([&group["donor"]]);
        all.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    groups.as_array().unwrap().iter().map(cells).collect()
}

#[test]
fn cells_are_grouped_alike_from_every_node_and_no_pixel_travels() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 3, 2, 600);
    let nodes = cluster(folder, 3, 2);
    expect(
        nodes[0]
            .ask(folder)
            .args(["ingest", "--precision", "6"])
            .arg(&scenes),
        0,
    );
    let groups = ["region", "groups", "-o", "json"];
    let said: Vec<Value> = nodes
        .iter()
        .map(|node| {
            let said = expect(node.ask(folder).args(groups), 0).stdout;
            serde_json::from_slice(&said).unwrap()
        })
        .collect();
    assert!(said.iter().all(|s| *s == said[0]), "{said:?}");
    let found = names(&said[0]["groups"]);
    assert!((2..=24).contains(&found.len()), "{} groups", found.len());
    let grouped: Vec<&String> = found.iter().flatten().collect();
    let once: BTreeSet<&String> = grouped.iter().copied().collect();
    assert_eq!(grouped.len(), once.len(), "a cell is in two groups");
    let hits = ndjson(&expect(
        nodes[1].ask(folder).args(["search", "-o", "ndjson"]),
        0,
    ));
    let cells: BTreeSet<&str> = hits
        .iter()
        .map(|h| h["geocode"].as_str().unwrap())
        .collect();
    let without = said[0]["without_texture"].as_array().unwrap();
    assert_eq!(grouped.len() + without.len(), cells.len());

    // Each way to compare textures tells groups apart by numbers of its own.
    let mut told_apart = vec![said[0]["silhouette"].to_string()];
    for metric in ["manhattan", "cosine"] {
        let asked = [0, 2].map(|node| {
            let words = ["--metric", metric];
            expect(nodes[node].ask(folder).args(groups).args(words), 0).stdout
        });
        assert_eq!(asked[0], asked[1], "{metric}");
        let asked: Value = serde_json::from_slice(&asked[0]).unwrap();
        let by_metric = names(&asked["groups"]);
        let by_metric: BTreeSet<&String> = by_metric.iter().flatten().collect();
        assert_eq!(by_metric, once, "{metric}");
        told_apart.push(asked["silhouette"].to_string());
    }
    told_apart.dedup();
    assert_eq!(told_apart.len(), 3, "{told_apart:?}");

    let two = expect(nodes[2].ask(folder).args(groups).args(["-k", "2"]), 0);
    let two: Value = serde_json::from_slice(&two.stdout).unwrap();
    assert_eq!(names(&two["groups"]).len(), 2);
    let status = expect(nodes[0].ask(folder).args(["status", "-o", "json"]), 0);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["bytes_by_purpose"]["pixels"], 0);

    let many = expect(nodes[0].ask(folder).args(groups).args(["-k", "9999"]), 2);
    let most = format!("-k with 1 to {}, or without -k", grouped.len());
    for text in ["9999 groups of", &most] {
        assert!(stderr(&many).contains(text), "{}", stderr(&many));
    }
    let nowhere = ["--bbox", "0,0,1,1"];
    expect(nodes[0].ask(folder).args(groups).args(nowhere), 1);
}
