//! Mean squared error.
//!
//! *Invariants*: in squared units of the label.
//!
//! *Not here*: its gradient (`loss`).

use crate::metric::{known, mean};

/// Returns the mean of (predicted - truth)² where there is a truth; NaN where there is none at all.
pub fn mse(predicted: &[f32], truth: &[f32]) -> f64 {
    mean(known(predicted, truth).map(|(p, t)| (p - t).powi(2)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_mean_of_squares() {
        assert!((super::mse(&[1.0, 2.0], &[0.0, 4.0]) - 2.5).abs() < 1e-12);
        assert!((super::mse(&[1.0, 9.0], &[0.0, f32::NAN]) - 1.0).abs() < 1e-12);
        assert!(super::mse(&[f32::NAN], &[0.0]).is_nan());
        assert!(super::mse(&[], &[]).is_nan());
    }
}
