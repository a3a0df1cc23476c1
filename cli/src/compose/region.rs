//! Images of neighbouring cells in one raster, as they come.
//!
//! *Invariants*: provenance names scenes, numbered over all cells by the plan, so that one scene
//! has one number on both sides of a seam, whatever order cells come in; pixels coarser than the
//! raster's are repeated, never mixed.
//!
//! *Not here*: which pixel belongs to which cell (earth's `raster::region`).

use earth::cube::{CubeBand, CubeTime};
use earth::extent::LonLatBox;
use earth::geocode::Geocode;
use earth::grid::{Grid, RESOLUTION_MAX};
use earth::raster::region::{self, CellBand, Frame, RegionError};
use earth::raster::resample::Method;
use earth::raster::{Raster, Samples};
use earth::split::compose::PROVENANCE;
use earth::split::meta::{SampleType, SplitId};
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

/// Cells' images in one raster.
#[derive(Debug)]
pub(super) struct Region {
    canvas: region::Region,
    /// Nominal resolution in metres.
    resolution_m: f64,
    /// Names of the bands, provenance last.
    names: Vec<String>,
    /// What is known of each, from the first image that has it.
    bands: Vec<Option<CubeBand>>,
    time: Option<CubeTime>,
    verb: Verb,
}

impl Region {
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
        let resolution = match verb {
            Verb::Compose => one_resolution(plan)?,
            Verb::Predict => resolutions(plan).into_iter().next().unwrap_or_default(),
        };
        let grid = |cell: &Geocode| {
            let step = match verb {
                Verb::Compose => "--resolution 10",
                Verb::Predict => "glebe train again: the models say which resolution they take",
            };
            Grid::of(cell, resolution)
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
        let pixel: u64 = kinds.iter().map(|(_, k)| k.bytes() as u64 + 1).sum();
        let side = (frame.georef().width, frame.georef().height);
        check_size(side, pixel, (verb, resolution))?;
        let (names, samples): (Vec<_>, Vec<_>) = kinds.into_iter().unzip();
        Ok(Self {
            canvas: region::Region::new(frame, &samples),
            resolution_m: resolution,
            bands: vec![None; names.len()],
            names,
            time: None,
            verb,
        })
    }

    /// Places one cell's image; `number` tells the number of a split's scene.
    pub(super) fn place(
        &mut self,
        image: &CellImage,
        decoded: &Decoded,
        number: impl Fn(&SplitId) -> u16,
    ) -> Result<(), Fault> {
        let numbers: Vec<u16> = image.report.parts.iter().map(|p| number(&p.id)).collect();
        let scenes = image.report.provenance == Provenance::Part;
        let renumbered = decoded.bands.iter().find(|(b, _)| b.name == PROVENANCE);
        let renumbered = renumbered
            .filter(|_| scenes)
            .map(|(_, r)| renumber(r, &numbers));
        let mut placed = Vec::with_capacity(self.names.len());
        for (name, known) in self.names.iter().zip(&mut self.bands) {
            let found = decoded.bands.iter().find(|(b, _)| b.name == *name);
            let Some((meta, raster)) = found else {
                placed.push(None);
                continue;
            };
            known.get_or_insert_with(|| CubeBand::from(meta));
            let is_provenance = name == PROVENANCE;
            placed.push(Some(CellBand {
                raster: renumbered
                    .as_ref()
                    .filter(|_| is_provenance)
                    .unwrap_or(raster),
                fill: meta.fill,
                method: if meta.categorical || is_coarser(meta.resolution_m, self.resolution_m) {
                    Method::Nearest
                } else {
                    Method::Bilinear
                },
            }));
        }
        let newest = time(image);
        if self.time.as_ref().is_none_or(|t| *t < newest) {
            self.time = Some(newest);
        }
        let placing = self.canvas.place(&decoded.grid, &placed);
        placing.map_err(|e| fault(&e, self.verb))
    }

    /// Returns valid / all pixels of the raster in percent, over bands that are no classes.
    pub(super) fn coverage(&self) -> f64 {
        let measured = |i: &usize| self.bands[*i].as_ref().is_some_and(|b| !b.categorical);
        let bands = 0..self.bands.len();
        if !bands.clone().any(|i| measured(&i)) {
            return 100.0 * self.canvas.coverage(bands);
        }
        100.0 * self.canvas.coverage(bands.filter(measured))
    }

    /// Returns the image.
    pub(super) fn finish(self) -> Result<Cubes, Fault> {
        let georef = self.canvas.frame().georef().clone();
        let done = self.canvas.finish().into_iter().zip(self.bands);
        let bands = done.filter_map(|((raster, fill), band)| {
            let band = CubeBand {
                sample: raster.sample_type(),
                fill,
                ..band?
            };
            Some((band, raster))
        });
        let nothing = || Fault::new(FaultKind::Nothing, "no cell was composed");
        cubes(&georef, bands.collect(), &self.time.ok_or_else(nothing)?)
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

/// Refuses an image that memory does not hold, and proposes the pixels with which it would, or how
/// many maps to make of it.
fn check_size(
    (width, height): (u32, u32),
    pixel_bytes: u64,
    (verb, resolution): (Verb, f64),
) -> Result<(), Fault> {
    let pixels = u64::from(width) * u64::from(height);
    let size = pixels.saturating_mul(pixel_bytes);
    if size <= REGION_BYTES_MAX {
        return Ok(());
    }
    let what = format!("an image of {width} x {height} pixels is too large");
    let limit = bytes(REGION_BYTES_MAX);
    let fault = Fault::new(FaultKind::Refused, what)
        .because(format!("it takes {}; {limit} at most", bytes(size)));
    let in_several = verb.in_several();
    if verb == Verb::Predict {
        let maps = size.div_ceil(REGION_BYTES_MAX);
        return Err(fault.try_(format!("{in_several}: {maps} at least")));
    }
    // Each side has so many times fewer pixels; a little more, as edges are rounded outwards.
    let fewer = (size as f64 / REGION_BYTES_MAX as f64).sqrt() * ROUNDED_UP;
    let coarser = (resolution * fewer).ceil();
    Err(fault.try_(if coarser <= RESOLUTION_MAX {
        format!("--resolution {coarser}, fewer --bands, or {in_several}")
    } else {
        format!("a smaller --bbox, or {in_several}")
    }))
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
        let compose = |resolution| (Verb::Compose, resolution);
        check_size((30_000, 30_000), 4, compose(10.0)).unwrap();
        let fault = check_size((200_000, 200_000), 4, compose(10.0)).unwrap_err();
        let step = fault.try_.unwrap();
        let resolution = step.strip_prefix("--resolution ").unwrap();
        let (resolution, _) = resolution.split_once(',').unwrap();
        let resolution: f64 = resolution.parse().unwrap();
        assert!((62.0..=63.0).contains(&resolution), "{step}");
        // The side in pixels of that resolution.
        check_size((31_746, 31_746), 4, compose(resolution)).unwrap();
        let fault = check_size((u32::MAX, u32::MAX), 8, compose(900.0)).unwrap_err();
        assert!(fault.try_.unwrap().starts_with("a smaller --bbox"));
    }

    /// It advised flags that `predict` does not have.
    #[test]
    fn a_map_that_is_too_large_is_told_in_how_many_it_goes() {
        let predict = (Verb::Predict, 10.0);
        // A pixel of one answer: two floats and the number of a scene, each with its mark.
        let pixel = 2 * (4 + 1) + (2 + 1);
        check_size((18_000, 18_000), pixel, predict).unwrap();
        let fault = check_size((40_000, 40_000), pixel, predict).unwrap_err();
        let step = "several maps, each with a --bbox of its own: 5 at least";
        assert_eq!(fault.try_.as_deref(), Some(step));
        let nested = ["9xj", "9xj5"].map(|c| Geocode::parse(Scheme::Geohash, c).unwrap());
        let too_large = RegionError::TooLarge {
            width: 1e9,
            height: 1.0,
        };
        let faults = [
            check_size((u32::MAX, u32::MAX), pixel, predict).unwrap_err(),
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
