//! The worker that fits, publishes and applies models; `glebe-trainer` is its command line.
//!
//! *Invariants*: everything that decides a model's weights is an argument: chips, hyper-parameters,
//! seed; the same arguments give the same weights on a CPU.
//!
//! *Not here*: which jobs there are and who may publish (node), decoding of foreign imagery
//! (ingest).

pub mod baseline;
pub mod cgroup;
pub mod checkpoint;
pub mod chips;
pub mod config;
pub mod diary;
pub mod files;
pub mod fit;
pub mod heed;
pub mod infer;
pub mod job;
pub mod log;
pub mod loss;
pub mod memory;
pub mod metric;
pub mod model;
pub mod module;
pub mod net;
pub mod network;
pub mod probe;
pub mod program;
pub mod publish;
pub mod recipe;
pub mod resident;
pub mod stop;
pub mod torchscript;
pub mod units;
pub mod weights;
pub mod work;

pub use earth::dice as seed;
