//! GDAL's handles of one file: one, or one for each thread that reads at the same time.
//!
//! *Invariants*: a handle is used by one thread at a time; a library that is not thread-safe has
//! one thread in it and one handle a file.
//!
//! *Not here*: what is read (`image`).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use gdal::errors::GdalError;
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};

use super::format::Format;

/// A file that is open.
pub(super) struct Handles {
    path: PathBuf,
    format: Format,
    /// Always there but while the file is being closed.
    first: Mutex<Option<Dataset>>,
    /// Further handles, for threads that find the first one in use.
    spare: Mutex<Vec<Dataset>>,
}

impl Drop for Handles {
    fn drop(&mut self) {
        let _alone = self.format.alone();
        drop(lock(&self.first).take());
        lock(&self.spare).clear();
    }
}

impl Handles {
    /// Opens a file with the one driver that may read it.
    pub(super) fn open(path: &Path, format: Format) -> Result<Self, GdalError> {
        let _alone = format.alone();
        let first = open(path, format)?;
        Ok(Self {
            path: path.to_owned(),
            format,
            first: Mutex::new(Some(first)),
            spare: Mutex::default(),
        })
    }

    /// Reads through a handle that no other thread uses.
    pub(super) fn with<R>(
        &self,
        read: impl FnOnce(&Dataset) -> Result<R, GdalError>,
    ) -> Result<R, GdalError> {
        let _alone = self.format.alone();
        let first = match self.first.try_lock() {
            Err(TryLockError::WouldBlock) if self.format.reads_side_by_side() => {
                let spare = lock(&self.spare).pop();
                let dataset = spare.map_or_else(|| open(&self.path, self.format), Ok)?;
                let found = read(&dataset);
                lock(&self.spare).push(dataset);
                return found;
            }
            Err(TryLockError::WouldBlock) => lock(&self.first),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Ok(first) => first,
        };
        let closed = || GdalError::NullPointer {
            method_name: "Handles::with",
            msg: "the file is closed".to_owned(),
        };
        read(first.as_ref().ok_or_else(closed)?)
    }
}

fn open(path: &Path, format: Format) -> Result<Dataset, GdalError> {
    let drivers = [format.driver()];
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_READONLY,
        allowed_drivers: Some(&drivers),
        ..DatasetOptions::default()
    };
    Dataset::open_ex(path, options)
}

/// A thread that panicked while reading left the datasets as they were.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
