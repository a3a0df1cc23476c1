//! Planes of numbers as similarity needs them: blurred, halved, with what is masked.
//!
//! *Invariants*: numbers are 64-bit; blurring yields only places whose whole window lies inside.
//!
//! *Not here*: formulas of similarity (`ssim`, `ms_ssim`).

/// Places on each side of a window's centre: 3.5 deviations of 1.5, as in Wang et al. 2004.
pub const RADIUS: usize = 5;
/// Side of the window.
pub const WINDOW: usize = 2 * RADIUS + 1;
/// Standard deviation of the window's weights.
const SIGMA: f64 = 1.5;

/// Numbers in rows.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Plane {
    /// Columns.
    pub width: usize,
    /// Numbers, row by row.
    pub values: Vec<f64>,
}

impl Plane {
    /// Combines two planes of one shape, number by number.
    pub fn zip(&self, other: &Self, each: impl Fn(f64, f64) -> f64) -> Self {
        let pairs = self.values.iter().zip(&other.values);
        Self {
            width: self.width,
            values: pairs.map(|(a, b)| each(*a, *b)).collect(),
        }
    }

    /// Returns the rows.
    pub fn height(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Returns the weighted mean of the window around each place that has a whole one.
    ///
    /// Empty where the plane is smaller than a window.
    pub fn blurred(&self) -> Self {
        let weights = weights();
        self.filtered(&|window| weights.iter().zip(window).map(|(w, v)| w * v).sum())
    }

    /// Returns the greatest number of each whole window.
    pub fn greatest(&self) -> Self {
        self.filtered(&|window| window.fold(f64::NEG_INFINITY, f64::max))
    }

    /// Filters along rows, then along columns.
    fn filtered(&self, filter: &dyn Fn(&mut dyn Iterator<Item = f64>) -> f64) -> Self {
        let (width, height) = (self.width, self.height());
        if width < WINDOW || height < WINDOW {
            let values = Vec::new();
            return Self { width: 0, values };
        }
        let (across, down) = (width - WINDOW + 1, height - WINDOW + 1);
        let along_row = |i: usize| {
            let start = i / across * width + i % across;
            filter(&mut self.values[start..start + WINDOW].iter().copied())
        };
        let rows: Vec<f64> = (0..across * height).map(along_row).collect();
        let along_column =
            |i: usize| filter(&mut rows[i..].iter().step_by(across).take(WINDOW).copied());
        Self {
            width: across,
            values: (0..across * down).map(along_column).collect(),
        }
    }

    /// Returns the mean of each 2×2 pixels; an odd side is widened by a border of zeros on both
    /// sides first, as pytorch-msssim does it.
    pub fn halved(&self) -> Self {
        self.pooled(|sum, one| sum + one / 4.0)
    }

    /// Returns the greatest of each 2×2 pixels, at the same places.
    pub fn halved_greatest(&self) -> Self {
        self.pooled(f64::max)
    }

    fn pooled(&self, join: impl Fn(f64, f64) -> f64) -> Self {
        let (width, height) = (self.width, self.height());
        let (left, top) = (width % 2, height % 2);
        let half = width / 2 + left;
        let mut values = vec![0.0; half * (height / 2 + top)];
        for (i, value) in self.values.iter().enumerate() {
            let (row, column) = (i / width + top, i % width + left);
            let at = row / 2 * half + column / 2;
            values[at] = join(values[at], *value);
        }
        let width = half;
        Self { width, values }
    }
}

/// Returns the weights of a window along one axis; they sum to 1.
fn weights() -> [f64; WINDOW] {
    let mut weights = [0.0; WINDOW];
    for (i, weight) in weights.iter_mut().enumerate() {
        let distance = i as f64 - RADIUS as f64;
        *weight = (-distance.powi(2) / (2.0 * SIGMA * SIGMA)).exp();
    }
    let sum: f64 = weights.iter().sum();
    weights.map(|w| w / sum)
}

#[cfg(test)]
mod tests {
    use super::{Plane, WINDOW, weights};

    #[test]
    fn weights_sum_to_1_and_peak_in_the_middle() {
        assert!((weights().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(weights().iter().all(|w| *w <= weights()[WINDOW / 2]));
    }

    #[test]
    fn only_whole_windows_are_blurred() {
        let plane = |width: usize, height: usize| Plane {
            width,
            values: vec![3.0; width * height],
        };
        let blurred = plane(12, 11).blurred();
        assert_eq!((blurred.width, blurred.height()), (2, 1));
        assert!(blurred.values.iter().all(|v| (v - 3.0).abs() < 1e-12));
        assert!(plane(10, 40).blurred().values.is_empty());
    }

    #[test]
    fn an_odd_side_is_halved_with_a_border_of_zeros() {
        let plane = Plane {
            width: 3,
            values: vec![4.0; 6],
        };
        let halved = plane.halved();
        assert_eq!((halved.width, halved.values), (2, vec![2.0, 4.0]));
    }
}
