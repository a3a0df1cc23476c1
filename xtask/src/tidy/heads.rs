//! Every file says what it is, what holds in it, and what is not in it.
//!
//! *Invariants*: files of tests need the first sentence only.
//!
//! *Not here*: documentation of items (rustc's `missing_docs`).

use super::finding::Finding;
use super::source::Source;

/// What the head of a file names beside its first sentence.
const PARTS: [&str; 2] = ["*Invariants*", "*Not here*"];

/// Checks the head of one file.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let head: Vec<&str> = source
        .text()
        .lines()
        .map_while(|l| l.strip_prefix("//!"))
        .collect();
    let head = head.join("\n");
    let mut rules = Vec::new();
    let first = head.split("\n\n").next().unwrap_or_default().trim();
    if !first.contains(['.', ':']) || first.starts_with('*') {
        rules.push("opens with `//!` and a sentence that says what it is".to_owned());
    }
    for part in PARTS
        .iter()
        .filter(|part| !source.is_test() && !head.contains(**part))
    {
        rules.push(format!("its head says {part}"));
    }
    rules
        .into_iter()
        .map(|rule| Finding::new(source.path(), 1, rule))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::Source;

    fn findings(path: &str, text: &str) -> usize {
        check(&Source::new(path, text)).len()
    }

    #[test]
    fn a_head_without_its_parts_is_found() {
        let good =
            "//! A ring.\n//!\n//! *Invariants*: never empty.\n//!\n//! *Not here*: nodes.\n";
        assert_eq!(findings("node/src/ring.rs", good), 0);
        assert_eq!(
            findings("node/src/ring.rs", &good.replace("*Not here*", "Else")),
            1
        );
        assert_eq!(
            findings("node/src/ring.rs", &good.replace("A ring.", "ring")),
            1
        );
        assert_eq!(
            findings("node/src/ring.rs", "use std::fmt;\n//! A ring.\n"),
            3
        );
        assert_eq!(findings("node/tests/crash.rs", "//! Crashes.\n"), 0);
        assert_eq!(findings("node/tests/crash.rs", "use a;\n"), 1);
    }
}
