//! The flags of `glebe up`.
//!
//! *Invariants*: what is not said is the node's own default.
//!
//! *Not here*: what they do (node), the global flags.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use node::config::{DEVICE_VARIABLE, Device};

/// `glebe up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Where other nodes reach this one; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7400")]
    pub(crate) listen: String,
    /// Where users and workers reach it; beyond this machine only with tokens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7480")]
    pub(crate) http: String,
    /// Name or address by which others reach this node, with the port of --listen if that is
    /// another there [default: what it listens on]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) advertise: Option<String>,
    /// Certificate chain (PEM) to serve HTTPS with
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Key (PEM) of that certificate; nobody else may read it
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Demand tokens on this machine, too
    #[arg(long)]
    pub(crate) require_tokens: bool,
    /// Nodes to join, HOST:PORT with commas between, or a name that stands for all, with
    /// --token-file; for a member, where to look for others that have moved
    #[arg(long, value_name = "HOST:PORT", value_parser = super::members)]
    pub(crate) join: Option<String>,
    /// Replicas of a new cluster; fewer while there are fewer nodes [default: 3]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u8).range(super::replicas()))]
    pub(crate) replicas: Option<u8>,
    /// Names the machine: replicas land on distinct ones; without it each node counts as one
    #[arg(long, value_name = "H")]
    pub(crate) host_label: Option<String>,
    /// Seconds between two comparisons with other owners [default: 600]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) repair_every: Option<u32>,
    /// Mebibytes a second read to check what is stored [default: 16]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) scrub_rate: Option<u32>,
    /// Names the rack, room or site: replicas land in distinct ones, or evenly in fewer
    #[arg(long, value_name = "Z")]
    pub(crate) zone_label: Option<String>,
    /// Share of the data relative to the other nodes' [default: 1]
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) weight: Option<u32>,
    /// Training workers this node runs at once [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(crate) workers: Option<u16>,
    /// Where its workers compute; a CUDA device needs a libtorch that has one [default: cpu]
    #[arg(long, value_enum, env = DEVICE_VARIABLE)]
    pub(crate) device: Option<DeviceArg>,
    /// Most disk that chips take which stay for the next job on the same splits [default: 2048]
    #[arg(long, value_name = "MIB", env = "GLEBE_CHIPS_MIB")]
    pub(crate) chips_mib: Option<u64>,
}

/// Where workers compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceArg {
    /// The CPU: the same seed gives the same weights
    Cpu,
    /// The first CUDA device
    Cuda,
}

impl From<DeviceArg> for Device {
    fn from(arg: DeviceArg) -> Self {
        match arg {
            DeviceArg::Cpu => Self::Cpu,
            DeviceArg::Cuda => Self::Cuda,
        }
    }
}
