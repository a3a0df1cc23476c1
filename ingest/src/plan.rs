//! What is cut from a scene: cells, groups of bands, and strips of cells that are read together.
//!
//! *Invariants*: every cell that the scene's rasters touch is in exactly one strip; the pixels of a
//! strip stay below `STRIP_BYTES_MAX`; a scene of which a single cell has more than
//! `CELL_BYTES_MAX` is refused before anything of it is read.
//!
//! *Not here*: reading (`pieces`), reprojecting (`strip`), measuring (`measure`).

use std::collections::BTreeSet;

use earth::geocode::{Geocode, Scheme, cover};
use earth::grid::{Grid, ResolutionError};
use earth::raster::georef::{Georef, PixelWindow};
use earth::raster::reproject::{Kernel, Warp};
use earth::raster::swath::Place;
use earth::split::meta::SampleType;
use rayon::prelude::*;
use wire::fault::{Fault, FaultKind};

use crate::name::show;
use crate::pieces::{Key, Pieces};
use crate::source::{Layer, Mask, Scene, footprint};

/// Greatest number of bytes of all bands under the cells of one strip. A row of geohash-5 cells
/// across a full Sentinel-2 tile has about 70 MiB.
pub const STRIP_BYTES_MAX: u64 = 256 << 20;

/// Greatest number of bytes of the pixels of one cell, all bands. While a cell is cut, the one
/// before it is encoded and the source under the next is read: of dense scenes with cells of
/// 256 MiB a process takes 2.1 GiB; cells of 384 MiB do not fit below its limit of 3 GiB.
pub const CELL_BYTES_MAX: u64 = 256 << 20;

/// Bands that are read and reprojected together: one resolution, place, sample type and fill.
#[derive(Debug, Clone)]
pub struct Group {
    /// Nominal resolution in metres.
    pub resolution_m: f64,
    /// The value that means "nothing" in the source, where it declares one.
    pub fill: Option<f64>,
    /// How pixels are stored.
    pub sample: SampleType,
    /// How pixels are found.
    pub kernel: Kernel,
    /// Where the delivered rasters lie.
    pub place: Place,
    /// Indexes into the scene's layers.
    pub layers: Vec<usize>,
}

impl Group {
    /// Returns the group of a mask that is read onto a grid of another resolution.
    pub fn of_mask(mask: &Mask, resolution_m: f64) -> Self {
        Self {
            resolution_m,
            fill: mask.layer.fill,
            sample: mask.layer.sample,
            kernel: Kernel::Nearest,
            place: mask.layer.image.georef().clone(),
            layers: Vec::new(),
        }
    }

    fn takes(&self, layer: &Layer) -> bool {
        same(self.resolution_m, layer.resolution_m)
            && self.sample == layer.sample
            && self.fill.map(f64::to_bits) == layer.fill.map(f64::to_bits)
            && self.kernel == kernel(layer)
            && self.place == *layer.image.georef()
    }

    fn bytes_per_pixel(&self) -> u64 {
        (self.layers.len() * self.sample.bytes()) as u64
    }
}

/// A cell and what it needs of the scene.
#[derive(Debug, Clone)]
pub struct CellPlan {
    /// The cell.
    pub cell: Geocode,
    /// The window of each group, the mask's last; `None` where they do not touch.
    pub windows: Vec<Option<PixelWindow>>,
    /// Bytes of its pixels, all bands.
    pub bytes: u64,
}

/// Cells that lie side by side and are cut together.
#[derive(Debug)]
pub struct Strip {
    /// The cells, from west to east.
    pub cells: Vec<CellPlan>,
}

/// What is cut from a scene.
#[derive(Debug)]
pub struct Plan {
    /// Groups of bands, finest first, classes after pixels of their resolution.
    pub groups: Vec<Group>,
    /// The mask, where it is no band of a group.
    pub mask: Option<Group>,
    /// All cells, in text order.
    pub cells: Vec<Geocode>,
}

/// Plans a scene along the cells of a precision.
pub fn plan(scene: &Scene, scheme: Scheme, precision: u8) -> Result<Plan, Fault> {
    let lost = |reason: String| {
        let what = format!("'{}' cannot be cut along {scheme} cells", scene.name);
        Fault::new(FaultKind::Data, what).because(reason)
    };
    let area = footprint::outline(scene.layers.iter()).map_err(lost)?;
    let cells = cover::of_polygon(scheme, precision, &area).map_err(|e| lost(e.to_string()))?;
    let mut plan = Plan {
        groups: groups(&scene.layers),
        mask: None,
        cells,
    };
    let apart = scene.mask.iter().find(|m| m.stored_judge(scene).is_none());
    plan.mask = apart.and_then(|m| Some(Group::of_mask(m, plan.finest(scene)?.resolution_m)));
    plan.check_memory(scene)?;
    Ok(plan)
}

/// Returns how a layer's pixels are found between pixel centres.
fn kernel(layer: &Layer) -> Kernel {
    if layer.categorical {
        Kernel::Nearest
    } else {
        Kernel::Bilinear
    }
}

/// Tells whether two resolutions are the same.
#[expect(
    clippy::float_cmp,
    reason = "resolutions are declared or rounded numbers, not results"
)]
pub(crate) fn same(a: f64, b: f64) -> bool {
    a == b
}

/// Sorts layers into files; the order of bands inside a file is the scene's.
fn groups(layers: &[Layer]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        if let Some(group) = groups.iter_mut().find(|g| g.takes(layer)) {
            group.layers.push(i);
            continue;
        }
        groups.push(Group {
            resolution_m: layer.resolution_m,
            fill: layer.fill,
            sample: layer.sample,
            kernel: kernel(layer),
            place: layer.image.georef().clone(),
            layers: vec![i],
        });
    }
    groups.sort_by(|a, b| {
        let classes = (a.kernel == Kernel::Nearest).cmp(&(b.kernel == Kernel::Nearest));
        a.resolution_m.total_cmp(&b.resolution_m).then(classes)
    });
    groups
}

impl Plan {
    /// Returns the group of the finest pixels.
    pub fn finest(&self, scene: &Scene) -> Option<&Group> {
        let pixels = |g: &&Group| {
            g.layers
                .first()
                .is_some_and(|i| !scene.layers[*i].categorical)
        };
        self.groups.iter().find(pixels)
    }

    /// Refuses a scene of which a cell does not fit into memory.
    fn check_memory(&self, scene: &Scene) -> Result<(), Fault> {
        for cell in &self.cells {
            let bytes = self.bytes_of(cell)?;
            if bytes > CELL_BYTES_MAX {
                return Err(self.too_large(scene, cell, bytes));
            }
        }
        Ok(())
    }

    /// Returns the bytes of a cell's pixels, all bands.
    fn bytes_of(&self, cell: &Geocode) -> Result<u64, Fault> {
        let pixels = |g: &Group| Ok::<_, Fault>(grid(cell, g.resolution_m)?.pixels());
        let own = |g: &Group| Ok(pixels(g)? * g.bytes_per_pixel());
        let bands: u64 = self.groups.iter().map(own).sum::<Result<_, Fault>>()?;
        // A mask of its own is stored as a band of one byte a pixel.
        let mask = self.mask.as_ref().map(pixels).transpose()?;
        Ok(bands + mask.unwrap_or(0))
    }

    /// Says that cells are too large, and which precision has cells that are not.
    fn too_large(&self, scene: &Scene, cell: &Geocode, bytes: u64) -> Fault {
        let (scheme, precision) = (cell.scheme(), cell.precision());
        let fits = |p: &u8| {
            let inner = Geocode::encode(scheme, cell.centre(), *p).ok();
            let bytes = inner.and_then(|inner| self.bytes_of(&inner).ok());
            bytes.is_some_and(|b| b <= CELL_BYTES_MAX)
        };
        let fault = Fault::new(
            FaultKind::Data,
            format!(
                "cells of precision {precision} are too large for '{}'",
                scene.name
            ),
        )
        .because(format!(
            "the pixels of cell {cell} are {} MiB; at most {} MiB make a split",
            bytes >> 20,
            CELL_BYTES_MAX >> 20
        ));
        match (precision + 1..=scheme.precision_max()).find(fits) {
            Some(deeper) => fault.try_(format!(
                "--precision {deeper}; with --collection NAME if the collection is there already"
            )),
            None => fault,
        }
    }

    /// Returns the strips of some of the plan's cells, from north to south and west to east.
    pub fn strips(&self, cells: &[Geocode]) -> Result<Vec<Strip>, Fault> {
        let mut cells = cells.to_vec();
        cells.sort_by_key(|c| (c.index().row, c.index().column));
        let planned = cells.par_iter().map(|cell| self.cell(cell));
        let mut strips: Vec<Strip> = Vec::new();
        let mut bytes = 0;
        for cell in planned.collect::<Result<Vec<_>, Fault>>()? {
            let row = |c: &CellPlan| c.cell.index().row;
            let beside = |s: &&mut Strip| s.cells.last().is_some_and(|l| row(l) == row(&cell));
            bytes += cell.bytes;
            match strips.last_mut().filter(beside) {
                Some(strip) if bytes <= STRIP_BYTES_MAX => strip.cells.push(cell),
                _ => {
                    bytes = cell.bytes;
                    strips.push(Strip { cells: vec![cell] });
                }
            }
        }
        Ok(strips)
    }

    /// Plans what a cell needs of each group.
    fn cell(&self, cell: &Geocode) -> Result<CellPlan, Fault> {
        let window = |g: &Group| Ok(warp(g, cell, g.resolution_m)?.map(|w| w.window()));
        let groups = self.groups.iter().chain(&self.mask);
        let windows = groups.map(window).collect::<Result<Vec<_>, Fault>>()?;
        let pixels = |w: &PixelWindow| u64::from(w.width) * u64::from(w.height);
        let bytes = self
            .groups
            .iter()
            .zip(&windows)
            .map(|(group, window)| window.as_ref().map_or(0, pixels) * group.bytes_per_pixel());
        Ok(CellPlan {
            cell: *cell,
            bytes: bytes.sum(),
            windows,
        })
    }

    /// Returns the pieces that a strip needs.
    pub fn needs(&self, scene: &Scene, pieces: &Pieces, strip: &Strip) -> BTreeSet<Key> {
        let mut keys = BTreeSet::new();
        for cell in &strip.cells {
            for (group, window) in self.groups.iter().zip(&cell.windows) {
                for (layer, window) in group.layers.iter().zip(std::iter::repeat(window)) {
                    if let Some(window) = window {
                        pieces.need(&scene.layers[*layer], *window, &mut keys);
                    }
                }
            }
            let own = cell.windows.get(self.groups.len()).copied().flatten();
            if let (Some(mask), Some(window)) = (&scene.mask, own) {
                pieces.need(&mask.layer, window, &mut keys);
            }
        }
        keys
    }
}

/// Returns the fixed grid of a cell.
pub fn grid(cell: &Geocode, resolution_m: f64) -> Result<Grid, Fault> {
    Grid::of(cell, resolution_m).map_err(|e: ResolutionError| {
        Fault::new(FaultKind::Data, "the scene's pixels fit no grid").because(e.to_string())
    })
}

/// Plans the reprojection of a group onto a cell's grid; `None` where they do not touch.
pub fn warp(group: &Group, cell: &Geocode, resolution_m: f64) -> Result<Option<Warp>, Fault> {
    let target = Georef::from(&grid(cell, resolution_m)?);
    Warp::plan_place(&group.place, &target, group.kernel).map_err(|e| {
        Fault::new(
            FaultKind::Data,
            format!("the scene cannot be reprojected onto cell {cell}"),
        )
        .because(e.to_string())
        .try_("gdalwarp it to its UTM zone")
    })
}

/// Says that a scene touches no cell: its extent has no area.
pub fn no_cells(scene: &Scene) -> Fault {
    let source = show(std::path::Path::new(&scene.source));
    Fault::new(FaultKind::Data, format!("{source} touches no cell"))
        .because("its extent has no area")
        .try_("gdalinfo shows where it lies")
}
