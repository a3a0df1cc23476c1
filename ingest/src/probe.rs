//! `probe`: what this worker is built with, for `glebe doctor`.
//!
//! *Invariants*: reads no file and changes nothing.
//!
//! *Not here*: what to do about a missing driver (cli).

use std::collections::BTreeMap;

use gdal::DriverManager;
use serde::Serialize;

/// Drivers that the sources need, now or in a later sensor.
const DRIVERS: [&str; 5] = ["GTiff", "JP2OpenJPEG", "HDF4", "HFA", "netCDF"];

/// What this worker is built with.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// Version of this software.
    pub version: &'static str,
    /// Version of GDAL.
    pub gdal: String,
    /// Driver → present.
    pub drivers: BTreeMap<&'static str, bool>,
    /// Address space that one process may take, in bytes.
    pub address_bytes_max: u64,
    /// Processor seconds that one process may take.
    pub cpu_seconds_max: u64,
}

/// Looks at what is there.
pub fn probe() -> Probe {
    let there = |name| DriverManager::get_driver_by_name(name).is_ok();
    Probe {
        version: env!("CARGO_PKG_VERSION"),
        gdal: gdal::version::version_info("RELEASE_NAME"),
        drivers: DRIVERS
            .into_iter()
            .map(|name| (name, there(name)))
            .collect(),
        address_bytes_max: crate::limits::ADDRESS_BYTES_MAX,
        cpu_seconds_max: crate::limits::CPU_SECONDS_MAX,
    }
}
