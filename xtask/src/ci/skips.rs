//! Tests that passed because they could not look, in the words that they said.
//!
//! *Invariants*: nextest shows nothing of a test that passes, so what it kept of all of them is
//! read; a run before this one says nothing.
//!
//! *Not here*: why a test cannot look (the test).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Extent;

/// What a line of such a test begins with.
const SAID: &str = "SKIPPED";
/// What nextest's report has escaped in such lines.
const ESCAPED: [(&str, &str); 5] = [
    ("&apos;", "'"),
    ("&quot;", "\""),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&amp;", "&"),
];

/// Returns where nextest keeps what tests said.
fn kept(root: &Path, extent: Extent) -> PathBuf {
    let profile = match extent {
        Extent::Nightly => "nightly",
        Extent::Daily => "default",
    };
    root.join("target/nextest").join(profile).join("junit.xml")
}

/// Forgets what an earlier run said.
pub(super) fn forget(root: &Path, extent: Extent) {
    drop(fs::remove_file(kept(root, extent)));
}

/// Returns what tests that could not look said, and how many said so.
pub(super) fn told(root: &Path, extent: Extent) -> BTreeMap<String, usize> {
    fs::read_to_string(kept(root, extent)).map_or_else(|_| BTreeMap::new(), |text| read(&text))
}

fn read(report: &str) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for line in report.lines() {
        // The first line of an output follows its tag.
        let Some((_, said)) = line.split_once(SAID) else {
            continue;
        };
        let said = said.split("</system").next().unwrap_or(said);
        let said = said.trim_start_matches([':', ' ']).trim_end();
        let said = ESCAPED
            .iter()
            .fold(said.to_owned(), |text, (from, to)| text.replace(from, to));
        *told.entry(said).or_default() += 1;
    }
    told
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_tests_said_is_read_and_counted() {
        let report = "<testcase name=\"a\"><system-err>SKIPPED: no nft here</system-err>\n\
                      <system-err>of no use\nSKIPPED: no nft here\n\
                      SKIPPED: it&apos;s no disk</system-err></testcase>";
        let told = read(report).into_iter().collect::<Vec<_>>();
        let expected = [("it's no disk", 1), ("no nft here", 2)];
        assert_eq!(told, expected.map(|(said, count)| (said.to_owned(), count)));
    }
}
