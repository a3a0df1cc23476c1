//! What this binary computes with, for `glebe doctor`.
//!
//! *Invariants*: facts of the running process, not of the machine it was built on; the version is
//! that of the headers it was compiled against, which libtorch's libraries must equal.
//!
//! *Not here*: judging the facts (cli).

use serde::Serialize;

/// What trained a model.
pub const SOFTWARE: &str = concat!(
    "glebe ",
    env!("CARGO_PKG_VERSION"),
    ", libtorch ",
    env!("GLEBE_LIBTORCH_VERSION")
);

/// What this binary computes with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// `glebe 0.1.0, libtorch 2.11.0`.
    pub software: &'static str,
    /// Version of libtorch.
    pub libtorch: &'static str,
    /// Libtorch was built with CUDA and finds a device.
    pub cuda: bool,
    /// CUDA devices.
    pub cuda_devices: i64,
    /// Threads that libtorch would use by default; jobs use their run's.
    pub threads: i32,
    /// Kernels of oneDNN are there.
    pub mkldnn: bool,
    /// Recipes this binary knows.
    pub recipes: Vec<&'static str>,
}

/// Asks libtorch.
pub fn probe() -> Probe {
    Probe {
        software: SOFTWARE,
        libtorch: env!("GLEBE_LIBTORCH_VERSION"),
        cuda: tch::Cuda::is_available(),
        cuda_devices: tch::Cuda::device_count(),
        threads: tch::get_num_threads(),
        mkldnn: tch::utils::has_mkldnn(),
        recipes: crate::recipe::names(),
    }
}
