//! How many slots each node should own.
//!
//! *Invariants*: shares add up to one; none, of a node or of the domain it stands in, is above one
//! replica's part, for a slot has one owner in a domain; a zone has the part of as many replicas as
//! it holds of each slot; whole numbers differ from the exact share by less than one and from what
//! is owned by as little as that allows.
//!
//! *Not here*: which slots (`level`), who stands where (`spread`).

use crate::layout::spread::{Limit, rooms};

/// Shares that float arithmetic puts this near to a whole number are that number.
const WHOLE: f64 = 1e-6;

/// What a node asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Claim {
    /// Its weight, above zero.
    pub weight: f64,
    /// The domain in which it stands; of one domain, a slot has one owner.
    pub domain: usize,
    /// The zone in which it stands; of one zone, a slot has as many as the limit says.
    pub zone: usize,
}

/// Splits one by weight among the owners of slots that have `width` of them; the answer is in the
/// order of the claims.
///
/// There are at least `width` domains, so that their caps can add up to one.
pub(crate) fn shares(claims: &[Claim], width: usize, limit: Option<Limit>) -> Vec<f64> {
    let cap = 1.0 / width.max(1) as f64;
    let Some(limit) = limit else {
        return capped(claims, cap);
    };
    let rooms = rooms(claims.iter().map(|c| (c.domain, c.zone)));
    let mut weights = vec![0.0; rooms.len()];
    for claim in claims {
        weights[claim.zone] += claim.weight;
    }
    let of_slot = |room: &usize, most: usize| cap * most.min(*room) as f64;
    let bounds = rooms.iter().map(|room| {
        let least = of_slot(room, limit.level);
        let most = limit.level + usize::from(limit.extra > 0);
        (least, of_slot(room, most))
    });
    let parts = bounded(&weights, &bounds.collect::<Vec<_>>());
    let mut shares = vec![0.0; claims.len()];
    for (zone, part) in parts
        .into_iter()
        .enumerate()
        .filter(|(_, part)| *part > 0.0)
    {
        let there = (0..claims.len()).filter(|i| claims[*i].zone == zone);
        let there: Vec<usize> = there.collect();
        let claims: Vec<Claim> = there.iter().map(|i| claims[*i]).collect();
        for (i, share) in there.iter().zip(capped(&claims, cap / part)) {
            shares[*i] = share * part;
        }
    }
    shares
}

/// Splits one by weight, no domain above `cap`.
fn capped(claims: &[Claim], cap: f64) -> Vec<f64> {
    let domains = claims.iter().map(|c| c.domain + 1).max().unwrap_or(0);
    let mut weights = vec![0.0; domains];
    for claim in claims {
        weights[claim.domain] += claim.weight;
    }
    let parts = filled(&weights, cap);
    let share = |c: &Claim| c.weight / weights[c.domain] * parts[c.domain];
    claims.iter().map(share).collect()
}

/// Splits one by weight, each within its bounds, whose sums lie on both sides of one: what is cut
/// off goes to the others, what is lacking comes from them.
fn bounded(weights: &[f64], bounds: &[(f64, f64)]) -> Vec<f64> {
    let mut fixed: Vec<Option<f64>> = vec![None; weights.len()];
    loop {
        let free = || (0..weights.len()).filter(|i| fixed[*i].is_none());
        let total: f64 = free().map(|i| weights[i]).sum();
        let rest = 1.0 - fixed.iter().flatten().sum::<f64>();
        let share = |i: usize| {
            if total > 0.0 {
                weights[i] / total * rest
            } else {
                0.0
            }
        };
        let off = |i: usize| share(i).clamp(bounds[i].0, bounds[i].1) - share(i);
        // Those are fixed first that all others together must make up for.
        let all_off: f64 = free().map(off).sum();
        let out = |i: &usize| off(*i).abs() > 1e-12 && off(*i) * all_off >= 0.0;
        let out: Vec<(usize, f64)> = free().filter(out).map(|i| (i, share(i) + off(i))).collect();
        if out.is_empty() {
            return (0..weights.len())
                .map(|i| fixed[i].unwrap_or_else(|| share(i)))
                .collect();
        }
        for (i, bound) in out {
            fixed[i] = Some(bound);
        }
    }
}

/// Splits one by weight, none above `cap`: what is cut off goes to the others.
fn filled(weights: &[f64], cap: f64) -> Vec<f64> {
    let mut capped = vec![false; weights.len()];
    loop {
        let free = || (0..weights.len()).filter(|i| !capped[*i]);
        let total: f64 = free().map(|i| weights[i]).sum();
        let rest = 1.0 - cap * capped.iter().filter(|c| **c).count() as f64;
        let share = |i: usize| {
            if total > 0.0 {
                weights[i] / total * rest.max(0.0)
            } else {
                0.0
            }
        };
        let over: Vec<usize> = free().filter(|i| share(*i) > cap + 1e-12).collect();
        if over.is_empty() {
            let part = |i: usize| if capped[i] { cap } else { share(i) };
            return (0..weights.len()).map(part).collect();
        }
        for i in over {
            capped[i] = true;
        }
    }
}

/// Rounds shares of `total` to whole numbers that add up to it, each as near to `counts` as the
/// exact number's neighbours allow.
pub(crate) fn rounded(exact: &[f64], counts: &[usize], total: usize) -> Vec<usize> {
    // Every change of every layout comes through here, for all nodes: neighbours are found once.
    let near: Vec<Neighbours> = exact.iter().map(|e| Neighbours::of(*e)).collect();
    let nearest = |(count, near): (&usize, &Neighbours)| *count.clamp(&near.below, &near.above);
    let mut quotas: Vec<usize> = counts.iter().zip(&near).map(nearest).collect();
    let given: usize = quotas.iter().sum();
    let by_rest = |a: &usize, b: &usize| near[*a].rest.total_cmp(&near[*b].rest);
    if given > total {
        let lower = (0..exact.len()).filter(|i| quotas[*i] > near[*i].below);
        let order = |a: &usize, b: &usize| by_rest(a, b).then(a.cmp(b));
        for i in first(lower.collect(), given - total, order) {
            quotas[i] -= 1;
        }
    } else if given < total {
        let higher = (0..exact.len()).filter(|i| quotas[*i] < near[*i].above);
        let order = |a: &usize, b: &usize| by_rest(b, a).then(a.cmp(b));
        for i in first(higher.collect(), total - given, order) {
            quotas[i] += 1;
        }
    }
    quotas
}

/// The whole numbers beside an exact one.
#[derive(Debug, Clone, Copy)]
struct Neighbours {
    below: usize,
    above: usize,
    /// The exact number, less what is whole of it.
    rest: f64,
}

impl Neighbours {
    fn of(exact: f64) -> Self {
        let below = whole(exact + WHOLE);
        let under = whole(exact - WHOLE);
        let above = under + usize::from(exact - WHOLE > under as f64);
        Self {
            below,
            above: above.max(below),
            rest: exact - whole(exact) as f64,
        }
    }
}

/// Returns the first `count` in that order, in any order.
fn first(
    mut of: Vec<usize>,
    count: usize,
    order: impl FnMut(&usize, &usize) -> std::cmp::Ordering,
) -> Vec<usize> {
    if count > 0 && count < of.len() {
        of.select_nth_unstable_by(count - 1, order);
    }
    of.truncate(count);
    of
}

/// Returns what is whole of a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between zero and all owned slots; the part behind the point is to go"
)]
fn whole(number: f64) -> usize {
    number.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(weight: f64, domain: usize) -> Claim {
        let zone = domain;
        Claim {
            weight,
            domain,
            zone,
        }
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn shares_follow_weights_until_a_domain_would_hold_a_slot_twice() {
        let free = shares(&[claim(1.0, 0), claim(2.0, 1), claim(4.0, 2)], 1, None);
        assert!(near(free[0], 1.0 / 7.0) && near(free[2], 4.0 / 7.0));
        // Two replicas: the heavy one holds every slot, half of all; the rest is shared 1:2.
        let capped = shares(&[claim(1.0, 0), claim(2.0, 1), claim(4.0, 2)], 2, None);
        assert!(near(capped[2], 0.5) && near(capped[0], 1.0 / 6.0));
        let zones = shares(&[claim(1.0, 0), claim(1.0, 0), claim(1.0, 1)], 2, None);
        assert!(near(zones[0], 0.25) && near(zones[2], 0.5));
    }

    #[test]
    fn zones_have_the_part_of_as_many_replicas_as_they_hold() {
        let stand = |weight: f64, domain: usize, zone: usize| Claim {
            weight,
            domain,
            zone,
        };
        // Three replicas in two zones: one or two in each, and one on a node.
        let limit = Some(Limit { level: 1, extra: 1 });
        let nodes = [(9.0, 0), (1.0, 0), (1.0, 0), (1.0, 1), (1.0, 1)];
        let claims = nodes.iter().enumerate().map(|(i, (w, z))| stand(*w, i, *z));
        let claims: Vec<Claim> = claims.collect();
        let heavy = shares(&claims, 3, limit);
        assert!(
            near(heavy[0], 1.0 / 3.0) && near(heavy[1], 1.0 / 6.0),
            "{heavy:?}"
        );
        assert!(near(heavy[3], 1.0 / 6.0) && near(heavy.iter().sum(), 1.0));
        let even: Vec<Claim> = claims
            .iter()
            .map(|c| stand(1.0, c.domain, c.zone))
            .collect();
        assert!(shares(&even, 3, limit).iter().all(|s| near(*s, 0.2)));
        // A zone of one node holds one replica of everything, for that is its room.
        let limit = Some(Limit { level: 2, extra: 0 });
        let alone = [
            stand(1.0, 0, 0),
            stand(1.0, 1, 0),
            stand(1.0, 2, 0),
            stand(1.0, 3, 1),
        ];
        let alone = shares(&alone, 3, limit);
        assert!(
            near(alone[3], 1.0 / 3.0) && near(alone[0], 2.0 / 9.0),
            "{alone:?}"
        );
    }

    #[test]
    fn rounding_adds_up_and_keeps_what_is_owned() {
        let quotas = rounded(&[3.4, 3.4, 3.2], &[4, 3, 3], 10);
        assert_eq!(quotas, [4, 3, 3]);
        assert_eq!(rounded(&[3.4, 3.4, 3.2], &[3, 4, 3], 10), [3, 4, 3]);
        assert_eq!(rounded(&[2.5, 2.5, 5.0], &[10, 0, 0], 10), [3, 2, 5]);
        assert_eq!(rounded(&[0.0, 10.0], &[5, 5], 10), [0, 10]);
    }
}
