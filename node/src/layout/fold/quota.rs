//! How many slots each node should own.
//!
//! *Invariants*: shares add up to one; none, of a node or of the domain it stands in, is above one
//! replica's part, for a slot has one owner in a domain; whole numbers differ from the exact share
//! by less than one and from what is owned by as little as that allows.
//!
//! *Not here*: which slots (`level`).

/// Shares that float arithmetic puts this near to a whole number are that number.
const WHOLE: f64 = 1e-6;

/// What a node asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Claim {
    /// Its weight, above zero.
    pub weight: f64,
    /// The domain in which it stands; of one domain, a slot has one owner.
    pub domain: usize,
}

/// Splits one by weight, no domain above `cap`; the answer is in the order of the claims.
///
/// There are at least 1 / `cap` domains, so that the caps can add up to one.
pub(crate) fn shares(claims: &[Claim], cap: f64) -> Vec<f64> {
    let domains = claims.iter().map(|c| c.domain + 1).max().unwrap_or(0);
    let mut weights = vec![0.0; domains];
    for claim in claims {
        weights[claim.domain] += claim.weight;
    }
    let parts = filled(&weights, cap);
    let share = |c: &Claim| c.weight / weights[c.domain] * parts[c.domain];
    claims.iter().map(share).collect()
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
        Claim { weight, domain }
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn shares_follow_weights_until_a_domain_would_hold_a_slot_twice() {
        let free = shares(&[claim(1.0, 0), claim(2.0, 1), claim(4.0, 2)], 1.0);
        assert!(near(free[0], 1.0 / 7.0) && near(free[2], 4.0 / 7.0));
        // Two replicas: the heavy one holds every slot, half of all; the rest is shared 1:2.
        let capped = shares(&[claim(1.0, 0), claim(2.0, 1), claim(4.0, 2)], 0.5);
        assert!(near(capped[2], 0.5) && near(capped[0], 1.0 / 6.0));
        let zones = shares(&[claim(1.0, 0), claim(1.0, 0), claim(1.0, 1)], 0.5);
        assert!(near(zones[0], 0.25) && near(zones[2], 0.5));
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
