//! Mergeable histogram of a band's values, in bins that do not depend on the values seen.
//!
//! Bins are log-linear, as in HDR histograms: whole numbers below 256 have a bin each, above that
//! every octave has 128; fractions have 128 an octave everywhere. Where more than `BINS_MAX` of
//! them are in use, neighbours are joined in twos until no more are (`joined` counts how often);
//! joined bins nest, so that a merge joins further and loses nothing that one pass over all values
//! would have kept. Whole numbers that are all below 256 are never joined.
//!
//! *Invariants*: `of(a ∪ b) == of(a).merge(of(b))`, to the last count; bins ascend and none is
//! empty.
//!
//! *Not here*: counts of classes (`raster::classes`), moments (`raster::stats`).

pub mod bins;
mod runs;

use serde::{Deserialize, Serialize};

use crate::raster::histogram::bins::{Numbers, Span};
use crate::raster::histogram::runs::{Runs, RunsError};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Samples, each_sample_type};

/// Whole numbers below this keep a bin each: every value of a byte.
pub const EXACT_END: u32 = 256;

/// Most bins in use: 400 bytes a band, 1 to 2 % of a Sentinel-2 split.
pub const BINS_MAX: usize = 128;

/// How often values lie in each bin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Runs", into = "Runs")]
pub struct Histogram {
    numbers: Numbers,
    joined: u8,
    /// Bin and count, ascending.
    counts: Vec<(i32, u64)>,
}

/// A value below which a share of all values lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The value.
    pub value: f64,
    /// How far it may lie from the exact one, at most.
    pub error: f64,
}

impl Histogram {
    /// Counts all finite samples that are not fill; `None` if there are none.
    pub fn of(samples: &Samples, fill: Option<f64>) -> Option<Self> {
        each_sample_type!(samples, v => of_pixels(v, fill))
    }

    /// Returns what one pass over the values of both would count; `None` where one counts whole
    /// numbers and the other fractions.
    pub fn merge(&self, other: &Self) -> Option<Self> {
        if self.numbers != other.numbers {
            return None;
        }
        let joined = self.joined.max(other.joined);
        let (mut left, right) = (self.clone(), other.clone().coarser(joined));
        left = left.coarser(joined);
        left.counts.extend(right.counts);
        left.counts.sort_unstable_by_key(|(bin, _)| *bin);
        Some(left.coarser(joined).fitted())
    }

    /// Returns the number of values.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Returns bins with their counts, ascending.
    pub fn bins(&self) -> impl Iterator<Item = (Span, u64)> {
        let span = |bin| self.numbers.span(bin, self.joined);
        self.counts
            .iter()
            .map(move |(bin, count)| (span(*bin), *count))
    }

    /// Returns the least value that at least a share (0..=1) of all values do not exceed, guessed
    /// evenly inside its bin.
    pub fn quantile(&self, share: f64) -> Quantile {
        let wanted = share.clamp(0.0, 1.0) * self.total() as f64;
        let mut below = 0_u64;
        let mut found = None;
        for (span, count) in self.bins() {
            found = Some((span, count, below));
            below += count;
            if below as f64 >= wanted {
                break;
            }
        }
        let Some((span, count, below)) = found else {
            return Quantile {
                value: f64::NAN,
                error: f64::INFINITY,
            };
        };
        let inside = ((wanted - below as f64) / count as f64).clamp(0.0, 1.0);
        let value = span.least * (1.0 - inside) + span.greatest * inside;
        let error = (value - span.least).max(span.greatest - value);
        Quantile { value, error }
    }

    /// Joins bins until they are joined so often, and adds up those that fall together.
    fn coarser(mut self, joined: u8) -> Self {
        let further = joined - self.joined;
        self.joined = joined;
        let mut counts: Vec<(i32, u64)> = Vec::with_capacity(self.counts.len());
        for (bin, count) in self.counts {
            let bin = bins::join(bin, further);
            match counts.last_mut() {
                Some((last, sum)) if *last == bin => *sum += count,
                _ => counts.push((bin, count)),
            }
        }
        Self { counts, ..self }
    }

    /// Joins bins as long as there are too many.
    fn fitted(mut self) -> Self {
        while self.counts.len() > limit(self.numbers, self.joined, &self.counts) {
            let next = self.joined + 1;
            self = self.coarser(next);
        }
        self
    }
}

/// Returns the greatest number of bins that may be in use.
fn limit(numbers: Numbers, joined: u8, counts: &[(i32, u64)]) -> usize {
    let small = |bin: &(i32, u64)| (0..EXACT_END.cast_signed()).contains(&bin.0);
    let ends = [counts.first(), counts.last()];
    let bytes =
        numbers == Numbers::Integers && joined == 0 && ends.into_iter().flatten().all(small);
    if bytes { EXACT_END as usize } else { BINS_MAX }
}

fn of_pixels<T: Pixel>(values: &[T], fill: Option<f64>) -> Option<Histogram> {
    let numbers = Numbers::of::<T>();
    let fill = fill.and_then(T::exactly);
    let finite = || {
        let valid = values.iter().filter(|s| !is_fill(**s, fill));
        valid.map(|s| s.to_f64()).filter(|v| v.is_finite())
    };
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) = finite().fold(ends, |(a, b), value| (value.min(a), value.max(b)));
    if low > high {
        return None;
    }
    // Bins ascend with values.
    let (least, greatest) = (numbers.bin(low), numbers.bin(high));
    let width = usize::try_from(i64::from(greatest) - i64::from(least) + 1).ok()?;
    let mut dense = vec![0_u64; width];
    for value in finite() {
        dense[numbers.bin(value).abs_diff(least) as usize] += 1;
    }
    let counts = (least..).zip(dense).filter(|(_, count)| *count > 0);
    let exact = Histogram {
        numbers,
        joined: 0,
        counts: counts.collect(),
    };
    Some(exact.fitted())
}

impl TryFrom<Runs> for Histogram {
    type Error = RunsError;

    fn try_from(runs: Runs) -> Result<Self, RunsError> {
        let counts = runs.counts()?;
        Ok(Self {
            numbers: runs.of,
            joined: runs.joined,
            counts,
        })
    }
}

impl From<Histogram> for Runs {
    fn from(histogram: Histogram) -> Self {
        Self::new(histogram.numbers, histogram.joined, &histogram.counts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::{EXACT_END, Histogram};
    use crate::raster::Samples;
    use crate::raster::pixel::Pixel;

    /// The exact inverse of the distribution function, from sorted values.
    fn exact(sorted: &[f64], share: f64) -> f64 {
        let enough = |rank: &usize| *rank as f64 >= share * sorted.len() as f64;
        let rank = (1..=sorted.len()).find(enough).unwrap_or(sorted.len());
        sorted[rank - 1]
    }

    fn check<T: Pixel>(values: &[T], cut: usize, share: f64) {
        let whole = Histogram::of(&T::into_samples(values.to_vec()), None);
        let (a, b) = values.split_at(cut % values.len());
        let part = |v: &[T]| Histogram::of(&T::into_samples(v.to_vec()), None);
        let merged = match (part(a), part(b)) {
            (Some(a), Some(b)) => a.merge(&b),
            (a, b) => a.or(b),
        };
        assert_eq!(merged, whole);
        let mut sorted: Vec<f64> = values.iter().map(|v| v.to_f64()).collect();
        sorted.retain(|v| v.is_finite());
        sorted.sort_by(f64::total_cmp);
        let Some(whole) = whole else {
            return assert!(sorted.is_empty());
        };
        assert_eq!(whole.total(), sorted.len() as u64);
        let found = whole.quantile(share);
        let wanted = exact(&sorted, share);
        let slack = 1e-9 * wanted.abs();
        assert!(
            (found.value - wanted).abs() <= found.error + slack,
            "{found:?}, exactly {wanted}"
        );
        let json = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), whole);
    }

    macro_rules! parts_make_the_whole {
        ($($name:ident: $type:ty;)*) => {$(
            proptest! {
                #[test]
                fn $name(
                    values in prop::collection::vec(any::<$type>(), 1..900),
                    cut in any::<usize>(),
                    share in 0.0_f64..=1.0,
                ) {
                    check(&values, cut, share);
                }
            }
        )*};
    }

    parts_make_the_whole! {
        bytes_merge_exactly: u8;
        u16_merge_exactly: u16;
        i16_merge_exactly: i16;
        u32_merge_exactly: u32;
        i32_merge_exactly: i32;
        f32_merge_exactly: f32;
        f64_merge_exactly: f64;
    }

    proptest! {
        #[test]
        fn narrow_values_merge_exactly_too(
            values in prop::collection::vec(0_u16..3_000, 1..3000),
            cut in any::<usize>(),
            share in 0.0_f64..=1.0,
        ) {
            check(&values, cut, share);
            let floats: Vec<f32> = values.iter().map(|v| f32::from(*v) * 1e-4 - 0.1).collect();
            check(&floats, cut, share);
        }

        #[test]
        fn every_byte_has_its_own_bin(values in prop::collection::vec(any::<u8>(), 1..3000)) {
            let found = Histogram::of(&Samples::U8(values.clone()), None).unwrap();
            for (span, count) in found.bins() {
                prop_assert!((span.greatest - span.least).abs() < 1e-12);
                let same = values.iter().filter(|v| (f64::from(**v) - span.least).abs() < 0.5);
                prop_assert_eq!(same.count() as u64, count);
            }
        }
    }

    #[test]
    fn fill_nan_and_infinity_are_not_counted() {
        let samples = Samples::F32(vec![f32::NAN, f32::INFINITY, -1.0, 4.0]);
        assert_eq!(Histogram::of(&samples, Some(-1.0)).unwrap().total(), 1);
        assert_eq!(Histogram::of(&Samples::U8(vec![0, 0]), Some(0.0)), None);
        assert_eq!(Histogram::of(&Samples::U8(vec![]), None), None);
    }

    #[test]
    fn whole_numbers_and_fractions_do_not_merge() {
        let bytes = Histogram::of(&Samples::U8(vec![1]), None).unwrap();
        let floats = Histogram::of(&Samples::F32(vec![1.0]), None).unwrap();
        assert_eq!(bytes.merge(&floats), None);
        let wider = Histogram::of(&Samples::U16(vec![1]), None).unwrap();
        assert_eq!(bytes.merge(&wider).unwrap().total(), 2);
    }

    #[test]
    fn the_form_in_files_stays() {
        let samples = Samples::U16(vec![3, 3, 4, 6, 900, 901, 40]);
        let found = Histogram::of(&samples, None).unwrap();
        let json = r#"{"of":"integers","joined":0,"runs":[[3,2,1,0,1],[40,1],[481,2]]}"#;
        assert_eq!(serde_json::to_string(&found).unwrap(), json);
        let bounds: Vec<_> = found.bins().map(|(s, _)| (s.least, s.greatest)).collect();
        assert_eq!(bounds.last(), Some(&(900.0, 903.0)));
    }

    #[test]
    fn foreign_text_is_refused() {
        let many: Vec<String> = (0..=EXACT_END).map(|_| "1".to_owned()).collect();
        let many = format!("[0,{}]", many.join(","));
        for runs in [
            "[[5]]",
            "[[]]",
            "[[5,0]]",
            "[[5,0,1]]",
            "[[5,1],[5,1]]",
            "[[5,1],[3,1]]",
            "[[2147483647,1,1]]",
            "[[99999999999,1]]",
            "[[1,9223372036854775807,9223372036854775807]]",
            "[[5,-1]]",
            many.as_str(),
        ] {
            let json = format!(r#"{{"of":"integers","joined":0,"runs":{runs}}}"#);
            assert!(serde_json::from_str::<Histogram>(&json).is_err(), "{runs}");
        }
        let json = r#"{"of":"integers","joined":200,"runs":[[1,1]]}"#;
        assert!(serde_json::from_str::<Histogram>(json).is_err());
    }
}
