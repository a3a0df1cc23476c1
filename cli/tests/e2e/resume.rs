//! Ingest twice, and once with kill -9 in the middle: the same store.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::harness::{expect, glebe, scratch, stdout, world};

fn listing(folder: &Path, data: &str) -> String {
    let mut command = glebe(folder);
    command.args(["search", "-o", "ndjson", "--sort", "id", "--data", data]);
    stdout(&expect(&mut command, 0))
}

fn ledgers(folder: &Path, data: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.join(data).join("objects/ledger")];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with("ledger.json") {
                let name = path.parent().unwrap().file_name().unwrap();
                let name = name.to_string_lossy().into_owned();
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_killed_ingest_ends_in_the_same_store_as_a_clean_one() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 2, 500);
    let ingest = |data: &str| {
        let mut command = glebe(folder);
        command
            .args(["ingest", "--precision", "6", "-o", "ndjson", "--data", data])
            .arg(&scenes);
        command
    };
    let clean = stdout(&expect(&mut ingest("clean"), 0));
    assert!(clean.lines().count() > 20);
    let again = stdout(&expect(&mut ingest("clean"), 0));
    assert_eq!(
        again.lines().count(),
        0,
        "the second ingest put something: {again}"
    );

    // Killed after the first acknowledged split, then after each ten more, then let through.
    for kills_after in [1, 11, 21] {
        let mut command = ingest("killed");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seen = lines.take(kills_after).count();
        assert!(seen <= kills_after);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    expect(&mut ingest("killed"), 0);
    assert_eq!(listing(folder, "killed"), listing(folder, "clean"));
    assert_eq!(ledgers(folder, "killed"), ledgers(folder, "clean"));
    assert_eq!(
        std::fs::read_dir(folder.join("killed/tmp"))
            .unwrap()
            .count(),
        0
    );
}
