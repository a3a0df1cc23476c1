//! Which membership changes are taken from others: those that a member has signed.
//!
//! Whoever makes a change vouches for it with its own key before it tells of it; who hears of one
//! checks that, before the change can move a slot. So a change can be traced to its maker, and
//! nobody but the members makes one.
//!
//! *Invariants*: what another node tells is taken in whole or not at all; a voucher is over the
//! cluster's id, so that it is worth nothing elsewhere; the counters of changes leave no gap, so
//! that nobody can claim the last word for ever.
//!
//! *Not here*: what changes do (`layout`), what a member may do that turns out to be hostile
//! (docs/adr/0016).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::core::Core;
use crate::access::Fixed;
use crate::identity::{Identity, NodeId};
use crate::layout::{Change, ChangeSet, What};
use crate::peer::encode;
use crate::refusals::Refused;
use crate::token::ClusterId;

/// What a voucher is made over, before cluster and change.
const CHANGE_MARK: &[u8] = b"glebe change 1\n";

/// Names a change: the first bytes of the BLAKE3 of its own.
type ChangeName = Fixed<16>;

/// A member's word that it made a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    /// Which change.
    pub change: ChangeName,
    /// The member.
    pub by: NodeId,
    /// Its signature.
    pub signature: Fixed<64>,
}

/// The vouchers of all changes that are known.
#[derive(Debug, Default)]
pub(crate) struct Vouchers {
    held: Mutex<BTreeMap<ChangeName, Voucher>>,
}

/// Why changes are not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Distrust {
    /// Nobody vouches for one.
    #[error("a change of the layout that nobody signed")]
    Unsigned,
    /// Somebody vouches who is no member, or whose signature is wrong.
    #[error("a change of the layout that no member signed")]
    NoMember,
    /// A member asks for something in another's name.
    #[error("a change of the layout in another member's name")]
    Borrowed,
    /// A counter leaves a gap.
    #[error("a change of the layout that claims to come after changes that are not there")]
    Ahead,
}

impl Voucher {
    fn new(change: &Change, cluster: ClusterId, identity: &Identity) -> Self {
        Self {
            change: name(change),
            by: identity.node(),
            signature: identity.sign(&signed(change, cluster)),
        }
    }
}

impl Vouchers {
    /// Takes in vouchers that are already trusted: those of the file, or of who let this node in.
    pub(crate) fn trust(&self, vouchers: Vec<Voucher>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(vouchers.into_iter().map(|v| (v.change, v)));
    }

    /// Returns the vouchers of all changes; this node vouches for those that it made itself, which
    /// are those that nobody else did.
    pub(crate) fn of(
        &self,
        changes: &ChangeSet,
        cluster: ClusterId,
        identity: &Identity,
    ) -> Vec<Voucher> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let voucher = |change: &Change| {
            let own = || Voucher::new(change, cluster, identity);
            held.entry(name(change)).or_insert_with(own).clone()
        };
        changes.iter().map(voucher).collect()
    }
}

/// Returns the vouchers that go with this node's changes.
pub(crate) fn vouchers(core: &Core, changes: &ChangeSet) -> Vec<Voucher> {
    match (&core.signer, &core.file) {
        (Some(signer), Some(file)) => core.vouchers.of(changes, file.cluster, signer),
        _ => Vec::new(),
    }
}

/// Tells whether changes that another node told of may be taken in.
pub(crate) fn accept(core: &Core, changes: &ChangeSet, vouchers: &[Voucher]) -> bool {
    let Some(file) = &core.file else {
        return false;
    };
    let known = core.look(|view| view.ring.changes().clone());
    match judge(&known, changes, vouchers, file.cluster) {
        Ok(fresh) => {
            core.vouchers.trust(fresh);
            true
        }
        Err(distrust) => {
            core.refusals.note(Refused::Change, &"gossip", &distrust);
            false
        }
    }
}

/// Returns the vouchers of the changes that are new, if all of them are good.
fn judge(
    known: &ChangeSet,
    told: &ChangeSet,
    vouchers: &[Voucher],
    cluster: ClusterId,
) -> Result<Vec<Voucher>, Distrust> {
    let had: BTreeSet<&Change> = known.iter().collect();
    let by_name: BTreeMap<ChangeName, &Voucher> = vouchers.iter().map(|v| (v.change, v)).collect();
    let mut members: BTreeSet<&NodeId> = known.iter().filter_map(joined).collect();
    let mut last = known.iter().map(|c| c.counter).max().unwrap_or(0);
    let mut fresh = Vec::new();
    for change in told.iter().filter(|change| !had.contains(change)) {
        if change.counter > last.saturating_add(1) {
            return Err(Distrust::Ahead);
        }
        last = last.max(change.counter);
        let voucher = by_name.get(&name(change)).ok_or(Distrust::Unsigned)?;
        let bytes = signed(change, cluster);
        let is_good =
            members.contains(&voucher.by) && voucher.by.signed(&bytes, &voucher.signature);
        if !is_good {
            return Err(Distrust::NoMember);
        }
        if asker(change).is_some_and(|asker| *asker != voucher.by) {
            return Err(Distrust::Borrowed);
        }
        members.extend(joined(change));
        fresh.push((*voucher).clone());
    }
    Ok(fresh)
}

/// Returns the node that a change makes a member.
fn joined(change: &Change) -> Option<&NodeId> {
    matches!(change.what, What::Join { .. }).then_some(&change.node)
}

/// Returns the node that a change says has asked for it, where it says so.
fn asker(change: &Change) -> Option<&NodeId> {
    matches!(change.what, What::Replicas(_) | What::Rebalance(_)).then_some(&change.node)
}

fn name(change: &Change) -> ChangeName {
    let hash = blake3::hash(&encode(change));
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    Fixed(first)
}

fn signed(change: &Change, cluster: ClusterId) -> Vec<u8> {
    [CHANGE_MARK, &encode(&(cluster.bytes(), change))].concat()
}

#[cfg(test)]
mod tests;
