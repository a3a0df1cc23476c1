//! Real processes on real networks that are killed, cut off and slowed while users work.
//!
//! *Invariants*: every test makes its own folder, ports and network namespaces, ends only processes
//! it started and removes what it made; who may not make namespaces skips, aloud.
//!
//! *Not here*: what a seed decides (the simulation in node).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    dead_code,
    reason = "tests: a failure is a panic, figures are printed; the harness is the other tests' too"
)]

mod burnt;
mod changes;
mod crowded;
mod disks;
mod full;
#[path = "../e2e/harness.rs"]
mod harness;
mod kills;
mod lab;
mod lines;
mod partitions;
mod pinched;
mod power;
mod probes;
mod proxy;
mod skew;
mod slow;
mod stops;
mod suspicion;
mod underway;
mod users;
