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
use crate::print::{Progress, Screen, bytes, count, line, some_of, to_stderr};
use crate::status::short;

/// Owners named of those that did not take splits.
const ABSENT_SHOWN: usize = 3;
/// Cloud cover up to which a scene counts as clear in what is proposed, in percent.
const CLEAR_PERCENT: f64 = 10.0;

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
    /// Splits that others hold in the stead of owners, and those owners.
    stood_in: u64,
    absent: BTreeSet<String>,
    dry_run: bool,
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
            stood_in: 0,
            absent: BTreeSet::new(),
            dry_run: false,
        }
    }

    /// Tells whether a scene failed.
    pub(super) fn failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Takes one event.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Begin { scenes, dry_run } => {
                self.dry_run = *dry_run;
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
                if !split.standins.is_empty() {
                    self.stood_in += 1;
                    self.absent.extend(split.owners_absent.iter().cloned());
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
        if self.dry_run {
            return self.estimate(ledger);
        }
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

    /// Takes what a scene would become: a split a cell at most, and nothing is known of its pixels.
    fn estimate(&mut self, ledger: &Ledger) {
        self.splits_new += ledger.splits;
        self.bytes_new += ledger.bytes;
        let (splits, size) = (count(ledger.splits), bytes(ledger.bytes));
        let text = format!("{}  up to {splits} splits, about {size}", ledger.scene);
        self.progress.note(&self.screen, &text);
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
        let summary = self.summary(dry_run);
        match self.screen.output {
            Output::Table => line(&summary),
            Output::Json => self.json(),
            _ => self.screen.note(summary),
        }
        if let Some(told) = stood_in(self.stood_in, &self.absent) {
            self.screen.note(told);
        }
        // What stops all scenes is no scene's fault, and no ledger keeps it.
        let kept = |(_, fault): &(String, Fault)| fault.kind == FaultKind::Data;
        if self.failed.iter().any(kept) && !dry_run {
            let again = "the same command again tries the failed scenes anew";
            self.screen
                .note(format!("{again}; why: glebe collection scenes --failed"));
        }
        if self.splits_new > 0
            && !dry_run
            && let Some(next) = next(&self.ledgers)
        {
            self.screen.note(next);
        }
    }

    fn summary(&self, dry_run: bool) -> String {
        let (scenes, skipped, failed) = (self.ledgers.len(), self.skipped, self.failed.len());
        let (splits, size) = (count(self.splits_new), bytes(self.bytes_new));
        let there = count(self.splits_there);
        if dry_run {
            return format!(
                "{scenes} scenes, up to {splits} splits of about {size} would be stored (nothing \
                 was); {skipped} scenes were already there; {failed} scenes failed"
            );
        }
        format!(
            "{scenes} scenes, {splits} new splits in {} geocodes, {size} stored{}; {there} splits \
             and {skipped} scenes were already there; {failed} scenes failed",
            count(self.cells.len() as u64),
            amplified(self.amplification()),
        )
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
            "splits_stood_in": self.stood_in,
            "owners_absent": self.absent,
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

/// Says how many splits lie with nodes that are no owners of theirs, and whom they stand in for.
fn stood_in(splits: u64, absent: &BTreeSet<String>) -> Option<String> {
    let owners: Vec<&str> = absent.iter().map(|id| short(id)).collect();
    let owners = match owners.len() {
        0 => "owners that did not answer".to_owned(),
        _ => format!("{}, which did not answer", some_of(&owners, ABSENT_SHOWN)),
    };
    (splits > 0).then(|| {
        let splits = count(splits);
        format!(
            "{splits} of these splits are held by others for {owners}: they are handed over \
             once those are back (glebe node list)"
        )
    })
}

/// Proposes a search that finds some of what was stored last; cloud bounds what is known of it.
fn next(ledgers: &[Ledger]) -> Option<String> {
    let last = ledgers.last()?;
    let of_it = ledgers.iter().filter(|l| l.collection == last.collection);
    let clouds = of_it.filter_map(|ledger| ledger.counts.cloud());
    let clearest = clouds.min_by(f64::total_cmp).map(|share| share * 100.0);
    let bound = match clearest {
        Some(clearest) if clearest <= CLEAR_PERCENT => format!(" --max-cloud {CLEAR_PERCENT}"),
        _ => String::new(),
    };
    let name = &last.collection;
    Some(format!("next: glebe search --collection {name}{bound}"))
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

#[cfg(test)]
mod tests {
    use earth::split::meta::{MaskCounts, PixelCounts};
    use wire::ledger::Outcome;

    use super::*;

    /// A scene of so many pixels judged clear or not, and so many cloudy ones.
    fn scene(collection: &str, judged: u64, cloudy: u64) -> Ledger {
        Ledger {
            collection: collection.to_owned(),
            scene: "scene".to_owned(),
            source: "scene.tif".to_owned(),
            source_hash: String::new(),
            source_bytes: 0,
            outcome: Outcome::Done,
            cells: 1,
            splits: 4,
            cells_empty: 0,
            bytes: 1,
            counts: PixelCounts {
                pixels: 100,
                in_footprint: 100,
                valid: 100,
                mask: (judged > 0).then(|| MaskCounts {
                    valid: judged,
                    cloudy,
                    ..MaskCounts::default()
                }),
            },
            missing_bands: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn splits_that_others_hold_for_silent_owners_are_told_with_those() {
        assert_eq!(stood_in(0, &BTreeSet::new()), None);
        let absent = ["12D3KooWaaaabbbb", "12D3KooWccccdddd"].map(str::to_owned);
        let told = stood_in(1_200, &absent.into()).unwrap();
        assert!(told.starts_with("1 200 of these splits"), "{told}");
        assert!(
            told.contains("aaaabbbb, ccccdddd, which did not answer"),
            "{told}"
        );
        let unnamed = stood_in(1, &BTreeSet::new()).unwrap();
        assert!(unnamed.contains("owners that did not answer"), "{unnamed}");
    }

    #[test]
    fn what_is_proposed_next_finds_what_was_stored() {
        let of = |ledgers: &[Ledger]| next(ledgers).unwrap();
        let all = "next: glebe search --collection ";
        assert_eq!(of(&[scene("naip", 0, 0)]), format!("{all}naip"));
        assert_eq!(of(&[scene("s2", 100, 60)]), format!("{all}s2"));
        let both = [scene("s2", 100, 5), scene("s2", 100, 60)];
        assert_eq!(of(&both), format!("{all}s2 --max-cloud 10"));
        assert_eq!(next(&[]), None);
    }
}
