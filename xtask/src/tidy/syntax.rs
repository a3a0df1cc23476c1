//! Spellings that hide something from the reader.
//!
//! *Invariants*: looks at code only, or at comments only, as the rule says.
//!
//! *Not here*: what clippy denies already (`unwrap`, `panic!`, `dbg!`, glob imports).

use super::finding::Finding;
use super::source::Source;

/// Code that leaves something undone or untested, with the reason against it.
const SPELLINGS: [(&str, &str); 4] = [
    (
        concat!("#[", "ignore"),
        "a test that does not run is no test",
    ),
    (concat!("todo", "!("), "nothing lands half-done"),
    (concat!("unimplemented", "!("), "nothing lands half-done"),
    (
        concat!("include", "!("),
        "code is a module, not an insertion",
    ),
];

/// Notes to oneself; they need a place where they are followed up.
const NOTES: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Checks the spellings in one file.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.code().lines().enumerate() {
        let found = |rule: String| Finding::new(source.path(), index + 1, rule);
        for (spelling, reason) in SPELLINGS
            .iter()
            .filter(|(spelling, _)| line.contains(spelling))
        {
            findings.push(found(format!("`{spelling}`: {reason}")));
        }
    }
    for (index, line) in source.prose().lines().enumerate() {
        let note = NOTES.iter().find(|note| line.contains(**note));
        if let Some(note) = note.filter(|_| !line.contains("docs/")) {
            let rule = format!("{note} without the page in docs/ that follows it up");
            findings.push(Finding::new(source.path(), index + 1, rule));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{NOTES, SPELLINGS, check};
    use crate::tidy::source::Source;

    fn findings(text: &str) -> usize {
        check(&Source::new("a/src/a.rs", text)).len()
    }

    #[test]
    fn undone_code_is_found_in_code_and_not_in_literals() {
        for (spelling, _) in SPELLINGS {
            assert_eq!(findings(&format!("{spelling}]")), 1, "{spelling}");
            assert_eq!(
                findings(&format!("let a = \"{spelling}\";")),
                0,
                "{spelling}"
            );
        }
    }

    #[test]
    fn a_note_needs_its_page() {
        for note in NOTES {
            assert_eq!(findings(&format!("// {note}: faster\n")), 1);
            assert_eq!(
                findings(&format!("// {note}: faster, docs/adr/0009-faster.md\n")),
                0
            );
        }
    }
}
