//! What a repair of this node would read, bring back and pull.
//!
//! *Invariants*: it changes nothing and reads no object's files, so it cannot tell which of them
//! are corrupt.
//!
//! *Not here*: doing it (`heal`, `compare`, `scrub`).

use std::collections::BTreeSet;
use std::sync::Arc;

use wire::cluster::{NodeState, RepairReport};
use wire::fault::Fault;

use super::compare;
use crate::cluster::core::{Core, View};
use crate::slots::SlotSet;
use crate::store::Store;
use crate::sync::KINDS;

/// Says what a repair would do.
pub(super) async fn plan(core: &Arc<Core>) -> RepairReport {
    let mut report = RepairReport {
        node: core.me.to_string(),
        complete: true,
        dry_run: true,
        ..RepairReport::default()
    };
    if let Err(fault) = look_here(core, &mut report).await {
        report.left.push(fault.to_string());
    }
    let mut newer = BTreeSet::new();
    report.complete &= core.look(|view| view.ring.settled());
    for node in core.look(View::others) {
        if core.look(|view| view.table.state(&node)) != NodeState::Up {
            report.complete = false;
            continue;
        }
        match compare::newer_at(core, &node).await {
            Ok(held) => newer.extend(held.into_iter().map(|held| held.key)),
            Err(_) => report.complete = false,
        }
    }
    report.pulled = newer.len() as u64;
    report
}

/// Counts what is held here, and what of it is gone.
async fn look_here(core: &Arc<Core>, report: &mut RepairReport) -> Result<(), Fault> {
    let held = |store: &Store| {
        let (mut objects, mut bytes, mut slots) = (0_u64, 0_u64, SlotSet::none());
        for kind in KINDS {
            for held in store.list(kind, &SlotSet::all())? {
                (objects, bytes) = (objects + 1, bytes + held.bytes);
                slots.insert(held.slot);
            }
        }
        Ok((objects, bytes, slots.len()))
    };
    (report.checked, report.bytes, report.slots) = core.blocking(held).await?;
    report.healed = core.blocking(Store::missing).await?.len() as u64;
    Ok(())
}
