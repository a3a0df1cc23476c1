//! Mending, as users ask for it.
//!
//! *Invariants*: none beyond those of `upkeep` and `store`.
//!
//! *Not here*: finding and healing (`upkeep`).

use std::sync::Arc;

use wire::cluster::RepairReport;
use wire::fault::{Fault, FaultKind};
use wire::object::Rebuilt;
use wire::params::RepairParams;

use super::{Conduit, blocking};
use crate::cluster::catalog;
use crate::store::Unlisted;

impl Conduit {
    /// Has a node, this one if none is named, check and heal all that it holds, or say what that
    /// would be.
    pub(crate) async fn repair(&self, asked: RepairParams) -> Result<RepairReport, Fault> {
        let name = asked.node.as_deref().unwrap_or(self.cluster.node_id());
        let unknown = || {
            let what = format!("there is no node {name}");
            Fault::new(FaultKind::Nothing, what).try_("glebe node list")
        };
        let report = if asked.dry_run {
            self.cluster.plan_repair(name).await?
        } else {
            self.cluster.repair(name).await?
        };
        report.ok_or_else(unknown)
    }

    /// Says what remaking this node's records would read.
    pub(crate) async fn plan_rebuild(&self) -> Result<Rebuilt, Fault> {
        let store = Arc::clone(&self.store);
        let plan = blocking(move || store.plan_rebuild()).await?;
        Ok(Rebuilt {
            objects: plan.objects,
            slots: plan.slots,
            bytes: plan.bytes,
            dry_run: true,
            left_out: unlisted(plan.unlisted),
        })
    }

    /// Remakes this node's records from its files.
    pub(crate) async fn rebuild_index(&self) -> Result<Rebuilt, Fault> {
        let store = Arc::clone(&self.store);
        let done = blocking(move || store.rebuild_index()).await??;
        catalog::changed(&self.cluster.core).await?;
        let left_out = done.left_out.into_iter();
        let left_out = left_out.map(|left| format!("{}: {}", left.key, left.why));
        Ok(Rebuilt {
            objects: done.objects,
            left_out: left_out.chain(unlisted(done.unlisted)).collect(),
            ..Rebuilt::default()
        })
    }
}

/// Names folders that could not be listed.
fn unlisted(folders: Vec<Unlisted>) -> Vec<String> {
    let line = |un: Unlisted| {
        let folder = un.folder.display();
        format!("all in {folder}: it cannot be listed: {}", un.why)
    };
    folders.into_iter().map(line).collect()
}
