//! Running cargo-nextest and counting its tests.
//!
//! *Invariants*: the runner's output passes through line by line; a run without a summary, and one
//! of no tests, is a failure.
//!
//! *Not here*: which tests run.

use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};

use crate::command::not_started;
use crate::trouble::{Result, Trouble};

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(out, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl Tally {
    /// Returns an error unless some tests ran and all of them passed.
    pub(super) fn verdict(self) -> Result<()> {
        if self.failed == 0 && self.passed > 0 {
            return Ok(());
        }
        Err(Trouble::new(
            "the tests do not hold",
            self.to_string(),
            "cargo nextest run -p CRATE",
        ))
    }
}

/// Runs cargo-nextest, passes its output through and returns its count.
pub(super) fn nextest(mut command: Command) -> Result<Tally> {
    let remedy = "cargo nextest run --workspace";
    if std::io::stderr().is_terminal() {
        command.args(["--color", "always"]);
    }
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(&command, "cargo nextest", remedy, &error))?;
    let mut tally = None;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr)
            .split(b'\n')
            .map_while(std::result::Result::ok)
        {
            let line = String::from_utf8_lossy(&line);
            drop(writeln!(std::io::stderr(), "{line}"));
            tally = summary(&line).or(tally);
        }
    }
    let ended = child
        .wait()
        .map_or_else(|error| error.to_string(), |status| status.to_string());
    tally.ok_or_else(|| {
        Trouble::new(
            "cargo nextest gave no summary",
            format!("it ended with {ended}"),
            remedy,
        )
    })
}

/// Reads nextest's closing line: `Summary [ 1.2s] 9 tests run: 8 passed (1 slow), 1 failed, …`.
fn summary(line: &str) -> Option<Tally> {
    let line = plain(line);
    let (run, outcomes) = line
        .trim()
        .strip_prefix("Summary [")?
        .split_once("] ")?
        .1
        .split_once(':')?;
    // After an early stop it reads `3/9 tests run`.
    let run: u64 = run.split([' ', '/']).next()?.parse().ok()?;
    let count = |outcome: &str| {
        let text = outcomes.split(", ").find(|part| part.contains(outcome))?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    let passed = count(" passed").unwrap_or(0);
    Some(Tally {
        passed,
        failed: run.saturating_sub(passed),
        skipped: count(" skipped").unwrap_or(0),
    })
}

/// Returns a line without its colours.
fn plain(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[cfg(test)]
mod tests {
    use super::{Tally, summary};

    fn check(line: &str, passed: u64, failed: u64, skipped: u64) {
        assert_eq!(
            summary(line),
            Some(Tally {
                passed,
                failed,
                skipped
            }),
            "{line}"
        );
    }

    #[test]
    fn nextests_closing_line_is_read_in_all_its_forms() {
        check(
            "     Summary [   0.182s] 1 test run: 1 passed, 0 skipped",
            1,
            0,
            0,
        );
        check(
            "     Summary [  61.2s] 9 tests run: 8 passed (1 slow), 1 failed, 3 skipped",
            8,
            1,
            3,
        );
        check(
            "Summary [ 1.0s] 9 tests run: 6 passed, 1 failed, 2 timed out, 0 skipped",
            6,
            3,
            0,
        );
        check(
            "Summary [ 1.0s] 3/9 tests run: 2 passed, 1 failed, 0 skipped",
            2,
            1,
            0,
        );
        let bold = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m2\u{1b}[0m tests run: \
                    \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m skipped";
        check(bold, 2, 0, 0);
        assert_eq!(summary("PASS [ 0.1s] earth tests::summary"), None);
    }

    #[test]
    fn no_tests_and_failed_tests_do_not_pass() {
        assert!(Tally::default().verdict().is_err());
        assert!(
            Tally {
                passed: 3,
                failed: 1,
                skipped: 0
            }
            .verdict()
            .is_err()
        );
        assert!(
            Tally {
                passed: 3,
                failed: 0,
                skipped: 1
            }
            .verdict()
            .is_ok()
        );
    }
}
