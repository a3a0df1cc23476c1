//! What is measured of a cut: statistics per band, clouds, texture.
//!
//! *Invariants*: a pure function of the pixels; fill counts nowhere.
//!
//! *Not here*: delivered cloud masks (ingest cuts them, `raster::cloud` reads them).

use rayon::iter::{IntoParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

use crate::raster::cloud::CloudMask;
use crate::raster::cloud::spectral::{Reflectances, spectral_mask};
use crate::raster::pixel::Pixel;
use crate::raster::texture::{Grey, texture};
use crate::raster::{Raster, classes, each_sample_type};
use crate::split::cut::Cut;
use crate::split::meta::{BandMeta, BandStats, PixelCounts, SampleType};

/// Reflectance that becomes the brightest grey level (DESIGN §8).
const GREY_REFLECTANCE_MAX: f64 = 0.4;

/// What was measured, as `SplitMeta` holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The cut's bands with statistics.
    pub bands: Vec<BandMeta>,
    /// The cut's counts with those of the mask.
    pub counts: PixelCounts,
    /// Where the cloud mask came from; `None` if there is none.
    pub cloud_source: Option<String>,
    /// 18 GLCM values; `None` without visible bands or pairs of valid pixels.
    pub texture: Option<Vec<f64>>,
}

/// Measures a cut. Without a delivered mask clouds are judged by reflectance, if red, green and
/// blue are calibrated.
pub fn measure(cut: &Cut, delivered: Option<&CloudMask>) -> Measured {
    let mut bands = cut.bands.clone();
    let count = || bands.par_iter_mut().for_each(|meta| statistics(cut, meta));
    let judge = || delivered.is_none().then(|| spectral(cut)).flatten();
    let feel = || grey(cut).and_then(|grey| texture(&grey));
    let ((), (computed, texture)) = rayon::join(count, || rayon::join(judge, feel));
    let mask = delivered.or(computed.as_ref());
    let counts = PixelCounts {
        mask: mask.map(CloudMask::counts),
        ..cut.counts
    };
    let cloud_source = mask.map(|m| m.meaning().name.to_owned());
    Measured {
        bands,
        counts,
        cloud_source,
        texture: texture.map(|values| values.to_vec()),
    }
}

/// Counts the values of a band.
fn statistics(cut: &Cut, meta: &mut BandMeta) {
    let asset = cut.assets.iter().find(|a| a.name == meta.asset);
    let raster = asset.and_then(|a| a.rasters.get(meta.index as usize));
    let Some(samples) = raster.map(Raster::samples) else {
        return;
    };
    if meta.categorical {
        meta.stats = BandStats::moments(samples, meta.fill);
        meta.classes = classes::count(samples, meta.fill);
    } else {
        meta.stats = BandStats::of(samples, meta.fill);
    }
}

/// One band in physical values.
struct Physical<'a> {
    raster: &'a Raster,
    meta: &'a BandMeta,
    valid: Vec<bool>,
}

impl<'a> Physical<'a> {
    fn of(cut: &'a Cut, name: &str) -> Option<Self> {
        let (meta, raster, fill) = cut.common(name)?;
        Some(Self {
            raster,
            meta,
            valid: raster.validity(fill),
        })
    }

    /// Tells whether stored numbers have a known relation to reflectance.
    fn is_calibrated(&self) -> bool {
        !self.meta.sample.is_integer() || (self.meta.scale - 1.0).abs() > 0.0
    }

    /// Returns the physical value at a pixel of another grid of the same cell; `None` for fill.
    fn at(&self, (column, row): (usize, usize), (width, height): (usize, usize)) -> Option<f64> {
        let (own_width, own_height) = (self.raster.width() as usize, self.raster.height() as usize);
        // The pixel under the other's centre: (column + ½) / width of the way.
        let column = (2 * column + 1) * own_width / (2 * width);
        let row = (2 * row + 1) * own_height / (2 * height);
        let place = row * own_width + column;
        let stored = self
            .raster
            .samples()
            .get(place)
            .filter(|_| self.valid[place])?;
        Some(stored * self.meta.scale + self.meta.offset)
    }

    /// Adds the physical values of a row of another grid of the same cell, and notes fill.
    fn add_row(&self, row: usize, height: usize, line: &mut Line) {
        let (own_width, own_height) = self.size();
        let start = (2 * row + 1) * own_height / (2 * height) * own_width;
        let valid = &self.valid[start..start + own_width];
        each_sample_type!(self.raster.samples(), values => {
            line.add(&values[start..start + own_width], valid, self.meta);
        });
    }

    fn size(&self) -> (usize, usize) {
        (self.raster.width() as usize, self.raster.height() as usize)
    }
}

/// Judges clouds by reflectance on the green band's grid.
fn spectral(cut: &Cut) -> Option<CloudMask> {
    let band = |name: &str| Physical::of(cut, name).filter(Physical::is_calibrated);
    let (blue, green, red) = (band("blue")?, band("green")?, band("red")?);
    let (nir, swir, cirrus) = (
        band("nir").or(band("nir08")),
        band("swir16"),
        band("cirrus"),
    );
    let size = green.size();
    let at = |band: &Option<Physical<'_>>, place| band.as_ref().and_then(|b| b.at(place, size));
    let pixels = (0..size.0 * size.1)
        .into_par_iter()
        .map(|i| (i % size.0, i / size.0))
        .map(|place| Reflectances {
            blue: blue.at(place, size),
            green: green.at(place, size),
            red: red.at(place, size),
            nir: at(&nir, place),
            swir: at(&swir, place),
            cirrus: at(&cirrus, place),
        });
    Some(spectral_mask(pixels))
}

/// Returns the grey image: the mean of visible bands, on the grid of the finest of them.
///
/// Reflectance 0–0.4 becomes 0–255; bytes without calibration are taken as they are. A pixel is
/// void unless all visible bands that the cut has are valid there.
fn grey(cut: &Cut) -> Option<Grey> {
    let visible: Vec<_> = ["red", "green", "blue"]
        .iter()
        .filter_map(|name| Physical::of(cut, name))
        .collect();
    let finest = visible.iter().max_by_key(|b| b.raster.pixels())?;
    let bytes = visible
        .iter()
        .all(|b| !b.is_calibrated() && b.meta.sample == SampleType::U8);
    if !bytes && !visible.iter().all(Physical::is_calibrated) {
        return None;
    }
    let full = if bytes { 255.0 } else { GREY_REFLECTANCE_MAX };
    let (width, height) = finest.size();
    Some(Grey::by_row((width, height), |row, out| {
        let mut line = Line {
            sums: vec![0.0; width],
            void: vec![false; width],
        };
        for band in &visible {
            band.add_row(row, height, &mut line);
        }
        let mean = |sum: f64| to_level(sum / visible.len() as f64 / full);
        let sums = line.sums.into_iter().zip(line.void);
        out.write(sums.map(|(sum, void)| (!void).then(|| mean(sum))));
    }))
}

/// A row of sums of bands.
struct Line {
    sums: Vec<f64>,
    /// Where some band has no value.
    void: Vec<bool>,
}

impl Line {
    /// Adds a row of stored numbers, as often as the line is longer.
    fn add<T: Pixel>(&mut self, values: &[T], valid: &[bool], meta: &BandMeta) {
        let width = self.sums.len();
        let sums = self.sums.iter_mut().zip(&mut self.void);
        if values.len() == width {
            for ((sum, void), (value, valid)) in sums.zip(values.iter().zip(valid)) {
                *sum += value.to_f64() * meta.scale + meta.offset;
                *void |= !valid;
            }
            return;
        }
        for (column, (sum, void)) in sums.enumerate() {
            let own = (2 * column + 1) * values.len() / (2 * width);
            *sum += values[own].to_f64() * meta.scale + meta.offset;
            *void |= !valid[own];
        }
    }
}

/// Returns the grey level of a share of full brightness, rounded and clamped.
fn to_level(share: f64) -> u8 {
    u8::nearest(share * 255.0)
}
