//! One raster file that GDAL reads: where it lies, what its bands hold, and windows of them.
//!
//! *Invariants*: only the driver asked for is tried; where the raster lies is known; pixels come
//! back as delivered, without scale, offset or resampling, but for values outside a declared range
//! (`Image::valid_within`), which come back as the band's one fill value; libraries that are not
//! thread-safe are in one thread at a time.
//!
//! *Not here*: which files belong to a scene (the sources).

mod band;
mod format;
mod handles;
mod product;
mod seen;
mod words;

use std::path::Path;
use std::sync::Arc;

use earth::crs::Crs;
use earth::raster::georef::{Affine, Georef, PixelWindow};
use earth::raster::pixel::Pixel;
use earth::raster::swath::{Place, Swath};
use earth::raster::veil::holds;
use earth::raster::{Raster, Samples};
use earth::split::meta::SampleType;
use gdal::Dataset;
use gdal::errors::GdalError;
use gdal::raster::{GdalDataType, GdalType, RasterBand};
use gdal::spatial_ref::SpatialRef;
use wire::fault::{Fault, FaultKind};

use self::band::BandFacts;
pub use self::band::Shows;
pub use self::format::Format;
pub(super) use self::format::alone;
use self::handles::Handles;
use self::seen::Seen;
use self::words::gdal_reason;
pub(super) use self::words::{damaged, gdal_words};
use super::unpacked::Unpacked;

/// Greatest window read at once, in pixels: a strip of a 10,980-pixel tile has some 16 million.
pub const WINDOW_PIXELS_MAX: u64 = 1 << 28;
/// Declared resolutions within this ratio of the real pixel are meant by it.
const NOMINAL_RATIO: f64 = 1.25;

/// A raster file that is open.
pub struct Image {
    label: String,
    seen: Seen,
    handles: Handles,
    /// Keeps the file in being that was unpacked for this image.
    unpacked: Option<Arc<Unpacked>>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image")
            .field("label", &self.label)
            .field("place", &self.seen.place.whole())
            .finish_non_exhaustive()
    }
}

impl Image {
    /// Opens a file that says where it lies; `label` names it in messages.
    pub fn open(path: &Path, label: &str, format: Format) -> Result<Self, Fault> {
        let place = |dataset: &Dataset| georef(dataset, label).map(Place::Mapped);
        Self::open_at(path, (label, format), &place)
    }

    /// Opens a file whose pixels lie along a swath.
    pub fn open_along(
        path: &Path,
        label: &str,
        (format, swath): (Format, &Arc<Swath>),
    ) -> Result<Self, Fault> {
        Self::open_at(path, (label, format), &|dataset| {
            let (has, whole) = (dataset.raster_size(), swath.whole());
            if has == (whole.width as usize, whole.height as usize) {
                return Ok(Place::Swath(Arc::clone(swath)));
            }
            let what = format!("'{label}' cannot be placed");
            Err(Fault::new(FaultKind::Data, what).because(format!(
                "it has {} x {} pixels, their positions {} x {}",
                has.0, has.1, whole.width, whole.height
            )))
        })
    }

    fn open_at(
        path: &Path,
        (label, format): (&str, Format),
        place: &dyn Fn(&Dataset) -> Result<Place, Fault>,
    ) -> Result<Self, Fault> {
        let handles = Handles::open(path, format).map_err(|e| damaged(label, &e))?;
        let seen = handles.with(|dataset| Ok(Seen::of(dataset, label, place)));
        let seen = seen.map_err(|e| damaged(label, &e))??;
        Ok(Self {
            label: label.to_owned(),
            seen,
            handles,
            unpacked: None,
        })
    }

    /// Returns the name used in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns where the raster lies.
    pub fn georef(&self) -> &Place {
        &self.seen.place
    }

    /// Returns the ground size of a pixel at the raster's centre in metres, rounded to two digits.
    pub fn resolution_m(&self) -> f64 {
        two_digits(self.seen.resolution_m)
    }

    /// Returns the declared resolution that the real pixel means, else the real one rounded.
    pub fn nominal_m(&self, declared: &[f64]) -> f64 {
        let off = |d: &f64| (self.seen.resolution_m / d).ln().abs();
        let nearest = declared
            .iter()
            .filter(|d| **d > 0.0)
            .min_by(|a, b| off(a).total_cmp(&off(b)));
        match nearest {
            Some(d) if off(d) < NOMINAL_RATIO.ln() => *d,
            _ => self.resolution_m(),
        }
    }

    /// Returns the columns and rows of the blocks that the file is stored in.
    pub fn block(&self) -> (u32, u32) {
        self.seen.block
    }

    /// Returns the number of bands.
    pub fn bands(&self) -> usize {
        self.seen.bands.len()
    }

    /// Returns the description of a band, empty if it has none.
    pub fn description(&self, band: usize) -> &str {
        self.facts(band).map_or("", |f| f.description.as_str())
    }

    /// Returns the value that means "nothing", where the file names one that a pixel can hold.
    pub fn fill(&self, band: usize) -> Option<f64> {
        let fill = self.facts(band)?.fill.filter(|f| !f.is_nan())?;
        let sample = self.sample_type(band).ok()?;
        let fill = match sample {
            SampleType::F32 => f32::nearest(fill).to_f64(),
            _ => fill,
        };
        holds(sample, fill).then_some(fill)
    }

    /// Returns scale and offset, where the file says them.
    pub fn scaling(&self, band: usize) -> (Option<f64>, Option<f64>) {
        self.facts(band)
            .map_or((None, None), |f| (f.scale, f.offset))
    }

    /// Returns what a band shows.
    pub fn shows(&self, band: usize) -> Shows {
        self.facts(band).map_or(Shows::Values, |f| f.shows)
    }

    /// Takes an alpha band for a band like any other, as of NAIP, whose fourth band is so tagged.
    #[must_use]
    pub fn without_alpha(mut self) -> Self {
        let alpha = self.seen.bands.iter().any(|b| b.shows == Shows::Alpha);
        for band in self.seen.bands.iter_mut().filter(|_| alpha) {
            band.masked = false;
            band.shows = Shows::Values;
        }
        self
    }

    /// Returns how a band's pixels are stored.
    pub fn sample_type(&self, band: usize) -> Result<SampleType, Fault> {
        match self.facts(band).map(|f| f.kind) {
            Some(GdalDataType::UInt8) if self.is_signed(band) => Ok(SampleType::I16),
            Some(GdalDataType::UInt8) => Ok(SampleType::U8),
            Some(GdalDataType::UInt16) => Ok(SampleType::U16),
            Some(GdalDataType::Int16) => Ok(SampleType::I16),
            Some(GdalDataType::UInt32) => Ok(SampleType::U32),
            Some(GdalDataType::Int32) => Ok(SampleType::I32),
            Some(GdalDataType::Float32) => Ok(SampleType::F32),
            Some(GdalDataType::Float64) => Ok(SampleType::F64),
            kind => Err(Fault::new(
                FaultKind::Data,
                format!(
                    "band {band} of '{}' holds numbers that cannot be stored",
                    self.label
                ),
            )
            .because(match kind {
                None => "it is not there".to_owned(),
                Some(GdalDataType::Unknown) => {
                    "they are complex; which part of them is meant cannot be known".to_owned()
                }
                Some(kind) => format!("they are {kind}"),
            })
            .try_(
                "gdal_translate -ot Float32, or gdal_calc.py for the modulus of complex numbers",
            )),
        }
    }

    /// Reads a window of a band.
    pub fn read(&self, band: usize, window: PixelWindow) -> Result<Raster, Fault> {
        // One band is asked for, one is answered.
        Ok(self.read_bands(&[band], window)?.swap_remove(0))
    }

    /// Reads a window of some bands, one after another through one handle: files that keep the
    /// bands of a pixel together are decoded once.
    pub fn read_bands(&self, bands: &[usize], window: PixelWindow) -> Result<Vec<Raster>, Fault> {
        let pixels = u64::from(window.width) * u64::from(window.height);
        if pixels > WINDOW_PIXELS_MAX {
            let much = format!("it needs {pixels} pixels at once; at most {WINDOW_PIXELS_MAX}");
            return Err(
                Fault::new(FaultKind::Data, format!("'{}' is too large", self.label))
                    .because(much)
                    .try_("gdal_translate -of COG writes a copy in small blocks"),
            );
        }
        let types = bands.iter().map(|b| self.sample_type(*b));
        let types = types.collect::<Result<Vec<_>, Fault>>()?;
        let read = |dataset: &Dataset| {
            let bands = bands.iter().zip(types);
            let read = |(band, kind): (&usize, SampleType)| {
                let from = dataset.rasterband(*band)?;
                self.samples(&from, (*band, kind), window)
            };
            bands.map(read).collect::<Result<Vec<_>, GdalError>>()
        };
        let samples = self
            .handles
            .with(read)
            .map_err(|e| damaged(&self.label, &e))?;
        let raster = |samples| {
            Raster::new(window.width, window.height, samples).map_err(|e| {
                Fault::new(FaultKind::Data, format!("'{}' cannot be read", self.label))
                    .because(e.to_string())
            })
        };
        samples.into_iter().map(raster).collect()
    }

    fn samples(
        &self,
        from: &RasterBand<'_>,
        (band, kind): (usize, SampleType),
        window: PixelWindow,
    ) -> Result<Samples, GdalError> {
        Ok(match kind {
            SampleType::I16 if self.is_signed(band) => {
                Samples::I16(signed(&self.values::<u8>(from, band, window)?))
            }
            SampleType::U8 => Samples::U8(self.values(from, band, window)?),
            SampleType::U16 => Samples::U16(self.values(from, band, window)?),
            SampleType::I16 => Samples::I16(self.values(from, band, window)?),
            SampleType::U32 => Samples::U32(self.values(from, band, window)?),
            SampleType::I32 => Samples::I32(self.values(from, band, window)?),
            SampleType::F32 => Samples::F32(self.values(from, band, window)?),
            SampleType::F64 => Samples::F64(self.values(from, band, window)?),
        })
    }

    fn values<T: GdalType + Pixel>(
        &self,
        from: &RasterBand<'_>,
        band: usize,
        window: PixelWindow,
    ) -> Result<Vec<T>, GdalError> {
        let (offset, size) = corner_and_size(window);
        let buffer = from.read_as::<T>(offset, size, size, None)?;
        let mut values = buffer.into_shape_and_vec().1;
        self.void_outside(band, &mut values);
        Ok(values)
    }

    /// Returns which pixels of a window hold something, where a mask or alpha band says so.
    pub fn read_mask(&self, band: usize, window: PixelWindow) -> Result<Option<Vec<bool>>, Fault> {
        // GDAL takes an alpha band for a mask only behind one band or three.
        if let Some(alpha) = self.alpha().filter(|a| *a != band) {
            let opaque = self.read(alpha, window)?.samples().to_f64();
            return Ok(Some(opaque.into_iter().map(|a| a.abs() > 0.0).collect()));
        }
        if !self.facts(band).is_some_and(|f| f.masked) {
            return Ok(None);
        }
        let (offset, size) = corner_and_size(window);
        let read = |dataset: &Dataset| {
            let band = dataset.rasterband(band)?;
            band.open_mask_band()?
                .read_as::<u8>(offset, size, size, None)
        };
        let buffer = self
            .handles
            .with(read)
            .map_err(|e| damaged(&self.label, &e))?;
        let opaque = buffer.into_shape_and_vec().1;
        Ok(Some(opaque.into_iter().map(|alpha| alpha != 0).collect()))
    }

    /// Tells whether a mask or alpha band says which pixels hold something.
    pub fn is_masked(&self, band: usize) -> bool {
        self.facts(band).is_some_and(|f| f.masked) || self.alpha().is_some_and(|a| a != band)
    }

    fn alpha(&self) -> Option<usize> {
        (1..=self.bands()).find(|b| self.shows(*b) == Shows::Alpha)
    }

    fn is_signed(&self, band: usize) -> bool {
        self.facts(band).is_some_and(|f| f.signed)
    }

    fn facts(&self, band: usize) -> Option<&BandFacts> {
        band.checked_sub(1).and_then(|i| self.seen.bands.get(i))
    }
}

/// Returns a window as GDAL takes it: first column and row, then width and height.
fn corner_and_size(window: PixelWindow) -> ((isize, isize), (usize, usize)) {
    let start = |n: u32| isize::try_from(n).unwrap_or(isize::MAX);
    let size = (window.width as usize, window.height as usize);
    ((start(window.column), start(window.row)), size)
}

/// Reads bytes as the signed numbers they are.
fn signed(bytes: &[u8]) -> Vec<i16> {
    bytes.iter().map(|b| i16::from(b.cast_signed())).collect()
}

fn georef(dataset: &Dataset, label: &str) -> Result<Georef, Fault> {
    let lost = |reason: &str| {
        Fault::new(
            FaultKind::Data,
            format!("'{label}' does not say where on Earth it lies"),
        )
        .because(reason)
        .try_("gdal_translate -a_srs EPSG:… -a_ullr … writes it into a copy")
    };
    let srs = dataset.spatial_ref();
    let srs = srs.map_err(|_| lost("it has no coordinate reference system"))?;
    let transform = dataset
        .geo_transform()
        .map_err(|_| lost("it has no geotransform"))?;
    let affine = Affine::new(transform).map_err(|e| lost(&e.to_string()))?;
    let crs = crs(&srs).map_err(|reason| lost(&reason))?;
    let (width, height) = dataset.raster_size();
    let side = |n: usize| u32::try_from(n).map_err(|_| lost("it is larger than any raster"));
    Ok(Georef {
        crs,
        affine,
        width: side(width)?,
        height: side(height)?,
    })
}

/// Returns a system by its EPSG code where that is known to us, else by its PROJ string.
fn crs(srs: &SpatialRef) -> Result<Crs, String> {
    let epsg = || {
        let ours = srs
            .auth_name()
            .is_some_and(|n| n.eq_ignore_ascii_case("EPSG"));
        let code = srs.auth_code().ok().filter(|_| ours)?;
        Crs::from_epsg(u32::try_from(code).ok()?).ok()
    };
    if let Some(crs) = epsg() {
        return Ok(crs);
    }
    let text = srs.to_proj4().map_err(|e| gdal_reason(&e))?;
    Crs::from_proj_string(&text).map_err(|e| e.to_string())
}

/// Rounds to two significant digits.
fn two_digits(value: f64) -> f64 {
    let step = 10_f64.powf(value.abs().log10().floor() - 1.0);
    let rounded = (value / step).round() * step;
    // 0.6 and not 0.6000000000000001: such numbers name files.
    format!("{rounded:.6}").parse().unwrap_or(rounded)
}

#[cfg(test)]
mod tests {
    use super::two_digits;

    #[test]
    fn resolutions_round_to_two_digits() {
        let cases = [
            (9.9948, 10.0),
            (0.6002, 0.6),
            (1098.0, 1100.0),
            (4.998, 5.0),
            (27.4, 27.0),
        ];
        for (real, wanted) in cases {
            assert!((two_digits(real) - wanted).abs() < 1e-12, "{real}");
        }
    }
}
