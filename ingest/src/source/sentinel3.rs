//! Sentinel-3 OLCI and SLSTR: SEN3 folders and their zip archives, and OLCI scenes in one netCDF
//! file.
//!
//! Pixels lie along a swath whose positions are delivered one by one (`earth::raster::swath`).
//!
//! *Invariants*: delivered numbers are kept, with the scale and offset of each variable;
//! radiances have no STAC common name, so that nobody takes them for reflectances.
//!
//! *Not here*: what bands and flags mean (`earth::dataset::sentinel3`).

mod beam;
pub mod flags;
pub mod manifest;
mod sen3;

use std::path::Path;
use std::sync::Arc;

use earth::dataset::BandSpec;
use earth::raster::swath::{Swath, Ties};
use wire::fault::{Fault, FaultKind};

use self::manifest::MANIFEST;
use super::archive::{self, Kind};
use super::image::{Format, Image};
use super::netcdf::NetCdf;
use super::package::Package;
use super::unpacked::Unpacked;
use super::{Given, Layer, Named, Scene, Source};
use crate::name::stem_name;

/// The reader of Sentinel-3 products.
#[derive(Debug)]
pub struct Sentinel3;

impl Source for Sentinel3 {
    fn reads(&self) -> &'static str {
        "Sentinel-3 products (.SEN3 folders and their .zip, OLCI in one .nc)"
    }

    fn claims(&self, path: &Path) -> bool {
        let ends = |e: &str| path.extension().is_some_and(|x| x.eq_ignore_ascii_case(e));
        if path.is_dir() {
            ends("SEN3") || path.join(MANIFEST).is_file()
        } else {
            ends("nc") || is_packed(path)
        }
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        if is_zip(path) {
            // The netCDF library reads files only.
            let (package, folder) = Package::unpacked(path, |file| file == MANIFEST)?;
            return sen3::open(path, (package, &folder), given);
        }
        if !path.is_dir() {
            return beam::open(path, given);
        }
        let folder = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        sen3::open(path, (Package::folder(&folder)?, &name), given)
    }

    fn named(&self, path: &Path) -> Named {
        if path.is_file() && !is_zip(path) {
            return Named {
                scene: stem_name(path),
                dataset: None,
            };
        }
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let own = || path.file_name().map(|n| n.to_string_lossy().into_owned());
        sen3::named(&path, &folder_in(&path).or_else(own).unwrap_or_default())
    }
}

fn is_zip(path: &Path) -> bool {
    archive::kind(path) == Some(Kind::Zip)
}

/// Tells whether an archive is a product's: by its name, as damaged ones are, else by its list.
fn is_packed(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let named = name.is_some_and(|n| n.starts_with("S3") && sen3::dataset_in(&n).is_some());
    is_zip(path) && path.is_file() && (named || folder_in(path).is_some())
}

/// Returns the folder that holds the manifest in an archive.
fn folder_in(path: &Path) -> Option<String> {
    let names = archive::names(path).ok().filter(|_| is_zip(path))?;
    let manifest = names.iter().find_map(|n| n.strip_suffix(MANIFEST))?;
    let folder = manifest.strip_suffix('/').unwrap_or(manifest);
    Some(folder.rsplit('/').next().unwrap_or(folder).to_owned())
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

/// Describes flags, of a file that was unpacked perhaps.
fn categorical(
    file: &NetCdf,
    variable: &str,
    (swath, kept): (&Arc<Swath>, Option<Arc<Unpacked>>),
) -> Result<Layer, Fault> {
    let name = file.gdal_path(variable);
    let image = Image::open_along(&name, variable, (Format::NetCdf, swath))?;
    let image = Arc::new(image.of(kept));
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
