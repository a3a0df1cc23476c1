//! Mergeable statistics of a band's valid pixels.
//!
//! *Invariants*: fill and NaN are never counted; merging parts gives what one pass over the whole
//! gives, to about 1e-12 of the spread (Chan, Golub, LeVeque 1979).
//!
//! *Not here*: histograms, statistics over several bands.

use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Samples, each_sample_type};
use crate::split::meta::BandStats;

/// Samples summed before a merge: short enough to keep the sums exact for 16-bit data.
const BLOCK: usize = 4096;

impl BandStats {
    /// Returns the statistics of all samples that are neither fill nor NaN; `None` if there are
    /// none.
    pub fn of(samples: &Samples, fill: Option<f64>) -> Option<Self> {
        each_sample_type!(samples, v => of_pixels(v, fill))
    }

    /// Returns the statistics of both parts together.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let count = self.count + other.count;
        let (n, m) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        Self {
            count,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            mean: self.mean + delta * (m / (n + m)),
            m2: self.m2 + other.m2 + delta * delta * (n * m / (n + m)),
        }
    }

    /// Returns the variance of the population; 0 for a single pixel.
    pub fn variance(&self) -> f64 {
        self.m2 / self.count as f64
    }

    /// Returns the standard deviation of the population.
    pub fn deviation(&self) -> f64 {
        self.variance().sqrt()
    }
}

fn of_pixels<T: Pixel>(values: &[T], fill: Option<f64>) -> Option<BandStats> {
    let fill = fill.and_then(T::exactly);
    let blocks = values
        .chunks(BLOCK)
        .filter_map(|block| of_block(block, fill));
    blocks.reduce(|a, b| a.merge(&b))
}

/// Two passes over a block that lies in cache: mean first, then squared differences.
fn of_block<T: Pixel>(block: &[T], fill: Option<T>) -> Option<BandStats> {
    let valid = || {
        block
            .iter()
            .filter(|s| !is_fill(**s, fill))
            .map(|s| s.to_f64())
    };
    let (mut count, mut sum, mut min, mut max) = (0_u64, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    for value in valid() {
        count += 1;
        sum += value;
        min = value.min(min);
        max = value.max(max);
    }
    if count == 0 {
        return None;
    }
    let mean = sum / count as f64;
    let m2 = valid().map(|v| (v - mean) * (v - mean)).sum();
    Some(BandStats {
        count,
        min,
        max,
        mean,
        m2,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::BandStats;
    use crate::raster::Samples;

    fn stats(values: &[f64]) -> Option<BandStats> {
        BandStats::of(&Samples::F64(values.to_vec()), None)
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    proptest! {
        #[test]
        fn merged_parts_equal_the_whole(
            values in prop::collection::vec(-1e4_f64..1e4, 2..9000),
            cut in 1_usize..8999,
        ) {
            let cut = cut.min(values.len() - 1);
            let whole = stats(&values).unwrap();
            let merged = stats(&values[..cut]).unwrap().merge(&stats(&values[cut..]).unwrap());
            prop_assert_eq!(merged.count, whole.count);
            prop_assert!(near(merged.mean, whole.mean), "{merged:?} {whole:?}");
            prop_assert!(near(merged.m2, whole.m2), "{merged:?} {whole:?}");
            prop_assert!(near(merged.min, whole.min) && near(merged.max, whole.max));
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let m2: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
            prop_assert!(near(whole.mean, mean) && near(whole.m2, m2));
        }
    }

    #[test]
    fn fill_and_nan_are_not_counted() {
        let samples = Samples::F32(vec![f32::NAN, 4.0, -1.0, 8.0]);
        let found = BandStats::of(&samples, Some(-1.0)).unwrap();
        assert_eq!(found.count, 2);
        assert!(near(found.mean, 6.0) && near(found.m2, 8.0));
        assert_eq!(BandStats::of(&Samples::U8(vec![0, 0]), Some(0.0)), None);
    }
}
