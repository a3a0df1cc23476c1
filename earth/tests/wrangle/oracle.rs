//! Runs Python oracles and finds real imagery.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The project's Python, if it has a package; else `None` with a loud word.
pub(crate) fn python(package: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/python/bin/python");
    let import = format!("import {package}");
    let found = Command::new(&path).args(["-c", &import]).output();
    if found.is_ok_and(|o| o.status.success()) {
        return Some(path);
    }
    eprintln!(
        "SKIPPED: {} has no {package}; try: cargo xtask setup",
        path.display()
    );
    None
}

/// Where the real imagery lies, or `None` with a loud word.
pub(crate) fn real_data() -> Option<PathBuf> {
    let named = std::env::var_os("GLEBE_REAL_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = named.unwrap_or(beside);
    if folder.is_dir() {
        return folder.canonicalize().ok();
    }
    eprintln!("SKIPPED: no real imagery at {}", folder.display());
    None
}

/// Runs an oracle's script with a JSON file of cases and a folder for its answers.
pub(crate) fn run(python: &Path, script: &str, cases: &serde_json::Value, folder: &Path) {
    let list = folder.join("cases.json");
    std::fs::write(&list, cases.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/oracles")
        .join(script);
    let output = Command::new(python)
        .arg(script)
        .arg(&list)
        .arg(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the oracle failed: {said}");
}
