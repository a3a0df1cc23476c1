//! One sample of a raster: every numeric cast of pixels stands in this trait.
//!
//! *Invariants*: rounding and clamping are GDAL's (`GWKSetPixelValueReal`): half up, then the
//! nearest end of the range; floats are cast.
//!
//! *Not here*: what a sample means (fill, scale), loops over pixels.

use crate::raster::Samples;
use crate::split::meta::SampleType;

/// A sample type that rasters hold.
pub trait Pixel:
    Copy + PartialEq + PartialOrd + Default + Send + Sync + std::fmt::Debug + 'static
{
    /// The type's name in files.
    const KIND: SampleType;
    /// True for integers, which have no NaN.
    const INTEGER: bool;
    /// The greatest value, infinity for floats: what sorts behind everything valid.
    const GREATEST: Self;

    /// Returns the exact value.
    fn to_f64(self) -> f64;

    /// Returns the nearest sample: half up and clamped for integers, cast for floats.
    fn nearest(value: f64) -> Self;

    /// Returns the sample that equals the value, if there is one; NaN equals NaN.
    fn exactly(value: f64) -> Option<Self>;

    /// Returns the neighbour that stands in for a value that may not occur: one less, or one
    /// more at the least value; floats stay as they are (GDAL does the same).
    #[must_use]
    fn beside(self) -> Self;

    /// Returns the mean of two samples, neither NaN: half up for integers.
    #[must_use]
    fn midway(self, other: Self) -> Self;

    /// Tells whether the sample is NaN.
    fn is_nan(self) -> bool;

    /// Writes the bytes, little-endian, into exactly `size_of::<Self>()` bytes; else nothing.
    fn put_bytes(self, out: &mut [u8]);

    /// Reads one sample from exactly `size_of::<Self>()` little-endian bytes; zero otherwise.
    fn get_bytes(bytes: &[u8]) -> Self;

    /// Returns `self - before` as the horizontal predictor takes it: wrapping, integers only.
    #[must_use]
    fn minus(self, before: Self) -> Self;

    /// Undoes `minus`.
    #[must_use]
    fn plus(self, before: Self) -> Self;

    /// Wraps a vector.
    fn into_samples(values: Vec<Self>) -> Samples;

    /// Returns the vector inside, if it holds this type.
    fn of(samples: &Samples) -> Option<&[Self]>;
}

/// Tells whether a sample means "nothing": the fill value, or NaN.
pub fn is_fill<T: Pixel>(sample: T, fill: Option<T>) -> bool {
    sample.is_nan() || fill.is_some_and(|f| f == sample)
}

macro_rules! bytes_of_pixel {
    ($type:ty, $variant:ident) => {
        #[inline]
        fn put_bytes(self, out: &mut [u8]) {
            if let Ok(out) = <&mut [u8; size_of::<$type>()]>::try_from(out) {
                *out = self.to_le_bytes();
            }
        }

        #[inline]
        fn get_bytes(bytes: &[u8]) -> Self {
            bytes
                .try_into()
                .map_or_else(|_| Self::default(), <$type>::from_le_bytes)
        }

        fn into_samples(values: Vec<Self>) -> Samples {
            Samples::$variant(values)
        }

        fn of(samples: &Samples) -> Option<&[Self]> {
            match samples {
                Samples::$variant(values) => Some(values),
                _ => None,
            }
        }
    };
}

macro_rules! integer_pixel {
    ($type:ty, $variant:ident) => {
        impl Pixel for $type {
            const KIND: SampleType = SampleType::$variant;
            const INTEGER: bool = true;
            const GREATEST: Self = <$type>::MAX;

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float cast saturates, and what is cast again was clamped"
            )]
            fn nearest(value: f64) -> Self {
                let up = value + 0.5;
                // A cast and a step down are a floor, fast on processors without one.
                let cut = up as i64;
                let floor = if (cut as f64) > up {
                    cut.saturating_sub(1)
                } else {
                    cut
                };
                floor.clamp(i64::from(<$type>::MIN), i64::from(<$type>::MAX)) as $type
            }

            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::float_cmp,
                reason = "the comparison asks whether the cast was exact"
            )]
            fn exactly(value: f64) -> Option<Self> {
                let sample = value as $type;
                (f64::from(sample) == value).then_some(sample)
            }

            fn beside(self) -> Self {
                if self == <$type>::MIN {
                    self + 1
                } else {
                    self - 1
                }
            }

            #[inline]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the mean of two values lies between them"
            )]
            fn midway(self, other: Self) -> Self {
                // A shift is a floor, so that -1.5 becomes -1.
                ((i64::from(self) + i64::from(other) + 1) >> 1) as $type
            }

            #[inline]
            fn is_nan(self) -> bool {
                false
            }

            #[inline]
            fn minus(self, before: Self) -> Self {
                self.wrapping_sub(before)
            }

            #[inline]
            fn plus(self, before: Self) -> Self {
                self.wrapping_add(before)
            }

            bytes_of_pixel!($type, $variant);
        }
    };
}

macro_rules! float_pixel {
    ($type:ty, $variant:ident) => {
        impl Pixel for $type {
            const KIND: SampleType = SampleType::$variant;
            const INTEGER: bool = false;
            const GREATEST: Self = <$type>::INFINITY;

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::unnecessary_cast,
                reason = "floats are stored at their own precision; f64 is the identity"
            )]
            fn nearest(value: f64) -> Self {
                value as $type
            }

            #[allow(clippy::float_cmp, reason = "asks whether the cast was exact")]
            fn exactly(value: f64) -> Option<Self> {
                let sample = Self::nearest(value);
                (f64::from(sample) == value || value.is_nan()).then_some(sample)
            }

            fn beside(self) -> Self {
                self
            }

            #[inline]
            fn midway(self, other: Self) -> Self {
                <$type>::midpoint(self, other)
            }

            #[inline]
            fn is_nan(self) -> bool {
                <$type>::is_nan(self)
            }

            fn minus(self, _before: Self) -> Self {
                self
            }

            fn plus(self, _before: Self) -> Self {
                self
            }

            bytes_of_pixel!($type, $variant);
        }
    };
}

integer_pixel!(u8, U8);
integer_pixel!(u16, U16);
integer_pixel!(i16, I16);
integer_pixel!(u32, U32);
integer_pixel!(i32, I32);
float_pixel!(f32, F32);
float_pixel!(f64, F64);

#[cfg(test)]
mod tests {
    use super::Pixel;

    #[test]
    fn rounding_is_half_up_and_clamped() {
        assert_eq!(u8::nearest(2.5), 3);
        assert_eq!(u8::nearest(-7.0), 0);
        assert_eq!(u8::nearest(900.0), 255);
        assert_eq!(i16::nearest(-2.5), -2);
        assert_eq!(i32::nearest(-3e12), i32::MIN);
    }

    #[test]
    fn the_mean_of_two_is_half_up_and_never_overflows() {
        assert_eq!(u8::midway(254, 255), 255);
        assert_eq!(i16::midway(-2, -1), -1);
        assert_eq!(i32::midway(i32::MIN, i32::MAX), 0);
        assert!((f32::midway(1.0, 2.0) - 1.5).abs() < f32::EPSILON);
    }

    #[test]
    fn only_values_in_range_are_exact() {
        assert_eq!(u8::exactly(256.0), None);
        assert_eq!(u8::exactly(f64::NAN), None);
        assert_eq!(i16::exactly(-9999.0), Some(-9999));
        assert_eq!(u16::exactly(0.5), None);
        assert!(f32::exactly(f64::NAN).is_some_and(f32::is_nan));
    }

    #[test]
    fn the_neighbour_of_the_least_value_lies_above_it() {
        assert_eq!(u16::beside(0), 1);
        assert_eq!(u16::beside(7), 6);
    }
}
