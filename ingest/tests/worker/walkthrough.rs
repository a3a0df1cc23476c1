//! `docs/ADDING_A_DATASET.md` quotes real files; this holds it to that.
//!
//! *Invariants*: a block of code names its file in its first line, and every other line of it is a
//! line of that file.
//!
//! *Not here*: whether the prose is true.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/ADDING_A_DATASET.md")).unwrap()
}

#[test]
fn every_quoted_line_stands_in_the_file_it_is_quoted_from() {
    let page = page();
    let blocks: Vec<&str> = page.split("```rust\n").skip(1).collect();
    assert!(blocks.len() >= 6, "{}", blocks.len());
    for block in blocks {
        let mut lines = block.split("```").next().unwrap().lines();
        let file = lines.next().unwrap().strip_prefix("// ").unwrap();
        let text = fs::read_to_string(root().join(file)).unwrap();
        for line in lines {
            assert!(
                text.lines().any(|l| l == line),
                "{file} has no line '{line}'"
            );
        }
    }
}

#[test]
fn every_file_that_is_named_is_there() {
    let page = page();
    let quoted = page.split('`').skip(1).step_by(2);
    let files: Vec<&str> = quoted
        .filter(|q| q.contains('/') && !q.contains(char::is_whitespace))
        .collect();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        assert!(root().join(file).exists(), "{file}");
    }
}
