//! What a file says of one band: how its pixels are stored, what they show, what means nothing.
//!
//! *Invariants*: asked once, when the file is opened; no pixel is read.
//!
//! *Not here*: where the raster lies (`seen`).

use gdal::errors::GdalError;
use gdal::raster::{ColorInterpretation, GdalDataType};
use gdal::{Dataset, Metadata};

/// What a band shows, as far as its colours tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Measured values.
    Values,
    /// Numbers of a palette's colours.
    Classes,
    /// How opaque the other bands are.
    Alpha,
}

/// What a file says of one band.
#[derive(Debug, Clone)]
pub(super) struct BandFacts {
    pub(super) kind: GdalDataType,
    /// Bytes are signed: GDAL before 3.7 has no type for them.
    pub(super) signed: bool,
    pub(super) shows: Shows,
    /// A mask or an alpha band says which pixels hold something.
    pub(super) masked: bool,
    pub(super) fill: Option<f64>,
    pub(super) scale: Option<f64>,
    pub(super) offset: Option<f64>,
    pub(super) description: String,
    /// Least and greatest value that is not "nothing", where the product declares them.
    pub(super) valid: Option<(f64, f64)>,
}

impl BandFacts {
    /// Asks a file about one of its bands, from 1.
    pub(super) fn of(dataset: &Dataset, band: usize) -> Result<Self, GdalError> {
        let band = dataset.rasterband(band)?;
        let flags = band.mask_flags()?;
        let form = band.metadata_item("PIXELTYPE", "IMAGE_STRUCTURE");
        Ok(Self {
            kind: band.band_type(),
            signed: form.is_some_and(|f| f == "SIGNEDBYTE"),
            shows: match band.color_interpretation() {
                ColorInterpretation::AlphaBand => Shows::Alpha,
                ColorInterpretation::PaletteIndex => Shows::Classes,
                _ => Shows::Values,
            },
            masked: flags.is_per_dataset() || flags.is_alpha(),
            fill: band.no_data_value(),
            scale: band.scale(),
            offset: band.offset(),
            description: band.description().unwrap_or_default(),
            valid: None,
        })
    }
}
