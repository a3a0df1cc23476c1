//! Which value means "nothing" in a file whose product declares none.
//!
//! *Invariants*: the value chosen is held by no valid pixel of any band of the file.
//!
//! *Not here*: fill values that products declare: those are kept.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use crate::raster::pixel::Pixel;
use crate::raster::reproject::Warped;
use crate::raster::{Raster, Samples, each_sample_type};
use crate::split::meta::SampleType;

/// Returns the rasters of a file, void pixels filled, and the fill value of all of them.
pub(super) fn settle(bands: Vec<Warped>, declared: Option<f64>) -> (Vec<Raster>, Option<f64>) {
    let integer = bands.iter().all(|b| b.raster.sample_type().is_integer());
    let whole = bands.iter().all(|b| b.valid.iter().all(|v| *v));
    if declared.is_some() || !integer || whole {
        // Reprojection has written the declared value, or NaN, where nothing is valid.
        return (bands.into_iter().map(|b| b.raster).collect(), declared);
    }
    if let Some(fill) = unused(&bands) {
        let filled = bands.into_par_iter().map(|b| put_fill(b, fill)).collect();
        return (filled, Some(fill));
    }
    settle(bands.into_iter().map(widen).collect(), None)
}

/// Returns 0, else the greatest value, that no valid pixel of any band holds.
fn unused(bands: &[Warped]) -> Option<f64> {
    let kind = bands.first()?.raster.sample_type();
    let (low, high) = range_of(kind);
    let pixels: u64 = bands.iter().map(|b| b.raster.pixels()).sum();
    // Among one more candidates than there are pixels one must be free.
    let candidates = (pixels + 1).min(high.abs_diff(low) + 1);
    let mut used = Vec::new();
    used.resize_with(usize::try_from(candidates).ok()?, AtomicBool::default);
    let zero = AtomicBool::new(false);
    bands.par_iter().for_each(|band| {
        each_sample_type!(band.raster.samples(), values => {
            for (sample, _) in values.iter().zip(&band.valid).filter(|(_, valid)| **valid) {
                let value = whole(sample.to_f64());
                if value == 0 {
                    note(&zero);
                }
                let place = usize::try_from(high.abs_diff(value)).ok();
                if let Some(seen) = place.and_then(|p| used.get(p)) {
                    note(seen);
                }
            }
        });
    });
    if !zero.into_inner() {
        return Some(0.0);
    }
    let free = used.into_iter().position(|seen| !seen.into_inner())?;
    Some(high as f64 - free as f64)
}

/// Sets a flag; one that is set already is only read, which all threads can do at once.
fn note(flag: &AtomicBool) {
    if !flag.load(Ordering::Relaxed) {
        flag.store(true, Ordering::Relaxed);
    }
}

/// Returns the value of an integer sample.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the sample is an integer of 32 bits at most"
)]
fn whole(value: f64) -> i64 {
    value as i64
}

/// Returns the least and greatest value of an integer type.
fn range_of(kind: SampleType) -> (i64, i64) {
    match kind {
        SampleType::U8 => (0, i64::from(u8::MAX)),
        SampleType::U16 => (0, i64::from(u16::MAX)),
        SampleType::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        SampleType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        SampleType::U32 | SampleType::F32 | SampleType::F64 => (0, i64::from(u32::MAX)),
    }
}

/// Writes the fill value where nothing is valid.
fn put_fill(band: Warped, fill: f64) -> Raster {
    let (width, height) = (band.raster.width(), band.raster.height());
    let samples =
        each_sample_type!(band.raster.into_samples(), values => filled(values, &band.valid, fill));
    Raster::counted(width, height, samples)
}

fn filled<T: Pixel>(mut values: Vec<T>, valid: &[bool], fill: f64) -> Samples {
    let fill = T::nearest(fill);
    for (sample, _) in values.iter_mut().zip(valid).filter(|(_, valid)| !**valid) {
        *sample = fill;
    }
    T::into_samples(values)
}

/// Takes the next wider sample type; 32-bit integers become f64, whose fill is NaN.
fn widen(band: Warped) -> Warped {
    let (width, height) = (band.raster.width(), band.raster.height());
    let samples = match band.raster.into_samples() {
        Samples::U8(v) => Samples::U16(v.into_iter().map(u16::from).collect()),
        Samples::U16(v) => Samples::U32(v.into_iter().map(u32::from).collect()),
        Samples::I16(v) => Samples::I32(v.into_iter().map(i32::from).collect()),
        Samples::U32(v) => doubles(v.into_iter().map(f64::from), &band.valid),
        Samples::I32(v) => doubles(v.into_iter().map(f64::from), &band.valid),
        floats => floats,
    };
    Warped {
        raster: Raster::counted(width, height, samples),
        ..band
    }
}

fn doubles(values: impl Iterator<Item = f64>, valid: &[bool]) -> Samples {
    let value = |(value, valid): (f64, &bool)| if *valid { value } else { f64::NAN };
    Samples::F64(values.zip(valid).map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::settle;
    use crate::raster::reproject::Warped;
    use crate::raster::{Raster, Samples};

    fn band(samples: Samples, void: &[usize]) -> Warped {
        let count = samples.len();
        let mut valid = vec![true; count];
        for at in void {
            valid[*at] = false;
        }
        let raster = Raster::new(u32::try_from(count).unwrap(), 1, samples).unwrap();
        Warped {
            raster,
            valid,
            in_footprint: count as u64,
        }
    }

    #[test]
    fn zero_means_nothing_where_no_pixel_holds_it() {
        let (rasters, fill) = settle(vec![band(Samples::U8(vec![5, 9, 7]), &[1])], None);
        assert_eq!(fill, Some(0.0));
        assert_eq!(rasters[0].samples(), &Samples::U8(vec![5, 0, 7]));
    }

    #[test]
    fn a_real_zero_stays_apart_from_nothing() {
        let bands = vec![
            band(Samples::U8(vec![0, 9, 255]), &[1]),
            band(Samples::U8(vec![1, 2, 254]), &[1]),
        ];
        let (rasters, fill) = settle(bands, None);
        assert_eq!(fill, Some(253.0));
        assert_eq!(rasters[0].samples(), &Samples::U8(vec![0, 253, 255]));
        assert_eq!(rasters[1].samples(), &Samples::U8(vec![1, 253, 254]));
    }

    #[test]
    fn a_type_of_which_every_value_is_held_is_widened() {
        let values: Vec<u8> = (0..=255).chain([7]).collect();
        let (rasters, fill) = settle(vec![band(Samples::U8(values), &[256])], None);
        assert_eq!(fill, Some(65_535.0));
        let wanted: Vec<u16> = (0..=255).chain([65_535]).collect();
        assert_eq!(rasters[0].samples(), &Samples::U16(wanted));
    }

    #[test]
    fn nothing_is_chosen_where_every_pixel_is_valid() {
        let (_, fill) = settle(vec![band(Samples::U8(vec![1, 2]), &[])], None);
        assert_eq!(fill, None);
        let (_, fill) = settle(vec![band(Samples::U16(vec![1, 2]), &[])], Some(0.0));
        assert_eq!(fill, Some(0.0));
        let (_, fill) = settle(vec![band(Samples::F32(vec![1.0, f32::NAN]), &[1])], None);
        assert_eq!(fill, None);
    }
}
