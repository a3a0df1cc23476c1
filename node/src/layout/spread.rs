//! What owners of one slot must not share, and how they are spread over zones.
//!
//! ```text
//! at least as many zones as owners     one owner a zone
//! fewer, but at least two              each zone as many owners as the others, as far as it has
//!                                      room for them, and one owner a host (or a node)
//! one                                  one owner a host
//! fewer hosts than owners              one owner a node
//! ```
//! *Invariants*: whatever some owners of a slot are, they can be joined by others until there are
//! as many as there should be; nodes without a zone stand in one together.
//!
//! *Not here*: how slots come to be owned so (`fold`, `rebalance`), how many each node owns
//! (`fold::quota`).

/// Where a node stands: numbers of its host and of its zone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stand {
    pub(super) host: usize,
    pub(super) zone: usize,
    /// It may own slots.
    pub(super) open: bool,
}

/// What no two owners of a slot may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Nodes,
    Hosts,
    Zones,
}

/// How many owners of a slot may stand in one zone, where there are fewer zones than owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// So many in each, or as many as there is room for.
    pub(super) level: usize,
    /// One more in so many of them.
    pub(super) extra: usize,
}

/// Which rule it is; tables that keep one need not keep another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Apart {
    by: By,
    limit: Option<Limit>,
}

/// The rule for nodes that stand somewhere.
#[derive(Debug)]
pub(super) struct Rule {
    apart: Apart,
    /// Node → the domain that no other owner of its slots may stand in.
    domains: Vec<usize>,
    zones: Vec<usize>,
}

impl Rule {
    /// Returns the rule for slots of `wide` owners.
    pub(super) fn of(stands: &[Stand], wide: usize) -> Self {
        let open = || stands.iter().filter(|s| s.open);
        let zones = distinct(open().map(|s| s.zone), usize::MAX);
        let by = if zones > 1 && zones >= wide {
            By::Zones
        } else if distinct(open().map(|s| s.host), wide) >= wide {
            By::Hosts
        } else {
            By::Nodes
        };
        let domain = |(node, stand): (usize, &Stand)| match by {
            By::Nodes => node,
            By::Hosts => stand.host,
            By::Zones => stand.zone,
        };
        let mut rule = Self {
            apart: Apart { by, limit: None },
            domains: stands.iter().enumerate().map(domain).collect(),
            zones: stands.iter().map(|s| s.zone).collect(),
        };
        if zones > 1 && by != By::Zones {
            let open = (0..stands.len()).filter(|i| stands[*i].open);
            let rooms = rooms(open.map(|i| (rule.domains[i], rule.zones[i])));
            rule.apart.limit = Some(Limit::of(&rooms, wide));
        }
        rule
    }

    pub(super) fn apart(&self) -> Apart {
        self.apart
    }

    pub(super) fn limit(&self) -> Option<Limit> {
        self.apart.limit
    }

    pub(super) fn domain(&self, node: usize) -> usize {
        self.domains[node]
    }

    pub(super) fn zone(&self, node: usize) -> usize {
        self.zones[node]
    }

    /// Tells whether a node may own a slot beside those others.
    pub(super) fn fits(&self, node: usize, others: impl Iterator<Item = usize> + Clone) -> bool {
        let domain = self.domains[node];
        if others.clone().any(|o| self.domains[o] == domain) {
            return false;
        }
        let limit = self.apart.limit;
        limit.is_none_or(|limit| limit.allows(self.zones[node], &others.map(|o| self.zones[o])))
    }
}

impl Limit {
    /// Returns the limit for zones that have room for so many owners each.
    fn of(rooms: &[usize], wide: usize) -> Self {
        let held = |level: usize| rooms.iter().map(|room| level.min(*room)).sum::<usize>();
        let mut level = 0;
        while level < wide && held(level + 1) <= wide {
            level += 1;
        }
        Self {
            level,
            extra: wide.saturating_sub(held(level)),
        }
    }

    /// Tells whether one more owner may stand in a zone, beside others in theirs.
    fn allows(self, zone: usize, others: &(impl Iterator<Item = usize> + Clone)) -> bool {
        let beside = others.clone().filter(|z| *z == zone).count();
        if beside != self.level {
            return beside < self.level;
        }
        // Of each zone, those behind as many as the level is are extra.
        let is_extra = |(i, zone): &(usize, usize)| {
            let before = others.clone().take(*i).filter(|z| z == zone);
            before.count() >= self.level
        };
        others.clone().enumerate().filter(is_extra).count() < self.extra
    }
}

/// Returns how many domains stand in each zone, by the zone's number.
pub(super) fn rooms(nodes: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut nodes: Vec<(usize, usize)> = nodes.map(|(domain, zone)| (zone, domain)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let mut rooms = vec![0; nodes.last().map_or(0, |(zone, _)| zone + 1)];
    for (zone, _) in nodes {
        rooms[zone] += 1;
    }
    rooms
}

/// Counts distinct numbers, `enough` of them at most.
fn distinct(numbers: impl Iterator<Item = usize>, enough: usize) -> usize {
    let (mut seen, mut found) = (Vec::new(), 0);
    for number in numbers {
        if found >= enough {
            break;
        }
        if seen.len() <= number {
            seen.resize(number + 1, false);
        }
        found += usize::from(!std::mem::replace(&mut seen[number], true));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_hold_as_many_owners_as_each_other_as_far_as_they_have_room() {
        let check = |rooms: &[usize], wide: usize, level: usize, extra: usize| {
            assert_eq!(Limit::of(rooms, wide), Limit { level, extra }, "{rooms:?}");
        };
        check(&[4, 4], 3, 1, 1);
        check(&[4, 4], 4, 2, 0);
        check(&[4, 4], 5, 2, 1);
        check(&[3, 3, 3], 4, 1, 1);
        check(&[9, 1], 3, 2, 0);
        check(&[9, 1, 1], 5, 3, 0);
        check(&[1, 1], 2, 2, 0);
        let limit = Limit { level: 1, extra: 1 };
        let allows = |zone: usize, others: &[usize]| limit.allows(zone, &others.iter().copied());
        assert!(allows(0, &[]) && allows(0, &[0]) && allows(1, &[0, 0]));
        assert!(!allows(0, &[0, 0]), "a third in one zone");
        assert!(!allows(1, &[0, 0, 1]), "a second zone with one more");
    }
}
