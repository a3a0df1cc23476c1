//! What a product knows of its raster beyond what the file tells GDAL: which values mean nothing,
//! where it lies, and which unpacked file it is.
//!
//! *Invariants*: a value inside the declared range is never changed.
//!
//! *Not here*: reading (`super`).

use std::path::Path;
use std::sync::Arc;

use earth::raster::georef::Georef;
use earth::raster::pixel::Pixel;
use earth::raster::swath::Place;
use gdal::Metadata;
use wire::fault::Fault;

use super::super::unpacked::Unpacked;
use super::{Format, Image};

impl Image {
    /// Opens a file of which others say where it lies, by its width and height.
    pub fn open_placed(
        path: &Path,
        (label, format): (&str, Format),
        place: &dyn Fn((u32, u32)) -> Result<Georef, Fault>,
    ) -> Result<Self, Fault> {
        Self::open_at(path, (label, format), &|dataset| {
            let (width, height) = dataset.raster_size();
            let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            place((side(width), side(height))).map(Place::Mapped)
        })
    }

    /// Declares which values of a band are not "nothing"; all others come back as `fill`.
    #[must_use]
    pub fn valid_within(mut self, band: usize, (low, high): (f64, f64), fill: f64) -> Self {
        if let Some(facts) = band.checked_sub(1).and_then(|i| self.seen.bands.get_mut(i)) {
            facts.valid = Some((low, high));
            facts.fill = Some(fill);
        }
        self
    }

    /// Keeps an unpacked file in being as long as the image.
    #[must_use]
    pub fn of(mut self, unpacked: Option<Arc<Unpacked>>) -> Self {
        self.unpacked = unpacked;
        self
    }

    /// Returns what the file says of itself, as `NAME=VALUE`.
    pub fn attributes(&self) -> Vec<String> {
        let lines = self.handles.with(|dataset| Ok(dataset.metadata_domain("")));
        lines.ok().flatten().unwrap_or_default()
    }

    /// Writes the fill value over all others that mean "nothing" too.
    pub(super) fn void_outside<T: Pixel>(&self, band: usize, values: &mut [T]) {
        let facts = self.facts(band);
        let Some(((low, high), fill)) = facts.and_then(|f| f.valid.zip(f.fill)) else {
            return;
        };
        let fill = T::nearest(fill);
        for value in values {
            if !(low..=high).contains(&value.to_f64()) {
                *value = fill;
            }
        }
    }
}
