//! One scene's bands inside one cell, on the cell's fixed grids.
//!
//! Bands of one resolution, sample type and fill share a file (`AssetRaster`). Where a product
//! declares no fill value, one is chosen only if it is needed: 0 if no pixel holds it, else the
//! greatest value that none holds, the same for all bands of the file; where every value is in
//! use the band takes the next wider sample type. Delivered numbers are never changed.
//!
//! *Invariants*: after cutting a pixel is valid if and only if it is not fill (NaN for floats);
//! integer bands without a fill value are valid everywhere.
//!
//! *Not here*: planning and running reprojections (`raster::reproject`), statistics (`measure`).

mod fill;

use crate::grid::Grid;
use crate::raster::Raster;
use crate::raster::classes::ClassName;
use crate::raster::reproject::{Kernel, Warped};
use crate::split::cut::fill::settle;
use crate::split::meta::{BandMeta, PixelCounts, SampleType};

/// What is known of a band before its pixels are seen.
#[derive(Debug, Clone, PartialEq)]
pub struct BandLabel {
    /// The product's name of the band.
    pub name: String,
    /// STAC common name, where there is one.
    pub common: Option<String>,
    /// Centre wavelength in nanometres, where it has a meaning.
    pub centre_nm: Option<f64>,
    /// Nominal resolution in metres.
    pub resolution_m: f64,
    /// Physical value = stored value × scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// True for classes and masks.
    pub categorical: bool,
    /// What the product calls its classes.
    pub class_names: Vec<ClassName>,
}

impl BandLabel {
    /// Returns the kernel that the band is reprojected with.
    pub fn kernel(&self) -> Kernel {
        if self.categorical {
            Kernel::Nearest
        } else {
            Kernel::Bilinear
        }
    }
}

/// One band on its grid.
#[derive(Debug, Clone, PartialEq)]
pub struct BandCut {
    /// What is known of the band.
    pub label: BandLabel,
    /// The grid of the cell at the band's resolution.
    pub grid: Grid,
    /// The pixels.
    pub warped: Warped,
    /// The fill value that the product declares.
    pub fill: Option<f64>,
}

/// The pixels of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct AssetRaster {
    /// File name inside the split, such as `r10.tif`.
    pub name: String,
    /// Nominal resolution in metres.
    pub resolution_m: f64,
    /// The grid of all bands.
    pub grid: Grid,
    /// The fill value of all bands; `None` for floats (NaN) and where every pixel is valid.
    pub fill: Option<f64>,
    /// The bands, by `BandMeta.index`.
    pub rasters: Vec<Raster>,
}

/// All bands of one scene inside one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// Files, coarsest last.
    pub assets: Vec<AssetRaster>,
    /// Bands in the order given, without statistics.
    pub bands: Vec<BandMeta>,
    /// Pixels of all bands that are no classes or masks, without a mask. Where there are only
    /// classes (land cover): of those whose classes have names, which quality bits have not.
    pub counts: PixelCounts,
}

/// Returns rasters whose void pixels, given by what is valid, are filled, and the value chosen.
pub(crate) fn settle_fill(bands: Vec<(Raster, Vec<bool>)>) -> (Vec<Raster>, Option<f64>) {
    let warped = |(raster, valid): (Raster, Vec<bool>)| Warped {
        in_footprint: raster.pixels(),
        raster,
        valid,
    };
    settle(bands.into_iter().map(warped).collect(), None)
}

/// What bands of one file have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Kind {
    resolution_m: f64,
    sample: SampleType,
    fill: Option<f64>,
    size: (u32, u32),
}

impl Kind {
    fn of(band: &BandCut) -> Self {
        let raster = &band.warped.raster;
        Self {
            resolution_m: band.label.resolution_m,
            sample: raster.sample_type(),
            fill: band.fill.filter(|f| !f.is_nan()),
            size: (raster.width(), raster.height()),
        }
    }
}

impl Cut {
    /// Puts the bands of a cell together; the order of bands is kept in `bands`.
    pub fn assemble(bands: Vec<BandCut>) -> Self {
        let counts = counts(&bands);
        let mut groups: Vec<(Kind, Vec<(usize, BandCut)>)> = Vec::new();
        for (place, band) in bands.into_iter().enumerate() {
            let kind = Kind::of(&band);
            match groups.iter_mut().find(|(k, _)| *k == kind) {
                Some((_, members)) => members.push((place, band)),
                None => groups.push((kind, vec![(place, band)])),
            }
        }
        groups.sort_by(|(a, _), (b, _)| a.resolution_m.total_cmp(&b.resolution_m));
        let mut assets: Vec<AssetRaster> = Vec::new();
        let mut placed = Vec::new();
        for (kind, members) in groups {
            let name = free_name(&assets, &kind);
            let (asset, metas) = asset(name, &kind, members);
            placed.extend(metas);
            assets.extend(asset);
        }
        placed.sort_by_key(|(place, _)| *place);
        Self {
            assets,
            bands: placed.into_iter().map(|(_, meta)| meta).collect(),
            counts,
        }
    }

    /// Tells whether any pixel is valid; a cell without one makes no split.
    pub fn has_pixels(&self) -> bool {
        self.counts.valid > 0
    }

    /// Returns a band's metadata, pixels and fill value by STAC common name.
    pub fn common(&self, name: &str) -> Option<(&BandMeta, &Raster, Option<f64>)> {
        let meta = self
            .bands
            .iter()
            .find(|b| b.common.as_deref() == Some(name))?;
        let asset = self.assets.iter().find(|a| a.name == meta.asset)?;
        Some((meta, asset.rasters.get(meta.index as usize)?, asset.fill))
    }
}

fn counts(bands: &[BandCut]) -> PixelCounts {
    let rank = |b: &BandCut| match (b.label.categorical, b.label.class_names.is_empty()) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2,
    };
    let first = bands.iter().map(rank).min();
    let pixels = || bands.iter().filter(|b| Some(rank(b)) == first);
    let sum = |count: fn(&Warped) -> u64| pixels().map(|b| count(&b.warped)).sum();
    PixelCounts {
        pixels: sum(|w| w.raster.pixels()),
        in_footprint: sum(|w| w.in_footprint),
        valid: sum(|w| w.valid.iter().filter(|v| **v).count() as u64),
        mask: None,
    }
}

/// Returns `rRES.tif`, else with the sample type, else with a number too.
fn free_name(assets: &[AssetRaster], kind: &Kind) -> String {
    let taken = |name: &str| assets.iter().any(|a| a.name == name);
    let plain = format!("r{}", kind.resolution_m);
    let typed = format!("{plain}-{:?}", kind.sample).to_lowercase();
    let numbered = (2..).map(|n: usize| format!("{typed}-{n}"));
    [plain, typed.clone()]
        .into_iter()
        .chain(numbered)
        .map(|stem| stem + ".tif")
        .find(|name| !taken(name))
        .unwrap_or(typed)
}

/// Settles the fill of a file's bands; `None` for no members.
fn asset(
    name: String,
    kind: &Kind,
    members: Vec<(usize, BandCut)>,
) -> (Option<AssetRaster>, Vec<(usize, BandMeta)>) {
    let Some(grid) = members.first().map(|(_, band)| band.grid.clone()) else {
        return (None, Vec::new());
    };
    let (labels, warped): (Vec<_>, Vec<_>) = members
        .into_iter()
        .map(|(place, b)| ((place, b.label), b.warped))
        .unzip();
    let (rasters, fill) = settle(warped, kind.fill);
    let sample = rasters.first().map_or(kind.sample, Raster::sample_type);
    let meta = |(index, (place, label)): (u32, (usize, BandLabel))| {
        let meta = BandMeta {
            name: label.name,
            common: label.common,
            centre_nm: label.centre_nm,
            asset: name.clone(),
            index,
            resolution_m: label.resolution_m,
            sample,
            fill,
            scale: label.scale,
            offset: label.offset,
            categorical: label.categorical,
            stats: None,
            classes: None,
            class_names: label.class_names,
        };
        (place, meta)
    };
    let metas = (0..).zip(labels).map(meta).collect();
    let resolution_m = kind.resolution_m;
    (
        Some(AssetRaster {
            name,
            resolution_m,
            grid,
            fill,
            rasters,
        }),
        metas,
    )
}
