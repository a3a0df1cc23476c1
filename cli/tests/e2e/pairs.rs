//! Cloudy splits with clear ones, found by their owners: only what makes a pair is answered.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::harness::{cluster, expect, ndjson, scratch, stdout, world};

/// Id, cell, seconds and cloud cover of a split.
struct Seen {
    id: String,
    cell: String,
    seconds: i64,
    cloud: f64,
}

fn seen(hit: &Value) -> Option<Seen> {
    let time: Timestamp = hit["acquired"].as_str()?.parse().unwrap();
    Some(Seen {
        id: hit["id"].as_str()?.to_owned(),
        cell: hit["geocode"].as_str()?.to_owned(),
        seconds: time.as_second(),
        cloud: hit["cloud_cover"].as_f64()?,
    })
}

/// Compares every cloudy split with every clear one of its cell.
fn brute_force(splits: &[Seen], (clear, cloudy): (f64, f64)) -> BTreeSet<(String, String)> {
    let mut pairs = BTreeSet::new();
    for one in splits.iter().filter(|s| s.cloud >= cloudy) {
        let others = splits
            .iter()
            .filter(|s| s.cloud <= clear && s.cell == one.cell);
        let nearest = others.min_by_key(|s| ((s.seconds - one.seconds).abs(), s.seconds));
        pairs.extend(nearest.map(|other| (one.id.clone(), other.id.clone())));
    }
    pairs
}

#[test]
fn owners_answer_with_splits_of_pairs_alone() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 6, 200);
    let nodes = cluster(folder, 3, 2);
    let ingest = ["ingest", "--precision", "6", "--collection", "c"];
    expect(nodes[0].ask(folder).args(ingest).arg(&scenes), 0);
    let all = ["search", "-o", "ndjson"];
    let all = ndjson(&expect(nodes[0].ask(folder).args(all), 0));
    let splits: Vec<Seen> = all.iter().filter_map(seen).collect();
    let mut clouds: Vec<f64> = splits.iter().map(|s| s.cloud).collect();
    clouds.sort_by(f64::total_cmp);
    let (clear, cloudy) = (clouds[clouds.len() / 4], clouds[clouds.len() * 3 / 4]);
    assert!(
        clear < cloudy,
        "all dates are alike: {clear} and {cloudy} %"
    );
    let wanted = brute_force(&splits, (clear, cloudy));
    assert!(wanted.len() > 3, "{} pairs", wanted.len());
    let members: BTreeSet<&String> = wanted.iter().flat_map(|(a, b)| [a, b]).collect();
    assert!(members.len() < splits.len(), "every split is in a pair");
    for node in &nodes {
        let (clear, cloudy) = (clear.to_string(), cloudy.to_string());
        let words = ["search", "--pairs", "--clear", &clear, "--cloudy", &cloudy];
        let said = stdout(&expect(
            node.ask(folder).args(words).args(["-o", "json"]),
            0,
        ));
        let said: Value = serde_json::from_str(&said).unwrap();
        let id = |pair: &Value, key: &str| pair[key]["id"].as_str().unwrap().to_owned();
        let pairs = said["pairs"].as_array().unwrap().iter();
        let pairs = pairs.map(|pair| (id(pair, "cloudy"), id(pair, "clear")));
        assert_eq!(pairs.collect::<BTreeSet<_>>(), wanted);
        let end = &said["end"];
        assert_eq!(end["hits"], members.len(), "{end}");
        let asked = end["asked"].as_array().unwrap();
        let sent: u64 = asked.iter().map(|a| a["hits"].as_u64().unwrap()).sum();
        assert_eq!(sent, members.len() as u64, "others travelled, too: {end}");
        assert_eq!(end["pairs"]["splits"], all.len(), "all were looked at");
        assert_eq!(end["pairs"]["pairs"], wanted.len());
    }
}
