//! Several jobs at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use earth::geocode::{Geocode, Scheme};
use earth::split::placement::PlacementRule;
use tch::Device;
use trainer::job::learn;
use trainer::stop::Stop;
use wire::diary::Event;
use wire::run::{Hyper, Lease, Packing};

use crate::node::{Node, Temper};
use crate::world::{Scene, folder, lease, quick};

pub(crate) fn work(url: &str, more: &[&str]) {
    let status = Command::new(env!("CARGO_BIN_EXE_glebe-trainer"))
        .args(["work", "--node", url])
        .args(more)
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("it starts").success());
}

/// Configurations of the models that a node was given, by geocode.
pub(crate) fn configs(node: &Node) -> BTreeMap<String, serde_json::Value> {
    let config = |bundle: &wire::bundle::Bundle| {
        let names = bundle.header.files.iter().map(|f| f.name.as_str());
        let (_, config) = { names.zip(&bundle.files) }
            .find(|(name, _)| *name == "config.json")
            .expect("a config");
        let config: serde_json::Value = serde_json::from_slice(config).expect("JSON");
        (
            config["geocode"].as_str().expect("a cell").to_owned(),
            config,
        )
    };
    node.heard(|heard| {
        heard
            .models
            .iter()
            .map(|(bundle, _)| config(bundle))
            .collect()
    })
}

/// Jobs of as many cells, each of the same splits: what is learned differs by what is held out.
fn jobs(path: &Path, packing: Packing) -> Vec<Lease> {
    let hyper = Hyper {
        epochs: 3,
        ..quick()
    };
    let mut first = lease(vec![Scene::new("a", 1).write(path)], hyper);
    first.run.packing = packing;
    let cell = |cell: &str| {
        let geocode = Geocode::parse(Scheme::Geohash, cell).expect("a cell");
        Lease {
            geocode: cell.to_owned(),
            placement_key: PlacementRule::Whole.key(&geocode),
            ..first.clone()
        }
    };
    ["gcpvj", "gcpvn", "gcpvp", "gcpvh", "gcpvm"]
        .map(cell)
        .to_vec()
}

#[test]
fn packed_jobs_are_done_at_once_and_give_the_weights_of_one_after_the_other() {
    let (_keep, path) = folder();
    let all = jobs(&path, Packing::Packed);
    let packed = Node::lending(all.clone(), Temper::Kind);
    work(&packed.url, &["--cores", "3"]);
    let (lent, at_once) = packed.heard(|heard| (heard.lent, heard.at_once));
    assert_eq!(lent, 5);
    assert!(
        (2..=4).contains(&at_once),
        "{at_once} at once, after the first"
    );
    let alone = Node::lending(jobs(&path, Packing::Sequential), Temper::Kind);
    work(&alone.url, &["--cores", "3"]);
    assert_eq!(alone.heard(|heard| heard.at_once), 1);
    let (packed, alone) = (configs(&packed), configs(&alone));
    for job in all {
        let hash = |of: &BTreeMap<String, serde_json::Value>| {
            of[&job.geocode]["weights_blake3"]
                .as_str()
                .map(str::to_owned)
        };
        let here = learn(&job, Device::Cpu, &Stop::default()).expect("a model");
        let here = Some(here.config.weights_blake3);
        assert_eq!((hash(&packed), hash(&alone)), (here.clone(), here));
    }
}

#[test]
fn why_so_many_jobs_are_done_at_once_is_said() {
    let (_keep, path) = folder();
    let node = Node::lending(jobs(&path, Packing::Packed), Temper::Kind);
    work(&node.url, &["--cores", "1"]);
    assert!(node.heard(|heard| heard.at_once) <= 2);
    node.heard(|heard| {
        let said = heard.said.iter().filter_map(|entry| match &entry.event {
            Event::Said(text) => Some(text.as_str()),
            Event::Epoch(_) => None,
        });
        let mut said = said.filter(|text| text.starts_with("the first job took "));
        let told = said.next().expect("what was measured");
        assert!(
            told.contains("by cores") && told.contains("by memory"),
            "{told}"
        );
    });
}
