//! One sample type and one fill for all bands of a cube, as files with one array need them.
//!
//! *Invariants*: nothing is lost: the common type holds every value of every band, and the common
//! fill is no valid value of any band.
//!
//! *Not here*: physical values (`CubeBand::physical`), which format needs what (cli's `export`).

use std::borrow::Cow;

use crate::cube::{Cube, CubeBand};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Raster, Samples, each_sample_type};
use crate::split::meta::SampleType;

/// Types from the narrowest on; the last holds all others but wide whole numbers past 2^53, which
/// no type here has.
const NARROW_TO_WIDE: [SampleType; 7] = [
    SampleType::U8,
    SampleType::U16,
    SampleType::I16,
    SampleType::U32,
    SampleType::I32,
    SampleType::F32,
    SampleType::F64,
];

impl Cube {
    /// Returns the cube with one sample type and one fill for all bands: itself where they agree.
    ///
    /// The type is the narrowest that holds all; the fill is the first of the bands' that no valid
    /// sample has, else an end of the type's range; for floats it is NaN.
    pub fn united(&self) -> Cow<'_, Self> {
        let agree = |pair: &[CubeBand]| {
            pair[0].sample == pair[1].sample
                && pair[0].fill.map(f64::to_bits) == pair[1].fill.map(f64::to_bits)
        };
        if self.bands.windows(2).all(agree) {
            return Cow::Borrowed(self);
        }
        let wide_enough = |kind: &&SampleType| self.bands.iter().all(|b| holds(**kind, b.sample));
        let mut integers = NARROW_TO_WIDE
            .iter()
            .filter(wide_enough)
            .filter(|kind| kind.is_integer());
        if self.bands.iter().all(|b| b.fill.is_none())
            && let Some(kind) = integers.clone().next()
        {
            return Cow::Owned(self.recoded(*kind, None));
        }
        let with_fill = integers.find_map(|kind| Some((*kind, self.common_fill(*kind)?)));
        if let Some((kind, fill)) = with_fill {
            return Cow::Owned(self.recoded(kind, Some(fill)));
        }
        let mut floats = NARROW_TO_WIDE.iter().filter(wide_enough);
        let float = floats.find(|kind| !kind.is_integer());
        Cow::Owned(self.recoded(*float.unwrap_or(&SampleType::F64), None))
    }

    /// Returns the cube as 32-bit physical values with NaN for fill; classes stay as they are.
    #[must_use]
    pub fn to_physical(&self) -> Self {
        let mut made = self.clone();
        let width = made.bands.len();
        for (at, raster) in made.rasters.iter_mut().enumerate() {
            let band = &self.bands[at % width];
            if !band.categorical {
                let values = Samples::F32(band.physical(raster));
                *raster = Raster::counted(raster.width(), raster.height(), values);
            }
        }
        for band in made.bands.iter_mut().filter(|b| !b.categorical) {
            (band.sample, band.fill) = (SampleType::F32, None);
            (band.scale, band.offset) = (1.0, 0.0);
        }
        made
    }

    /// Finds a fill for an integer type; `None` if all values are taken.
    fn common_fill(&self, kind: SampleType) -> Option<f64> {
        let (least, greatest) = range(kind);
        let free = |value: &f64| (least..=greatest).contains(value) && self.is_free(*value);
        let mut candidates = self
            .bands
            .iter()
            .filter_map(|b| b.fill)
            .chain([greatest, least]);
        candidates.find(free)
    }

    /// Tells whether a value is fill or absent in every band.
    fn is_free(&self, value: f64) -> bool {
        let mut planes = self.rasters.iter().enumerate();
        planes.all(|(at, raster)| {
            let own = self.bands[at % self.bands.len()].fill;
            !each_sample_type!(raster.samples(), samples => is_among(samples, value, own))
        })
    }

    /// Returns the cube in another type and with another fill.
    fn recoded(&self, kind: SampleType, fill: Option<f64>) -> Self {
        let mut made = self.clone();
        let width = made.bands.len();
        for (at, raster) in made.rasters.iter_mut().enumerate() {
            let own = self.bands[at % width].fill;
            let samples = each_sample_type!(raster.samples(), samples => match kind {
                SampleType::U8 => u8::into_samples(recode(samples, own, fill)),
                SampleType::U16 => u16::into_samples(recode(samples, own, fill)),
                SampleType::I16 => i16::into_samples(recode(samples, own, fill)),
                SampleType::U32 => u32::into_samples(recode(samples, own, fill)),
                SampleType::I32 => i32::into_samples(recode(samples, own, fill)),
                SampleType::F32 => f32::into_samples(recode(samples, own, fill)),
                SampleType::F64 => f64::into_samples(recode(samples, own, fill)),
            });
            *raster = Raster::counted(raster.width(), raster.height(), samples);
        }
        for band in &mut made.bands {
            (band.sample, band.fill) = (kind, fill);
        }
        made
    }
}

/// Returns the least and the greatest value of an integer type.
fn range(kind: SampleType) -> (f64, f64) {
    match kind {
        SampleType::U8 => (0.0, f64::from(u8::MAX)),
        SampleType::U16 => (0.0, f64::from(u16::MAX)),
        SampleType::I16 => (f64::from(i16::MIN), f64::from(i16::MAX)),
        SampleType::U32 => (0.0, f64::from(u32::MAX)),
        SampleType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        SampleType::F32 | SampleType::F64 => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// Tells whether every value of `narrow` is a value of `wide`.
fn holds(wide: SampleType, narrow: SampleType) -> bool {
    if wide == narrow || wide == SampleType::F64 {
        return true;
    }
    if !narrow.is_integer() {
        return false;
    }
    if wide == SampleType::F32 {
        return narrow.bytes() <= 2;
    }
    let (outer, inner) = (range(wide), range(narrow));
    outer.0 <= inner.0 && inner.1 <= outer.1
}

/// Tells whether a valid sample has the value.
fn is_among<T: Pixel>(samples: &[T], value: f64, fill: Option<f64>) -> bool {
    let fill = fill.and_then(T::exactly);
    let Some(value) = T::exactly(value) else {
        return false;
    };
    samples.iter().any(|s| *s == value && !is_fill(*s, fill))
}

/// Returns samples in another type that holds them; fill becomes the other fill, NaN for floats.
fn recode<T: Pixel, U: Pixel>(samples: &[T], own: Option<f64>, fill: Option<f64>) -> Vec<U> {
    let own = own.and_then(T::exactly);
    let fill = U::nearest(fill.unwrap_or(f64::NAN));
    let one = |sample: &T| {
        if is_fill(*sample, own) {
            fill
        } else {
            U::nearest(sample.to_f64())
        }
    };
    samples.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use crate::cube::tests::{band, georef, raster, time};
    use crate::cube::{Cube, CubeBand};
    use crate::raster::{Raster, Samples};
    use crate::split::meta::SampleType;

    fn cube(bands: Vec<(CubeBand, Raster)>) -> Cube {
        let (bands, rasters) = bands.into_iter().unzip();
        Cube::new(georef(), bands, vec![time(1)], rasters).unwrap()
    }

    fn classes(fill: Option<f64>, values: [u8; 6]) -> (CubeBand, Raster) {
        let band = CubeBand {
            sample: SampleType::U8,
            fill,
            categorical: true,
            ..band("SCL")
        };
        (
            band,
            Raster::new(3, 2, Samples::U8(values.to_vec())).unwrap(),
        )
    }

    #[test]
    fn bands_that_agree_are_not_copied() {
        let same = cube(vec![(band("B04"), raster(0)), (band("B03"), raster(6))]);
        assert!(matches!(same.united(), Cow::Borrowed(_)));
    }

    #[test]
    fn classes_beside_reflectance_take_its_type_and_its_fill_if_that_is_no_class() {
        let mixed = cube(vec![
            (band("B04"), raster(0)),
            classes(Some(255.0), [1, 2, 255, 4, 5, 6]),
        ]);
        let united = mixed.united();
        let samples = united.raster(0, 1).unwrap().samples().clone();
        assert_eq!(samples, Samples::U16(vec![1, 2, 0, 4, 5, 6]));
        assert_eq!(united.bands()[1].fill, Some(0.0));
        assert_eq!(united.raster(0, 0), mixed.raster(0, 0));
    }

    #[test]
    fn a_fill_that_is_a_class_elsewhere_gives_way_to_another() {
        let mixed = cube(vec![
            (band("B04"), raster(0)),
            classes(None, [0, 2, 255, 4, 5, 6]),
        ]);
        let united = mixed.united();
        let fill = united.bands()[0].fill;
        assert_eq!(fill, Some(65_535.0));
        let first = united.raster(0, 0).unwrap();
        assert_eq!(*first.samples(), Samples::U16(vec![65_535, 1, 2, 3, 4, 5]));
        let valid = united.raster(0, 1).unwrap().validity(fill);
        assert!(valid.iter().all(|v| *v));
    }

    #[test]
    fn floats_beside_integers_make_floats_with_nan() {
        let float = CubeBand {
            sample: SampleType::F32,
            fill: None,
            ..band("NDVI")
        };
        let values = Samples::F32(vec![0.5, f32::NAN, 0.0, 1.0, -1.0, 0.25]);
        let float = (float, Raster::new(3, 2, values).unwrap());
        let mixed = cube(vec![(band("B04"), raster(0)), float]);
        let united = mixed.united();
        let Samples::F32(values) = united.raster(0, 0).unwrap().samples() else {
            panic!("not 32-bit floats");
        };
        assert!(values[0].is_nan() && (values[5] - 5.0).abs() <= 0.0);
    }
}
