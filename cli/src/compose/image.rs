//! One cell's image decoded, and images written as cubes: the bands, and their provenance beside.
//!
//! *Invariants*: provenance is a file of its own, always a GeoTIFF, so that the image keeps the
//! sample type of its bands.
//!
//! *Not here*: several cells in one raster (`region`, `map`).

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
use crate::export::{self, Existing, Format, Ready, Staged};

/// What stands in place of an image's extension in the name of its provenance.
pub(super) const PROVENANCE_ENDING: &str = "provenance.tif";
/// The same of its report.
pub(super) const REPORT_ENDING: &str = "json";

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
        let bands = { image.split.bands.iter() }
            .map(|meta| Ok((meta.clone(), band((image, files), meta)?)))
            .collect::<Result<_, Fault>>()?;
        let grid = grid(image)?;
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

/// Decodes one band of an image.
pub(super) fn band(
    (image, files): (&CellImage, &[Bytes]),
    band: &BandMeta,
) -> Result<Raster, Fault> {
    let place = image.files.iter().position(|f| f.name == band.asset);
    let bytes = place.and_then(|p| files.get(p));
    let bytes = bytes.ok_or_else(|| wrong(image, format!("{} is not there", band.asset)))?;
    let rasters = codec::decode(bytes, &[band.index as usize]);
    let rasters = rasters.map_err(|e| wrong(image, e.to_string()))?;
    let raster = rasters.into_iter().next();
    raster.ok_or_else(|| wrong(image, format!("it has no {}", band.name)))
}

/// Returns the grid that an image lies on.
pub(super) fn grid(image: &CellImage) -> Result<Grid, Fault> {
    let resolution = image.split.bands.first().map_or(0.0, |b| b.resolution_m);
    Grid::of(&image.split.geocode, resolution).map_err(|e| wrong(image, e.to_string()))
}

/// Says that an image is none.
pub(super) fn wrong(image: &CellImage, why: String) -> Fault {
    let what = format!("the image of {} cannot be read", image.report.geocode);
    Fault::new(FaultKind::Data, what).because(why)
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

/// An image, its provenance and its report, which appear together.
#[derive(Debug)]
pub(super) struct Set {
    pixels: [Ready; 2],
}

impl Set {
    /// Stages an image with its provenance.
    pub(super) fn of(cubes: &Cubes, path: &Path, target: &Target) -> Result<Self, Fault> {
        let provenance = beside(path, PROVENANCE_ENDING);
        let stage = |cube: &Cube, path: &Path, format: Format| {
            export::stage(cube, path, format, target.existing)
        };
        Ok(Self {
            pixels: [
                stage(&cubes.image, path, target.format)?,
                stage(&cubes.provenance, &provenance, Format::Cog)?,
            ],
        })
    }

    /// Takes the files of a map and its provenance.
    pub(super) fn of_map(image: Staged, provenance: Staged) -> Self {
        Self {
            pixels: [Ready::map(image), Ready::map(provenance)],
        }
    }

    /// Returns the files of image and provenance.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let files = self.pixels.iter().flat_map(Ready::files);
        files.map(Path::to_owned).collect()
    }

    /// Puts all of it in its place, the report last.
    pub(super) fn place(self, report: Staged) -> Result<(), Fault> {
        for pixels in self.pixels {
            pixels.place()?;
        }
        report.place().map(|_| ())
    }
}

/// Refuses a name beside which files of another image stand, before any pixel is asked for.
pub(super) fn check_free(target: &Target) -> Result<(), Fault> {
    if !target.whole || target.existing == Existing::Replace || target.path.exists() {
        return Ok(());
    }
    let ours = [PROVENANCE_ENDING, REPORT_ENDING].map(|ending| beside(&target.path, ending));
    match ours.iter().find(|path| path.exists()) {
        Some(there) => Err(export::taken(there)),
        None => Ok(()),
    }
}

/// Returns the name with another ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_extension(ending)
}
