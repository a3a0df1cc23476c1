//! How often each class of a categorical band occurs.
//!
//! *Invariants*: values ascend, none is counted 0 times; counts of parts add up to those of the
//! whole; fill is no class.
//!
//! *Not here*: which classes are clouds (`raster::cloud`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Samples, each_sample_type};

/// Most classes that are counted: quality flags of a cell have some hundred values, and a band of
/// more is no set of classes.
pub const CLASSES_MAX: usize = 512;

/// How often a class occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// The stored value.
    pub value: i64,
    /// Pixels.
    pub count: u64,
}

/// What a class is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassName {
    /// The stored value.
    pub value: u32,
    /// Its name, such as `water`.
    pub name: String,
}

impl ClassName {
    /// Builds the names of a table.
    pub fn table(names: &[(u32, &str)]) -> Vec<Self> {
        let name = |(value, name): &(u32, &str)| Self {
            value: *value,
            name: (*name).to_owned(),
        };
        names.iter().map(name).collect()
    }
}

/// Counts the classes of all samples that are not fill; `None` if one is no whole number or there
/// are more than `CLASSES_MAX`.
pub fn count(samples: &Samples, fill: Option<f64>) -> Option<Vec<ClassCount>> {
    each_sample_type!(samples, v => count_pixels(v, fill))
}

/// Returns the counts of both parts together; `None` if there are more than `CLASSES_MAX`.
pub fn merge(a: &[ClassCount], b: &[ClassCount]) -> Option<Vec<ClassCount>> {
    let mut counts = BTreeMap::new();
    for class in a.iter().chain(b) {
        *counts.entry(class.value).or_default() += class.count;
    }
    listed(&counts)
}

fn count_pixels<T: Pixel>(values: &[T], fill: Option<f64>) -> Option<Vec<ClassCount>> {
    let fill = fill.and_then(T::exactly);
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    // Classes lie side by side: equal neighbours are counted at once.
    for run in values.chunk_by(|a, b| a == b) {
        if is_fill(run[0], fill) {
            continue;
        }
        *counts.entry(whole(run[0].to_f64())?).or_default() += run.len() as u64;
        if counts.len() > CLASSES_MAX {
            return None;
        }
    }
    listed(&counts)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "the comparison asks whether the cast was exact"
)]
fn whole(value: f64) -> Option<i64> {
    let cut = value as i64;
    (cut as f64 == value).then_some(cut)
}

fn listed(counts: &BTreeMap<i64, u64>) -> Option<Vec<ClassCount>> {
    let class = |(value, count): (&i64, &u64)| ClassCount {
        value: *value,
        count: *count,
    };
    (counts.len() <= CLASSES_MAX).then(|| counts.iter().map(class).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::{ClassCount, count, merge};
    use crate::raster::Samples;

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(
            values in prop::collection::vec(any::<u8>(), 1..600),
            cut in any::<usize>(),
        ) {
            let classes = |v: &[u8]| count(&Samples::U8(v.to_vec()), Some(0.0)).unwrap();
            let (a, b) = values.split_at(cut % values.len());
            prop_assert_eq!(merge(&classes(a), &classes(b)).unwrap(), classes(&values));
            for class in classes(&values) {
                let same = values.iter().filter(|v| i64::from(**v) == class.value).count();
                prop_assert_eq!(same as u64, class.count);
            }
        }
    }

    #[test]
    fn fill_is_no_class_and_fractions_are_none() {
        let classes = count(&Samples::I16(vec![-3, 0, 0, 7, -3]), Some(0.0)).unwrap();
        let class = |value, count| ClassCount { value, count };
        assert_eq!(classes, [class(-3, 2), class(7, 1)]);
        assert_eq!(count(&Samples::F32(vec![0.5]), None), None);
        let whole = Samples::F32(vec![2.0, f32::NAN]);
        assert_eq!(count(&whole, None), Some(vec![class(2, 1)]));
    }

    #[test]
    fn a_band_of_too_many_values_has_no_classes() {
        let all: Vec<u16> = (0..513).collect();
        assert_eq!(count(&Samples::U16(all.clone()), None), None);
        let classes = |v: &[u16]| count(&Samples::U16(v.to_vec()), None).unwrap();
        assert_eq!(merge(&classes(&all[..300]), &classes(&all[300..])), None);
    }
}
