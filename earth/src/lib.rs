//! The pure domain of glebe: geocodes, grids, rasters, splits.
//!
//! *Invariants*: no I/O, no clock, randomness only as an argument (`dice`); the same input gives
//! the same bytes.
//!
//! *Not here*: decoding of foreign formats (ingest), storage and network (node), queries (query).

pub mod crs;
pub mod cube;
pub mod dataset;
pub mod dice;
pub mod extent;
pub mod geocode;
pub mod geotiff;
pub mod grid;
pub mod polygon;
pub mod raster;
pub mod split;
