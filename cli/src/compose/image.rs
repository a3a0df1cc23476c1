//! One cell's image decoded, and images written as cubes: the bands, and their provenance beside.
//!
//! *Invariants*: provenance is a file of its own, always a GeoTIFF, so that the image keeps the
//! sample type of its bands.
//!
//! *Not here*: several cells in one raster (`region`).

use std::path::{Path, PathBuf};

use bytes::Bytes;
use earth::cube::{Cube, CubeBand, CubeTime};
use earth::grid::Grid;
use earth::raster::Raster;
use earth::raster::georef::Georef;
use earth::split::codec;
use earth::split::compose::PROVENANCE;
use earth::split::meta::BandMeta;
use wire::compose::CellImage;
use wire::fault::{Fault, FaultKind};

use super::Target;
use crate::export::{self, Format};

/// One cell's image.
#[derive(Debug)]
pub(super) struct Decoded {
    pub grid: Grid,
    /// The bands of the image, provenance last.
    pub bands: Vec<(BandMeta, Raster)>,
}

/// An image and its provenance.
#[derive(Debug)]
pub(super) struct Cubes {
    pub image: Cube,
    pub provenance: Cube,
}

impl Decoded {
    /// Decodes all bands of an image.
    pub(super) fn of(image: &CellImage, files: &[Bytes]) -> Result<Self, Fault> {
        let wrong = |why: String| {
            let what = format!("the image of {} cannot be read", image.report.geocode);
            Fault::new(FaultKind::Data, what).because(why)
        };
        let mut bands = Vec::with_capacity(image.split.bands.len());
        for band in &image.split.bands {
            let place = image.files.iter().position(|f| f.name == band.asset);
            let bytes = place.and_then(|p| files.get(p));
            let bytes = bytes.ok_or_else(|| wrong(format!("{} is not there", band.asset)))?;
            let rasters = codec::decode(bytes, &[band.index as usize]);
            let rasters = rasters.map_err(|e| wrong(e.to_string()))?;
            let raster = rasters.into_iter().next();
            let raster = raster.ok_or_else(|| wrong(format!("it has no {}", band.name)))?;
            bands.push((band.clone(), raster));
        }
        let resolution = image.split.bands.first().map_or(0.0, |b| b.resolution_m);
        let grid = Grid::of(&image.split.geocode, resolution).map_err(|e| wrong(e.to_string()))?;
        Ok(Self { grid, bands })
    }

    /// Returns the image as it is stored in its cell.
    pub(super) fn into_cubes(self, image: &CellImage) -> Result<Cubes, Fault> {
        let georef = Georef::from(&self.grid);
        let bands = self.bands.into_iter();
        let bands = bands.map(|(meta, raster)| (CubeBand::from(&meta), raster));
        cubes(&georef, bands.collect(), &time(image))
    }
}

/// Returns the time that stands for an image: that of the newest split used.
pub(super) fn time(image: &CellImage) -> CubeTime {
    CubeTime {
        acquired: image.split.acquired,
        scene: image.split.id.scene().to_owned(),
    }
}

/// Makes cubes of bands, provenance among them.
pub(super) fn cubes(
    georef: &Georef,
    bands: Vec<(CubeBand, Raster)>,
    time: &CubeTime,
) -> Result<Cubes, Fault> {
    let (from, shown): (Vec<_>, Vec<_>) =
        bands.into_iter().partition(|(b, _)| b.name == PROVENANCE);
    let cube = |bands: Vec<(CubeBand, Raster)>| {
        let (bands, rasters) = bands.into_iter().unzip();
        Cube::new(georef.clone(), bands, vec![time.clone()], rasters)
            .map_err(|e| Fault::new(FaultKind::Data, "the image is none").because(e.to_string()))
    };
    Ok(Cubes {
        image: cube(shown)?,
        provenance: cube(from)?,
    })
}

/// Writes an image with its provenance; returns all files.
pub(super) fn write(cubes: &Cubes, path: &Path, target: &Target) -> Result<Vec<PathBuf>, Fault> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(|e| crate::export::unwritable(folder, &e))?;
    }
    let mut files = export::write(&cubes.image, path, target.format, target.existing)?.files;
    let provenance = beside(path, "provenance.tif");
    let written = export::write(&cubes.provenance, &provenance, Format::Cog, target.existing)?;
    files.extend(written.files);
    Ok(files)
}

/// Returns the name with another ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_extension(ending)
}
