//! Coefficient of determination.
//!
//! *Invariants*: 1 for a perfect prediction, 0 for the truth's own mean, below it for worse.
//!
//! *Not here*: the training mean's score (`job::scores`).

use crate::metric::{known, mean};

/// Returns 1 - Σ(predicted - truth)² / Σ(truth - mean)²; NaN where every truth is the same.
pub fn r2(predicted: &[f32], truth: &[f32]) -> f64 {
    let middle = mean(known(predicted, truth).map(|(_, t)| t));
    let left = mean(known(predicted, truth).map(|(p, t)| (p - t).powi(2)));
    let all = mean(known(predicted, truth).map(|(_, t)| (t - middle).powi(2)));
    if all > 0.0 {
        1.0 - left / all
    } else {
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::r2;

    #[test]
    fn it_is_the_share_of_the_variance_that_is_explained() {
        let truth = [1.0, 2.0, 3.0, f32::NAN];
        assert!((r2(&[1.0, 2.0, 3.0, 9.0], &truth) - 1.0).abs() < 1e-12);
        assert!(r2(&[2.0, 2.0, 2.0, 9.0], &truth).abs() < 1e-12);
        assert!((r2(&[1.0, 2.0, 4.0, 9.0], &truth) - 0.5).abs() < 1e-12);
        assert!(r2(&[1.0, 2.0], &[5.0, 5.0]).is_nan());
        assert!(r2(&[], &[]).is_nan());
    }
}
