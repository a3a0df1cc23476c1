//! What users of a cluster in trouble do: put scenes, ask for everything, check it.
//!
//! *Invariants*: what is noted as acknowledged was printed by the command that put it.
//!
//! *Not here*: the trouble (`kills`, `partitions`, `lines`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{Node, expect, glebe, stderr, stdout};

/// The bytes of splits' images, by the split's id and the file's name.
pub(crate) type Bytes = BTreeMap<(String, String), Vec<u8>>;

/// Ids that a node tells, and whether it says that these are all; nothing if nobody answers there.
///
/// A search that ends in any other way is a failure, whoever asked.
pub(crate) fn told(at: &mut Command) -> Option<(BTreeSet<String>, bool)> {
    heard(&at.args(["search", "-o", "id"]).output().unwrap())
}

/// Tells whether a node answers a small question that is asked of every slot, and completely.
pub(crate) fn answers(at: &mut Command) -> bool {
    let few = ["search", "--sort", "-time", "--limit", "10", "-o", "id"];
    heard(&at.args(few).output().unwrap()).is_some_and(|(_, complete)| complete)
}

/// Reads how a search of ids ended.
fn heard(output: &Output) -> Option<(BTreeSet<String>, bool)> {
    let found: BTreeSet<String> = stdout(output).lines().map(str::to_owned).collect();
    let said = stderr(output);
    match output.status.code() {
        Some(0) => Some((found, true)),
        // What breaks inside ends with 1, too.
        Some(1) if found.is_empty() && said.contains("0 splits") => Some((found, true)),
        Some(4) if said.contains("partial: no live owner of") => Some((found, false)),
        Some(3) => None,
        _ => panic!("a search ended with {}: {said}", output.status),
    }
}

/// Puts scenes into a collection; tells of each split that is acknowledged, and returns the exit
/// code.
pub(crate) fn put_noting(
    at: &mut Command,
    scenes: &Path,
    collection: &str,
    note: impl FnMut(String),
) -> Option<i32> {
    put_saying(at, scenes, collection, note).0
}

/// As `put_noting`; returns what the command said on stderr, too.
pub(crate) fn put_saying(
    at: &mut Command,
    scenes: &Path,
    collection: &str,
    mut note: impl FnMut(String),
) -> (Option<i32>, String) {
    let how = ["ingest", "--precision", "6", "-o", "ndjson"];
    let mut child = at
        .args(how)
        .args(["--collection", collection])
        .arg(scenes)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = child.stderr.take().unwrap();
    let heard = std::thread::spawn(move || {
        let mut said = Vec::new();
        heard.read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    });
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(Ok(line)) = line.map(|l| serde_json::from_str::<Value>(&l)) else {
            continue;
        };
        if let Some(id) = line["id"].as_str() {
            note(id.to_owned());
        }
    }
    let code = child.wait().unwrap().code();
    (code, heard.join().unwrap())
}

/// Puts scenes into a collection; returns what was acknowledged, and the exit code.
pub(crate) fn put(
    at: &mut Command,
    scenes: &Path,
    collection: &str,
) -> (BTreeSet<String>, Option<i32>) {
    let mut acked = BTreeSet::new();
    let code = put_noting(at, scenes, collection, |id| {
        acked.insert(id);
    });
    (acked, code)
}

/// Tells whether nothing is on its way to an owner, as a node sees it.
pub(crate) fn at_rest(folder: &Path, at: &Node) -> bool {
    let show = ["cluster", "show", "-o", "json"];
    let output = at.ask(folder).args(show).output().unwrap();
    let view: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let nodes = view["nodes"].as_array().cloned().unwrap_or_default();
    view["settled"] == true && nodes.iter().all(|node| node["to_hand_over"] == 0)
}

/// Tells whether a node finds everything on its owners, with the right bytes.
pub(crate) fn verified(folder: &Path, at: &Node) -> bool {
    let verify = at.ask(folder).args(["cluster", "verify"]).output();
    verify.unwrap().status.code() == Some(0)
}

/// Reads all images of all splits through what is asked, by way of a folder.
pub(crate) fn images(ask: impl Fn() -> Command, out: &Path) -> Bytes {
    let (ids, complete) = told(&mut ask()).unwrap();
    assert!(complete, "{ids:?}");
    images_of(ask, &ids, out)
}

/// Reads all images of some splits through what is asked, by way of a folder.
pub(crate) fn images_of(ask: impl Fn() -> Command, ids: &BTreeSet<String>, out: &Path) -> Bytes {
    assert!(!ids.is_empty(), "nothing is asked for");
    expect(ask().arg("get").args(ids).arg("-O").arg(out), 0);
    let mut found = Bytes::new();
    for id in ids {
        let split = out.join(id.replace('/', "+"));
        for entry in std::fs::read_dir(split).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "tif") {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                found.insert((id.clone(), name), std::fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Images of some splits as a store of one user alone makes them, by way of a folder.
pub(crate) fn images_alone(
    folder: &Path,
    (scenes, collection): (&Path, &str),
    ids: &BTreeSet<String>,
    out: &Path,
) -> Bytes {
    std::fs::create_dir_all(out).unwrap();
    let alone = || {
        let mut alone = glebe(folder);
        alone.arg("--data").arg(out.join("alone"));
        alone
    };
    assert_eq!(put(&mut alone(), scenes, collection).1, Some(0));
    images_of(alone, ids, &out.join("wanted"))
}

/// Which images are not alike, or on one side alone.
pub(crate) fn unlike<'a>(a: &'a Bytes, b: &'a Bytes) -> BTreeSet<&'a (String, String)> {
    let all = a.keys().chain(b.keys());
    all.filter(|key| a.get(*key) != b.get(*key)).collect()
}
