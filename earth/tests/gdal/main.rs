//! Conformance with GDAL: reprojection equals `gdalwarp -et 0`, GDAL reads our files, and real
//! scenes come out as GDAL has them.
//!
//! Needs GDAL's programs (`cargo xtask setup`); skips loudly without them.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up must fail")]

mod files;
mod programs;
mod reproject;
mod scenes;
mod systems;
mod texture;
