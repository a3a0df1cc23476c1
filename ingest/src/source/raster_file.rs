//! Rasters in files of their own, by their extension: opened, or taken for a user's cloud mask.
//!
//! *Invariants*: only the driver that the extension names is tried.
//!
//! *Not here*: what a raster's bands mean (`geotiff`).

use std::path::Path;
use std::sync::Arc;

use earth::raster::cloud::meaning::NON_ZERO;
use wire::fault::Fault;

use super::image::{Format, Image};
use super::{Layer, Mask, readable};
use crate::name::file_name;

/// Returns the format that a file's extension names, if its rasters are read.
pub fn format(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "tif" | "tiff" => Some(Format::Tiff),
        "jp2" => Some(Format::Jp2),
        _ => None,
    }
}

/// Opens a raster file.
pub fn open(path: &Path) -> Result<Image, Fault> {
    readable(path)?;
    let format = format(path).unwrap_or(Format::Tiff);
    Image::open(path, &file_name(path), format)
}

/// Opens a user's cloud mask.
pub fn user_mask(path: &Path) -> Result<Mask, Fault> {
    let image = Arc::new(open(path)?);
    let layer = Layer {
        name: "CLOUD".to_owned(),
        common: None,
        centre_nm: None,
        resolution_m: image.resolution_m(),
        sample: image.sample_type(1)?,
        fill: image.fill(1).filter(|f| *f != 0.0),
        scale: 1.0,
        offset: 0.0,
        categorical: true,
        class_names: &[],
        image,
        band: 1,
    };
    Ok(Mask {
        meaning: &NON_ZERO,
        layer,
    })
}
