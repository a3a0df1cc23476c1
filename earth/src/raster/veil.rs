//! Pixels that a mask beside them calls void: an alpha band, a file's internal mask.
//!
//! *Invariants*: valid pixels keep their numbers exactly; with a fill value the sample type stays,
//! without one it becomes f64, whose NaN means "nothing", until `settled` brings it back.
//!
//! *Not here*: fill values of splits (`split::cut`), reading masks (ingest).

use crate::raster::pixel::Pixel;
use crate::raster::reproject::Warped;
use crate::raster::{Raster, Samples, each_sample_type};
use crate::split::meta::SampleType;

/// Voids the pixels that are not valid.
///
/// # Panics
/// If there are not as many flags as pixels.
pub fn veiled(raster: Raster, valid: &[bool], fill: Option<f64>) -> Raster {
    assert_eq!(raster.samples().len(), valid.len(), "a flag for each pixel");
    let (width, height) = (raster.width(), raster.height());
    let samples = if let Some(fill) = fill.filter(|f| holds(raster.sample_type(), *f)) {
        each_sample_type!(raster.into_samples(), values => filled(values, valid, fill))
    } else {
        let values = raster.samples().to_f64().into_iter().zip(valid);
        let value = |(value, valid): (f64, &bool)| if *valid { value } else { f64::NAN };
        Samples::F64(values.map(value).collect())
    };
    Raster::counted(width, height, samples)
}

/// Tells whether a sample of that type can be that value.
pub fn holds(sample: SampleType, value: f64) -> bool {
    match sample {
        SampleType::U8 => u8::exactly(value).is_some(),
        SampleType::U16 => u16::exactly(value).is_some(),
        SampleType::I16 => i16::exactly(value).is_some(),
        SampleType::U32 => u32::exactly(value).is_some(),
        SampleType::I32 => i32::exactly(value).is_some(),
        SampleType::F32 => f32::exactly(value).is_some(),
        SampleType::F64 => true,
    }
}

fn filled<T: Pixel>(mut values: Vec<T>, valid: &[bool], fill: f64) -> Samples {
    let fill = T::nearest(fill);
    for (sample, _) in values.iter_mut().zip(valid).filter(|(_, valid)| !**valid) {
        *sample = fill;
    }
    T::into_samples(values)
}

/// Brings a reprojected band back to its own sample type; void pixels become 0, or NaN.
pub fn settled(band: Warped, sample: SampleType) -> Warped {
    if band.raster.sample_type() == sample {
        return band;
    }
    let (width, height) = (band.raster.width(), band.raster.height());
    let values = band.raster.samples().to_f64();
    let samples = match sample {
        SampleType::U8 => nearest::<u8>(&values),
        SampleType::U16 => nearest::<u16>(&values),
        SampleType::I16 => nearest::<i16>(&values),
        SampleType::U32 => nearest::<u32>(&values),
        SampleType::I32 => nearest::<i32>(&values),
        SampleType::F32 => nearest::<f32>(&values),
        SampleType::F64 => Samples::F64(values),
    };
    Warped {
        raster: Raster::counted(width, height, samples),
        ..band
    }
}

fn nearest<T: Pixel>(values: &[f64]) -> Samples {
    T::into_samples(values.iter().map(|v| T::nearest(*v)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raster(values: Vec<u8>) -> Raster {
        let width = u32::try_from(values.len()).unwrap();
        Raster::new(width, 1, Samples::U8(values)).unwrap()
    }

    #[test]
    fn a_type_holds_the_values_it_can_be() {
        assert!(holds(SampleType::U8, 255.0) && !holds(SampleType::U8, -9999.0));
        assert!(!holds(SampleType::U16, 0.5) && holds(SampleType::I16, -32_768.0));
        assert!(!holds(SampleType::F32, 0.1) && holds(SampleType::F64, 0.1));
    }

    #[test]
    fn void_pixels_take_the_fill_value_or_nan_and_others_stay() {
        let valid = [true, false, true];
        let found = veiled(raster(vec![1, 2, 0]), &valid, Some(9.0));
        assert_eq!(found.samples(), &Samples::U8(vec![1, 9, 0]));
        let found = veiled(raster(vec![1, 2, 0]), &valid, None);
        let Samples::F64(values) = found.samples() else {
            panic!("{found:?}")
        };
        assert!(values[1].is_nan() && values[0].to_bits() == 1_f64.to_bits());
        let band = Warped {
            raster: found,
            valid: valid.to_vec(),
            in_footprint: 3,
        };
        let found = settled(band, SampleType::U8);
        assert_eq!(found.raster.samples(), &Samples::U8(vec![1, 0, 0]));
        assert_eq!(found.valid, valid);
    }
}
