//! What an ingest shows: a line a scene, progress, and the sums at the end.
//!
//! *Invariants*: in ndjson one line per split once it is acknowledged; nothing that was not done
//! goes unsaid.
//!
//! *Not here*: the events themselves (wire).

use std::collections::BTreeSet;

use wire::event::Event;
use wire::fault::{Fault, FaultKind};
use wire::ledger::Ledger;

use crate::args::Output;
use crate::print::{Progress, Screen, bytes, count, line, to_stderr};

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Report {
    screen: Screen,
    progress: Progress,
    ledgers: Vec<Ledger>,
    skipped: u64,
    failed: Vec<(String, Fault)>,
    splits_new: u64,
    splits_there: u64,
    bytes_new: u64,
    cells: BTreeSet<String>,
}

impl Report {
    pub(super) fn new(screen: &Screen) -> Self {
        Self {
            screen: screen.clone(),
            progress: Progress::new(screen, 0, "cells"),
            ledgers: Vec::new(),
            skipped: 0,
            failed: Vec::new(),
            splits_new: 0,
            splits_there: 0,
            bytes_new: 0,
            cells: BTreeSet::new(),
        }
    }

    /// Tells whether a scene failed.
    pub(super) fn failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Takes one event.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Begin { scenes, .. } => {
                self.screen.detail(format!("{scenes} scenes found"));
            }
            Event::SceneStarted {
                scene,
                cells,
                bytes: delivered,
            } => {
                let delivered = bytes(*delivered);
                self.screen
                    .detail(format!("{scene}  {cells} cells, {delivered}"));
            }
            Event::Split(split) => {
                self.cells.insert(split.geocode.clone());
                if split.new {
                    self.splits_new += 1;
                    self.bytes_new += split.bytes;
                } else {
                    self.splits_there += 1;
                }
                match self.screen.output {
                    Output::Ndjson => self.screen.json(split),
                    Output::Id => line(&split.id),
                    _ => {}
                }
            }
            Event::Skipped { scene, ledger } => {
                self.skipped += 1;
                let there = count(ledger.splits);
                let text = format!("{scene}  already there, {there} splits (same bytes)");
                self.progress.note(&self.screen, &text);
            }
            Event::SceneDone { ledger, seconds } => self.scene(ledger, *seconds),
            Event::SceneFailed { source, fault } => self.failure(source, fault),
            Event::Progress(p) => {
                self.progress.set_total(p.cells_total);
                let rate = p.pixels as f64 / 1e6 / p.seconds.max(1e-9);
                self.progress
                    .set(p.cells, &format!("{rate:.1} Mpx/s, {}", bytes(p.bytes)));
            }
        }
    }

    fn scene(&mut self, ledger: &Ledger, seconds: f64) {
        let cloud = ledger.counts.cloud();
        let text = format!(
            "{}  {} splits  cloud {}  coverage {:.1} %  {}{}  {seconds:.1} s{}",
            ledger.scene,
            count(ledger.splits),
            cloud.map_or_else(|| "?".to_owned(), |c| format!("{:.1} %", c * 100.0)),
            ledger.counts.coverage() * 100.0,
            bytes(ledger.bytes),
            amplified(ledger.amplification()),
            missing(ledger),
        );
        self.progress.note(&self.screen, &text);
        for note in &ledger.notes {
            self.progress.note(&self.screen, &format!("  note: {note}"));
        }
        self.ledgers.push(ledger.clone());
    }

    fn failure(&mut self, source: &str, fault: &Fault) {
        if self.screen.is_json() {
            let text = serde_json::to_string(fault).unwrap_or_else(|_| fault.what.clone());
            to_stderr(&text);
        }
        self.failed.push((source.to_owned(), fault.clone()));
    }

    /// Prints the sums.
    pub(super) fn finish(&mut self, dry_run: bool) {
        self.progress.finish();
        if !self.screen.is_json() {
            for (source, fault) in &self.failed {
                to_stderr(&format!("error: {source}: {}", fault.what));
                for reason in &fault.because {
                    to_stderr(&format!("  because {reason}"));
                }
                if let Some(step) = &fault.try_ {
                    to_stderr(&format!("  try: {step}"));
                }
            }
        }
        let verb = if dry_run {
            "would be stored (nothing was)"
        } else {
            "stored"
        };
        let summary = format!(
            "{} scenes, {} new splits in {} geocodes, {} {verb}{}; {} splits and {} scenes were \
             already there; {} scenes failed",
            self.ledgers.len(),
            count(self.splits_new),
            count(self.cells.len() as u64),
            bytes(self.bytes_new),
            amplified(self.amplification()),
            count(self.splits_there),
            self.skipped,
            self.failed.len(),
        );
        match self.screen.output {
            Output::Table => line(&summary),
            Output::Json => self.json(),
            _ => self.screen.note(summary),
        }
        // What stops all scenes is no scene's fault, and no ledger keeps it.
        let kept = |(_, fault): &(String, Fault)| fault.kind == FaultKind::Data;
        if self.failed.iter().any(kept) && !dry_run {
            let again = "the same command again tries the failed scenes anew";
            self.screen
                .note(format!("{again}; why: glebe collection scenes --failed"));
        }
        if self.splits_new > 0 && !dry_run {
            self.screen.note("next: glebe search --max-cloud 10");
        }
    }

    fn json(&self) {
        let failed: Vec<_> = self
            .failed
            .iter()
            .map(|(s, f)| serde_json::json!({"source": s, "fault": f}))
            .collect();
        self.screen.json(&serde_json::json!({
            "scenes": self.ledgers,
            "skipped": self.skipped,
            "failed": failed,
            "splits_new": self.splits_new,
            "splits_there": self.splits_there,
            "bytes_new": self.bytes_new,
            "stored_per_delivered": self.amplification(),
        }));
    }

    /// Returns stored / delivered bytes of all scenes that are done, one replica.
    fn amplification(&self) -> Option<f64> {
        let sum = |bytes: fn(&Ledger) -> u64| self.ledgers.iter().map(bytes).sum::<u64>();
        let delivered = sum(|l| l.source_bytes);
        (delivered > 0).then(|| sum(|l| l.bytes) as f64 / delivered as f64)
    }
}

/// Says how many times the delivered bytes are stored.
fn amplified(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |r| format!(" ({r:.2} x delivered)"))
}

fn missing(ledger: &Ledger) -> String {
    if ledger.missing_bands.is_empty() {
        return String::new();
    }
    format!("  not delivered: {}", ledger.missing_bands.join(" "))
}
