//! A whole cluster in one thread: the same code of layout, ring, membership, replication and
//! repair, over a network, disks and clocks that a seed decides.
//!
//! ```text
//! seed ─▶ drill ─▶ machines (Cluster, Store: the real ones) ─▶ network, hands, clock (simulated)
//!           └─▶ faults ─▶ truth: what was acknowledged is found, whatever went wrong
//! ```
//! *Invariants*: the same drill has the same log, to the last byte; nothing below here, nor
//! anything that it drives, reads the machine's clock or rolls other dice than the seed's.
//!
//! *Not here*: real processes (the tests of cli), what a disk loses without power (`store`).

pub(crate) mod dice;
mod drill;
mod faults;
pub mod forecast;
mod imagery;
mod log;
mod machine;
mod network;
mod scene;
mod truth;

pub use drill::{DRILL_NODES_MAX, Drill, Outcome, SimulationError};
pub use faults::Fault;
pub use log::Detail;
pub use truth::Tally;
