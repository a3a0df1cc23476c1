//! `glebe cluster`: token, layout, verification, balance.
//!
//! *Invariants*: `verify` exits 0 only when every object is on its owners with the right bytes.
//!
//! *Not here*: single nodes (`node_verbs`).

use std::process::ExitCode;

use serde::Serialize;
use wire::cluster::{ClusterView, LayoutChange, NodeView};
use wire::fault::{Fault, FaultKind};

use crate::Done;
use crate::args::{ClusterVerb, Reading, Rebalance};
use crate::print::{Align, Table, bytes, count, line};
use crate::session::Session;
use crate::{forecast, steer};

pub(crate) async fn run(session: &Session, verb: ClusterVerb) -> Done {
    match verb {
        ClusterVerb::Token(args) => crate::token::run(session, args).await,
        ClusterVerb::Show => show(session).await,
        ClusterVerb::Verify(reading) if reading.dry_run => plan_reading(session, reading).await,
        ClusterVerb::Verify(_) => verify(session).await,
        ClusterVerb::Rebalance(args) => rebalance(session, args).await,
    }
}

async fn rebalance(session: &Session, args: Rebalance) -> Done {
    let expect = match &args.expect {
        None => None,
        Some(name) => {
            let over = args.over.as_deref().map(forecast::area).transpose()?;
            let known = session.client().await?.collections().await?.collections;
            let found = known.iter().find(|c| c.name == *name);
            let none = || {
                Fault::new(FaultKind::Nothing, format!("no collection '{name}'"))
                    .try_("glebe collection list")
            };
            Some(forecast::expected(found.ok_or_else(none)?, over))
        }
    };
    steer::run(session, LayoutChange::Rebalance { expect }, &args.moving).await
}

/// What a node is to the layout, in a word or two.
pub(crate) fn state(view: &ClusterView, node: &NodeView) -> String {
    let state = format!("{:?}", node.state).to_lowercase();
    if node.removed {
        return format!("{state}, removed");
    }
    if !node.draining {
        return state;
    }
    let empty = owned(view, node) == 0;
    format!("{state}, {}", if empty { "drained" } else { "draining" })
}

/// Counts the slots that a node owns.
pub(crate) fn owned(view: &ClusterView, node: &NodeView) -> usize {
    let index = view.nodes.iter().position(|n| n.id == node.id);
    let index = index.and_then(|i| u16::try_from(i).ok());
    let owns = |owners: &&Vec<u16>| index.is_some_and(|i| owners.contains(&i));
    view.slots.iter().filter(owns).count()
}

async fn show(session: &Session) -> Done {
    let view = session.client().await?.cluster().await?;
    if session.screen.is_json() {
        session.screen.json(&view);
        return Ok(ExitCode::SUCCESS);
    }
    line(&format!(
        "layout {} (from {}){}   replicas {}   slots {}",
        view.version,
        view.parent,
        if view.newest > view.version {
            format!(", moving to {}", view.newest)
        } else {
            String::new()
        },
        view.replicas,
        view.slots.len()
    ));
    let mut table = Table::new(&[
        ("NODE", Align::Left),
        ("STATE", Align::Left),
        ("ZONE", Align::Left),
        ("HOST", Align::Left),
        ("WEIGHT", Align::Right),
        ("PRIMARY", Align::Right),
        ("OWNED", Align::Right),
        ("TO HAND OVER", Align::Right),
    ]);
    for (index, node) in (0_u16..).zip(&view.nodes) {
        let first = |owners: &&Vec<u16>| owners.first() == Some(&index);
        let primary = view.slots.iter().filter(first).count();
        table.row([
            node.id.clone(),
            state(&view, node),
            node.zone_label.clone().unwrap_or_default(),
            node.host_label.clone().unwrap_or_default(),
            node.weight.to_string(),
            count(primary as u64),
            count(owned(&view, node) as u64),
            count(node.to_hand_over),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

/// What reading every replica takes.
#[derive(Debug, Serialize)]
struct ReadingPlan {
    /// Replicas of splits and models.
    replicas: u64,
    /// Replicas of slots in which they may lie: all that nodes own.
    slots: u64,
    /// Bytes of all replicas.
    bytes: u64,
    /// Most bytes that one node reads.
    bytes_busiest: u64,
    /// How long that node takes.
    minutes: f64,
    /// Every node said what it holds.
    complete: bool,
}

/// Says what `verify` would read.
async fn plan_reading(session: &Session, reading: Reading) -> Done {
    let status = session.client().await?.status().await?;
    let busiest = status.nodes.iter().map(|n| n.bytes).max().unwrap_or(0);
    let plan = ReadingPlan {
        replicas: status.nodes.iter().map(|n| n.splits + n.models).sum(),
        slots: status.nodes.iter().map(|n| n.slots).sum(),
        bytes: status.bytes,
        bytes_busiest: busiest,
        minutes: reading.minutes(busiest),
        complete: status.complete,
    };
    if session.screen.is_json() {
        session.screen.json(&plan);
    } else {
        line(&format!(
            "would read and hash {} replicas of splits and models in {} of slots, {}; {:.1} min at \
             {} MB/s a node",
            count(plan.replicas),
            count(plan.slots),
            bytes(plan.bytes),
            plan.minutes,
            reading.rate
        ));
    }
    let partial = FaultKind::Partial.exit_code();
    Ok(ExitCode::from(if plan.complete { 0 } else { partial }))
}

async fn verify(session: &Session) -> Done {
    let report = session.client().await?.verify().await?;
    if session.screen.is_json() {
        session.screen.json(&report);
    } else {
        for problem in &report.problems {
            line(problem);
        }
        session.screen.note(format!(
            "{} objects, {} replicas read and hashed, {} problems{}",
            report.objects,
            report.replicas_checked,
            report.problems_total,
            if report.complete {
                ""
            } else {
                "; not every node answered"
            },
        ));
    }
    if !report.complete {
        return Ok(ExitCode::from(FaultKind::Partial.exit_code()));
    }
    let sound = report.problems_total == 0;
    Ok(ExitCode::from(if sound {
        0
    } else {
        FaultKind::Data.exit_code()
    }))
}
