//! Cutting one cell of a strip: its windows of every band, on the fixed grids of the cell.
//!
//! *Invariants*: every cell gets every band, without a valid pixel where the scene does not reach,
//! and the mask as a band if it is none of the scene's;
//! what a cell becomes does not depend on the cells beside it.
//!
//! *Not here*: which cells make a strip (`plan`), reading (`pieces`), what is counted
//! (`earth::split::measure`).

use earth::dataset::says_what_was_observed;
use earth::geocode::Geocode;
use earth::grid::Grid;
use earth::raster::classes::ClassName;
use earth::raster::cloud::{CloudMask, Sky};
use earth::raster::georef::PixelWindow;
use earth::raster::pixel::Pixel;
use earth::raster::reproject::Warped;
use earth::raster::veil::settled;
use earth::raster::{Raster, Samples};
use earth::split::cut::{BandCut, BandLabel, Cut};
use earth::split::measure::{Measured, measure};
use earth::split::meta::SampleType;
use earth::split::sky::{self, KEPT};
use wire::fault::{Fault, FaultKind};

use crate::pieces::Pieces;
use crate::plan::{CellPlan, Group, Plan, grid, same, warp};
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

/// A scene with the pieces of it that are in memory.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The scene.
    pub scene: &'a Scene,
    /// What is cut from it.
    pub plan: &'a Plan,
    /// Its pixels.
    pub pieces: &'a Pieces,
}

impl Held<'_> {
    /// Reprojects and measures one cell.
    pub fn cut(&self, cell: &CellPlan) -> Result<CellCut, Fault> {
        let mut bands: Vec<Option<OnGrid>> = self.scene.layers.iter().map(|_| None).collect();
        for (group, window) in self.plan.groups.iter().zip(&cell.windows) {
            let layers: Vec<&Layer> = group
                .layers
                .iter()
                .map(|i| &self.scene.layers[*i])
                .collect();
            let found = self.bands(group, &layers, (&cell.cell, *window))?;
            for (layer, band) in group.layers.iter().zip(found) {
                bands[*layer] = Some(band);
            }
        }
        let mask = match &self.scene.mask {
            Some(mask) => self.mask(mask, &bands, cell)?,
            None => None,
        };
        let labelled = self.scene.layers.iter().zip(bands);
        let bands = labelled.filter_map(|(layer, band)| {
            let mut band = band?;
            if let (Some(delivered), Some(sky)) = (&self.scene.mask, &mask) {
                only_observed(layer, &mut band.warped, (delivered, sky));
            }
            Some(label(layer, band))
        });
        let mut bands: Vec<BandCut> = bands.collect();
        let kept = mask.as_ref().and_then(|mask| self.kept(mask, &bands));
        bands.extend(kept);
        let cut = Cut::assemble(bands);
        let measured = measure(&cut, mask.as_ref());
        Ok(CellCut {
            cell: cell.cell,
            cut,
            measured,
        })
    }

    /// Returns the band that a mask is stored as which is no band of the scene; none beside a band
    /// of the scene that has its name.
    fn kept(&self, mask: &CloudMask, bands: &[BandCut]) -> Option<BandCut> {
        let apart = self.plan.mask.as_ref()?;
        let is_taken = bands.iter().any(|band| band.label.name == KEPT);
        let judged = |band: &&BandCut| {
            !band.label.categorical && same(band.label.resolution_m, apart.resolution_m)
        };
        let seen = bands.iter().find(judged).filter(|_| !is_taken)?;
        let on = (&seen.grid, apart.resolution_m);
        sky::kept(mask, on, seen.warped.in_footprint)
    }

    /// Reprojects a group's bands onto the grid of a cell.
    fn bands(
        &self,
        group: &Group,
        layers: &[&Layer],
        (cell, window): (&Geocode, Option<PixelWindow>),
    ) -> Result<Vec<OnGrid>, Fault> {
        let grid = grid(cell, group.resolution_m)?;
        let warp = warp(group, cell, group.resolution_m)?;
        let warped = if let (Some(warp), Some(window)) = (warp, window) {
            let read = |layer: &&Layer| self.pieces.window(layer, window);
            let rasters = layers.iter().map(read).collect::<Result<Vec<_>, Fault>>()?;
            let rasters: Vec<&Raster> = rasters.iter().collect();
            let found = warp.run_all(&rasters, window, group.fill);
            let settle = |band| settled(band, group.sample);
            found.map_err(internal)?.into_iter().map(settle).collect()
        } else {
            let void = |_: &&Layer| void(&grid, group.sample, group.fill);
            layers.iter().map(void).collect::<Result<Vec<_>, Fault>>()?
        };
        let on_grid = |warped| OnGrid {
            grid: grid.clone(),
            warped,
        };
        Ok(warped.into_iter().map(on_grid).collect())
    }

    /// Cuts the cloud mask.
    ///
    /// A stored mask that says itself where there is no data is judged on its own grid; others on
    /// the grid of the finest pixels, whose validity says what was seen.
    fn mask(
        &self,
        mask: &Mask,
        bands: &[Option<OnGrid>],
        cell: &CellPlan,
    ) -> Result<Option<CloudMask>, Fault> {
        if let Some(at) = mask.stored_judge(self.scene) {
            let band = bands.get(at).and_then(Option::as_ref);
            return Ok(band.map(|b| CloudMask::read(&b.warped, mask.meaning)));
        }
        let (Some(own), Some(finest)) = (&self.plan.mask, self.plan.finest(self.scene)) else {
            return Ok(None);
        };
        let window = cell.windows.get(self.plan.groups.len()).copied().flatten();
        let found = self.bands(own, &[&mask.layer], (&cell.cell, window))?;
        let seen = finest.layers.first().and_then(|i| bands.get(*i)?.as_ref());
        let (Some(band), Some(seen)) = (found.into_iter().next(), seen) else {
            return Ok(None);
        };
        let read = CloudMask::read(&band.warped, mask.meaning);
        Ok(Some(read.only(&seen.warped.valid)))
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

fn label(layer: &Layer, band: OnGrid) -> BandCut {
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
