//! Mergeable statistics of a band's valid pixels.
//!
//! *Invariants*: fill, NaN and infinities are never counted; merging parts gives what one pass over
//! the whole gives, to about 1e-12 of the spread (Chan, Golub, LeVeque 1979).
//!
//! *Not here*: how histograms are binned (`histogram`), statistics over several bands.

use crate::raster::histogram::{Histogram, Quantile};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Samples, each_sample_type};
use crate::split::meta::BandStats;

/// Samples summed before a merge: short enough to keep the sums exact for 16-bit data.
const BLOCK: usize = 4096;

impl BandStats {
    /// Returns the statistics of all finite samples that are not fill; `None` if there are none.
    pub fn of(samples: &Samples, fill: Option<f64>) -> Option<Self> {
        Some(Self {
            histogram: Histogram::of(samples, fill),
            ..Self::moments(samples, fill)?
        })
    }

    /// Returns the statistics without a histogram, which classes do not have.
    pub fn moments(samples: &Samples, fill: Option<f64>) -> Option<Self> {
        each_sample_type!(samples, v => of_pixels(v, fill))
    }

    /// Returns the statistics of both parts together; a histogram only if both have one.
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
            histogram: self
                .histogram
                .as_ref()
                .and_then(|h| h.merge(other.histogram.as_ref()?)),
        }
    }

    /// Returns the least value that at least a share (0..=1) of all values do not exceed; `None`
    /// without a histogram.
    pub fn quantile(&self, share: f64) -> Option<Quantile> {
        let guess = self.histogram.as_ref()?.quantile(share);
        Some(Quantile {
            value: guess.value.clamp(self.min, self.max),
            ..guess
        })
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
            .filter(|v| v.is_finite())
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
        histogram: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::BandStats;
    use crate::raster::Samples;
    use crate::raster::pixel::Pixel;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    /// Merges parts in the order given and compares them with one pass over all.
    fn check<T: Pixel>(values: &[T], cuts: &[usize]) {
        let of = |v: &[T]| BandStats::of(&T::into_samples(v.to_vec()), None);
        let mut bounds: Vec<usize> = cuts.iter().map(|c| c % (values.len() + 1)).collect();
        bounds.extend([0, values.len()]);
        bounds.sort_unstable();
        let parts = bounds.windows(2).filter_map(|w| of(&values[w[0]..w[1]]));
        let merged = parts.reduce(|a, b| a.merge(&b)).unwrap();
        let whole = of(values).unwrap();
        assert_eq!(merged.count, whole.count);
        assert_eq!(merged.histogram, whole.histogram);
        assert!(whole.histogram.is_some());
        let spread = whole.max - whole.min;
        assert!((merged.mean - whole.mean).abs() <= 1e-9 * spread.max(whole.mean.abs()));
        assert!(near(merged.m2, whole.m2), "{merged:?} {whole:?}");
        assert!(near(merged.min, whole.min) && near(merged.max, whole.max));
        let all = || values.iter().map(|v| v.to_f64());
        let mean = all().sum::<f64>() / values.len() as f64;
        let m2: f64 = all().map(|v| (v - mean) * (v - mean)).sum();
        assert!((whole.mean - mean).abs() <= 1e-9 * spread.max(mean.abs()));
        assert!(near(whole.m2, m2), "{whole:?} {m2}");
    }

    macro_rules! merged_parts_equal_the_whole {
        ($($name:ident: $type:ty = $values:expr;)*) => {$(
            proptest! {
                #[test]
                fn $name(
                    values in prop::collection::vec($values, 2..6000),
                    cuts in prop::collection::vec(any::<usize>(), 1..6),
                ) {
                    let values: Vec<$type> = values;
                    check(&values, &cuts);
                }
            }
        )*};
    }

    merged_parts_equal_the_whole! {
        parts_of_u8_equal_the_whole: u8 = any::<u8>();
        parts_of_u16_equal_the_whole: u16 = any::<u16>();
        parts_of_i16_equal_the_whole: i16 = any::<i16>();
        parts_of_u32_equal_the_whole: u32 = any::<u32>();
        parts_of_i32_equal_the_whole: i32 = any::<i32>();
        parts_of_f32_equal_the_whole: f32 = -1e4_f32..1e4;
        parts_of_f64_equal_the_whole: f64 = -1e4_f64..1e4;
    }

    #[test]
    fn infinities_are_not_counted() {
        let samples = Samples::F32(vec![f32::INFINITY, 2.0, f32::NEG_INFINITY, 4.0]);
        let found = BandStats::of(&samples, None).unwrap();
        assert_eq!(found.count, 2);
        assert!(near(found.mean, 3.0) && near(found.max, 4.0), "{found:?}");
        let quantile = found.quantile(0.5).unwrap();
        assert!((quantile.value - 2.0).abs() <= quantile.error);
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
