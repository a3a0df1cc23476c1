//! Images of neighbouring cells in one raster, as they come: where they go, and that raster in
//! memory.
//!
//! *Invariants*: provenance names scenes, numbered over all cells by the plan, so that one scene
//! has one number on both sides of a seam, whatever order cells come in; pixels coarser than the
//! raster's are repeated, never mixed.
//!
//! *Not here*: which pixel belongs to which cell (earth's `raster::region`), rasters that memory
//! does not hold (`map`).

use std::borrow::Cow;

use earth::cube::{CubeBand, CubeTime};
use earth::extent::LonLatBox;
use earth::geocode::Geocode;
use earth::grid::{Grid, RESOLUTION_MAX};
use earth::raster::region::{self, CellBand, Frame, RegionError};
use earth::raster::resample::Method;
use earth::raster::{Raster, Samples};
use earth::split::compose::PROVENANCE;
use earth::split::meta::{BandMeta, SampleType, SplitId};
use wire::compose::{CellImage, ComposePlan, Provenance};
use wire::fault::{Fault, FaultKind};

use super::image::{Cubes, Decoded, cubes, time};
use crate::print::bytes;

/// Most bytes of a mosaic in memory: what a laptop holds beside everything else. Writing it takes
/// about as much again.
const REGION_BYTES_MAX: u64 = 4 << 30;
/// Share by which a proposed resolution is coarser than it would have to be by area alone.
const ROUNDED_UP: f64 = 1.01;

/// Whose raster it is: what becomes of cells of several resolutions, and which flags a refusal may
/// advise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Several resolutions are refused: the user says at which one is composed.
    Compose,
    /// The raster has the finest: each cell's models answer at their own.
    Predict,
}

impl Verb {
    /// Returns what to try where cells do not go into one file.
    fn in_several(self) -> &'static str {
        match self {
            Self::Compose => "-O DIR for a file a cell",
            Self::Predict => "several maps, each with a --bbox of its own",
        }
    }
}

/// Where cells' images go in one raster, and what is known of its bands.
#[derive(Debug)]
pub(super) struct Layout {
    pub frame: Frame,
    /// Nominal resolution in metres.
    resolution_m: f64,
    /// Names of the bands, provenance last.
    pub names: Vec<String>,
    /// Their sample types.
    samples: Vec<SampleType>,
    /// What is known of each, from the first image that has it.
    pub bands: Vec<Option<CubeBand>>,
    /// That of the newest split.
    pub time: Option<CubeTime>,
    verb: Verb,
}

/// Cells' images in one raster in memory.
#[derive(Debug)]
pub(super) struct Region {
    layout: Layout,
    canvas: region::Region,
}

impl Layout {
    /// Plans the raster of all cells, or of an area.
    pub(super) fn new(
        plan: &ComposePlan,
        area: Option<&LonLatBox>,
        verb: Verb,
    ) -> Result<Self, Fault> {
        let cells: Vec<Geocode> = { plan.cells.iter() }
            .map(wire::compose::CellPlan::cell)
            .collect::<Result<_, _>>()?;
        check_disjoint(&cells, verb)?;
        let resolution_m = match verb {
            Verb::Compose => one_resolution(plan)?,
            Verb::Predict => resolutions(plan).into_iter().next().unwrap_or_default(),
        };
        let grid = |cell: &Geocode| {
            let step = match verb {
                Verb::Compose => "--resolution 10",
                Verb::Predict => "glebe train again: the models say which resolution they take",
            };
            Grid::of(cell, resolution_m)
                .map_err(|e| Fault::new(FaultKind::Usage, e.to_string()).try_(step))
        };
        let grids: Vec<Grid> = cells.iter().map(grid).collect::<Result<_, _>>()?;
        let frame = Frame::of(&grids, area).map_err(|e| fault(&e, verb))?;
        let mut kinds: Vec<(String, SampleType)> = Vec::new();
        for (name, kind) in plan.cells.iter().flat_map(|c| &c.bands) {
            match kinds.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = known.wider(*kind),
                None => kinds.push((name.clone(), *kind)),
            }
        }
        kinds.push((PROVENANCE.to_owned(), SampleType::U16));
        let (names, samples): (Vec<_>, Vec<_>) = kinds.into_iter().unzip();
        Ok(Self {
            frame,
            resolution_m,
            bands: vec![None; names.len()],
            names,
            samples,
            time: None,
            verb,
        })
    }

    /// Returns how a band of an image gets into the raster, whatever place of it that is.
    fn method(&self, meta: &BandMeta) -> Method {
        if meta.categorical || is_coarser(meta.resolution_m, self.resolution_m) {
            Method::Nearest
        } else {
            Method::Bilinear
        }
    }

    /// Returns a band of an image as it goes into the raster.
    pub(super) fn band<'a>(&self, meta: &BandMeta, raster: &'a Raster) -> CellBand<'a> {
        CellBand {
            raster,
            fill: meta.fill,
            method: self.method(meta),
        }
    }

    /// Notes what an image tells of the band of that place.
    pub(super) fn learn(&mut self, place: usize, meta: &BandMeta) {
        if let Some(known) = self.bands.get_mut(place) {
            known.get_or_insert_with(|| CubeBand::from(meta));
        }
    }

    /// Notes the time of an image.
    pub(super) fn date(&mut self, image: &CellImage) {
        let newest = time(image);
        if self.time.as_ref().is_none_or(|t| *t < newest) {
            self.time = Some(newest);
        }
    }

    /// Returns the places of the bands whose pixels are counted: those that are no classes, all if
    /// there are no others.
    pub(super) fn measured(&self) -> Vec<usize> {
        let measured = |i: &usize| self.bands[*i].as_ref().is_some_and(|b| !b.categorical);
        let bands = 0..self.bands.len();
        let found: Vec<usize> = bands.clone().filter(measured).collect();
        if found.is_empty() {
            bands.collect()
        } else {
            found
        }
    }

    /// Puts what stands in the way into words.
    pub(super) fn fault(&self, error: &RegionError) -> Fault {
        fault(error, self.verb)
    }
}

impl Region {
    /// Starts with a raster without a pixel.
    pub(super) fn new(layout: Layout) -> Result<Self, Fault> {
        let pixel: u64 = layout.samples.iter().map(|k| k.bytes() as u64 + 1).sum();
        let georef = layout.frame.georef();
        check_size((georef.width, georef.height), pixel, layout.resolution_m)?;
        Ok(Self {
            canvas: region::Region::new(layout.frame.clone(), &layout.samples),
            layout,
        })
    }

    /// Places one cell's image; `number` tells the number of a split's scene.
    pub(super) fn place(
        &mut self,
        image: &CellImage,
        decoded: &Decoded,
        number: impl Fn(&SplitId) -> u16,
    ) -> Result<(), Fault> {
        let mut bands: Vec<Option<(&BandMeta, Cow<'_, Raster>)>> = Vec::new();
        for (place, name) in self.layout.names.clone().iter().enumerate() {
            let found = decoded.bands.iter().find(|(b, _)| b.name == *name);
            bands
                .push(found.map(|(meta, raster)| (meta, numbered(image, (meta, raster), &number))));
            if let Some((meta, _)) = found {
                self.layout.learn(place, meta);
            }
        }
        let layout = &self.layout;
        let placed: Vec<Option<CellBand<'_>>> = { bands.iter() }
            .map(|band| {
                band.as_ref()
                    .map(|(meta, raster)| layout.band(meta, raster))
            })
            .collect();
        let placing = self.canvas.place(&decoded.grid, &placed);
        placing.map_err(|e| self.layout.fault(&e))?;
        self.layout.date(image);
        Ok(())
    }

    /// Returns valid / all pixels of the raster in percent, over bands that are no classes.
    pub(super) fn coverage(&self) -> f64 {
        100.0 * self.canvas.coverage(self.layout.measured().into_iter())
    }

    /// Returns the image.
    pub(super) fn finish(self) -> Result<Cubes, Fault> {
        let georef = self.canvas.frame().georef().clone();
        let done = self.canvas.finish().into_iter().zip(self.layout.bands);
        let bands = done.filter_map(|((raster, fill), band)| {
            let band = CubeBand {
                sample: raster.sample_type(),
                fill,
                ..band?
            };
            Some((band, raster))
        });
        let nothing = || Fault::new(FaultKind::Nothing, "no cell was composed");
        cubes(
            &georef,
            bands.collect(),
            &self.layout.time.ok_or_else(nothing)?,
        )
    }
}

/// Refuses cells that lie inside each other: pixels would be doubled.
fn check_disjoint(cells: &[Geocode], verb: Verb) -> Result<(), Fault> {
    let schemes = |a: &Geocode, b: &Geocode| a.scheme() == b.scheme();
    for pair in cells.windows(2) {
        if schemes(&pair[0], &pair[1]) && pair[0].contains(&pair[1]) {
            let what = format!("cell {} lies inside {}", pair[1], pair[0]);
            return Err(Fault::new(FaultKind::Usage, what)
                .because("collections of several precisions match")
                .try_(format!("--collection NAME, or {}", verb.in_several())));
        }
    }
    Ok(())
}

/// Says that cells have several resolutions, if they have, and which one their raster has.
pub(super) fn told(plan: &ComposePlan) -> Option<String> {
    let all = resolutions(plan);
    let (finest, coarser) = all.split_first()?;
    let coarser: Vec<String> = coarser.iter().map(|m| format!("{m} m")).collect();
    (!coarser.is_empty()).then(|| {
        let coarser = coarser.join(" and ");
        format!("note: the map has pixels of {finest} m; answers of {coarser} are repeated in it")
    })
}

/// Returns the resolutions of all cells in metres, the finest first.
fn resolutions(plan: &ComposePlan) -> Vec<f64> {
    let mut all: Vec<f64> = plan.cells.iter().map(|c| c.resolution_m).collect();
    all.sort_by(f64::total_cmp);
    all.dedup_by(|coarse, fine| !is_coarser(*coarse, *fine));
    all
}

fn is_coarser(one_m: f64, other_m: f64) -> bool {
    one_m - other_m > 1e-9
}

fn one_resolution(plan: &ComposePlan) -> Result<f64, Fault> {
    match resolutions(plan).as_slice() {
        [] => Ok(0.0),
        [one] => Ok(*one),
        [finest, .., coarsest] => Err(Fault::new(
            FaultKind::Usage,
            "cells have several resolutions",
        )
        .because(format!("some have {finest} m, some {coarsest} m"))
        .try_(format!("--resolution {finest}"))),
    }
}

/// Refuses an image that memory does not hold, and proposes the pixels with which it would.
fn check_size((width, height): (u32, u32), pixel_bytes: u64, resolution: f64) -> Result<(), Fault> {
    let pixels = u64::from(width) * u64::from(height);
    let size = pixels.saturating_mul(pixel_bytes);
    if size <= REGION_BYTES_MAX {
        return Ok(());
    }
    let what = format!("an image of {width} x {height} pixels is too large");
    let limit = bytes(REGION_BYTES_MAX);
    let fault = Fault::new(FaultKind::Refused, what)
        .because(format!("it takes {}; {limit} at most", bytes(size)));
    let in_several = Verb::Compose.in_several();
    // Each side has so many times fewer pixels; a little more, as edges are rounded outwards.
    let fewer = (size as f64 / REGION_BYTES_MAX as f64).sqrt() * ROUNDED_UP;
    let coarser = (resolution * fewer).ceil();
    Err(fault.try_(if coarser <= RESOLUTION_MAX {
        format!("--resolution {coarser}, fewer --bands, or {in_several}")
    } else {
        format!("a smaller --bbox, or {in_several}")
    }))
}

/// Returns a band as it goes into the raster: provenance with the numbers of scenes.
pub(super) fn numbered<'a>(
    image: &CellImage,
    (meta, raster): (&BandMeta, &'a Raster),
    number: impl Fn(&SplitId) -> u16,
) -> Cow<'a, Raster> {
    if meta.name != PROVENANCE || image.report.provenance != Provenance::Part {
        return Cow::Borrowed(raster);
    }
    let numbers: Vec<u16> = image.report.parts.iter().map(|p| number(&p.id)).collect();
    Cow::Owned(renumber(raster, &numbers))
}

/// Gives pixels the numbers of scenes in place of parts.
fn renumber(raster: &Raster, numbers: &[u16]) -> Raster {
    let Samples::U16(values) = raster.samples() else {
        return raster.clone();
    };
    let number = |part: &u16| {
        let place = usize::from(*part).checked_sub(1);
        place.and_then(|p| numbers.get(p)).copied().unwrap_or(0)
    };
    let values = values.iter().map(number).collect();
    Raster::new(raster.width(), raster.height(), Samples::U16(values))
        .unwrap_or_else(|_| raster.clone())
}

fn fault(error: &RegionError, verb: Verb) -> Fault {
    let (kind, step) = match error {
        RegionError::Empty => (FaultKind::Nothing, "glebe search"),
        RegionError::Schemes => (FaultKind::Usage, "--collection NAME"),
        RegionError::TooLarge { .. } if verb == Verb::Compose => {
            (FaultKind::Refused, "a coarser --resolution, or -O DIR")
        }
        RegionError::TooLarge { .. } => (FaultKind::Refused, verb.in_several()),
        RegionError::Crs(_)
        | RegionError::Affine(_)
        | RegionError::Mosaic(_)
        | RegionError::Shape(..)
        | RegionError::Bands(..) => (FaultKind::Data, verb.in_several()),
    };
    Fault::new(kind, "the cells cannot be one image")
        .because(error.to_string())
        .try_(step)
}

#[cfg(test)]
mod tests {
    use earth::geocode::Scheme;

    use super::*;

    #[test]
    fn an_image_that_is_too_large_is_told_at_which_resolution_it_is_not() {
        check_size((30_000, 30_000), 4, 10.0).unwrap();
        let fault = check_size((200_000, 200_000), 4, 10.0).unwrap_err();
        let step = fault.try_.unwrap();
        let resolution = step.strip_prefix("--resolution ").unwrap();
        let (resolution, _) = resolution.split_once(',').unwrap();
        let resolution: f64 = resolution.parse().unwrap();
        assert!((62.0..=63.0).contains(&resolution), "{step}");
        // The side in pixels of that resolution.
        check_size((31_746, 31_746), 4, resolution).unwrap();
        let fault = check_size((u32::MAX, u32::MAX), 8, 900.0).unwrap_err();
        assert!(fault.try_.unwrap().starts_with("a smaller --bbox"));
    }

    /// It advised flags that `predict` does not have.
    #[test]
    fn a_map_that_cannot_be_is_advised_no_flag_of_another_verb() {
        let nested = ["9xj", "9xj5"].map(|c| Geocode::parse(Scheme::Geohash, c).unwrap());
        let too_large = RegionError::TooLarge {
            width: 1e9,
            height: 1.0,
        };
        let faults = [
            check_disjoint(&nested, Verb::Predict).unwrap_err(),
            fault_of(&too_large),
            fault_of(&RegionError::Empty),
        ];
        for fault in faults {
            let step = fault.try_.unwrap();
            for flag in ["--resolution", "--bands", "-O DIR"] {
                assert!(!step.contains(flag), "{step}");
            }
        }
    }

    fn fault_of(error: &RegionError) -> Fault {
        fault(error, Verb::Predict)
    }
}
