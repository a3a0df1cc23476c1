//! What foreign bytes may cost: limits of this process and of GDAL inside it.
//!
//! *Invariants*: set once, before the first foreign byte is read and before there are threads; the
//! kernel gives the process no socket, no other program and no memory but its own from then on;
//! GDAL loads no plug-in and reads no file that was not named.
//!
//! *Not here*: limits of one format (`source::archive`, `source::layer`).

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

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
    // No extension of the network's drivers is allowed, no plug-in driver is loaded.
    ("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", "{none}"),
    ("GDAL_DRIVER_PATH", "disable"),
    ("PROJ_NETWORK", "OFF"),
    // Rows of netCDF come in the file's order: swaths have no north.
    ("GDAL_NETCDF_BOTTOMUP", "NO"),
    // Small blocks of hostile files may claim gigabytes.
    ("GDAL_MAX_RAW_BLOCK_CACHE_SIZE", "10485760"),
];

/// System calls that no decoder needs: networks and other processes' sockets (a ring submits any
/// call past this list), other programs, other processes' memory.
const CALLS_CLOSED: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_io_uring_setup,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
];

/// Sets the process's limits and GDAL's.
pub fn set() -> anyhow::Result<()> {
    lower(Resource::As, ADDRESS_BYTES_MAX)?;
    lower(Resource::Cpu, CPU_SECONDS_MAX)?;
    lower(Resource::Fsize, FILE_BYTES_MAX)?;
    lower(Resource::Core, 0)?;
    close().context("the kernel takes no seccomp filter")?;
    set_gdal()
}

/// Takes from all threads what decoding does not need, for good: calls fail with `EACCES`.
fn close() -> anyhow::Result<()> {
    let rules = CALLS_CLOSED.iter().map(|call| (*call, Vec::new()));
    let denied = SeccompAction::Errno(libc::EACCES.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules.collect(), SeccompAction::Allow, denied, arch)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::PermissionDenied;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    use super::*;

    /// In a process of its own, as each test is: the filter never goes away.
    #[test]
    fn what_decodes_reaches_no_network_and_starts_nothing() {
        assert!(TcpListener::bind("127.0.0.1:0").is_ok());
        close().unwrap();
        let elsewhere = std::thread::spawn(|| UdpSocket::bind("127.0.0.1:0").err());
        let refused = [
            TcpListener::bind("127.0.0.1:0").err(),
            UnixStream::pair().err(),
            Command::new("true").status().err(),
            elsewhere.join().unwrap(),
        ];
        for error in refused {
            assert_eq!(error.map(|e| e.kind()), Some(PermissionDenied));
        }
    }
}
