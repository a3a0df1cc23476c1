//! What owners of one slot must not share, and the shares that follow.
//!
//! *Invariants*: the same rule as the fold's: zones if there are at least as many as owners, else
//! hosts if there are, else only the node itself; nodes without a zone stand in one together.
//!
//! *Not here*: how slots come to be owned so (`fold`).

use std::collections::BTreeMap;

use super::fold::quota::{Claim, shares};
use super::{Layout, Member};

/// Numbers the domain of each member: of one domain, a slot has one owner.
pub(super) fn domains(layout: &Layout) -> Vec<usize> {
    let (members, width) = (layout.members(), layout.width());
    let zones = numbered(members, |m| m.place.zone.clone().unwrap_or_default());
    let hosts = numbered(members, |m| {
        let zone = m.place.zone.as_deref().unwrap_or_default();
        let host = m.place.host.as_ref();
        host.map_or_else(
            || format!("node {}", m.node),
            |h| format!("host {h} in {zone}"),
        )
    });
    let enough = |of: &[usize]| {
        let mut open: Vec<usize> = staying(members).map(|i| of[i]).collect();
        open.sort_unstable();
        open.dedup();
        open.len() >= width
    };
    let zoned = members.iter().any(|m| m.place.zone.is_some());
    if zoned && enough(&zones) {
        return zones;
    }
    if enough(&hosts) {
        return hosts;
    }
    (0..members.len()).collect()
}

/// Returns each member's share of all that is owned, by weight; none of who is draining.
pub(super) fn members_shares(layout: &Layout) -> Vec<f64> {
    let members = layout.members();
    let domains = domains(layout);
    let staying: Vec<usize> = staying(members).collect();
    let claim = |i: &usize| Claim {
        weight: f64::from(members[*i].place.weight),
        domain: domains[*i],
    };
    let claims: Vec<Claim> = staying.iter().map(claim).collect();
    let mut all = vec![0.0; members.len()];
    let cap = 1.0 / layout.width().max(1) as f64;
    for (i, share) in staying.iter().zip(shares(&claims, cap)) {
        all[*i] = share;
    }
    all
}

fn staying(members: &[Member]) -> impl Iterator<Item = usize> + '_ {
    (0..members.len()).filter(|i| !members[*i].draining)
}

fn numbered(members: &[Member], name: impl Fn(&Member) -> String) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    let number = |m: &Member| {
        let next = numbers.len();
        *numbers.entry(name(m)).or_insert(next)
    };
    members.iter().map(number).collect()
}
