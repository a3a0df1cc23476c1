//! `cargo xtask tidy`: what the compiler and clippy do not see, checked in the source text.
//!
//! *Invariants*: every finding names file, line and rule; the whole tree is one ordinary test of
//! this crate, so a plain test run finds the same.
//!
//! *Not here*: formatting (rustfmt), lints of Rust (clippy).

mod finding;
mod heads;
mod layers;
mod licences;
mod lock;
mod names;
mod readme;
mod sizes;
mod source;
mod syntax;
mod tree;
mod words;

use crate::say;
use crate::trouble::{Result, Trouble};
use crate::workspace::Workspace;

use finding::Finding;
use tree::Tree;

/// Checks the whole tree and prints what it finds.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let findings = findings(workspace)?;
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        say::answer(finding);
    }
    let because = format!("tidy found {} places", findings.len());
    Err(Trouble::new(
        "the source is not tidy",
        because,
        "mend them; docs/ARCHITECTURE.md says why",
    ))
}

fn findings(workspace: &Workspace) -> Result<Vec<Finding>> {
    let tree = Tree::read(workspace.root())?;
    let mut findings = Vec::new();
    for source in tree.rust() {
        findings.extend(heads::check(source));
        findings.extend(sizes::check(source));
        findings.extend(syntax::check(source));
        findings.extend(words::check(source));
    }
    for text in tree.texts() {
        findings.extend(names::check(text.path()));
        findings.extend(words::check_places(text.path(), text.text()));
    }
    findings.extend(layers::check(&tree));
    findings.extend(lock::check(&tree));
    findings.extend(licences::check(workspace, &tree)?);
    findings.extend(readme::check(workspace, &tree));
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::findings;
    use crate::workspace::Workspace;

    #[test]
    fn the_whole_tree_is_tidy() {
        let found = findings(&Workspace::find().unwrap()).unwrap();
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}
