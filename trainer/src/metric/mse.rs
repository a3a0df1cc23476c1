//! Mean squared error.
//!
//! *Invariants*: in squared units of the label.
//!
//! *Not here*: its gradient.

/// Returns the mean of (predicted - truth)²; NaN for empty slices.
pub fn mse(predicted: &[f32], truth: &[f32]) -> f64 {
    let pairs = predicted.iter().zip(truth);
    let sum: f64 = pairs
        .map(|(p, t)| (f64::from(*p) - f64::from(*t)).powi(2))
        .sum();
    sum / predicted.len() as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_mean_of_squares() {
        assert!((super::mse(&[1.0, 2.0], &[0.0, 4.0]) - 2.5).abs() < 1e-12);
        assert!(super::mse(&[], &[]).is_nan());
    }
}
