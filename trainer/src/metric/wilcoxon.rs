//! Wilcoxon's signed-rank test (1945): do paired errors differ, without a law of how they spread.
//!
//! *Invariants*: exact for up to `EXACT_MAX` pairs, ties and all; pairs that do not differ say
//! nothing and are left out; no pair is no evidence.
//!
//! *Not here*: what is paired (`job::tree`).

/// Pairs up to which the distribution is counted out; beyond, it is normal to four digits.
const EXACT_MAX: usize = 300;

/// Returns how likely chance alone makes differences so much above 0: one-sided.
pub fn wilcoxon(differences: &[f64]) -> f64 {
    let is_told = |d: &&f64| d.abs() > 0.0 && d.is_finite();
    let mut differences: Vec<f64> = differences.iter().filter(is_told).copied().collect();
    differences.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let ranks = doubled_ranks(&differences);
    let above = ranks.iter().zip(&differences).filter(|(_, d)| **d > 0.0);
    let above: usize = above.map(|(rank, _)| rank).sum();
    match ranks.len() {
        0 => 1.0,
        count if count <= EXACT_MAX => counted(&ranks, above),
        _ => normal(&ranks, above),
    }
}

/// Returns twice the rank of each number, those of equals their mean; the numbers are in order of
/// distance from 0.
fn doubled_ranks(sorted: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(sorted.len());
    while ranks.len() < sorted.len() {
        let first = ranks.len();
        let same = |d: &&f64| d.abs().total_cmp(&sorted[first].abs()).is_eq();
        let count = sorted[first..].iter().take_while(same).count();
        // Ranks first + 1 ..= first + count, whose mean is half of the sum of both ends.
        ranks.extend(std::iter::repeat_n(2 * first + count + 1, count));
    }
    ranks
}

/// Counts how many of all signs give so much or more.
fn counted(ranks: &[usize], above: usize) -> f64 {
    let all: usize = ranks.iter().sum();
    let mut shares = vec![0.0_f64; all + 1];
    shares[0] = 1.0;
    let mut most = 0;
    for rank in ranks {
        most += rank;
        for sum in (0..=most).rev() {
            let with = sum
                .checked_sub(*rank)
                .map_or(0.0, |without| shares[without]);
            shares[sum] = f64::midpoint(shares[sum], with);
        }
    }
    shares[above..].iter().sum::<f64>().min(1.0)
}

/// The same by the normal distribution of so many.
fn normal(ranks: &[usize], above: usize) -> f64 {
    let ranks = ranks.iter().map(|rank| *rank as f64);
    let mean = ranks.clone().sum::<f64>() / 2.0;
    let deviation = (ranks.map(|rank| rank * rank).sum::<f64>() / 4.0).sqrt();
    upper((above as f64 - 1.0 - mean) / deviation)
}

/// Returns the share of a normal distribution above so many deviations (Abramowitz and Stegun,
/// 26.2.17).
fn upper(deviations: f64) -> f64 {
    let far = deviations.abs();
    let t = 1.0 / (1.0 + 0.231_641_9 * far);
    let terms = [
        0.319_381_53,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let sum = terms.iter().rev().fold(0.0, |sum, term| t * (term + sum));
    let tail = sum * (-far * far / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if deviations < 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::{EXACT_MAX, counted, doubled_ranks, normal, upper, wilcoxon};

    fn near(found: f64, wanted: f64, within: f64) {
        assert!((found - wanted).abs() < within, "{found}, not {wanted}");
    }

    #[test]
    fn few_pairs_are_counted_out() {
        // All of five above 0: one of 32 ways.
        near(wilcoxon(&[1.0, 2.0, 3.0, 4.0, 5.0]), 1.0 / 32.0, 1e-12);
        // Ranks 1 to 4 above, 5 below: 10 or more of 15, counted by hand: 10 of 32.
        near(wilcoxon(&[1.0, 2.0, 3.0, 4.0, -5.0]), 10.0 / 32.0, 1e-12);
        near(wilcoxon(&[]), 1.0, 1e-12);
        near(wilcoxon(&[0.0, f64::NAN]), 1.0, 1e-12);
        // Four equals share the rank 2.5: 3 or 4 above are 5 of 16 ways.
        near(wilcoxon(&[1.0, 1.0, 1.0, -1.0]), 5.0 / 16.0, 1e-12);
    }

    #[test]
    fn both_ways_of_many_pairs_agree() {
        let pair = |i: i32| f64::from(i) * if i % 5 < 2 { -1.0 } else { 1.0 };
        let differences: Vec<f64> = (1..200).map(pair).collect();
        let ranks = doubled_ranks(&differences);
        let above = ranks.iter().zip(&differences).filter(|(_, d)| **d > 0.0);
        let above = above.map(|(rank, _)| rank).sum();
        let exact = counted(&ranks, above);
        near(normal(&ranks, above) / exact, 1.0, 0.05);
        let many: Vec<f64> = (1..600).map(pair).collect();
        assert!(many.len() > EXACT_MAX);
        assert!(wilcoxon(&many) < exact);
        near(upper(1.959_964), 0.025, 1e-6);
        near(upper(-1.0), 0.841_344_7, 1e-6);
    }
}
