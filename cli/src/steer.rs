//! Changes of the layout: what they would move, whether they are wanted, how far they are.
//!
//! *Invariants*: `--dry-run` changes nothing; nothing is removed unasked; that fewer copies will be
//! left, and who is waited for, is said before and afterwards; waiting ends when every node reads
//! from the new layout, and stopping to wait stops nothing else.
//!
//! *Not here*: what moves (node's layout).

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use wire::client::Client;
use wire::cluster::{ClusterView, Copies, LayoutChange, LayoutPlan, NodeState, NodeView};
use wire::fault::{Fault, FaultKind};

use crate::Done;
use crate::args::{Moving, Timed};
use crate::print::{Align, Progress, Screen, Table, bytes, count, line};
use crate::session::Session;
use crate::status::short;

/// Time between looks at how far a move is.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Who brings what to whom is listed for that many pairs.
const MOVES_SHOWN: usize = 20;

/// Makes a change, or says what it would move.
pub(crate) async fn run(session: &Session, change: LayoutChange, moving: &Moving) -> Done {
    let client = session.client().await?;
    let screen = &session.screen;
    let tell = |plan: &LayoutPlan| {
        show(screen, plan, moving);
        warn(screen, plan);
    };
    if moving.dry_run || asks(&change) {
        let plan = client.plan_layout(&change).await?;
        if moving.dry_run {
            tell(&plan);
            return Ok(done(&plan));
        }
        ask(screen, &plan, moving)?;
    }
    let sent = repaired(&client).await;
    let plan = client.change_layout(&change).await?;
    tell(&plan);
    if plan.next != plan.version && !moving.no_wait {
        wait(screen, &client, (&plan, sent)).await?;
    }
    Ok(done(&plan))
}

fn done(plan: &LayoutPlan) -> ExitCode {
    let partial = FaultKind::Partial.exit_code();
    // Where nothing moves, nothing hangs on who did not answer.
    let known = plan.complete || plan.slots == 0;
    ExitCode::from(if known { 0 } else { partial })
}

/// Returns the one node that a user means by the beginning or the end of its id.
pub(crate) fn find<'a>(view: &'a ClusterView, text: &str) -> Result<&'a NodeView, Fault> {
    let meant = |node: &&NodeView| node.id.starts_with(text) || node.id.ends_with(text);
    let mut found = view.nodes.iter().filter(meant);
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node),
        (Some(_), Some(_)) => Err(Fault::new(
            FaultKind::Usage,
            format!("'{text}' names more than one node"),
        )
        .try_("more of its id: glebe node list")),
        (None, _) => {
            Err(Fault::new(FaultKind::Nothing, format!("no node '{text}'")).try_("glebe node list"))
        }
    }
}

/// Tells whether a change is asked about before it is made.
fn asks(change: &LayoutChange) -> bool {
    matches!(change, LayoutChange::Remove { .. })
}

fn ask(screen: &Screen, plan: &LayoutPlan, moving: &Moving) -> Result<(), Fault> {
    if screen.says_yes() {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let what = "removing a node is asked about, and nobody can answer here";
        let fault = Fault::new(FaultKind::Usage, what).because(summary(plan, moving));
        let fault = warnings(plan).into_iter().fold(fault, Fault::because);
        return Err(fault.try_("the same command with --yes, or with --dry-run"));
    }
    screen.note(summary(plan, moving));
    warn(screen, plan);
    drop(write!(std::io::stderr(), "Remove the node? [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Refused, "nothing was changed"))
}

fn summary(plan: &LayoutPlan, moving: &Moving) -> String {
    let minutes = moving.minutes(plan.bytes_busiest);
    let partial = if plan.complete {
        ""
    } else {
        " or more: not every node answered"
    };
    format!(
        "layout {} → {}: {} slots, {} splits, {} move{partial}; {minutes:.1} min at {} MB/s a node",
        plan.version,
        plan.next,
        count(plan.slots),
        count(plan.splits),
        bytes(plan.bytes),
        moving.rate,
    )
}

fn warn(screen: &Screen, plan: &LayoutPlan) {
    for told in warnings(plan) {
        screen.note(told);
    }
}

/// Says what a plan does not make better: copies that will be missing, members that are now.
fn warnings(plan: &LayoutPlan) -> Vec<String> {
    let fewer = plan.copies.filter(|copies| copies.after < copies.before);
    let fewer = fewer.map(|Copies { asked, after, .. }| {
        let many = if after == 1 { "copy" } else { "copies" };
        let lost = match after {
            1 => "; whatever befalls that one node is lost",
            _ => "",
        };
        format!(
            "only {after} {many} of everything will be left, where {asked} are asked for{lost}: \
             glebe up --join brings another node"
        )
    });
    let awaited: Vec<&str> = plan.awaited.iter().map(String::as_str).collect();
    fewer.into_iter().chain(held_up(&awaited)).collect()
}

/// Says whom a move waits for, and what to do.
fn held_up(awaited: &[&str]) -> Option<String> {
    let [first, ..] = awaited else { return None };
    let (verb, one) = match awaited.len() {
        1 => ("does", "it"),
        _ => ("do", "each"),
    };
    Some(format!(
        "the move ends when {} has what it owns, but {verb} not answer: start {one} again, or if \
         it is lost, remove it, too: glebe node remove {}",
        awaited.join(", "),
        short(first),
    ))
}

/// Returns a plan with the time that the busiest node takes.
fn timed<'a>(plan: &'a LayoutPlan, moving: &Moving) -> Timed<'a, LayoutPlan> {
    Timed {
        told: plan,
        minutes: moving.minutes(plan.bytes_busiest),
    }
}

fn show(screen: &Screen, plan: &LayoutPlan, moving: &Moving) {
    if screen.is_json() {
        screen.json(&timed(plan, moving));
        return;
    }
    if plan.next == plan.version {
        line(&format!("layout {}: nothing to move", plan.version));
        return;
    }
    line(&summary(plan, moving));
    let (was, is) = (plan.before, plan.after);
    line(&format!(
        "bytes lie with a CV of {:.2} % → {:.2} %, max/mean {:.3} → {:.3}",
        was.cv, is.cv, was.max_over_mean, is.max_over_mean
    ));
    if plan.slots_lost > 0 {
        line(&format!(
            "{} slots have no owner that answers",
            plan.slots_lost
        ));
    }
    let mut table = Table::new(&[
        ("FROM", Align::Left),
        ("TO", Align::Left),
        ("SLOTS", Align::Right),
        ("SPLITS", Align::Right),
        ("SIZE", Align::Right),
    ]);
    for moved in plan.moves.iter().take(MOVES_SHOWN) {
        table.row([
            short(&moved.from).to_owned(),
            short(&moved.to).to_owned(),
            count(moved.slots),
            count(moved.splits),
            bytes(moved.bytes),
        ]);
    }
    table.print();
    if plan.moves.len() > MOVES_SHOWN {
        let more = plan.moves.len() - MOVES_SHOWN;
        screen.note(format!("… and {more} more pairs; -o json lists them all"));
    }
}

/// Returns the bytes that nodes have sent each other to bring data where it belongs.
async fn repaired(client: &Client) -> u64 {
    let status = client.status().await;
    status.map_or(0, |status| status.bytes_by_purpose.repair)
}

/// Waits until every node reads from the new layout.
async fn wait(
    screen: &Screen,
    client: &Client,
    (plan, sent): (&LayoutPlan, u64),
) -> Result<(), Fault> {
    screen.note("moving; Ctrl-C stops waiting, not the move (glebe cluster show tells how far)");
    let mut progress = Progress::new(screen, plan.bytes, "bytes");
    let mut told = plan.awaited.clone();
    loop {
        let view = client.cluster().await?;
        if view.version >= plan.next && view.settled {
            break;
        }
        let moved = repaired(client).await.saturating_sub(sent);
        let away = away(&view);
        if told != away && !away.is_empty() {
            if let Some(told) = held_up(&away) {
                screen.note(told);
            }
            told = away.iter().map(ToString::to_string).collect();
        }
        let names: Vec<&str> = away.iter().map(|id| short(id)).collect();
        let waits = match names.len() {
            0 => String::new(),
            _ => format!("waits for {}", names.join(", ")),
        };
        progress.set(moved.min(plan.bytes), &waits);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    progress.finish();
    screen.note(format!(
        "done: every node reads from layout {} or newer",
        plan.next
    ));
    Ok(())
}

/// Names the nodes that are waited for and do not answer: nobody waits for one that leaves.
fn away(view: &ClusterView) -> Vec<&str> {
    let nodes = view.nodes.iter();
    let away = nodes.filter(|n| n.state == NodeState::Down && !n.draining && !n.removed);
    away.map(|n| n.id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(after: u8, awaited: &[&str]) -> Vec<String> {
        warnings(&LayoutPlan {
            copies: Some(Copies {
                asked: 3,
                before: 3,
                after,
            }),
            awaited: awaited.iter().map(ToString::to_string).collect(),
            ..LayoutPlan::default()
        })
    }

    #[test]
    fn fewer_copies_and_whom_a_move_waits_for_are_told_and_nothing_else() {
        assert!(warned(3, &[]).is_empty());
        assert!(warnings(&LayoutPlan::default()).is_empty());
        let told = warned(2, &[]);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("only 2 copies of everything will be left, where 3 are"));
        assert!(!told[0].contains("one node"), "{told:?}");
        assert!(warned(1, &[])[0].contains("only 1 copy of everything will be left"));
        assert!(warned(1, &[])[0].contains("that one node is lost"));
        let told = warned(3, &["12D3KooWaaaaaaaa", "12D3KooWbbbbbbbb"]);
        assert_eq!(told.len(), 1);
        let both = "12D3KooWaaaaaaaa, 12D3KooWbbbbbbbb has what it owns, but do not answer";
        assert!(told[0].contains(both), "{told:?}");
        assert!(told[0].ends_with("glebe node remove aaaaaaaa"), "{told:?}");
    }

    #[test]
    fn nobody_waits_for_a_node_that_leaves() {
        let node = |id: &str, more: &str| {
            format!(r#"{{"id":"{id}","http":"","p2p":"","state":"down"{more}}}"#)
        };
        let nodes = [
            node("a", ""),
            node("b", r#","removed":true"#),
            node("c", r#","draining":true"#),
        ];
        let view = format!(
            r#"{{"version":1,"parent":0,"replicas":2,"nodes":[{}],"slots":[]}}"#,
            nodes.join(",")
        );
        assert_eq!(away(&serde_json::from_str(&view).unwrap()), ["a"]);
    }

    #[test]
    fn a_plan_as_json_tells_the_minutes_that_the_table_does() {
        let plan = LayoutPlan {
            slots: 3,
            bytes_busiest: 9_000_000_000,
            ..LayoutPlan::default()
        };
        let moving = Moving {
            dry_run: true,
            no_wait: false,
            rate: 50.0,
        };
        let json = serde_json::to_value(timed(&plan, &moving)).unwrap();
        assert_eq!((&json["minutes"], &json["slots"]), (&3.0.into(), &3.into()));
        assert!(summary(&plan, &moving).contains("3.0 min at 50 MB/s"));
    }
}
