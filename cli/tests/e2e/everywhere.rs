//! A model of everywhere answers where neither a cell around a place nor a donor has one.
//!
//! *Invariants*: none is trained: one is put as programs may put it, through the HTTP API.

use std::path::Path;

use bytes::Bytes;
use earth::split::placement::PlacementKey;
use serde_json::Value;
use wire::bundle::{Bundle, Kind};
use wire::client::{Client, ClientOptions};
use wire::model::GLOBAL;
use wire::object::PutParams;

use crate::bad_input::scene;
use crate::harness::{Node, expect, json, scratch, stderr, world};

/// Puts the model of a folder as that of everywhere, of the same run.
fn put(node: &Node, model: &Path) {
    let files = std::fs::read_dir(model).unwrap();
    let mut files: Vec<(String, Bytes)> = files
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap().into())
        })
        .collect();
    files.sort();
    let config = files.iter_mut().find(|(name, _)| name == "config.json");
    let config = &mut config.unwrap().1;
    let mut told: Value = serde_json::from_slice(config).unwrap();
    told["geocode"] = GLOBAL.into();
    *config = told.to_string().into();
    let run = told["run"].as_str().unwrap();
    let place = PlacementKey::named(GLOBAL, run);
    let bundle = Bundle::new(Kind::Model, format!("{run}/{GLOBAL}"), place, files).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::new(&node.http, ClientOptions::default()).unwrap();
        client.put(&bundle, &PutParams::default()).await.unwrap();
    });
}

/// Returns how many of some cells were answered by a cell's own model and by that of everywhere.
fn counted<'a>(answers: impl Iterator<Item = (&'a Value, &'a Value)>) -> [usize; 2] {
    let mut counts = [0; 2];
    for (model, kinship) in answers {
        let at = ["own", "global"].iter().position(|known| kinship == known);
        let at = at.unwrap_or_else(|| panic!("{model} is {kinship}"));
        assert_eq!(model == "near/global", at == 1, "{model} is {kinship}");
        counts[at] += 1;
    }
    counts
}

#[test]
fn where_nothing_nearer_is_known_the_model_of_everywhere_is_pulled_and_answers() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 300);
    let node = Node::start(folder, "node0", &[]);
    let ask = |words: &[&str], code| expect(node.ask(folder).args(words), code);
    let ingest = ["ingest", "--precision", "6", "--collection", "land"];
    expect(node.ask(folder).args(ingest).arg(&scenes), 0);
    let best = ["search", "--sort", "cloud,-coverage"];
    let best = [&best[..], &["--min-coverage", "99"]].concat();
    let hits = json(&node, folder, &best);
    let cell = hits["hits"][0]["geocode"].as_str().unwrap().to_owned();
    let train = ["train", "ndvi-cnn", "--name", "near", "--geocode", &cell];
    let few = ["--epochs", "1", "--chip", "8", "--wait"];
    ask(&[&train[..], &few].concat(), 0);
    let nowhere = ["model", "pull", "near", "--at", "0,0", "-O", "g"];
    let said = stderr(&ask(&nowhere, 1));
    assert!(said.contains("no model near 0,0"), "{said}");
    ask(&["model", "pull", &format!("near/{cell}"), "-O", "own"], 0);
    put(&node, &folder.join("own"));

    let said = stderr(&ask(&nowhere, 0));
    let told = "0,0 has no model of its own; this is the global one: neither a cell around it nor";
    assert!(said.contains(told), "{said}");
    let config = std::fs::read(folder.join("g/config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["geocode"], GLOBAL);
    // A cell that has one is answered by that.
    let own = ["model", "pull", "near", "--geocode", &cell, "-O", "nearest"];
    let said = stderr(&ask(&own, 0));
    assert!(!said.contains("the global one"), "{said}");

    // A scene here, by the run and by the folder that was pulled, and stored splits where they lie:
    // nodes looked for it where cells lie alone, and said that it was not there any more.
    let scene = scene(&scenes);
    let scene = scene.to_str().unwrap();
    let predict = |given: &str, words: &[&str]| {
        let map = [
            "predict",
            given,
            "-O",
            "map.tif",
            "--overwrite",
            "-o",
            "json",
        ];
        let said: Value =
            serde_json::from_slice(&ask(&[&map[..], words].concat(), 0).stdout).unwrap();
        said["cells"].as_array().unwrap().clone()
    };
    let here = predict("near", &[scene]);
    let count = counted(here.iter().map(|cell| (&cell["model"], &cell["kinship"])));
    assert_eq!(count, [1, here.len() - 1]);
    let pulled = predict("g", &[scene]);
    let count = counted(pulled.iter().map(|cell| (&cell["model"], &cell["kinship"])));
    assert_eq!(count[0], 0, "{pulled:?}");
    let stored = predict("near", &["--collection", "land"]);
    let answers = stored.iter().map(|cell| &cell["predicted"]);
    let count = counted(answers.map(|by| (&by["model"], &by["kinship"])));
    assert_eq!(count, [1, stored.len() - 1]);
    let words = ["predict", "near", scene, "-O", "map.tif", "--overwrite"];
    let said = stderr(&ask(&words, 0));
    let told = "answered by near/global, the global one";
    assert!(said.contains(told), "{said}");
}
