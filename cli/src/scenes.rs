//! `glebe collection scenes`: what the ledgers say of every scene, and why some failed.
//!
//! *Invariants*: JSON holds everything the table shows; exit 1 if there is no such collection.
//!
//! *Not here*: writing ledgers (ingest).

use std::collections::BTreeSet;
use std::process::ExitCode;

use wire::fault::{Fault, FaultKind};
use wire::ledger::{Ledger, Outcome, UNTOLD};

use crate::Done;
use crate::print::{Align, Table, bytes, count};
use crate::session::Session;

pub(crate) async fn run(session: &Session, name: Option<&str>, failed: bool) -> Done {
    let asked = name.filter(|n| *n != UNTOLD);
    let mut ledgers = without_told(session.client().await?.ledgers(asked).await?);
    ledgers.retain(|l| name.is_none_or(|n| l.collection == n));
    if let Some(name) = asked.filter(|_| ledgers.is_empty()) {
        is_there(session, name).await?;
    }
    ledgers.retain(|l| !failed || l.outcome != Outcome::Done);
    if session.screen.is_json() {
        session.screen.json(&ledgers);
    } else {
        table(&ledgers);
    }
    if ledgers.is_empty() {
        let (what, step) = if failed {
            ("scenes that failed", "the same without --failed")
        } else {
            ("scenes", "glebe ingest PATH")
        };
        session.screen.none(what, step);
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses the name of a collection that is not there: it was typed wrong.
async fn is_there(session: &Session, name: &str) -> Result<(), Fault> {
    let known = session.client().await?.collections().await?.collections;
    if known.iter().any(|c| c.name == name) {
        return Ok(());
    }
    let what = format!("no collection '{name}'");
    Err(Fault::new(FaultKind::Nothing, what).try_("glebe collection list"))
}

/// Leaves out failures of scenes that had not told their collection and are in one now.
fn without_told(mut ledgers: Vec<Ledger>) -> Vec<Ledger> {
    let told: BTreeSet<(String, String)> = ledgers
        .iter()
        .filter(|l| l.collection != UNTOLD)
        .map(|l| (l.scene.clone(), l.source.clone()))
        .collect();
    ledgers
        .retain(|l| l.collection != UNTOLD || !told.contains(&(l.scene.clone(), l.source.clone())));
    ledgers
}

fn table(ledgers: &[Ledger]) {
    let mut table = Table::new(&[
        ("COLLECTION", Align::Left),
        ("SCENE", Align::Left),
        ("STATE", Align::Left),
        ("SPLITS", Align::Right),
        ("SIZE", Align::Right),
        ("NOTES", Align::Left),
    ]);
    for ledger in ledgers {
        let (state, notes) = match &ledger.outcome {
            Outcome::Done => ("done", notes(ledger)),
            Outcome::Failed { reason } => ("failed", reason.clone()),
        };
        table.row([
            ledger.collection.clone(),
            ledger.scene.clone(),
            state.to_owned(),
            count(ledger.splits),
            bytes(ledger.bytes),
            notes,
        ]);
    }
    table.print();
}

/// Returns what a user should know of a scene that is done.
fn notes(ledger: &Ledger) -> String {
    let mut notes = ledger.notes.clone();
    if !ledger.missing_bands.is_empty() {
        notes.push(format!("not delivered: {}", ledger.missing_bands.join(" ")));
    }
    notes.join("; ")
}
