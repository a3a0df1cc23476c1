//! How a node is to run.
//!
//! *Invariants*: nothing is opened or listened on here.
//!
//! *Not here*: flags, files and their precedence (cli).

use std::path::PathBuf;

use crate::http::TlsFiles;
use crate::layout::Standing;
use crate::upkeep::Pace;

/// Who must show a token to ask over HTTP; what other machines reach always demands one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tokens {
    /// Who is not on this machine.
    #[default]
    Elsewhere,
    /// Everybody.
    Always,
}

/// The variable by which a node tells its workers where to compute.
pub const DEVICE_VARIABLE: &str = "GLEBE_DEVICE";

/// Where workers compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The CPU.
    Cpu,
    /// The first CUDA device.
    Cuda,
}

impl Device {
    /// Returns its name, as a worker reads it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// How a node is to run: what `glebe up` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Folder of the store.
    pub data: PathBuf,
    /// `HOST:PORT` on which other nodes reach it; port 0 takes a free one.
    pub listen: String,
    /// `HOST:PORT` on which users and workers reach it; port 0 takes a free one.
    pub http: String,
    /// Name or address by which others reach it, if not the one it listens on.
    pub advertise: Option<String>,
    /// Certificate and key for HTTP, if it is to speak TLS.
    pub tls: Option<TlsFiles>,
    /// Who must show a token.
    pub tokens: Tokens,
    /// `HOST:PORT` of a member to join.
    pub join: Option<String>,
    /// File with the join token.
    pub token_file: Option<PathBuf>,
    /// Replicas of a new cluster; its default if absent.
    pub replicas: Option<u8>,
    /// Where it stands, so that replicas land apart, and how much it takes.
    pub standing: Standing,
    /// How it keeps its replicas whole and alike.
    pub upkeep: Pace,
    /// Training workers at once.
    pub workers: u16,
    /// Most mebibytes of chips that stay for the next job; the workers' default if absent.
    pub chips_mib: Option<u64>,
    /// Where its workers compute; as its own environment says if absent.
    pub device: Option<Device>,
}
