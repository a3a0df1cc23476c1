//! Scores of predictions against truth, one a file.
//!
//! *Invariants*: sums run in 64 bits and in order; a truth that is NaN is masked (fill, cloud, the
//! dark) and counts nowhere; a prediction that is NaN beside a truth makes the score NaN; the score
//! of nothing is NaN, never a good one.
//!
//! *Not here*: losses, which must be differentiable (`loss`).

pub mod mae;
pub mod ms_ssim;
pub mod mse;
pub mod plane;
pub mod psnr;
pub mod r2;
pub mod ssim;
pub mod wilcoxon;

/// Returns the pairs of prediction and truth that have a truth.
fn known(predicted: &[f32], truth: &[f32]) -> impl Iterator<Item = (f64, f64)> {
    let pairs = predicted.iter().zip(truth).filter(|(_, t)| !t.is_nan());
    pairs.map(|(p, t)| (f64::from(*p), f64::from(*t)))
}

/// Returns the mean of some numbers, NaN for none.
fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_u64);
    for number in numbers {
        sum += number;
        count += 1;
    }
    sum / count as f64
}
