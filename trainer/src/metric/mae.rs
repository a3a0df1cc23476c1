//! Mean absolute error.
//!
//! *Invariants*: in units of the label.
//!
//! *Not here*: its gradient.

use crate::metric::{known, mean};

/// Returns the mean of |predicted - truth| where there is a truth; NaN where there is none at all.
pub fn mae(predicted: &[f32], truth: &[f32]) -> f64 {
    mean(known(predicted, truth).map(|(p, t)| (p - t).abs()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_mean_of_distances() {
        assert!((super::mae(&[1.0, 2.0], &[0.0, 4.0]) - 1.5).abs() < 1e-12);
        assert!((super::mae(&[1.0, 9.0], &[0.0, f32::NAN]) - 1.0).abs() < 1e-12);
        assert!(super::mae(&[], &[]).is_nan());
    }
}
