//! A split's files read and brought onto the grid of the composition.
//!
//! What a pixel sees is read from the class band that says it, where the split holds one (`sky`).
//!
//! *Invariants*: a band that is stored as the composition stores it, on its grid, is not touched;
//! a valid pixel never becomes fill.
//!
//! *Not here*: which band says what a pixel sees, and what its values mean (`split::sky`).

use std::collections::BTreeMap;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::bands::{Wanted, WantedBand};
use super::{ComposeError, Resampling};
use crate::grid::Grid;
use crate::raster::cloud::Sky;
use crate::raster::pixel::Pixel;
use crate::raster::reproject::Warped;
use crate::raster::resample::{Alignment, Method, Source, resample_onto};
use crate::raster::splice::{Band, Plan, Role, Scene, ScenePlane};
use crate::raster::{Raster, Samples};
use crate::split::codec;
use crate::split::meta::{BandMeta, SampleType, SplitMeta};
use crate::split::sky::Judge;

/// Bytes of a split's files by name.
pub type SplitFiles<'a> = BTreeMap<&'a str, &'a [u8]>;

/// Reads a split onto a grid.
pub(super) fn read(
    split: &SplitMeta,
    files: &SplitFiles<'_>,
    (wanted, (grid, resampling)): (&Wanted, (&Grid, Resampling)),
) -> Result<Scene, ComposeError> {
    let source = Given { split, files };
    let size = (grid.width(), grid.height());
    let plane = |band: &WantedBand| {
        let found = split.bands.iter().find(|b| b.name == band.label.name);
        found
            .map(|meta| source.plane(meta, band, (size, resampling)))
            .transpose()
    };
    let planes = wanted.bands.par_iter().map(plane);
    let planes = planes.collect::<Result<_, _>>()?;
    let sky = Judge::of(split).map(|judge| source.sky(&judge, size));
    let sky = sky.transpose()?;
    Ok(Scene { planes, sky })
}

/// Returns which pixels any band of those roles shows.
pub(super) fn shown(scene: &Scene, plan: &Plan, counts: impl Fn(Role) -> bool) -> Vec<bool> {
    let mut shown = vec![false; plan.pixels()];
    let planes = scene.planes.iter().zip(&plan.bands);
    for (plane, _) in planes.filter(|(_, band)| counts(band.role)) {
        let Some(plane) = plane else { continue };
        let valid = plane.raster.validity(plane.fill);
        for (shown, valid) in shown.iter_mut().zip(valid) {
            *shown |= valid;
        }
    }
    shown
}

/// A split's metadata and files.
struct Given<'a> {
    split: &'a SplitMeta,
    files: &'a SplitFiles<'a>,
}

impl Given<'_> {
    fn raster(&self, band: &BandMeta) -> Result<Raster, ComposeError> {
        let bytes = self.files.get(band.asset.as_str());
        let bytes = bytes.ok_or_else(|| ComposeError::NoFile {
            split: self.split.id.clone(),
            file: band.asset.clone(),
        })?;
        let failed = |source| ComposeError::File {
            split: self.split.id.clone(),
            file: band.asset.clone(),
            source,
        };
        let decoded = codec::decode(bytes, &[band.index as usize]).map_err(failed)?;
        let nothing = || ComposeError::NoFile {
            split: self.split.id.clone(),
            file: band.asset.clone(),
        };
        decoded.into_iter().next().ok_or_else(nothing)
    }

    /// Returns a band on the grid, stored as the composition stores it.
    fn plane(
        &self,
        meta: &BandMeta,
        band: &WantedBand,
        (size, resampling): ((u32, u32), Resampling),
    ) -> Result<ScenePlane, ComposeError> {
        let raster = self.raster(meta)?;
        let raster = self.sized(meta, raster, (size, resampling))?;
        Ok(stored_as(&band.plan, raster, meta))
    }

    /// Returns a raster in the shape of the grid.
    fn sized(
        &self,
        meta: &BandMeta,
        raster: Raster,
        (size, resampling): ((u32, u32), Resampling),
    ) -> Result<Raster, ComposeError> {
        if (raster.width(), raster.height()) == size {
            return Ok(raster);
        }
        let failed = |source| ComposeError::Resample {
            split: self.split.id.clone(),
            band: meta.name.clone(),
            source,
        };
        let from = (raster.width(), raster.height());
        let axes = Alignment::of_cell(from, size).map_err(|e| failed(e.into()))?;
        let method = if meta.categorical {
            resampling.0.for_classes(axes.ratio())
        } else {
            resampling.0
        };
        let source = Source {
            raster: &raster,
            fill: meta.fill,
        };
        let resampled = resample_onto(source, &axes, method);
        resampled.map(|w: Warped| w.raster).map_err(failed)
    }

    /// Returns what each pixel of the grid sees.
    fn sky(&self, judge: &Judge<'_>, size: (u32, u32)) -> Result<Vec<Sky>, ComposeError> {
        let raster = self.raster(judge.band)?;
        let nearest = (size, Resampling(Method::Nearest));
        let raster = self.sized(judge.band, raster, nearest)?;
        Ok(judge.sky(&raster))
    }
}

/// Brings digital numbers to the type, scale and offset of the composition.
fn stored_as(band: &Band, raster: Raster, meta: &BandMeta) -> ScenePlane {
    let same = |a: f64, b: f64| (a - b).abs() <= f64::EPSILON * a.abs().max(b.abs());
    let physical = same(band.scale, meta.scale) && same(band.offset, meta.offset);
    if band.sample == raster.sample_type() && physical {
        return ScenePlane {
            raster,
            fill: meta.fill,
        };
    }
    let number = |stored: f64| {
        if physical {
            stored
        } else {
            (stored * meta.scale + meta.offset - band.offset) / band.scale
        }
    };
    let valid = raster.validity(meta.fill);
    let (width, height) = (raster.width(), raster.height());
    let values = raster.samples().to_f64();
    let (samples, fill) = match band.sample {
        SampleType::U8 => converted::<u8>(&values, &valid, number),
        SampleType::U16 => converted::<u16>(&values, &valid, number),
        SampleType::I16 => converted::<i16>(&values, &valid, number),
        SampleType::U32 => converted::<u32>(&values, &valid, number),
        SampleType::I32 => converted::<i32>(&values, &valid, number),
        SampleType::F32 => converted::<f32>(&values, &valid, number),
        SampleType::F64 => converted::<f64>(&values, &valid, number),
    };
    ScenePlane {
        raster: Raster::counted(width, height, samples),
        fill,
    }
}

/// Converts valid numbers; the others become NaN, or 0 where there is none.
fn converted<T: Pixel>(
    values: &[f64],
    valid: &[bool],
    number: impl Fn(f64) -> f64,
) -> (Samples, Option<f64>) {
    let void = T::exactly(f64::NAN).unwrap_or_default();
    let whole = valid.iter().all(|v| *v);
    let convert = |(value, valid): (&f64, &bool)| {
        let sample = T::nearest(number(*value));
        match valid {
            true if T::INTEGER && !whole && sample == void => beside_zero(sample),
            true => sample,
            false => void,
        }
    };
    let samples = values.iter().zip(valid).map(convert).collect();
    let fill = (T::INTEGER && !whole).then(|| void.to_f64());
    (T::into_samples(samples), fill)
}

/// Returns the least number above what means "nothing".
fn beside_zero<T: Pixel>(_zero: T) -> T {
    T::nearest(1.0)
}
