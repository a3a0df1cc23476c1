//! Structural similarity (Wang et al. 2004): luminance, contrast and structure in sliding windows.
//!
//! Windows of 11×11 weighted by a Gaussian of 1.5, constants 0.01 and 0.03, covariances of the
//! whole: scikit-image's `structural_similarity` with `gaussian_weights=True, sigma=1.5,
//! use_sample_covariance=False`, and pytorch-msssim's `ssim`.
//!
//! *Invariants*: a window that touches a masked pixel counts nowhere; 1 for equal images.
//!
//! *Not here*: several scales (`ms_ssim`).

use crate::metric::mean;
use crate::metric::plane::Plane;

/// Steadies the comparison of luminances, in shares of the range.
const K1: f64 = 0.01;
/// Steadies the comparison of contrasts, in shares of the range.
const K2: f64 = 0.03;

/// A prediction beside its truth, row by row; NaN in the truth is masked.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// What was predicted.
    pub predicted: &'a [f32],
    /// What is true.
    pub truth: &'a [f32],
    /// Columns.
    pub width: usize,
}

/// Mean similarity of two images over their windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Luminance, contrast and structure.
    pub whole: f64,
    /// Contrast and structure alone.
    pub structure: f64,
}

/// Two images of one shape, and where they are masked (1) or not (0).
#[derive(Debug, Clone)]
pub(super) struct Images {
    pub(super) one: Plane,
    pub(super) other: Plane,
    pub(super) masked: Plane,
}

/// Returns the mean structural similarity; NaN where no window is whole and clear.
pub fn ssim(pair: Pair<'_>, range: f64) -> f64 {
    similarity(&Images::of(pair), range).whole
}

impl Images {
    /// Reads a pair; masked pixels are 0 in both.
    pub(super) fn of(pair: Pair<'_>) -> Self {
        let clear = |values: &[f32]| {
            let pixels = values.iter().zip(pair.truth);
            let pixel = |(v, t): (&f32, &f32)| if t.is_nan() { 0.0 } else { f64::from(*v) };
            pixels.map(pixel).collect()
        };
        let masked = pair.truth.iter().map(|t| f64::from(u8::from(t.is_nan())));
        let plane = |values| Plane {
            width: pair.width,
            values,
        };
        Self {
            one: plane(clear(pair.predicted)),
            other: plane(clear(pair.truth)),
            masked: plane(masked.collect()),
        }
    }
}

/// Returns the mean similarity over the windows that are whole and clear.
pub(super) fn similarity(images: &Images, range: f64) -> Similarity {
    let (one, other) = (&images.one, &images.other);
    let product = |a: &Plane, b: &Plane| a.zip(b, |a, b| a * b).blurred();
    let (mean_one, mean_other) = (one.blurred(), other.blurred());
    let (squares_one, squares_other) = (product(one, one), product(other, other));
    let products = product(one, other);
    let masked = images.masked.greatest();
    let (c1, c2) = ((K1 * range).powi(2), (K2 * range).powi(2));
    let windows = (0..products.values.len()).filter(|i| masked.values[*i] < 0.5);
    let scores = windows.map(|i| {
        let (a, b) = (mean_one.values[i], mean_other.values[i]);
        let luminance = (2.0 * a * b + c1) / (a * a + b * b + c1);
        let variances = squares_one.values[i] - a * a + squares_other.values[i] - b * b;
        let covariance = products.values[i] - a * b;
        let structure = (2.0 * covariance + c2) / (variances + c2);
        (luminance * structure, structure)
    });
    let scores: Vec<(f64, f64)> = scores.collect();
    Similarity {
        whole: mean(scores.iter().map(|s| s.0)),
        structure: mean(scores.iter().map(|s| s.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Pair, ssim};

    fn waves(side: usize, phase: f32) -> Vec<f32> {
        let wave = |i: usize| ((i / side) as f32 * 0.3 + (i % side) as f32 * 0.2 + phase).sin();
        (0..side * side).map(wave).collect()
    }

    fn score(predicted: &[f32], truth: &[f32]) -> f64 {
        let width = truth.len().isqrt();
        ssim(
            Pair {
                predicted,
                truth,
                width,
            },
            2.0,
        )
    }

    #[test]
    fn equal_images_are_1_and_unlike_ones_less() {
        let truth = waves(20, 0.0);
        assert!((score(&truth, &truth) - 1.0).abs() < 1e-12);
        let near = score(&waves(20, 0.2), &truth);
        assert!(score(&waves(20, 1.5), &truth) < near && near < 1.0);
        assert!(
            score(&waves(10, 0.0), &waves(10, 0.0)).is_nan(),
            "no whole window"
        );
    }

    #[test]
    fn a_masked_half_leaves_the_score_of_the_other_half() {
        let side = 30;
        let (mut truth, mut predicted) = (waves(side, 0.0), waves(side, 0.3));
        let right = |image: &[f32]| -> Vec<f32> {
            let rows = image.chunks_exact(side);
            rows.flat_map(|row| row[side / 2..].to_vec()).collect()
        };
        let half = Pair {
            predicted: &right(&predicted),
            truth: &right(&truth),
            width: side / 2,
        };
        let alone = ssim(half, 2.0);
        for i in (0..side * side).filter(|i| i % side < side / 2) {
            truth[i] = f32::NAN;
            predicted[i] = 1e6;
        }
        let masked = score(&predicted, &truth);
        assert!(
            alone < 1.0 && (alone - masked).abs() < 1e-12,
            "{alone} {masked}"
        );
    }
}
