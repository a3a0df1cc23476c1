//! A node that is told to join the cluster that its data folder belongs to, and that removed it.
//!
//! An identity that was removed stays removed: a token lets in a new one alone. A node that went on
//! with the old folder would serve on by itself what it knew before.
//!
//! *Invariants*: the folder is left as it is; a member that is only slow to be known is waited for;
//! whom nobody answers and nobody refuses comes back as before.
//!
//! *Not here*: how refusals are counted (`membership::refused`), what a running node says of it
//! (`gossip`, `report`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wire::fault::{Fault, FaultKind};

use super::ClusterConfig;
use super::core::{Core, View};
use super::file::CLUSTER_FILE;

/// Time between two looks at whether somebody has answered after all.
const LOOK: Duration = Duration::from_millis(100);

/// What is known of a node's membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Member,
    Doubted,
    Removed,
}

/// Tells whether a node comes with a token to a folder that belongs to a cluster already.
pub(super) fn comes_again(config: &ClusterConfig) -> bool {
    let has_token = config.join.as_ref().is_some_and(|j| j.token.is_some());
    has_token && config.data.join(CLUSTER_FILE).exists()
}

/// Tells whether the cluster has removed this node; waits while members refuse it that may not know
/// it yet.
pub(super) async fn is_removed(core: &Arc<Core>) -> bool {
    loop {
        let now = core.now();
        match core.look(|view| found(view, now)) {
            Found::Member => return false,
            Found::Removed => return true,
            Found::Doubted => tokio::time::sleep(LOOK).await,
        }
    }
}

fn found(view: &View, now: Duration) -> Found {
    // Who leaves is a member until it has handed everything over.
    if !view.ring.is_member(&view.table.me().node) || view.table.seems_removed(now) {
        Found::Removed
    } else if view.table.is_refused(now) {
        Found::Doubted
    } else {
        Found::Member
    }
}

/// Says that a folder's node cannot join again, and what can.
pub(super) fn refusal(data: &Path) -> Fault {
    let what = "this node was removed from the cluster that it is told to join";
    let because = format!(
        "{} is that of a former member, and members that are up refuse it; no token changes that",
        data.join(CLUSTER_FILE).display()
    );
    Fault::new(FaultKind::Refused, what).because(because).try_(
        "glebe up --data with a new folder, and the same --join and --token-file; the old one \
             may go when glebe cluster verify is sound there, and glebe up without --join reads it",
    )
}
