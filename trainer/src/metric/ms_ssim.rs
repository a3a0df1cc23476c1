//! Structural similarity at several scales (Wang, Simoncelli, Bovik 2003), as in pytorch-msssim.
//!
//! Contrast and structure at every scale but the last, all three at the last; each is held at 0 or
//! above and enters with its scale's weight as exponent. Between scales images are halved.
//!
//! **Small images.** Five scales need a side of 161 pixels. Smaller ones are compared at as many
//! scales as leave a whole window, their weights scaled to sum to 1; how many is told with the
//! score, since scores of different scales are not alike.
//!
//! *Invariants*: with five scales equal to pytorch-msssim's `ms_ssim`; a window that touches a
//! masked pixel, at any scale, counts nowhere.
//!
//! *Not here*: one scale (`ssim`).

use crate::metric::plane::WINDOW;
use crate::metric::ssim::{Images, Pair, similarity};

/// Weights of the scales, finest first (Wang et al. 2003, table of §4).
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// Returns at how many scales images of that side are compared; 0 where no window fits.
pub fn scales(side: usize) -> usize {
    // pytorch-msssim's own condition for five: (side - 1) / 2^4 at least a window less one.
    let fits = |scale: &usize| side > (WINDOW - 1) << scale;
    (0..WEIGHTS.len()).filter(fits).count()
}

/// Returns the structural similarity at several scales; NaN where no window is whole and clear at
/// one of them.
pub fn ms_ssim(pair: Pair<'_>, range: f64) -> f64 {
    let height = pair.truth.len() / pair.width.max(1);
    let scales = scales(pair.width.min(height));
    let all: f64 = WEIGHTS[..scales].iter().sum();
    let mut images = Images::of(pair);
    let mut product = if scales == 0 { f64::NAN } else { 1.0 };
    for (i, weight) in WEIGHTS[..scales].iter().enumerate() {
        let found = similarity(&images, range);
        let is_last = i + 1 == scales;
        let score = if is_last {
            found.whole
        } else {
            found.structure
        };
        // `f64::max` would turn NaN, no window at all, into 0, a score.
        let held = if score < 0.0 { 0.0 } else { score };
        product *= held.powf(weight / all);
        if !is_last {
            images = images.halved();
        }
    }
    product
}

impl Images {
    /// Returns both images at half the side; a pixel made of a masked one is masked.
    fn halved(&self) -> Self {
        Self {
            one: self.one.halved(),
            other: self.other.halved(),
            masked: self.masked.halved_greatest(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ms_ssim, scales};
    use crate::metric::ssim::Pair;

    #[test]
    fn five_scales_need_161_pixels_and_a_chip_of_32_has_two() {
        assert_eq!([10, 11, 32, 64, 160, 161].map(scales), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn equal_images_are_1_and_nothing_is_no_score() {
        let truth: Vec<f32> = (0..40_u16 * 40).map(|i| f32::from(i % 37)).collect();
        let pair = |predicted, truth| Pair {
            predicted,
            truth,
            width: 40,
        };
        assert!((ms_ssim(pair(&truth, &truth), 40.0) - 1.0).abs() < 1e-12);
        let masked = vec![f32::NAN; truth.len()];
        assert!(ms_ssim(pair(&truth, &masked), 40.0).is_nan());
    }
}
