//! Reads everything that this node holds against its checksums.
//!
//! *Invariants*: every object is read once a pass, whatever is put or deleted meanwhile; no more
//! bytes a second are read than allowed, averaged over a few objects.
//!
//! *Not here*: what is checked of an object (`store::audit`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wire::cluster::RepairReport;

use super::heal;
use crate::cluster::core::Core;
use crate::store::{Harm, ObjectKey};
use crate::sync::KINDS;

/// Pause between two passes, so that a small store is not read without end.
const REST: Duration = Duration::from_hours(1);
/// Bytes that an object counts as at least: its folder and record are read, too.
const OBJECT_BYTES_MIN: u64 = 16 << 10;

/// Runs pass after pass.
pub(super) async fn run(core: &Arc<Core>, bytes_per_second: u64) {
    loop {
        tokio::time::sleep(REST).await;
        let mut report = RepairReport::default();
        pass(core, Some(bytes_per_second.max(1)), &mut report).await;
        tracing::info!(
            objects = report.checked,
            bytes = report.bytes,
            healed = report.healed,
            left = report.left.len(),
            "all replicas here were read"
        );
    }
}

/// Reads everything once, at a rate if there is one.
pub(super) async fn pass(core: &Arc<Core>, rate: Option<u64>, report: &mut RepairReport) {
    match core.blocking(crate::store::Store::reconcile).await {
        Ok(left_out) => {
            for (key, why) in left_out {
                report.left.push(format!("{key}: {why}"));
            }
        }
        Err(fault) => report.left.push(fault.to_string()),
    }
    let began = Instant::now();
    let mut paid = 0;
    for kind in KINDS {
        let keys = match core.blocking(move |store| store.keys(kind)).await {
            Ok(keys) => keys,
            Err(fault) => {
                report.left.push(fault.to_string());
                continue;
            }
        };
        for key in keys {
            paid += check(core, key, report).await.max(OBJECT_BYTES_MIN);
            if let Some(rate) = rate {
                let due = Duration::from_secs_f64(paid as f64 / rate as f64);
                tokio::time::sleep_until(began + due).await;
            }
        }
    }
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
