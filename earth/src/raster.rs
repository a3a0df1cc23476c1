//! Pixels in memory: samples of seven types, their shape, and where they lie on the ground.
//!
//! *Invariants*: a `Raster` has exactly width × height samples, row by row from the upper left.
//!
//! *Not here*: decoding of foreign files (ingest), the split's own files (`split::codec`).

pub mod classes;
pub mod cloud;
pub mod expression;
pub mod georef;
pub mod histogram;
pub mod lattice;
pub mod mosaic;
pub mod parts;
pub mod pixel;
pub mod region;
pub mod reproject;
pub mod resample;
pub mod splice;
pub mod stats;
pub mod swath;
pub mod texture;
pub mod veil;

use crate::raster::pixel::Pixel;
use crate::split::meta::SampleType;

/// Samples of one band, all of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// Unsigned 8 bit.
    U8(Vec<u8>),
    /// Unsigned 16 bit.
    U16(Vec<u16>),
    /// Signed 16 bit.
    I16(Vec<i16>),
    /// Unsigned 32 bit.
    U32(Vec<u32>),
    /// Signed 32 bit.
    I32(Vec<i32>),
    /// 32-bit float.
    F32(Vec<f32>),
    /// 64-bit float.
    F64(Vec<f64>),
}

/// Runs one generic expression over the vector inside `Samples`, whatever its type.
macro_rules! each_sample_type {
    ($samples:expr, $values:ident => $body:expr) => {
        match $samples {
            $crate::raster::Samples::U8($values) => $body,
            $crate::raster::Samples::U16($values) => $body,
            $crate::raster::Samples::I16($values) => $body,
            $crate::raster::Samples::U32($values) => $body,
            $crate::raster::Samples::I32($values) => $body,
            $crate::raster::Samples::F32($values) => $body,
            $crate::raster::Samples::F64($values) => $body,
        }
    };
}
pub(crate) use each_sample_type;

impl Samples {
    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        each_sample_type!(self, v => v.len())
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the type.
    pub fn sample_type(&self) -> SampleType {
        match self {
            Self::U8(_) => SampleType::U8,
            Self::U16(_) => SampleType::U16,
            Self::I16(_) => SampleType::I16,
            Self::U32(_) => SampleType::U32,
            Self::I32(_) => SampleType::I32,
            Self::F32(_) => SampleType::F32,
            Self::F64(_) => SampleType::F64,
        }
    }

    /// Returns the sample at a position, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<f64> {
        each_sample_type!(self, v => v.get(index).map(|s| s.to_f64()))
    }

    /// Returns the samples in another type, rounded and clamped as `Pixel::nearest` does.
    #[must_use]
    pub fn converted(self, kind: SampleType) -> Self {
        if self.sample_type() == kind {
            return self;
        }
        match kind {
            SampleType::U8 => each_sample_type!(&self, v => Self::U8(convert(v))),
            SampleType::U16 => each_sample_type!(&self, v => Self::U16(convert(v))),
            SampleType::I16 => each_sample_type!(&self, v => Self::I16(convert(v))),
            SampleType::U32 => each_sample_type!(&self, v => Self::U32(convert(v))),
            SampleType::I32 => each_sample_type!(&self, v => Self::I32(convert(v))),
            SampleType::F32 => each_sample_type!(&self, v => Self::F32(convert(v))),
            SampleType::F64 => each_sample_type!(&self, v => Self::F64(convert(v))),
        }
    }

    /// Returns all samples as f64, without scale and offset.
    pub fn to_f64(&self) -> Vec<f64> {
        each_sample_type!(self, v => v.iter().map(|s| s.to_f64()).collect())
    }

    /// Appends all samples, little-endian, one after another.
    pub fn append_bytes(&self, out: &mut Vec<u8>) {
        each_sample_type!(self, v => append_bytes_of(v, out));
    }

    /// Returns which samples are neither the fill value nor NaN, in order.
    pub fn validity(&self, fill: Option<f64>) -> Vec<bool> {
        each_sample_type!(self, v => validity_of(v, fill))
    }
}

fn append_bytes_of<T: Pixel>(values: &[T], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + size_of_val(values), 0);
    let places = out[start..].chunks_exact_mut(size_of::<T>());
    values
        .iter()
        .zip(places)
        .for_each(|(v, place)| v.put_bytes(place));
}

fn convert<A: Pixel, B: Pixel>(values: &[A]) -> Vec<B> {
    values.iter().map(|v| B::nearest(v.to_f64())).collect()
}

fn validity_of<T: Pixel>(values: &[T], fill: Option<f64>) -> Vec<bool> {
    let fill = fill.and_then(T::exactly);
    values.iter().map(|s| !pixel::is_fill(*s, fill)).collect()
}

/// Why samples do not make a raster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{samples} samples do not make {width} x {height} pixels")]
pub struct ShapeError {
    /// Columns asked for.
    pub width: u32,
    /// Rows asked for.
    pub height: u32,
    /// Samples given.
    pub samples: usize,
}

/// Samples with a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Raster {
    width: u32,
    height: u32,
    samples: Samples,
}

impl Raster {
    /// Builds a raster of width × height pixels, row by row from the upper left.
    ///
    /// # Errors
    /// A number of samples that is not width × height.
    pub fn new(width: u32, height: u32, samples: Samples) -> Result<Self, ShapeError> {
        if samples.len() as u64 == u64::from(width) * u64::from(height) {
            Ok(Self {
                width,
                height,
                samples,
            })
        } else {
            Err(ShapeError {
                width,
                height,
                samples: samples.len(),
            })
        }
    }

    /// Builds a raster whose samples the caller has just counted.
    pub(crate) fn counted(width: u32, height: u32, samples: Samples) -> Self {
        debug_assert_eq!(samples.len() as u64, u64::from(width) * u64::from(height));
        Self {
            width,
            height,
            samples,
        }
    }

    /// Returns the number of columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the number of rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the number of pixels.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Returns the samples.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Gives up the shape.
    pub fn into_samples(self) -> Samples {
        self.samples
    }

    /// Returns the sample type.
    pub fn sample_type(&self) -> SampleType {
        self.samples.sample_type()
    }

    /// Returns the value at a position, or `None` outside.
    pub fn get(&self, column: u32, row: u32) -> Option<f64> {
        if column >= self.width || row >= self.height {
            return None;
        }
        self.samples
            .get(row as usize * self.width as usize + column as usize)
    }

    /// Returns which pixels are neither the fill value nor NaN, row by row.
    pub fn validity(&self, fill: Option<f64>) -> Vec<bool> {
        self.samples.validity(fill)
    }
}
