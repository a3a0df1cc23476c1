//! Reading a strip of a scene and reprojecting it onto the fixed grids of its cells.
//!
//! *Invariants*: each band of a strip is read once; a band that cannot be read fails the scene;
//! every cell gets every band, without a valid pixel where the scene does not reach.
//!
//! *Not here*: which cells make a strip (`plan`), what is counted (`earth::split::measure`).

use earth::dataset::says_what_was_observed;
use earth::geocode::Geocode;
use earth::grid::Grid;
use earth::raster::classes::ClassName;
use earth::raster::cloud::{CloudMask, Sky};
use earth::raster::georef::PixelWindow;
use earth::raster::pixel::Pixel;
use earth::raster::reproject::{SourceBand, Warp, Warped};
use earth::raster::veil::{settled, veiled};
use earth::raster::{Raster, Samples};
use earth::split::cut::{BandCut, BandLabel, Cut};
use earth::split::measure::{Measured, measure};
use earth::split::meta::SampleType;
use rayon::prelude::*;
use wire::fault::{Fault, FaultKind};

use crate::plan::{Group, Plan, grid, join, same, warp};
use crate::source::{Layer, Mask, Scene};

/// One cell, cut and measured.
#[derive(Debug)]
pub struct CellCut {
    /// The cell.
    pub cell: Geocode,
    /// Its pixels.
    pub cut: Cut,
    /// What was measured of them.
    pub measured: Measured,
}

/// A band on the grid of one cell.
struct OnGrid {
    grid: Grid,
    warped: Warped,
}

/// Reads, reprojects and measures one strip.
pub fn cut(scene: &Scene, plan: &Plan, cells: &[Geocode]) -> Result<Vec<CellCut>, Fault> {
    // By cell, then by layer.
    let mut bands: Vec<Vec<Option<OnGrid>>> = Vec::new();
    bands.resize_with(cells.len(), || scene.layers.iter().map(|_| None).collect());
    for group in &plan.groups {
        let layers: Vec<&Layer> = group.layers.iter().map(|i| &scene.layers[*i]).collect();
        let found = cut_group(group, &layers, cells)?;
        for (cell, found) in bands.iter_mut().zip(found) {
            for (layer, band) in group.layers.iter().zip(found) {
                cell[*layer] = Some(band);
            }
        }
    }
    let masks = match &scene.mask {
        Some(mask) => cut_mask(scene, plan, mask, &bands, cells)?,
        None => cells.iter().map(|_| None).collect(),
    };
    let cells = cells.par_iter().zip(bands).zip(masks);
    Ok(cells
        .map(|((cell, bands), mask)| measured(scene, *cell, bands, mask.as_ref()))
        .collect())
}

fn measured(
    scene: &Scene,
    cell: Geocode,
    bands: Vec<Option<OnGrid>>,
    mask: Option<&CloudMask>,
) -> CellCut {
    let bands = scene.layers.iter().zip(bands);
    let bands = bands.filter_map(|(layer, band)| {
        let mut band = band?;
        if let (Some(delivered), Some(sky)) = (&scene.mask, mask) {
            only_observed(layer, &mut band.warped, (delivered, sky));
        }
        Some(labelled(layer, band))
    });
    let cut = Cut::assemble(bands.collect());
    let measured = measure(&cut, mask);
    CellCut {
        cell,
        cut,
        measured,
    }
}

/// Counts no pixel that the product's own mask calls no observation; its number stays.
fn only_observed(layer: &Layer, band: &mut Warped, (delivered, sky): (&Mask, &CloudMask)) {
    let same_grid = same(layer.resolution_m, delivered.layer.resolution_m)
        && sky.pixels().len() == band.valid.len();
    if layer.categorical || !same_grid || !says_what_was_observed(delivered.meaning) {
        return;
    }
    for (valid, sky) in band.valid.iter_mut().zip(sky.pixels()) {
        *valid &= *sky != Sky::Void;
    }
}

fn labelled(layer: &Layer, band: OnGrid) -> BandCut {
    let label = BandLabel {
        name: layer.name.clone(),
        common: layer.common.clone(),
        centre_nm: layer.centre_nm,
        resolution_m: layer.resolution_m,
        scale: layer.scale,
        offset: layer.offset,
        categorical: layer.categorical,
        class_names: ClassName::table(layer.class_names),
    };
    BandCut {
        label,
        grid: band.grid,
        warped: band.warped,
        fill: layer.fill,
    }
}

/// Reads a group's bands once and reprojects them onto the grids of all cells.
fn cut_group(
    group: &Group,
    layers: &[&Layer],
    cells: &[Geocode],
) -> Result<Vec<Vec<OnGrid>>, Fault> {
    let warps = cells.iter().map(|c| warp(group, c, group.resolution_m));
    let warps = warps.collect::<Result<Vec<_>, Fault>>()?;
    let window = warps
        .iter()
        .flatten()
        .map(|w| Some(w.window()))
        .fold(None, join);
    let read = |layer: &&Layer| window.map(|w| read(layer, w)).transpose();
    let rasters = layers
        .par_iter()
        .map(read)
        .collect::<Result<Vec<_>, Fault>>()?;
    let source = Source {
        group,
        window,
        rasters: &rasters,
    };
    cells
        .par_iter()
        .zip(&warps)
        .map(|(cell, warp)| source.onto(cell, warp.as_ref()))
        .collect()
}

/// Reads a window of a layer; pixels that a mask of its file calls void become so.
fn read(layer: &Layer, window: PixelWindow) -> Result<Raster, Fault> {
    let raster = layer.image.read(layer.band, window)?;
    Ok(match layer.image.read_mask(layer.band, window)? {
        Some(valid) => veiled(raster, &valid, layer.fill),
        None => raster,
    })
}

/// The pixels of a group's bands inside one window.
struct Source<'a> {
    group: &'a Group,
    window: Option<PixelWindow>,
    rasters: &'a [Option<Raster>],
}

impl Source<'_> {
    fn onto(&self, cell: &Geocode, warp: Option<&Warp>) -> Result<Vec<OnGrid>, Fault> {
        let band = |raster: &Option<Raster>| {
            let grid = grid(cell, self.group.resolution_m)?;
            let warped = match (warp, raster, self.window) {
                (Some(warp), Some(raster), Some(window)) => {
                    let fill = self.group.fill;
                    let warped = warp.run(&SourceBand {
                        raster,
                        window,
                        fill,
                    });
                    settled(warped.map_err(internal)?, self.group.sample)
                }
                _ => void(&grid, self.group.sample, self.group.fill)?,
            };
            Ok(OnGrid { grid, warped })
        };
        self.rasters.iter().map(band).collect()
    }
}

fn internal(error: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Internal, "a band was not cut").because(error.to_string())
}

/// A band of nothing: the scene does not reach the cell.
fn void(grid: &Grid, sample: SampleType, fill: Option<f64>) -> Result<Warped, Fault> {
    let n = grid.width() as usize * grid.height() as usize;
    let value = fill.unwrap_or(if sample.is_integer() { 0.0 } else { f64::NAN });
    let samples = match sample {
        SampleType::U8 => Samples::U8(vec![u8::nearest(value); n]),
        SampleType::U16 => Samples::U16(vec![u16::nearest(value); n]),
        SampleType::I16 => Samples::I16(vec![i16::nearest(value); n]),
        SampleType::U32 => Samples::U32(vec![u32::nearest(value); n]),
        SampleType::I32 => Samples::I32(vec![i32::nearest(value); n]),
        SampleType::F32 => Samples::F32(vec![f32::nearest(value); n]),
        SampleType::F64 => Samples::F64(vec![value; n]),
    };
    let raster = Raster::new(grid.width(), grid.height(), samples).map_err(internal)?;
    Ok(Warped {
        raster,
        valid: vec![false; n],
        in_footprint: 0,
    })
}

/// Cuts the cloud mask.
///
/// A stored mask that says itself where there is no data is judged on its own grid; others on the
/// grid of the finest pixels, whose validity says what was seen.
fn cut_mask(
    scene: &Scene,
    plan: &Plan,
    mask: &Mask,
    bands: &[Vec<Option<OnGrid>>],
    cells: &[Geocode],
) -> Result<Vec<Option<CloudMask>>, Fault> {
    let stored = |l: &Layer| l.name == mask.layer.name && l.categorical;
    let stored = scene.layers.iter().position(stored);
    if let Some(at) = stored.filter(|_| mask.meaning.tells_void) {
        let judge = |cell: &Vec<Option<OnGrid>>| {
            let band = cell.get(at)?.as_ref()?;
            Some(CloudMask::read(&band.warped, mask.meaning))
        };
        return Ok(bands.iter().map(judge).collect());
    }
    let pixels = |g: &&Group| !scene.layers[g.layers[0]].categorical;
    let Some(finest) = plan.groups.iter().find(pixels) else {
        return Ok(cells.iter().map(|_| None).collect());
    };
    let group = Group::of_mask(mask, finest.resolution_m);
    let found = cut_group(&group, &[&mask.layer], cells)?;
    let judge = |(band, cell): (Vec<OnGrid>, &Vec<Option<OnGrid>>)| {
        let band = band.into_iter().next()?.warped;
        let seen = &cell.get(finest.layers[0])?.as_ref()?.warped.valid;
        Some(CloudMask::read(&band, mask.meaning).only(seen))
    };
    Ok(found.into_iter().zip(bands).map(judge).collect())
}
