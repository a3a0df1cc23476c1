//! The drivers that may read foreign bytes, and which of them take turns.
//!
//! *Invariants*: a library that is not thread-safe has one thread in it, whatever the format.
//!
//! *Not here*: opening and reading (`image`).

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The libraries behind netCDF and HDF keep what is open in tables of the process, without locks.
static LIBRARIES: Mutex<()> = Mutex::new(());

/// Waits until no other thread is in a library that is not thread-safe.
pub(in crate::source) fn alone() -> MutexGuard<'static, ()> {
    // What the lock guards is not ours: a panic elsewhere left it whole.
    LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The drivers that may read foreign bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG 2000.
    Jp2,
    /// GeoTIFF, with or without COG layout.
    Tiff,
    /// One variable of a netCDF file, by the name that GDAL gives it.
    NetCdf,
    /// One field of an HDF4-EOS file, by the name that GDAL gives it.
    Hdf4,
    /// Erdas Imagine.
    Hfa,
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
}

impl Format {
    pub(super) fn driver(self) -> &'static str {
        match self {
            Self::Jp2 => "JP2OpenJPEG",
            Self::Tiff => "GTiff",
            Self::NetCdf => "netCDF",
            Self::Hdf4 => "HDF4Image",
            Self::Hfa => "HFA",
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
        }
    }

    /// Tells whether several threads may read one file through handles of their own.
    pub(super) fn reads_side_by_side(self) -> bool {
        matches!(self, Self::Jp2 | Self::Tiff | Self::Hfa)
    }

    /// Waits until no other thread is in the format's library, where that is not thread-safe.
    pub(super) fn alone(self) -> Option<MutexGuard<'static, ()>> {
        matches!(self, Self::NetCdf | Self::Hdf4).then(alone)
    }
}
