//! `glebe status`: nodes, splits, bytes, balance, runs, bytes sent by purpose.
//!
//! *Invariants*: JSON holds everything the table shows.
//!
//! *Not here*: how it is counted (node).

use std::process::ExitCode;

use wire::cluster::{BytesByPurpose, Status};
use wire::fault::FaultKind;

use crate::Done;
use crate::print::{Align, Screen, Table, bytes, count, line};
use crate::session::Session;

/// What is said of a node that others refuse.
const REMOVED: &str = "\
this node was removed from its cluster, most likely: members that are up refuse it, and what is \
above is what it knew before.
  try: glebe up --data NEW --join HOST:PORT --token-file FILE, with a new folder and a token of a
  member (glebe cluster token -O FILE, there); the old folder may go when glebe cluster verify
  there is sound";

pub(crate) async fn run(session: &Session) -> Done {
    let status = session.client().await?.status().await?;
    if session.screen.is_json() {
        session.screen.json(&status);
    } else {
        table(&session.screen, &status);
    }
    if status.removed {
        session.screen.note(REMOVED);
    }
    if status.complete {
        return Ok(ExitCode::SUCCESS);
    }
    session
        .screen
        .note("partial: not every node answered; its share is missing above");
    Ok(ExitCode::from(FaultKind::Partial.exit_code()))
}

fn table(screen: &Screen, status: &Status) {
    line(&format!(
        "{} nodes   replicas {}   splits {}   models {}   {}   runs active {}   layout {}",
        status.nodes.len(),
        status.replicas,
        count(status.splits),
        count(status.models),
        bytes(status.bytes),
        status.runs_active,
        status.version,
    ));
    let mut table = Table::new(&[
        ("NODE", Align::Left),
        ("STATE", Align::Left),
        ("HTTP", Align::Left),
        ("SLOTS", Align::Right),
        ("SPLITS", Align::Right),
        ("PRIMARY", Align::Right),
        ("MODELS", Align::Right),
        ("SIZE", Align::Right),
        ("SKEW", Align::Right),
        ("JOBS", Align::Right),
    ]);
    let mean = status.bytes as f64 / status.nodes.len().max(1) as f64;
    for node in &status.nodes {
        let skew = if mean > 0.0 {
            (node.bytes as f64 / mean - 1.0) * 100.0
        } else {
            0.0
        };
        table.row([
            short(&node.id).to_owned(),
            format!("{:?}", node.state).to_lowercase(),
            node.http.clone(),
            node.slots.to_string(),
            count(node.splits),
            count(node.splits_primary),
            count(node.models),
            bytes(node.bytes),
            format!("{skew:+.1} %"),
            node.jobs_running.to_string(),
        ]);
    }
    table.print();
    line(&format!(
        "sent between nodes: {}",
        purposes(&status.bytes_by_purpose)
    ));
    screen.detail("skew: stored bytes against the mean of all nodes");
}

/// Returns the end of an id, by which people tell nodes apart (peer ids begin alike).
pub(crate) fn short(id: &str) -> &str {
    const SHOWN: usize = 8;
    id.get(id.len().saturating_sub(SHOWN)..).unwrap_or(id)
}

/// Returns bytes by purpose on one line.
pub(crate) fn purposes(sent: &BytesByPurpose) -> String {
    let parts = [
        ("gossip", sent.gossip),
        ("put", sent.put),
        ("repair", sent.repair),
        ("query", sent.query),
        ("pixels", sent.pixels),
        ("model", sent.model),
        ("gradient", sent.gradient),
    ];
    parts
        .map(|(name, n)| format!("{name} {}", bytes(n)))
        .join("  ")
}
