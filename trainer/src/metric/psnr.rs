//! Peak signal-to-noise ratio in decibels (S001 §II.D).
//!
//! *Invariants*: equal to scikit-image's `peak_signal_noise_ratio` where nothing is masked.
//!
//! *Not here*: what the range of a label is (`recipe`).

use crate::metric::mse::mse;

/// Returns 10 log10(range² / mse); infinite for a perfect prediction.
pub fn psnr(predicted: &[f32], truth: &[f32], range: f64) -> f64 {
    10.0 * (range.powi(2) / mse(predicted, truth)).log10()
}

#[cfg(test)]
mod tests {
    use super::psnr;

    #[test]
    fn a_tenth_of_the_range_is_20_decibels() {
        assert!((psnr(&[0.2, 7.0], &[0.0, f32::NAN], 2.0) - 20.0).abs() < 1e-5);
        assert!(psnr(&[0.2], &[0.2], 2.0).is_infinite());
        assert!(psnr(&[], &[], 2.0).is_nan());
    }
}
