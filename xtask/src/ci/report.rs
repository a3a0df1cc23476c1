//! What each check came to and how long it took.
//!
//! *Invariants*: a check that did not run is listed as skipped, with its reason.
//!
//! *Not here*: the checks.

use std::time::{Duration, Instant};

use super::tally::Tally;
use crate::say;
use crate::trouble::{Result, Trouble};

/// The checks so far.
#[derive(Debug)]
pub(super) struct Report {
    lines: Vec<String>,
    failed: Vec<&'static str>,
    tally: Tally,
    begun: Instant,
}

impl Report {
    /// Returns an empty report; its time begins now.
    pub(super) fn new() -> Self {
        Self {
            lines: Vec::new(),
            failed: Vec::new(),
            tally: Tally::default(),
            begun: now(),
        }
    }

    /// Runs a check that the following ones do not need.
    pub(super) fn step(&mut self, name: &'static str, check: impl FnOnce() -> Result<()>) {
        if let Err(trouble) = self.needed(name, check) {
            say::failure(&trouble);
        }
    }

    /// Runs a check without which going on is pointless.
    pub(super) fn needed(
        &mut self,
        name: &'static str,
        check: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        say::note(format!("== {name}"));
        let begun = now();
        let outcome = check();
        let took = seconds(begun.elapsed());
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        self.lines.push(format!("{name:<10} {took:>7} s  {word}"));
        if outcome.is_err() {
            self.failed.push(name);
        }
        outcome
    }

    /// Runs the tests and keeps their count for the last line.
    pub(super) fn tests(&mut self, tests: impl FnOnce() -> Result<Tally>) {
        let mut tally = Tally::default();
        self.step("tests", || {
            tally = tests()?;
            tally.verdict()
        });
        self.tally = tally;
    }

    /// Lists a check that did not run.
    pub(super) fn skipped(&mut self, name: &'static str, reason: &str) {
        say::note(format!("SKIPPED {name}: {reason}"));
        self.lines
            .push(format!("{name:<10} {:>7}    skipped: {reason}", "-"));
    }

    /// Prints all lines, the total time, and the tests' count as the last line.
    pub(super) fn print(&self) {
        for line in &self.lines {
            say::answer(line);
        }
        say::answer(format!(
            "{:<10} {:>7} s",
            "total",
            seconds(self.begun.elapsed())
        ));
        say::answer(self.tally);
    }

    /// Returns an error that names the checks that failed, if any.
    pub(super) fn verdict(&self) -> Result<()> {
        if self.failed.is_empty() {
            return Ok(());
        }
        let names = self.failed.join(", ");
        Err(Trouble::new(
            "not everything holds",
            format!("failed: {names}"),
            "read on above",
        ))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver that tells how long its steps took"
)]
fn now() -> Instant {
    Instant::now()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}
