//! `glebe status`: nodes, splits, bytes, balance, runs, bytes sent by purpose.
//!
//! *Invariants*: JSON holds everything the table shows.
//!
//! *Not here*: how it is counted (node).

use std::process::ExitCode;

use wire::cluster::{BytesByPurpose, IndexDoubt, NodeState, Status};
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
    for text in doubts(status) {
        line(&text);
    }
    line(&format!(
        "sent between nodes: {}",
        purposes(&status.bytes_by_purpose)
    ));
    screen.detail("skew: stored bytes against the mean of all nodes");
}

/// Says of each node that answers for no slots alone why, and what it waits for.
fn doubts(status: &Status) -> Vec<String> {
    let doubtful = status.nodes.iter().filter_map(|node| {
        let doubt = node.doubt.as_ref()?;
        Some(format!(
            "node {} leaves answers to others for {} s: its index may lack what they hold; {}",
            short(&node.id),
            doubt.seconds,
            awaited(status, doubt)
        ))
    });
    doubtful.collect()
}

/// Says what ends a doubt.
fn awaited(status: &Status, doubt: &IndexDoubt) -> String {
    if doubt.unlisted {
        return "folders of its store cannot be listed (its log names them)".to_owned();
    }
    if doubt.unread {
        return "it is looking for folders that its index does not name".to_owned();
    }
    let named = |id: &String| {
        let node = status.nodes.iter().find(|node| node.id == *id);
        match node.map(|node| node.state) {
            Some(NodeState::Up) => short(id).to_owned(),
            Some(NodeState::Suspect) => format!("{} (does not answer)", short(id)),
            Some(NodeState::Down) | None => format!("{} (down)", short(id)),
        }
    };
    let named: Vec<String> = doubt.waits_for.iter().map(named).collect();
    if named.is_empty() {
        return "it was compared with all, and what it cannot read is yet to be told".to_owned();
    }
    format!("it is yet to be compared with {}", named.join(", "))
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

#[cfg(test)]
mod tests {
    use wire::cluster::NodeStatus;

    use super::*;

    fn node(id: &str, state: NodeState, doubt: Option<IndexDoubt>) -> NodeStatus {
        NodeStatus {
            id: id.to_owned(),
            http: String::new(),
            state,
            splits: 0,
            splits_primary: 0,
            models: 0,
            bytes: 0,
            slots: 0,
            jobs_running: 0,
            sent: BytesByPurpose::default(),
            doubt,
        }
    }

    fn said(doubt: IndexDoubt) -> String {
        let nodes = vec![
            node("12D3KooWfirst-xx", NodeState::Up, Some(doubt)),
            node("12D3KooWother-xx", NodeState::Up, None),
            node("12D3KooWthird-xx", NodeState::Down, None),
        ];
        let status = Status {
            nodes,
            ..Status::default()
        };
        let mut said = doubts(&status);
        assert_eq!(said.len(), 1);
        said.remove(0)
    }

    #[test]
    fn a_doubtful_node_is_named_with_since_when_and_whom_it_waits_for() {
        let doubt = IndexDoubt {
            seconds: 12,
            ..IndexDoubt::default()
        };
        let waits = IndexDoubt {
            waits_for: vec!["12D3KooWother-xx".to_owned(), "12D3KooWthird-xx".to_owned()],
            ..doubt.clone()
        };
        let text = said(waits);
        assert!(text.starts_with("node first-xx leaves answers to others for 12 s"));
        assert!(
            text.ends_with("compared with other-xx, third-xx (down)"),
            "{text}"
        );
        assert!(said(doubt.clone()).contains("was compared with all"));
        let unread = IndexDoubt {
            unread: true,
            ..doubt.clone()
        };
        assert!(said(unread).contains("looking for folders"));
        let unlisted = IndexDoubt {
            unlisted: true,
            ..doubt
        };
        assert!(said(unlisted).contains("cannot be listed"));
    }
}
