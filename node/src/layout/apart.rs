//! What owners of one slot must not share in a layout, and the shares that follow.
//!
//! *Invariants*: the same rule as the fold's (`spread`).
//!
//! *Not here*: how slots come to be owned so (`fold`).

use std::collections::BTreeMap;

use super::fold::quota::{Claim, shares};
use super::spread::{Rule, Stand};
use super::{Layout, Member};

/// Returns what owners of a layout's slots must not share, by the number of the member.
pub(super) fn rule(layout: &Layout) -> Rule {
    let members = layout.members();
    let zones = numbered(members, |m| m.place.zone.clone().unwrap_or_default());
    let hosts = numbered(members, |m| {
        let zone = m.place.zone.as_deref().unwrap_or_default();
        let host = m.place.host.as_ref();
        host.map_or_else(
            || format!("node {}", m.node),
            |h| format!("host {h} in {zone}"),
        )
    });
    let stand = |i: usize| Stand {
        host: hosts[i],
        zone: zones[i],
        open: !members[i].draining,
    };
    let stands: Vec<Stand> = (0..members.len()).map(stand).collect();
    Rule::of(&stands, layout.width())
}

/// Returns each member's share of all that is owned, by weight; none of who is draining.
pub(super) fn members_shares(layout: &Layout) -> Vec<f64> {
    let members = layout.members();
    let rule = rule(layout);
    let staying: Vec<usize> = (0..members.len())
        .filter(|i| !members[*i].draining)
        .collect();
    let claim = |i: &usize| Claim {
        weight: f64::from(members[*i].place.weight),
        domain: rule.domain(*i),
        zone: rule.zone(*i),
    };
    let claims: Vec<Claim> = staying.iter().map(claim).collect();
    let mut all = vec![0.0; members.len()];
    for (i, share) in staying
        .iter()
        .zip(shares(&claims, layout.width(), rule.limit()))
    {
        all[*i] = share;
    }
    all
}

fn numbered(members: &[Member], name: impl Fn(&Member) -> String) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    let number = |m: &Member| {
        let next = numbers.len();
        *numbers.entry(name(m)).or_insert(next)
    };
    members.iter().map(number).collect()
}
