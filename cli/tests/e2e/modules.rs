//! A module that a user made in PyTorch, trained on one node and on three.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Node, cluster_of, expect, glebe, scratch, stderr, stdout, world};
use crate::security::{ask_with, open_node, token};

/// The system's interpreter, or setup's own, whichever has PyTorch.
pub(crate) fn python() -> Option<String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/python/bin/python");
    let known = [own.display().to_string(), "/usr/bin/python3".to_owned()];
    let has_torch = |python: &String| {
        let asked = Command::new(python).args(["-c", "import torch"]).output();
        asked.is_ok_and(|ended| ended.status.success())
    };
    let found = known.into_iter().find(has_torch);
    if found.is_none() {
        eprintln!("SKIPPED: no interpreter here has PyTorch; cargo xtask setup installs it");
    }
    found
}

fn train(command: &mut Command) -> &mut Command {
    command.args(["train", "torchscript:net.pt", "--inputs", "red,green,B02"]);
    command.args([
        "--label", "nir", "--name", "own", "--epochs", "2", "--chip", "16",
    ]);
    command.args([
        "--min-coverage",
        "95",
        "--max-cloud",
        "10",
        "--geocode",
        GEOCODE,
    ])
}

/// Where the world lies: a part of it is enough.
const GEOCODE: &str = "9";

fn weights(list: &Value) -> Vec<(String, String)> {
    let models = list["models"].as_array().unwrap().iter();
    let file = |model: &Value| {
        let mut files = model["files"].as_array().unwrap().iter();
        let file = files.find(|f| f["name"] == "model.safetensors").unwrap();
        file["blake3"].as_str().unwrap().to_owned()
    };
    models
        .map(|m| (m["geocode"].as_str().unwrap().to_owned(), file(m)))
        .collect()
}

fn listed(command: &mut Command) -> Value {
    serde_json::from_slice(&expect(command.args(["model", "list", "-o", "json"]), 0).stdout)
        .unwrap()
}

/// Tells what the module learns, and why others cannot.
fn refused(folder: &Path) {
    let told = expect(
        glebe(folder)
            .args(["train", "torchscript:net.pt", "--describe"])
            .args(["--inputs", "red,green,blue", "--label", "nir"]),
        0,
    );
    assert!(
        stdout(&told).contains("map of nir from red, green, blue"),
        "{}",
        stdout(&told)
    );
    let nothing = expect(glebe(folder).args(["train", "torchscript:net.pt"]), 2);
    assert!(
        stderr(&nothing).contains("try: --inputs"),
        "{}",
        stderr(&nothing)
    );
    let narrow = expect(
        glebe(folder).args(["train", "torchscript:net.pt"]).args([
            "--inputs",
            "red,green",
            "--label",
            "nir",
        ]),
        6,
    );
    let said = stderr(&narrow);
    assert!(
        said.contains("because") && said.contains("try: as many --inputs"),
        "{said}"
    );
    std::fs::write(folder.join("noise.pt"), [7; 999]).unwrap();
    let noise = expect(
        glebe(folder)
            .args(["train", "torchscript:noise.pt"])
            .args(["--inputs", "red", "--label", "nir"]),
        6,
    );
    assert!(
        stderr(&noise).contains("no TorchScript module"),
        "{}",
        stderr(&noise)
    );
}

#[test]
fn a_users_module_travels_with_its_run_and_gives_the_same_weights_on_three_nodes() {
    let Some(python) = python() else { return };
    let folder = scratch();
    let folder = folder.path();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/examples");
    let mut make = Command::new(python);
    make.arg(example.join("torchscript_map.py"))
        .arg(folder.join("net.pt"));
    expect(&mut make, 0);

    let scenes = world(folder, 1, 1, 420);
    let ingest = ["ingest", "--precision", "6"];
    expect(glebe(folder).args(ingest).arg(&scenes), 0);
    refused(folder);
    let bands = ["--inputs", "red,green,swir99", "--label", "nir"];
    let lacking = ["train", "torchscript:net.pt", "--dry-run"];
    let lacking = stderr(&expect(glebe(folder).args(lacking).args(bands), 2));
    assert!(
        lacking.contains("no split has a band 'swir99'"),
        "{lacking}"
    );
    expect(train(&mut glebe(folder)), 0);
    let own = weights(&listed(&mut glebe(folder)));
    assert!(!own.is_empty());

    let nodes = cluster_of(folder, 3, 2, |name, more| {
        Node::start_with(folder, name, more, &[("GLEBE_MODULES", "any")])
    });
    expect(nodes[0].ask(folder).args(ingest).arg(&scenes), 0);
    expect(train(&mut nodes[1].ask(folder)).arg("--wait"), 0);
    assert_eq!(weights(&listed(&mut nodes[2].ask(folder))), own);
    drop(nodes);

    let closed = Node::start(folder, "closed", &[]);
    opens_none(&scenes, || closed.ask(folder));
    drop(closed);
    let guarded = open_node(folder, "guarded", &[]);
    let write = token(&guarded, folder, "write");
    opens_none(&scenes, || ask_with(&guarded, folder, &write));
}

/// Has a node whose owner allowed no modules say so.
fn opens_none(scenes: &Path, ask: impl Fn() -> Command) {
    expect(ask().args(["ingest", "--precision", "6"]).arg(scenes), 0);
    let refused = expect(train(&mut ask()).arg("--wait"), 6);
    let said = stderr(&refused);
    assert!(said.contains("GLEBE_MODULES=any"), "{said}");
}
