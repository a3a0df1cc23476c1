//! A band brought to another resolution on an aligned grid: 20 m to 10 m and back.
//!
//! Kernels are those of GDAL's warper for grids whose axes are parallel, computed axis by axis.
//! Weights are renormalised over valid pixels, at the edges too: nothing lies beyond them. Where
//! not all sixteen pixels of a cubic kernel are valid its value is the bilinear one. A coarser
//! target widens bilinear and cubic kernels by the ratio of pixel sizes, so that no pixel is
//! skipped.
//!
//! *Invariants*: a valid pixel never holds the fill value; `Average` and `Mode` weigh each source
//! pixel by the area it shares with the target pixel, exactly, whatever the ratio; in a mean by
//! area that reaches over the source's border the border pixels stand for what lies beyond; the
//! result does not depend on the number of threads.
//!
//! *Not here*: other systems (`reproject`), combining splits.

mod axis;
mod mode;
mod separable;

pub use axis::{Axis, AxisError};

use crate::raster::georef::Georef;
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::reproject::Warped;
use crate::raster::{Raster, each_sample_type};
use crate::split::meta::SampleType;

/// How the value of a pixel of another size is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The pixel that the centre falls on: classes and masks onto finer grids.
    Nearest,
    /// The mean of the nearest pixels by distance.
    Bilinear,
    /// Cubic convolution over sixteen pixels (a = -1/2).
    Cubic,
    /// The mean of all pixels by the area they share with the target pixel.
    Average,
    /// The value with the greatest shared area, the least of equals: classes onto coarser grids.
    Mode,
}

impl Method {
    /// Every method and its name on the command line.
    pub const ALL: [(&'static str, Self); 5] = [
        ("nearest", Self::Nearest),
        ("bilinear", Self::Bilinear),
        ("cubic", Self::Cubic),
        ("average", Self::Average),
        ("mode", Self::Mode),
    ];

    /// Returns the method of that name; `area` is `average` and `majority` is `mode`.
    pub fn named(name: &str) -> Option<Self> {
        let name = match name {
            "area" => "average",
            "majority" => "mode",
            other => other,
        };
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, method)| *method)
    }

    /// Returns the method that classes allow in place of this one: the nearest pixel, or the
    /// majority where several pixels become one.
    #[must_use]
    pub fn for_classes(self, ratio: f64) -> Self {
        match self {
            Self::Nearest | Self::Mode => self,
            _ if ratio > 1.0 + RATIO_SLACK => Self::Mode,
            _ => Self::Nearest,
        }
    }
}

/// Pixel sizes that differ by less are one size.
const RATIO_SLACK: f64 = 1e-6;

/// Samples to resample, and what "nothing" is among them.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The pixels.
    pub raster: &'a Raster,
    /// The value that means "nothing", where one is declared; NaN always does.
    pub fill: Option<f64>,
}

/// Where target pixels lie among source pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alignment {
    /// Along columns.
    pub across: Axis,
    /// Along rows.
    pub down: Axis,
}

impl Alignment {
    /// Returns the alignment of two shapes that span the same ground edge to edge.
    ///
    /// # Errors
    /// A side without pixels.
    pub fn of_cell(source: (u32, u32), target: (u32, u32)) -> Result<Self, AxisError> {
        Ok(Self {
            across: Axis::spanning(source.0, target.0)?,
            down: Axis::spanning(source.1, target.1)?,
        })
    }

    /// Returns the alignment of two rasters of one system whose axes are parallel.
    ///
    /// # Errors
    /// Other systems, rotated or empty rasters.
    pub fn between(source: &Georef, target: &Georef) -> Result<Self, AxisError> {
        if source.crs != target.crs {
            return Err(AxisError::System);
        }
        let (s, t) = (source.affine.to_gdal(), target.affine.to_gdal());
        if [s[2], s[4], t[2], t[4]].iter().any(|skew| skew.abs() > 0.0) {
            return Err(AxisError::Rotated);
        }
        let axis = |(s0, s1): (f64, f64), (t0, t1): (f64, f64), sizes| {
            Axis::new((t0 - s0) / s1, t1 / s1, sizes)
        };
        Ok(Self {
            across: axis((s[0], s[1]), (t[0], t[1]), (source.width, target.width))?,
            down: axis((s[3], s[5]), (t[3], t[5]), (source.height, target.height))?,
        })
    }

    /// Returns the greater of both axes' source pixels per target pixel.
    pub fn ratio(&self) -> f64 {
        self.across.step().max(self.down.step())
    }
}

/// Why a band could not be resampled.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ResampleError {
    /// The raster has not the shape that the alignment was made for.
    #[error("a raster of {width} x {height} pixels is not the aligned one")]
    Shape {
        /// Columns given.
        width: u32,
        /// Rows given.
        height: u32,
    },
    /// The shapes cannot be aligned.
    #[error(transparent)]
    Axis(#[from] AxisError),
}

/// Returns the band in another shape of the same ground, columns × rows.
///
/// # Errors
/// A shape without pixels.
pub fn resample(
    source: Source<'_>,
    (width, height): (u32, u32),
    method: Method,
) -> Result<Warped, ResampleError> {
    let (raster, target) = (source.raster, (width, height));
    let alignment = Alignment::of_cell((raster.width(), raster.height()), target)?;
    resample_onto(source, &alignment, method)
}

/// Returns the band on an aligned grid; pixels whose centre lies off the source are void, those
/// of a mean by area where they share nothing with it.
///
/// # Errors
/// A raster that is not the source of the alignment.
pub fn resample_onto(
    source: Source<'_>,
    alignment: &Alignment,
    method: Method,
) -> Result<Warped, ResampleError> {
    let (width, height) = (source.raster.width(), source.raster.height());
    if (width, height) != (alignment.across.source(), alignment.down.source()) {
        return Err(ResampleError::Shape { width, height });
    }
    let wide = matches!(
        source.raster.sample_type(),
        SampleType::U32 | SampleType::I32 | SampleType::F64
    );
    Ok(each_sample_type!(source.raster.samples(), values => {
        let view = View { values, fill: source.fill.and_then(Pixel::exactly) };
        match method {
            Method::Nearest => mode::nearest(&view, alignment),
            Method::Mode => mode::mode(&view, alignment),
            // 24 bits of an f32 hold every sample of 16 bits and leave room for weights.
            _ if wide => separable::run::<_, f64>(&view, alignment, method),
            _ => separable::run::<_, f32>(&view, alignment, method),
        }
    }))
}

/// Samples of one type.
#[derive(Debug, Clone, Copy)]
struct View<'a, T> {
    values: &'a [T],
    fill: Option<T>,
}

impl<T: Pixel> View<'_, T> {
    fn is_fill(&self, sample: T) -> bool {
        is_fill(sample, self.fill)
    }

    /// Rounds a value to a sample that is not the fill value.
    fn store(&self, value: f64) -> T {
        let sample = T::nearest(value);
        if self.fill == Some(sample) {
            sample.beside()
        } else {
            sample
        }
    }

    /// Returns what void pixels hold: the fill value, else NaN, else 0.
    fn void(&self) -> T {
        { self.fill }
            .or_else(|| T::exactly(f64::NAN))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Alignment, Method, ResampleError, Source, resample, resample_onto};
    use crate::raster::{Raster, Samples};

    fn row(samples: Samples) -> Raster {
        let width = u32::try_from(samples.len()).unwrap();
        Raster::new(width, 1, samples).unwrap()
    }

    fn run(samples: Samples, fill: Option<f64>, width: u32, method: Method) -> Samples {
        let raster = row(samples);
        let source = Source {
            raster: &raster,
            fill,
        };
        let found = resample(source, (width, 1), method).unwrap();
        assert_eq!(found.valid, found.raster.validity(fill));
        found.raster.into_samples()
    }

    #[test]
    fn doubling_by_the_nearest_pixel_repeats_each() {
        let found = run(Samples::U8(vec![7, 9]), None, 4, Method::Nearest);
        assert_eq!(found, Samples::U8(vec![7, 7, 9, 9]));
    }

    #[test]
    fn fill_has_no_weight_when_halved() {
        let samples = Samples::I16(vec![10, 20, -1, 40, -1, -1]);
        let found = run(samples, Some(-1.0), 3, Method::Average);
        assert_eq!(found, Samples::I16(vec![15, 40, -1]));
    }

    #[test]
    fn a_third_of_a_pixel_has_a_third_of_the_weight() {
        let found = run(Samples::F64(vec![3.0, 6.0, 9.0]), None, 2, Method::Average);
        assert_eq!(found, Samples::F64(vec![4.0, 8.0]));
    }

    #[test]
    fn the_majority_wins_and_the_least_class_of_equals() {
        let samples = Samples::U8(vec![5, 2, 2, 9, 8, 7]);
        assert_eq!(run(samples, None, 2, Method::Mode), Samples::U8(vec![2, 7]));
    }

    #[test]
    fn large_integers_keep_every_digit() {
        let samples = Samples::U32(vec![4_000_000_001, 4_000_000_003]);
        let found = run(samples, None, 1, Method::Average);
        assert_eq!(found, Samples::U32(vec![4_000_000_002]));
    }

    #[test]
    fn classes_are_never_averaged() {
        assert_eq!(Method::Cubic.for_classes(3.0), Method::Mode);
        assert_eq!(Method::Average.for_classes(0.5), Method::Nearest);
        assert_eq!(Method::Nearest.for_classes(3.0), Method::Nearest);
    }

    #[test]
    fn shapes_without_pixels_and_other_shapes_are_refused() {
        let raster = row(Samples::U8(vec![1, 2]));
        let source = Source {
            raster: &raster,
            fill: None,
        };
        assert!(resample(source, (0, 4), Method::Nearest).is_err());
        let other = Alignment::of_cell((3, 1), (6, 2)).unwrap();
        let found = resample_onto(source, &other, Method::Nearest);
        let wanted = ResampleError::Shape {
            width: 2,
            height: 1,
        };
        assert_eq!(found, Err(wanted));
    }
}
