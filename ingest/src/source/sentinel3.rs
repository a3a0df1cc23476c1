//! Sentinel-3 OLCI and SLSTR: SEN3 folders, and OLCI scenes in one netCDF file.
//!
//! Pixels lie along a swath whose positions are delivered one by one (`earth::raster::swath`).
//!
//! *Invariants*: delivered numbers are kept, with the scale and offset of each variable;
//! radiances have no STAC common name, so that nobody takes them for reflectances.
//!
//! *Not here*: what bands and flags mean (`earth::dataset::sentinel3`).

mod beam;
mod flags;
mod manifest;
mod sen3;

use std::path::Path;
use std::sync::Arc;

use earth::dataset::BandSpec;
use earth::raster::swath::{Swath, Ties};
use wire::fault::{Fault, FaultKind};

use self::manifest::MANIFEST;
use super::image::{Format, Image};
use super::netcdf::NetCdf;
use super::{Given, Layer, Scene, Source};

/// The reader of Sentinel-3 products.
#[derive(Debug)]
pub struct Sentinel3;

impl Source for Sentinel3 {
    fn reads(&self) -> &'static str {
        "Sentinel-3 products (.SEN3 folders, OLCI in one .nc)"
    }

    fn claims(&self, path: &Path) -> bool {
        let ends = |e: &str| path.extension().is_some_and(|x| x.eq_ignore_ascii_case(e));
        if path.is_dir() {
            ends("SEN3") || path.join(MANIFEST).is_file()
        } else {
            ends("nc")
        }
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        if path.is_dir() {
            let folder = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            sen3::open(path, &folder, given)
        } else {
            beam::open(path, given)
        }
    }
}

/// Places pixels by two variables of a file.
fn place(
    size: (u32, u32),
    ties: Ties,
    (file, lon, lat): (&NetCdf, &str, &str),
) -> Result<Swath, Fault> {
    let (lon, lat) = (file.angles(lon)?, file.angles(lat)?);
    Swath::new(size, ties, (&lon, &lat)).map_err(|e| {
        Fault::new(FaultKind::Data, "the pixels cannot be placed")
            .because(e.to_string())
            .try_("download the product again")
    })
}

/// Describes a band of a file by the product's table of bands.
fn measured(spec: &BandSpec, image: Arc<Image>) -> Result<Layer, Fault> {
    let (scale, offset) = image.scaling(1);
    let resolution_m = image.nominal_m(&[spec.resolution_m]);
    Ok(Layer {
        resolution_m,
        scale: scale.unwrap_or(1.0),
        offset: offset.unwrap_or(0.0),
        ..Layer::of(spec, image, 1)?
    })
}

/// Describes flags.
fn categorical(file: &NetCdf, variable: &str, swath: &Arc<Swath>) -> Result<Layer, Fault> {
    let name = file.gdal_path(variable);
    let image = Arc::new(Image::open_along(&name, variable, (Format::NetCdf, swath))?);
    let spec = BandSpec {
        name: "",
        common: "",
        centre_nm: 0.0,
        resolution_m: 0.0,
    };
    Ok(Layer {
        name: variable.to_owned(),
        resolution_m: image.nominal_m(&[300.0, 500.0, 1000.0, 1200.0]),
        categorical: true,
        ..Layer::of(&spec, image, 1)?
    })
}
