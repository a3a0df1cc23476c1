//! The geography of earth: cells, covers, polygons, systems, grids, placement.

#![allow(
    clippy::unwrap_used,
    reason = "the leave that tests have to unwrap does not reach the functions they share"
)]

mod cover;
mod crs;
mod extent;
mod geocode;
mod grid;
mod placement;
mod polygon;
mod sample;
mod seams;
mod swath;
