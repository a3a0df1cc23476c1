//! What a node writes of its cluster before it, or somebody else, acts on it.
//!
//! *Invariants*: what is written is looked up while nobody else writes that file: of two that
//! write, the later never writes what the earlier's was newer than.
//!
//! *Not here*: the files (`file`, `remembered`).

use std::sync::Arc;

use wire::fault::{Fault, FaultKind};

use super::core::{Core, View};
use super::file::{ClusterFacts, ClusterFileError, PeerRecord};
use super::vouch;
use crate::hands;
use crate::membership::Beat;

/// Writes `cluster.json` and `marks` if something in them has changed.
pub(crate) async fn cluster(core: &Arc<Core>) -> Result<(), ClusterFileError> {
    let Some(file) = core.file.clone() else {
        return Ok(());
    };
    let core = Arc::clone(core);
    let written = hands::work(move || {
        file.remembered.tidy(|| core.look(marked))?;
        file.update(|| facts(&core))
    });
    written.await.unwrap_or(Ok(()))
}

/// Writes down who is marked: whoever told so counts this node as one that knows from then on.
pub(crate) async fn marks(core: &Arc<Core>) -> Result<(), Fault> {
    let Some(file) = core.file.clone() else {
        return Ok(());
    };
    if core.look(|view| file.remembered.covers(view.table.marked())) {
        return Ok(());
    }
    let unkept = |reason: String| {
        Fault::new(FaultKind::Internal, "what was told cannot be written down").because(reason)
    };
    let core = Arc::clone(core);
    let kept = hands::work(move || file.remembered.keep(|| core.look(marked))).await;
    let kept = kept.map_err(|lost| unkept(lost.to_string()))?;
    kept.map_err(|error| unkept(error.to_string()))
}

fn marked(view: &View) -> Vec<Beat> {
    view.table.marked().cloned().collect()
}

fn facts(core: &Core) -> ClusterFacts {
    let (changes, standing, peers) = core.look(|view| {
        let peer = |beat: &Beat| PeerRecord {
            node: beat.node.clone(),
            p2p: beat.p2p.clone(),
        };
        let others = view.table.beats().skip(1).map(peer).collect();
        (view.ring.changes().clone(), view.ring.standpoint(), others)
    });
    ClusterFacts {
        vouchers: vouch::vouchers(core, &changes),
        changes,
        standing,
        peers,
    }
}
