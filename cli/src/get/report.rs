//! What a `get` has written and what failed, told as it goes and at the end.
//!
//! *Invariants*: stdout has the paths, or JSON; failures go to stderr, and into the JSON too.
//!
//! *Not here*: writing.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use wire::fault::{Fault, FaultKind};

use crate::args::Output;
use crate::print::{Progress, Screen, bytes, line, to_stderr};

/// One thing that was written.
#[derive(Debug, Serialize)]
pub(super) struct Made {
    /// The splits it holds.
    pub(super) splits: Vec<String>,
    /// `split`, or the format.
    pub(super) format: String,
    /// Its files, or the folder of a Zarr cube.
    pub(super) files: Vec<PathBuf>,
    /// Bytes of all of it.
    pub(super) bytes: u64,
}

/// One thing that could not be made.
#[derive(Debug, Serialize)]
struct Failed {
    splits: Vec<String>,
    #[serde(flatten)]
    fault: Fault,
}

/// Tells the screen what happens.
#[derive(Debug)]
pub(super) struct Report<'a> {
    screen: &'a Screen,
    progress: Progress,
    splits: u64,
    written: Vec<Made>,
    failed: Vec<Failed>,
}

impl<'a> Report<'a> {
    pub(super) fn new(screen: &'a Screen, splits: usize) -> Self {
        Self {
            screen,
            progress: Progress::new(screen, splits as u64, "splits"),
            splits: 0,
            written: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn bytes(&self) -> u64 {
        self.written.iter().map(|m| m.bytes).sum()
    }

    /// Counts what was made and shows its path, the folder for a split's own files.
    pub(super) fn made(&mut self, made: Made, shown: &[PathBuf]) {
        self.splits += made.splits.len() as u64;
        match self.screen.output {
            Output::Json => {}
            Output::Ndjson => self.screen.json(&made),
            _ => shown.iter().for_each(|p| line(&p.display().to_string())),
        }
        self.written.push(made);
        self.progress.set(self.splits, &bytes(self.bytes()));
    }

    /// Counts what failed and says why.
    ///
    /// # Errors
    /// Faults that all others would meet too.
    pub(super) fn failed(&mut self, splits: Vec<String>, fault: Fault) -> Result<(), Fault> {
        if matches!(fault.kind, FaultKind::Unreachable | FaultKind::Timeout) {
            return Err(fault);
        }
        self.splits += splits.len() as u64;
        to_stderr(&format!("failed: {}: {fault}", splits.join(", ")));
        for reason in &fault.because {
            to_stderr(&format!("  because {reason}"));
        }
        if let Some(step) = &fault.try_ {
            to_stderr(&format!("  try: {step}"));
        }
        self.failed.push(Failed { splits, fault });
        Ok(())
    }

    /// Sums up; the exit code is that of the first failure.
    pub(super) fn finish(self) -> ExitCode {
        let total = self.bytes();
        self.progress.finish();
        if self.screen.output == Output::Json {
            let said = serde_json::json!({ "written": self.written, "failed": self.failed });
            self.screen.json(&said);
        }
        let splits: usize = self.written.iter().map(|m| m.splits.len()).sum();
        if splits > 0 {
            let total = bytes(total);
            self.screen.note(format!("{splits} splits, {total}"));
        }
        match self.failed.first() {
            None => ExitCode::SUCCESS,
            Some(first) => {
                to_stderr(&format!("{} failed", self.failed.len()));
                ExitCode::from(first.fault.kind.exit_code())
            }
        }
    }
}
