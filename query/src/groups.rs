//! Geocodes of like texture: k-means++ over standardised features, and a donor for each group
//! (S001 §II.E).
//!
//! A group's donor is its medoid: the member with the least sum of distances to the others. Its
//! model is trained first, and the heirs of the group start from it.
//!
//! *Invariants*: pure, randomness is an argument; the same features in the same order and the same
//! numbers give the same groups; every member is in one group and every group has a member; groups
//! are numbered by the place of their donors.
//!
//! *Not here*: how texture is measured (earth's `raster::texture`), which geocodes take part.

use serde::{Deserialize, Serialize};

/// Groups tried where their number is not given (DESIGN §8).
pub const GROUPS_TRIED: std::ops::RangeInclusive<usize> = 2..=24;
/// Times that centres are drawn anew for one number of groups: the best of them is kept.
const STARTS: usize = 8;
/// Rounds after which centres that still move are taken as they are.
const ROUNDS_MAX: usize = 100;
/// Members up to which silhouettes compare every two; beyond, an even sample of so many stands for
/// all, as the comparisons grow with the square.
const COMPARED_MAX: usize = 2_000;

/// How far two features lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// The straight line.
    #[default]
    Euclidean,
    /// The sum over the axes.
    Manhattan,
    /// One less the cosine of the angle.
    Cosine,
}

/// Members by group.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// Group of each member.
    pub of: Vec<usize>,
    /// Member that is the donor of each group.
    pub donors: Vec<usize>,
    /// Mean silhouette, -1..=1: how much nearer members lie to their own group than to the next;
    /// 0 for one group.
    pub silhouette: f64,
}

/// Why there are no groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Nothing to group.
    #[error("no geocode has a texture")]
    Nothing,
    /// More groups than members.
    #[error("{asked} groups of {members} geocodes cannot be made")]
    TooMany {
        /// Groups asked for; 0 is too few.
        asked: usize,
        /// Geocodes with a texture.
        members: usize,
    },
    /// Features of several lengths, or one that is no number.
    #[error("the texture of geocode number {0} is damaged")]
    Damaged(usize),
}

impl Metric {
    /// Every metric and its word.
    pub const ALL: [(&'static str, Self); 3] = [
        ("euclidean", Self::Euclidean),
        ("manhattan", Self::Manhattan),
        ("cosine", Self::Cosine),
    ];

    /// Returns the distance of two features of one length.
    pub fn distance(self, a: &[f64], b: &[f64]) -> f64 {
        let pairs = || a.iter().zip(b);
        match self {
            Self::Euclidean => pairs().map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt(),
            Self::Manhattan => pairs().map(|(x, y)| (x - y).abs()).sum(),
            Self::Cosine => {
                let dot: f64 = pairs().map(|(x, y)| x * y).sum();
                let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
                let norms = norm(a) * norm(b);
                if norms > 0.0 {
                    (1.0 - dot / norms).max(0.0)
                } else {
                    f64::from(u8::from(a != b))
                }
            }
        }
    }

    /// Returns what stands in the middle of members: of lines the mean, of sums over axes the
    /// median of each, of angles the mean direction.
    fn centre(self, members: &[&[f64]]) -> Vec<f64> {
        let length = members.first().map_or(0, |m| m.len());
        let axis = |i: usize| members.iter().map(move |m| m[i]);
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            values.sum::<f64>() / members.len().max(1) as f64
        };
        match self {
            Self::Euclidean => (0..length).map(|i| mean(&mut axis(i))).collect(),
            Self::Manhattan => (0..length).map(|i| median(axis(i).collect())).collect(),
            Self::Cosine => {
                let norm = |m: &[f64]| m.iter().map(|x| x * x).sum::<f64>().sqrt();
                let norms: Vec<f64> = members
                    .iter()
                    .map(|m| norm(m).max(f64::MIN_POSITIVE))
                    .collect();
                let turned = |i: usize| axis(i).zip(&norms).map(|(x, n)| x / n);
                (0..length).map(|i| mean(&mut turned(i))).collect()
            }
        }
    }
}

/// Groups features; `count` groups, or as many of [`GROUPS_TRIED`] as have the greatest silhouette.
/// `unit` draws numbers in 0..1.
///
/// # Errors
/// No features, more groups than features, features of several lengths.
pub fn group(
    features: &[Vec<f64>],
    (metric, count): (Metric, Option<usize>),
    mut unit: impl FnMut() -> f64,
) -> Result<Groups, GroupError> {
    let members = features.len();
    let length = features.first().ok_or(GroupError::Nothing)?.len();
    let damaged = |f: &Vec<f64>| f.len() != length || f.iter().any(|x| !x.is_finite());
    if let Some(at) = features.iter().position(damaged) {
        return Err(GroupError::Damaged(at));
    }
    if let Some(asked) = count.filter(|k| !(1..=members).contains(k)) {
        return Err(GroupError::TooMany { asked, members });
    }
    let points = standardised(features);
    let tried = count.map_or(GROUPS_TRIED, |k| k..=k);
    let mut best: Option<Groups> = None;
    for k in tried.filter(|k| count.is_some() || *k < members) {
        let of = partition(&points, (metric, k), &mut unit);
        let found = Groups {
            silhouette: silhouette(&points, &of, metric),
            donors: donors(&points, &of, metric),
            of,
        };
        if best
            .as_ref()
            .is_none_or(|b| found.silhouette > b.silhouette)
        {
            best = Some(found);
        }
    }
    // Two geocodes or one are one group.
    let of = vec![0; members];
    let whole = || Groups {
        donors: donors(&points, &of, metric),
        of: of.clone(),
        silhouette: 0.0,
    };
    let mut found = best.unwrap_or_else(whole);
    number(&mut found);
    Ok(found)
}

/// Brings every axis to mean 0 and deviation 1; one that is the same everywhere becomes 0.
fn standardised(features: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let count = features.len() as f64;
    let length = features.first().map_or(0, Vec::len);
    let mean = |i: usize| features.iter().map(|f| f[i]).sum::<f64>() / count;
    let means: Vec<f64> = (0..length).map(mean).collect();
    let square = |i: usize| {
        features
            .iter()
            .map(|f| (f[i] - means[i]).powi(2))
            .sum::<f64>()
    };
    let deviations: Vec<f64> = (0..length).map(|i| (square(i) / count).sqrt()).collect();
    let one = |f: &Vec<f64>| {
        let axes = f.iter().zip(means.iter().zip(&deviations));
        let axis = |(x, (mean, deviation)): (&f64, (&f64, &f64))| {
            let flat = *deviation <= f64::EPSILON * mean.abs();
            if flat { 0.0 } else { (x - mean) / deviation }
        };
        axes.map(axis).collect()
    };
    features.iter().map(one).collect()
}

/// Returns the best of several runs of k-means++: the one with the least sum of distances.
fn partition(
    points: &[Vec<f64>],
    (metric, k): (Metric, usize),
    unit: &mut impl FnMut() -> f64,
) -> Vec<usize> {
    let mut best = (f64::INFINITY, vec![0; points.len()]);
    for _ in 0..STARTS {
        let found = settled(points, metric, drawn(points, (metric, k), unit));
        if found.0 < best.0 {
            best = found;
        }
    }
    best.1
}

/// Draws centres: the first evenly, each next by its squared distance to those there are.
fn drawn(
    points: &[Vec<f64>],
    (metric, k): (Metric, usize),
    unit: &mut impl FnMut() -> f64,
) -> Vec<Vec<f64>> {
    let last = points.len() - 1;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in 0..points"
    )]
    let first = ((unit() * points.len() as f64) as usize).min(last);
    let mut centres = vec![points[first].clone()];
    let mut nearest = vec![f64::INFINITY; points.len()];
    while centres.len() < k {
        let newest = &centres[centres.len() - 1];
        for (least, point) in nearest.iter_mut().zip(points) {
            *least = least.min(metric.distance(point, newest).powi(2));
        }
        let total: f64 = nearest.iter().sum();
        let mut left = unit() * total;
        let passed = nearest.iter().position(|square| {
            left -= square;
            *square > 0.0 && left <= 0.0
        });
        // Fewer different points than groups: the groups that stay empty are given one below.
        let farthest = || (0..points.len()).max_by(|a, b| nearest[*a].total_cmp(&nearest[*b]));
        centres.push(points[passed.or_else(farthest).unwrap_or(0)].clone());
    }
    centres
}

/// Moves centres until no point changes its group; returns the sum of distances and the groups.
fn settled(points: &[Vec<f64>], metric: Metric, mut centres: Vec<Vec<f64>>) -> (f64, Vec<usize>) {
    let mut of = vec![usize::MAX; points.len()];
    for _ in 0..ROUNDS_MAX {
        let mut moved = false;
        for (point, own) in points.iter().zip(&mut of) {
            let found = nearest(point, &centres, metric);
            moved |= found != *own;
            *own = found;
        }
        moved |= fill_empty(points, (metric, &centres), &mut of);
        if !moved {
            break;
        }
        for (number, centre) in centres.iter_mut().enumerate() {
            let own = points
                .iter()
                .zip(&of)
                .filter(|(_, group)| **group == number);
            let own: Vec<&[f64]> = own.map(|(point, _)| point.as_slice()).collect();
            *centre = metric.centre(&own);
        }
    }
    let apart = points
        .iter()
        .zip(&of)
        .map(|(p, g)| metric.distance(p, &centres[*g]));
    (apart.sum(), of)
}

fn nearest(point: &[f64], centres: &[Vec<f64>], metric: Metric) -> usize {
    let apart = centres.iter().map(|centre| metric.distance(point, centre));
    let least = apart.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
    least.map_or(0, |(number, _)| number)
}

/// Gives each empty group the point that lies farthest from its centre among groups of several.
fn fill_empty(
    points: &[Vec<f64>],
    (metric, centres): (Metric, &[Vec<f64>]),
    of: &mut [usize],
) -> bool {
    let mut filled = false;
    for number in 0..centres.len() {
        if of.contains(&number) {
            continue;
        }
        let mut sizes = vec![0_usize; centres.len()];
        for group in of.iter() {
            sizes[*group] += 1;
        }
        let apart = |i: &usize| metric.distance(&points[*i], &centres[of[*i]]);
        let spare = (0..points.len()).filter(|i| sizes[of[*i]] > 1);
        if let Some(taken) = spare.max_by(|a, b| apart(a).total_cmp(&apart(b))) {
            of[taken] = number;
            filled = true;
        }
    }
    filled
}

/// Returns the medoid of every group.
fn donors(points: &[Vec<f64>], of: &[usize], metric: Metric) -> Vec<usize> {
    let groups = of.iter().max().map_or(0, |most| most + 1);
    let medoid = |number: usize| {
        let own: Vec<usize> = (0..points.len()).filter(|i| of[*i] == number).collect();
        let sum = |i: usize| {
            own.iter()
                .map(|j| metric.distance(&points[i], &points[*j]))
                .sum::<f64>()
        };
        let sums = own.iter().map(|i| (*i, sum(*i)));
        let least = sums.min_by(|a, b| a.1.total_cmp(&b.1));
        least.map_or(0, |(i, _)| i)
    };
    (0..groups).map(medoid).collect()
}

/// Returns the mean silhouette (Rousseeuw 1987): (b - a) / max(a, b) with a the mean distance to
/// the own group and b that to the next one; 0 for a member that is alone.
fn silhouette(points: &[Vec<f64>], of: &[usize], metric: Metric) -> f64 {
    let groups = of.iter().max().map_or(0, |most| most + 1);
    if groups < 2 {
        return 0.0;
    }
    let step = points.len().div_ceil(COMPARED_MAX).max(1);
    let compared: Vec<usize> = (0..points.len()).step_by(step).collect();
    let mut total = 0.0;
    for i in &compared {
        let mut sums = vec![(0.0, 0_usize); groups];
        for j in compared.iter().filter(|j| *j != i) {
            let (sum, count) = &mut sums[of[*j]];
            *sum += metric.distance(&points[*i], &points[*j]);
            *count += 1;
        }
        let mean = |(sum, count): &(f64, usize)| (*count > 0).then(|| sum / *count as f64);
        let own = mean(&sums[of[*i]]);
        let others = (0..groups).filter(|group| *group != of[*i]);
        let next = others
            .filter_map(|group| mean(&sums[group]))
            .min_by(f64::total_cmp);
        if let Some((a, b)) = own.zip(next)
            && a.max(b) > 0.0
        {
            total += (b - a) / a.max(b);
        }
    }
    total / compared.len().max(1) as f64
}

/// Numbers groups by the place of their donors.
fn number(groups: &mut Groups) {
    let mut order: Vec<usize> = (0..groups.donors.len()).collect();
    order.sort_by_key(|group| groups.donors[*group]);
    let mut new = vec![0; order.len()];
    for (number, group) in order.iter().enumerate() {
        new[*group] = number;
    }
    for group in &mut groups.of {
        *group = new[*group];
    }
    groups.donors.sort_unstable();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use earth::dice::Dice;
    use proptest::prelude::*;

    use super::*;

    fn numbers(seed: u64) -> impl FnMut() -> f64 {
        let mut dice = Dice::new(seed, &[]);
        move || dice.unit()
    }

    /// So many kinds of 18 values, twenty members each, in turn.
    fn planted(kinds: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut unit = numbers(seed);
        let middles: Vec<Vec<f64>> = (0..kinds)
            .map(|_| (0..18).map(|_| 20.0 * unit() - 10.0).collect())
            .collect();
        let member = |middle: &Vec<f64>| middle.iter().map(|x| x + unit()).collect();
        std::iter::repeat_n(&middles, 20)
            .flatten()
            .map(member)
            .collect()
    }

    #[test]
    fn planted_kinds_are_found_and_their_number_too() {
        for (_, metric) in Metric::ALL {
            for kinds in [2, 5, 12] {
                let features = planted(kinds, 7);
                let found = group(&features, (metric, None), numbers(1)).unwrap();
                assert_eq!(found.donors.len(), kinds, "{metric:?}");
                for (i, own) in found.of.iter().enumerate() {
                    assert_eq!(
                        *own,
                        found.of[i % kinds],
                        "{metric:?}: member {i} of {kinds}"
                    );
                }
                assert!(found.silhouette > 0.5, "{metric:?}: {}", found.silhouette);
            }
        }
    }

    #[test]
    fn few_or_equal_geocodes_are_groups_all_the_same() {
        let one = group(&[vec![1.0]], (Metric::Euclidean, None), numbers(1)).unwrap();
        assert_eq!((one.of, one.donors), (vec![0], vec![0]));
        let alike = vec![vec![3.0, 4.0]; 5];
        for (_, metric) in Metric::ALL {
            let found = group(&alike, (metric, Some(3)), numbers(1)).unwrap();
            assert_eq!(found.donors.len(), 3, "{metric:?}");
        }
    }

    #[test]
    fn what_cannot_be_grouped_is_refused() {
        let refused = |features: &[Vec<f64>], count| {
            group(features, (Metric::Euclidean, count), numbers(1)).unwrap_err()
        };
        assert_eq!(refused(&[], None), GroupError::Nothing);
        let two = [vec![1.0], vec![2.0]];
        for asked in [0, 3] {
            let members = 2;
            assert_eq!(
                refused(&two, Some(asked)),
                GroupError::TooMany { asked, members }
            );
        }
        let damaged = [vec![1.0], vec![f64::NAN], vec![1.0, 2.0]];
        assert_eq!(refused(&damaged, None), GroupError::Damaged(1));
    }

    fn features() -> impl Strategy<Value = Vec<Vec<f64>>> {
        let one = proptest::collection::vec(-5.0..5.0, 3);
        proptest::collection::vec(one, 3..30)
    }

    proptest! {
        #[test]
        fn each_member_is_in_one_group_and_each_donor_is_its_groups_medoid(
            features in features(),
            seed: u64,
            k in 1..4_usize,
        ) {
            for (_, metric) in Metric::ALL {
                let found = group(&features, (metric, Some(k)), numbers(seed)).unwrap();
                let again = group(&features, (metric, Some(k)), numbers(seed)).unwrap();
                prop_assert_eq!(&found, &again);
                prop_assert_eq!((found.of.len(), found.donors.len()), (features.len(), k));
                prop_assert!(found.donors.is_sorted());
                prop_assert!((-1.0..=1.0).contains(&found.silhouette));
                let points = standardised(&features);
                for (number, donor) in found.donors.iter().enumerate() {
                    prop_assert_eq!(found.of[*donor], number);
                    let own = || (0..points.len()).filter(|i| found.of[*i] == number);
                    let sum = |i: usize| -> f64 {
                        own().map(|j| metric.distance(&points[i], &points[j])).sum()
                    };
                    prop_assert!(own().all(|i| sum(*donor) <= sum(i) + 1e-9));
                }
            }
        }
    }
}
