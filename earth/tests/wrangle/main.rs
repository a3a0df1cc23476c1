//! Bands brought together: resampling against rasterio, splicing against numpy, expressions against
//! arithmetic.
//!
//! *Invariants*: a test without its oracle or its real imagery says so aloud.
//!
//! *Not here*: reprojection (`gdal`), the command line (cli).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests: a failure is a panic, a skip is said loudly"
)]

mod expressions;
mod oracle;
mod resample;
mod splice;
