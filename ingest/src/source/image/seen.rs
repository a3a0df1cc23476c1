//! What a raster file says of itself when it is opened: place, bands, blocks.
//!
//! *Invariants*: a file that claims more than the limits is refused before a pixel is read.
//!
//! *Not here*: reading pixels (`image`).

use earth::raster::swath::Place;
use gdal::Dataset;
use gdal::errors::GdalError;
use wire::fault::{Fault, FaultKind};

use super::band::BandFacts;
use super::words::damaged;
use crate::source::degrees;

/// Greatest side of a raster in pixels: a continent at 30 m; more is a hostile header.
const SIDE_MAX: usize = 200_000;
/// Greatest number of bands: hyperspectral sensors have about 250.
const BANDS_MAX: usize = 512;

/// What a file says of itself.
pub(super) struct Seen {
    pub(super) place: Place,
    pub(super) resolution_m: f64,
    pub(super) bands: Vec<BandFacts>,
    /// Columns and rows of the largest block of any band.
    pub(super) block: (u32, u32),
}

impl Seen {
    pub(super) fn of(
        dataset: &Dataset,
        label: &str,
        place: &dyn Fn(&Dataset) -> Result<Place, Fault>,
    ) -> Result<Self, Fault> {
        let (width, height) = dataset.raster_size();
        let count = dataset.raster_count();
        if width > SIDE_MAX || height > SIDE_MAX || count > BANDS_MAX || count == 0 {
            let claim = format!("it claims {width} x {height} pixels in {count} bands");
            let limit = format!("at most {SIDE_MAX} a side and {BANDS_MAX} bands are read");
            return Err(Fault::new(FaultKind::Data, format!("'{label}' is refused"))
                .because(claim)
                .because(limit));
        }
        let bands = (1..=count)
            .map(|b| BandFacts::of(dataset, b))
            .collect::<Result<Vec<_>, _>>();
        let bands = bands.map_err(|e| damaged(label, &e))?;
        let place = place(dataset)?;
        let metres = match &place {
            Place::Mapped(georef) => degrees::pixel_metres(georef),
            Place::Swath(swath) => Ok(swath.pixel_metres()),
        };
        let resolution_m = metres.map_err(|reason| {
            Fault::new(FaultKind::Data, format!("'{label}' cannot be placed")).because(reason)
        })?;
        let block = block(dataset).map_err(|e| damaged(label, &e))?;
        Ok(Self {
            place,
            resolution_m,
            bands,
            block,
        })
    }
}

/// Returns the largest block of any band.
fn block(dataset: &Dataset) -> Result<(u32, u32), GdalError> {
    let mut largest = (1, 1);
    for band in 1..=dataset.raster_count() {
        let (width, height) = dataset.rasterband(band)?.block_size();
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).max(1);
        largest = (side(width).max(largest.0), side(height).max(largest.1));
    }
    Ok(largest)
}
