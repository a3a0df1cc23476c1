//! Mean absolute error.
//!
//! *Invariants*: in units of the label.
//!
//! *Not here*: its gradient.

/// Returns the mean of |predicted - truth|; NaN for empty slices.
pub fn mae(predicted: &[f32], truth: &[f32]) -> f64 {
    let pairs = predicted.iter().zip(truth);
    let sum: f64 = pairs
        .map(|(p, t)| (f64::from(*p) - f64::from(*t)).abs())
        .sum();
    sum / predicted.len() as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_mean_of_distances() {
        assert!((super::mae(&[1.0, 2.0], &[0.0, 4.0]) - 1.5).abs() < 1e-12);
        assert!(super::mae(&[], &[]).is_nan());
    }
}
