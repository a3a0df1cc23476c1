//! What foreign bytes may cost: limits of this process and of GDAL inside it.
//!
//! *Invariants*: set once, before the first foreign byte is read; GDAL never reaches a network,
//! loads no plug-in and reads no file that was not named.
//!
//! *Not here*: limits of one format (`source::archive`, `source::layer`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Address space of a scene's process. A full Sentinel-2 tile needs under 1 GiB of memory; thread
/// stacks, allocator arenas and mapped libraries take address space beside it. A decoder that runs
/// away ends here, not in the machine's swap.
pub const ADDRESS_BYTES_MAX: u64 = 3 << 30;

/// Processor seconds of a scene's process: a full tile takes some five minutes of one core, a tile
/// of many small cells ten times that.
pub const CPU_SECONDS_MAX: u64 = 3600;

/// Greatest file the process writes: a spool of one full tile stays below 2 GiB.
pub const FILE_BYTES_MAX: u64 = 16 << 30;

/// GDAL's block cache in megabytes: blocks are read once, in pieces that are kept elsewhere
/// (`pieces`), so it holds what is being read: all bands of a piece on each core.
const GDAL_CACHE_MB: &str = "64";

/// GDAL settings, each with its reason.
const GDAL_SETTINGS: &[(&str, &str)] = &[
    ("GDAL_CACHEMAX", GDAL_CACHE_MB),
    // Bands are decoded side by side already.
    ("GDAL_NUM_THREADS", "1"),
    // No side-car may change what a file says: all that is read is named and hashed.
    ("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR"),
    ("GDAL_PAM_ENABLED", "NO"),
    // No network: no extension is allowed, no plug-in driver is loaded.
    ("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", "{none}"),
    ("GDAL_DRIVER_PATH", "disable"),
    ("PROJ_NETWORK", "OFF"),
    // Rows of netCDF come in the file's order: swaths have no north.
    ("GDAL_NETCDF_BOTTOMUP", "NO"),
    // Small blocks of hostile files may claim gigabytes.
    ("GDAL_MAX_RAW_BLOCK_CACHE_SIZE", "10485760"),
];

/// Sets the process's limits and GDAL's.
pub fn set() -> anyhow::Result<()> {
    lower(Resource::As, ADDRESS_BYTES_MAX)?;
    lower(Resource::Cpu, CPU_SECONDS_MAX)?;
    lower(Resource::Fsize, FILE_BYTES_MAX)?;
    lower(Resource::Core, 0)?;
    set_gdal()
}

/// Sets GDAL's settings alone: what a test needs, which shares its process with others.
pub fn set_gdal() -> anyhow::Result<()> {
    for (key, value) in GDAL_SETTINGS {
        gdal::config::set_config_option(key, value)?;
    }
    // Errors come back as values; GDAL's own printing to standard error is not for users.
    gdal::config::set_error_handler(|_, _, _| {});
    Ok(())
}

/// Lowers a limit; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> anyhow::Result<()> {
    let now = getrlimit(resource);
    let most = now.maximum.map_or(limit, |m| m.min(limit));
    let current = now.current.map_or(most, |c| c.min(most));
    let limits = Rlimit {
        current: Some(current),
        maximum: Some(most),
    };
    setrlimit(resource, limits)?;
    Ok(())
}
