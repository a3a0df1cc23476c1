//! The files of the clone that rules are about.
//!
//! *Invariants*: paths are relative to the top folder, with `/`; build output, links and what git
//! keeps for itself are left out; order is by path.
//!
//! *Not here*: rules.

use std::fs;
use std::path::Path;

use super::source::Source;
use crate::trouble::{Result, Trouble};

/// Folders that hold nothing written by hand.
const SKIPPED_FOLDERS: [&str; 5] = ["target", ".git", ".deps", ".glebe", "__pycache__"];

/// Endings of files that are text written by hand.
const TEXT_ENDINGS: [&str; 10] = [
    "rs", "toml", "md", "sh", "py", "yml", "yaml", "html", "txt", "json",
];

/// A text file that is not Rust.
#[derive(Debug)]
pub(crate) struct Text {
    path: String,
    text: String,
}

impl Text {
    /// Returns a text file.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Returns the path below the top folder.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// All text files of the clone, and the Rust ones among them as sources.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    texts: Vec<Text>,
    rust: Vec<Source>,
}

impl Tree {
    /// Reads the files below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut texts = Vec::new();
        collect(root, "", &mut texts).map_err(|error| {
            Trouble::new(
                "the source cannot be read",
                error.to_string(),
                "look at its permissions",
            )
        })?;
        Ok(Self::of(texts))
    }

    /// Returns the tree of the given files.
    pub(crate) fn of(mut texts: Vec<Text>) -> Self {
        texts.sort_by(|a, b| a.path.cmp(&b.path));
        let is_rust = |text: &&Text| Path::new(&text.path).extension().is_some_and(|e| e == "rs");
        let rust = texts
            .iter()
            .filter(is_rust)
            .map(|text| Source::new(&text.path, &text.text));
        Self {
            rust: rust.collect(),
            texts,
        }
    }

    /// Returns all files.
    pub(crate) fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// Returns the Rust files.
    pub(crate) fn rust(&self) -> &[Source] {
        &self.rust
    }

    /// Returns the text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts
            .iter()
            .find(|text| text.path == path)
            .map(Text::text)
    }
}

fn collect(folder: &Path, prefix: &str, texts: &mut Vec<Text>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), texts)?;
        } else if kind.is_file() && is_text(&path) {
            // A file in another encoding is data for a test, not written text.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                texts.push(Text::new(&path, &text));
            }
        }
    }
    Ok(())
}

fn is_text(path: &str) -> bool {
    let ending = Path::new(path)
        .extension()
        .and_then(|ending| ending.to_str());
    path == "Cargo.lock"
        || path == ".ci/run"
        || ending.is_some_and(|ending| TEXT_ENDINGS.contains(&ending))
}
