//! The worker from outside: real products, synthetic worlds, bad input, a node that keeps objects.
//!
//! *Invariants*: tests on real imagery skip loudly where it is absent; nothing is written outside
//! temporary folders.
//!
//! *Not here*: a real node (its own tests, and the whole system's).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its functions beside `#[test]` too"
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod archives;
mod bad_input;
mod baselines;
mod classic;
mod cloud_scores;
mod conformance;
mod edges;
mod hostile;
mod hostile_xml;
mod landsat;
mod masks;
mod memory;
mod modis;
mod modis_rasters;
mod naip;
mod names;
mod nlcd;
mod node;
mod oracles;
mod picture;
mod place;
mod reading;
mod real_products;
mod scene_process;
mod sen3;
mod sentinel3;
mod shelf;
mod stac;
mod synthetic;
mod tiffs;
mod walkthrough;
mod warped;
