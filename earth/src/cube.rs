//! A cube: bands of one grid at one or several times, as splicing, stacking and export take it.
//!
//! *Invariants*: rasters stand time after time and, within a time, in the order of the bands;
//! each has the georeference's shape and its band's sample type; times ascend; there is at least
//! one time and one band, and no band stands twice. Stored numbers are kept: physical value =
//! stored × scale + offset, and a sample is valid unless it is its band's fill or NaN.
//!
//! *Not here*: which splits come together (cli), files of cubes (cli's `export`), bringing other
//! grids onto this one (`raster::{resample, reproject}`).

pub mod regular;
mod stack;
mod unite;

pub use stack::{Slice, stack};

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::raster::georef::Georef;
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Raster, each_sample_type};
use crate::split::meta::{BandMeta, SampleType};

/// One band of a cube.
#[derive(Debug, Clone, PartialEq)]
pub struct CubeBand {
    /// The product's name of the band.
    pub name: String,
    /// STAC common name (`red`, `nir`, …) where there is one.
    pub common: Option<String>,
    /// Centre wavelength in nanometres where it has a meaning.
    pub centre_nm: Option<f64>,
    /// How a pixel is stored.
    pub sample: SampleType,
    /// The value that means "nothing"; NaN for floats is implied.
    pub fill: Option<f64>,
    /// Physical value = stored value × scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// True for classes and masks: no arithmetic.
    pub categorical: bool,
    /// Names of class values, where known; empty for other bands.
    pub classes: BTreeMap<u32, String>,
}

impl CubeBand {
    /// Returns the physical values of a raster of this band; fill becomes NaN.
    pub fn physical(&self, raster: &Raster) -> Vec<f32> {
        let (scale, offset, fill) = (self.scale, self.offset, self.fill);
        each_sample_type!(raster.samples(), values => {
            let fill = fill_like(values, fill);
            let physical = |sample: &_| {
                if is_fill(*sample, fill) {
                    f32::NAN
                } else {
                    f32::nearest(sample.to_f64() * scale + offset)
                }
            };
            values.iter().map(physical).collect()
        })
    }
}

/// Returns the fill value in the type of the samples.
fn fill_like<T: Pixel>(_values: &[T], fill: Option<f64>) -> Option<T> {
    fill.and_then(T::exactly)
}

impl From<&BandMeta> for CubeBand {
    fn from(band: &BandMeta) -> Self {
        Self {
            name: band.name.clone(),
            common: band.common.clone(),
            centre_nm: band.centre_nm,
            sample: band.sample,
            fill: band.fill,
            scale: band.scale,
            offset: band.offset,
            categorical: band.categorical,
            classes: band
                .class_names
                .iter()
                .map(|class| (class.value, class.name.clone()))
                .collect(),
        }
    }
}

/// One time of a cube.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CubeTime {
    /// Sensing time, or the time that stands for several.
    pub acquired: Timestamp,
    /// The scene, or what was made of several.
    pub scene: String,
}

/// Why parts make no cube.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CubeError {
    /// No time or no band.
    #[error("a cube has at least one time and one band")]
    Empty,
    /// A band stands twice.
    #[error("band '{0}' stands twice")]
    Twice(String),
    /// Times do not ascend.
    #[error("times do not ascend at '{0}'")]
    Order(String),
    /// A number of rasters that is not times × bands.
    #[error("{rasters} rasters for {times} times of {bands} bands")]
    Count {
        /// Rasters given.
        rasters: usize,
        /// Times given.
        times: usize,
        /// Bands given.
        bands: usize,
    },
    /// A raster of another shape or sample type.
    #[error("band '{band}' of '{scene}' differs from the cube in shape or sample type")]
    Unlike {
        /// The band.
        band: String,
        /// The scene.
        scene: String,
    },
    /// A slice lies on another grid than the first.
    #[error("'{scene}' lies on another grid than '{first}'")]
    Grid {
        /// The first scene.
        first: String,
        /// The scene that lies elsewhere.
        scene: String,
    },
    /// A scene lacks a band that has no value for "nothing".
    #[error("'{scene}' has no band '{band}', and nothing says what fill of it would be")]
    NoFill {
        /// The band.
        band: String,
        /// The scene.
        scene: String,
    },
    /// Classes are coded in two ways.
    #[error("classes of '{band}' are stored in two ways; '{scene}' differs from those before")]
    Classes {
        /// The band.
        band: String,
        /// The scene.
        scene: String,
    },
}

/// Bands of one grid at one or several times.
#[derive(Debug, Clone, PartialEq)]
pub struct Cube {
    georef: Georef,
    bands: Vec<CubeBand>,
    times: Vec<CubeTime>,
    rasters: Vec<Raster>,
    notes: BTreeMap<String, String>,
}

impl Cube {
    /// Builds a cube; rasters stand time after time, in the order of the bands.
    ///
    /// # Errors
    /// Parts that break one of the invariants.
    pub fn new(
        georef: Georef,
        bands: Vec<CubeBand>,
        times: Vec<CubeTime>,
        rasters: Vec<Raster>,
    ) -> Result<Self, CubeError> {
        if bands.is_empty() || times.is_empty() {
            return Err(CubeError::Empty);
        }
        if rasters.len() != times.len() * bands.len() {
            return Err(CubeError::Count {
                rasters: rasters.len(),
                times: times.len(),
                bands: bands.len(),
            });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = bands.iter().find(|b| !seen.insert(b.name.as_str())) {
            return Err(CubeError::Twice(twice.name.clone()));
        }
        if let Some(pair) = times.windows(2).find(|p| p[0].acquired > p[1].acquired) {
            return Err(CubeError::Order(pair[1].scene.clone()));
        }
        let cube = Self {
            georef,
            bands,
            times,
            rasters,
            notes: BTreeMap::new(),
        };
        match cube.unlike() {
            Some(unlike) => Err(unlike),
            None => Ok(cube),
        }
    }

    /// Finds a raster that has not the shape and type it must have.
    fn unlike(&self) -> Option<CubeError> {
        let shape = (self.georef.width, self.georef.height);
        for (time, planes) in self.times.iter().zip(self.rasters.chunks(self.bands.len())) {
            let mut pairs = self.bands.iter().zip(planes);
            let wrong = pairs.find(|(band, raster)| {
                (raster.width(), raster.height()) != shape || raster.sample_type() != band.sample
            });
            if let Some((band, _)) = wrong {
                return Some(CubeError::Unlike {
                    band: band.name.clone(),
                    scene: time.scene.clone(),
                });
            }
        }
        None
    }

    /// Adds a note that travels into files as an attribute, such as where pixels come from.
    #[must_use]
    pub fn with_note(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.notes.insert(name.into(), text.into());
        self
    }

    /// Returns the cube with only the bands of these names, in this order; `None` if one lacks.
    pub fn with_bands(&self, names: &[impl AsRef<str>]) -> Option<Self> {
        let place = |name: &_| {
            self.bands
                .iter()
                .position(|b| b.name == AsRef::as_ref(name))
        };
        let places = names.iter().map(place).collect::<Option<Vec<_>>>()?;
        let of_time = |planes: &[Raster]| places.iter().map(|at| planes[*at].clone()).collect();
        let rasters: Vec<Vec<Raster>> =
            self.rasters.chunks(self.bands.len()).map(of_time).collect();
        let bands = places.iter().map(|at| self.bands[*at].clone()).collect();
        let rasters = rasters.into_iter().flatten().collect();
        let made = Self::new(self.georef.clone(), bands, self.times.clone(), rasters).ok()?;
        Some(Self {
            notes: self.notes.clone(),
            ..made
        })
    }

    /// Returns where the cube lies.
    pub fn georef(&self) -> &Georef {
        &self.georef
    }

    /// Returns the bands.
    pub fn bands(&self) -> &[CubeBand] {
        &self.bands
    }

    /// Returns the times, ascending.
    pub fn times(&self) -> &[CubeTime] {
        &self.times
    }

    /// Returns all rasters, time after time.
    pub fn rasters(&self) -> &[Raster] {
        &self.rasters
    }

    /// Returns the notes.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.notes
    }

    /// Returns the raster of a band at a time, both from 0.
    pub fn raster(&self, time: usize, band: usize) -> Option<&Raster> {
        let known = time < self.times.len() && band < self.bands.len();
        known.then(|| &self.rasters[time * self.bands.len() + band])
    }

    /// Returns the rasters of one time in the order of the bands; empty past the last time.
    pub fn planes(&self, time: usize) -> &[Raster] {
        let mut times = self.rasters.chunks(self.bands.len());
        times.nth(time).unwrap_or_default()
    }

    /// Takes the cube apart: georeference, bands, times, rasters.
    pub fn into_parts(self) -> (Georef, Vec<CubeBand>, Vec<CubeTime>, Vec<Raster>) {
        (self.georef, self.bands, self.times, self.rasters)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Cube, CubeBand, CubeError, CubeTime};
    use crate::crs::Crs;
    use crate::raster::georef::{Affine, Georef};
    use crate::raster::{Raster, Samples};
    use crate::split::meta::SampleType;

    pub(super) fn georef() -> Georef {
        Georef {
            crs: Crs::wgs84(),
            affine: Affine::new([10.0, 0.5, 0.0, 50.0, 0.0, -0.5]).unwrap(),
            width: 3,
            height: 2,
        }
    }

    pub(super) fn band(name: &str) -> CubeBand {
        CubeBand {
            name: name.to_owned(),
            common: None,
            centre_nm: None,
            sample: SampleType::U16,
            fill: Some(0.0),
            scale: 1e-4,
            offset: -0.1,
            categorical: false,
            classes: BTreeMap::new(),
        }
    }

    pub(super) fn time(day: u8) -> CubeTime {
        CubeTime {
            acquired: format!("2022-10-{day:02}T11:54:11Z").parse().unwrap(),
            scene: format!("day{day}"),
        }
    }

    pub(super) fn raster(first: u16) -> Raster {
        Raster::new(3, 2, Samples::U16((first..first + 6).collect())).unwrap()
    }

    #[test]
    fn rasters_are_found_by_time_and_band() {
        let rasters = (0..4).map(|i| raster(i * 10)).collect();
        let bands = vec![band("B04"), band("B03")];
        let cube = Cube::new(georef(), bands, vec![time(1), time(2)], rasters).unwrap();
        assert_eq!(cube.raster(1, 0), Some(&raster(20)));
        assert_eq!(cube.planes(1), [raster(20), raster(30)]);
        assert_eq!((cube.raster(0, 2), cube.planes(2)), (None, &[][..]));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let two = || vec![raster(0), raster(1)];
        let cube = |bands, times, rasters| Cube::new(georef(), bands, times, rasters);
        let twice = cube(vec![band("B04"), band("B04")], vec![time(1)], two());
        assert_eq!(twice, Err(CubeError::Twice("B04".to_owned())));
        let back = cube(vec![band("B04")], vec![time(2), time(1)], two());
        assert_eq!(back, Err(CubeError::Order("day1".to_owned())));
        let few = cube(vec![band("B04")], vec![time(1)], two());
        assert!(matches!(few, Err(CubeError::Count { .. })));
        let wide = Raster::new(2, 3, Samples::U16(vec![0; 6])).unwrap();
        let unlike = cube(vec![band("B04")], vec![time(1)], vec![wide]);
        assert!(matches!(unlike, Err(CubeError::Unlike { .. })));
        assert_eq!(cube(vec![], vec![time(1)], vec![]), Err(CubeError::Empty));
    }

    #[test]
    fn physical_values_have_scale_and_offset_and_nan_for_fill() {
        let physical = band("B04").physical(&raster(0));
        assert!(physical[0].is_nan());
        assert!((physical[5] - (5.0 * 1e-4 - 0.1)).abs() < 1e-7);
    }
}
