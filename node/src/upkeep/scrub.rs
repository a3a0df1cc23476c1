//! Reads everything that this node holds against its checksums.
//!
//! *Invariants*: every object that is held when a pass begins is read once in it, whatever is put
//! or deleted meanwhile; no more bytes a second are read than allowed, averaged over a few objects;
//! folders that cannot be read are read again within seconds, and hide no others; each start of a
//! node begins its passes elsewhere, so that one that never runs for a whole pass reads all of it
//! in the end.
//!
//! *Not here*: what is checked of an object (`store::audit`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wire::cluster::RepairReport;
use wire::fault::Fault;

use super::{Pace, heal};
use crate::answer;
use crate::cluster::catalog;
use crate::cluster::core::Core;
use crate::store::{Harm, ObjectKey};
use crate::sync::{KINDS, slots_told};

/// Longest pause before the first pass: a node that is started for an hour a day reads, too.
const FIRST: Duration = Duration::from_mins(5);
/// Pause before folders that could not all be read are read again; then twice as long, and again.
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_mins(5);
/// What a start's number is multiplied by, so that the first starts already lie apart: 2⁶⁴ over
/// the golden ratio.
const APART: u64 = 0x9e37_79b9_7f4a_7c15;
/// Bytes that an object counts as at least: its folder and record are read, too.
const OBJECT_BYTES_MIN: u64 = 16 << 10;

/// Compares folders and records, then runs pass after pass.
pub(super) async fn run(core: &Arc<Core>, pace: &Pace) {
    // What a damaged index hides no start notices; until then the node does not answer alone.
    let mut all_read = read_folders(core).await;
    let mut rest = pace.rest.min(FIRST);
    loop {
        rest_or_retry(rest, all_read, || read_folders(core)).await;
        rest = pace.rest;
        let mut report = RepairReport::default();
        all_read = pass(core, Some(pace.scrub_bytes_per_second.max(1)), &mut report).await;
        tracing::info!(
            objects = report.checked,
            bytes = report.bytes,
            healed = report.healed,
            left = report.left.len(),
            "all replicas here were read"
        );
    }
}

/// Rests; meanwhile does again what has failed, ever less often, until it succeeds.
async fn rest_or_retry<F: Future<Output = bool>>(
    rest: Duration,
    mut done: bool,
    again: impl Fn() -> F,
) {
    let end = Instant::now() + rest;
    let mut pause = RETRY_FIRST;
    while !done && Instant::now() + pause < end {
        tokio::time::sleep(pause).await;
        done = again().await;
        pause = RETRY_MAX.min(pause * 2);
    }
    tokio::time::sleep_until(end).await;
}

/// Compares folders and records; tells whether all could be read.
async fn read_folders(core: &Arc<Core>) -> bool {
    let mut report = RepairReport::default();
    let all_read = reconcile(core, &mut report).await;
    for left in report.left {
        tracing::warn!(left, "folders and records do not agree");
    }
    all_read
}

/// Reads everything once, at a rate if there is one; tells whether all folders could be compared
/// with their records before.
pub(super) async fn pass(core: &Arc<Core>, rate: Option<u64>, report: &mut RepairReport) -> bool {
    let all_read = reconcile(core, report).await;
    let began = Instant::now();
    let mut paid = 0;
    for key in keys(core, report).await {
        paid += check(core, key, report).await.max(OBJECT_BYTES_MIN);
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(paid as f64 / rate as f64);
            tokio::time::sleep_until(began + due).await;
        }
    }
    all_read
}

/// Compares folders and records, and has owners be compared with for what is new; tells whether all
/// folders could be read.
async fn reconcile(core: &Arc<Core>, report: &mut RepairReport) -> bool {
    let doubts = core.store.doubts();
    let compared = core.blocking(|store| store.reconcile().map(drop)).await;
    let left = core.store.left_out().into_iter();
    report
        .left
        .extend(left.map(|left| format!("{}: {}", left.key, left.why)));
    // Who waits for the index to be no longer unread.
    core.wake();
    let told = if core.store.doubts() == doubts {
        Ok(())
    } else {
        core.upkeep.hurry();
        tell(core).await
    };
    let all_read = compared.is_ok();
    for fault in [compared, told].into_iter().filter_map(Result::err) {
        report.left.push(fault.to_string());
    }
    all_read
}

/// Has others ask this node for what was hidden: it may belong to other owners by now, and be a
/// collection.
async fn tell(core: &Arc<Core>) -> Result<(), Fault> {
    catalog::changed(core).await?;
    let slots = core.blocking(slots_told).await?;
    core.arrivals.note_stray();
    core.wake();
    answer::mark(core, &slots).await
}

/// Returns what is held here, from where this start of the node begins.
async fn keys(core: &Arc<Core>, report: &mut RepairReport) -> Vec<ObjectKey> {
    let mut all = Vec::new();
    for kind in KINDS {
        match core.blocking(move |store| store.keys(kind)).await {
            Ok(keys) => all.extend(keys),
            Err(fault) => report.left.push(fault.to_string()),
        }
    }
    let start = core.look(|view| view.table.me().age.incarnation);
    let first = begins(start, all.len());
    all.rotate_left(first);
    all
}

/// Returns the place in a list at which a start begins.
fn begins(start: u64, length: usize) -> usize {
    let place = u128::from(start.wrapping_mul(APART)) * length as u128;
    usize::try_from(place >> u64::BITS).unwrap_or(0)
}

/// Reads one object, heals it if it is harmed; returns the bytes read.
async fn check(core: &Arc<Core>, key: ObjectKey, report: &mut RepairReport) -> u64 {
    let name = key.clone();
    match core.blocking(move |store| store.audit(&name)).await {
        Ok((harm, bytes)) => {
            report.checked += 1;
            report.bytes += bytes;
            if harm != Harm::None {
                heal::heal(core, &key, report).await;
            }
            bytes
        }
        Err(fault) => {
            report.left.push(format!("{key}: {fault}"));
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Tells when folders are read again in a rest of that many seconds, if it succeeds that time.
    async fn retried(rest: u64, succeeds: usize) -> Vec<u64> {
        let (began, tries) = (Instant::now(), RefCell::new(Vec::new()));
        let again = || {
            let mut tries = tries.borrow_mut();
            tries.push(began.elapsed().as_secs());
            std::future::ready(tries.len() == succeeds)
        };
        rest_or_retry(Duration::from_secs(rest), succeeds == 0, again).await;
        assert_eq!(began.elapsed().as_secs(), rest);
        tries.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn folders_that_could_not_be_read_are_read_again_soon_and_ever_less_often() {
        let all = [2, 6, 14, 30, 62, 126, 254, 510, 810, 1_110];
        assert_eq!(retried(1_200, 100).await, all);
        assert_eq!(retried(1_200, 3).await, all[..3]);
        assert_eq!(retried(1_200, 0).await, [0_u64; 0]);
        assert_eq!(retried(2, 100).await, [0_u64; 0]);
    }

    #[test]
    fn a_few_starts_begin_all_over_the_list() {
        assert_eq!(begins(7, 0), 0);
        let mut places: Vec<usize> = (0..10).map(|start| begins(start, 1_000)).collect();
        places.sort_unstable();
        places.push(1_000);
        let widest = places.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(widest < Some(200), "{places:?}");
    }
}
